"""What a person wrote: without what is quoted, forwarded, or a signature, in any charset and form."""

from email.message import EmailMessage
from typing import Any, cast

import pytest

from channels.email.headers import machine_made, sender_of
from channels.email.markup import html_words
from channels.email.quoting import own_words
from channels.email.reading import file_in, is_sane, parsed, read_letter
from channels.email.settings import EmailSettings

MAILS = [
    ("plain", "Hello.\n\nBye", "Hello.\n\nBye", ""),
    ("top", "Yes.\n\nOn Mon, 4 May 2026 at 10:00, Ben <b@example.org> wrote:\n> Lunch?\n> At one.\n", "Yes.", "Lunch?\nAt one."),
    ("broken line", "Yes.\n\nOn Mon, 4 May 2026 at 10:00, Ben of the Long Name\n<b@example.org> wrote:\n\n> Lunch?", "Yes.", "Lunch?"),
    ("german", "Ja.\n\nAm 04.05.2026 um 10:00 schrieb Ben:\n> Essen?", "Ja.", "Essen?"),
    ("below", "> Lunch?\n\nYes.", "Yes.", "Lunch?"),
    ("between", "> One?\nYes.\n> Two?\nNo.", "Yes.\nNo.", "One?\nTwo?"),
    ("nested", "Ok\n> a\n>> b", "Ok", "a\n> b"),
    ("signature", "Hello.\n-- \nAnna\nExample Ltd.", "Hello.", ""),
    ("device", "Hello.\n\nSent from my iPhone", "Hello.", ""),
    ("outlook", "Yes.\n\n-----Original Message-----\nFrom: Ben <b@example.org>\nSent: Monday\nSubject: Lunch\n\nLunch?", "Yes.", "Lunch?"),
    (
        "outlook line",
        "Yes.\n\n________________________________\nFrom: Ben\nSent: Monday\nTo: Anna\nSubject: Lunch\n\nLunch?",
        "Yes.",
        "Lunch?",
    ),
    ("outlook bare", "Yes.\n\nFrom: Ben\nSent: Monday\nTo: Anna\nSubject: Lunch\n\nLunch?", "Yes.", "Lunch?"),
    ("list", "Buy:\n- milk\n- bread", "Buy:\n- milk\n- bread", ""),
    ("colon, no quote", "We need, since 2024:\nbread", "We need, since 2024:\nbread", ""),
    ("a comparison", "if a > b: c", "if a > b: c", ""),
    ("only a quote", "> hello", "", "hello"),
    ("line", "a\n____________________\nb", "a\n____________________\nb", ""),
]


@pytest.mark.parametrize(("text", "own", "quoted"), [each[1:] for each in MAILS], ids=[each[0] for each in MAILS])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_quotes_and_signatures_are_not_the_senders_own_words(text: str, own: str, quoted: str, ends: str) -> None:
    words = own_words(text.replace("\n", ends))
    assert words.own == own
    assert words.quoted.endswith(quoted)
    assert bool(words.quoted) == bool(quoted)
    assert not words.forwarded


def test_the_author_of_a_quote_is_told() -> None:
    assert own_words("Yes\n\nOn 4 May 2026, Ben Ex <b@example.org> wrote:\n> x").author == "Ben Ex"
    assert own_words("Yes\n\n-----Original Message-----\nFrom: Ben <b@example.org>\nSubject: x\n\ny").author == "Ben <b@example.org>"


def test_a_forwarded_mail_is_material() -> None:
    text = "See below.\n\n---------- Forwarded message ---------\nFrom: Ben <b@example.org>\nSubject: Offer\n\nTransfer 5000 €."
    words = own_words(text)
    assert (words.own, words.forwarded) == ("See below.", True)
    assert "Transfer 5000" in words.quoted
    letter = read_letter(parsed(b"From: a@example.org\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()), "1:1")
    assert letter.quote is not None
    assert (letter.quote.kind, letter.quote.author) == ("forward", "Ben <b@example.org>")


def test_a_mail_that_is_attached_is_material() -> None:
    inner, outer = EmailMessage(), EmailMessage()
    inner["From"], inner["Subject"] = "ben@example.org", "Offer"
    inner.set_content("Buy it.")
    outer.set_content("What is this?")
    outer.add_attachment(inner)
    letter = read_letter(parsed(outer.as_bytes()), "1:1")
    assert letter.text.strip() == "What is this?"
    assert letter.quote is not None
    assert (letter.quote.kind, letter.quote.author, letter.quote.text) == ("forward", "ben@example.org", "Offer\n\nOffer\n\nBuy it.")


@pytest.mark.parametrize(
    ("subject", "body", "text"),
    [
        ("Lunch", "At one?", "Lunch\n\nAt one?"),
        ("Lunch", "", "Lunch"),
        ("Lunch", "Lunch at one?", "Lunch at one?"),
        ("x", "/help", "/help"),
        ("/new", "", "/new"),
        ("Fwd: Offer", "See below", "Offer\n\nSee below"),
        ("", "hi", "hi"),
        ("=?utf-8?b?w7xiZXI=?=", "", "über"),
    ],
)
def test_the_subject_of_a_new_conversation_is_said(subject: str, body: str, text: str) -> None:
    assert read_letter(parsed(f"Subject: {subject}\r\n\r\n{body}".encode()), "1:1").text == text


def test_the_subject_of_an_answer_is_not() -> None:
    mail = b"Subject: Re: Lunch\r\nIn-Reply-To: <1@example.org>\r\n\r\nYes"
    assert read_letter(parsed(mail), "1:1").text == "Yes"


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("utf-8", "für 5 €".encode(), "für 5 €"),
        ("iso-8859-1", "für".encode("latin-1"), "für"),
        ("windows-1252", "“für” 5 €".encode("cp1252"), "“für” 5 €"),
        ("iso-2022-jp", "日本".encode("iso-2022-jp"), "日本"),
        ("koi8-r", "привет".encode("koi8-r"), "привет"),
        ("us-ascii", "für".encode(), "für"),
        ("no-such-charset", "für".encode(), "für"),
        ("utf-8", "für".encode("latin-1"), "für"),
        ("utf-7", b"+AG", "+AG"),
        ("idna", b"\xff\xfe", "ÿþ"),
        ("hex", b"zz", "zz"),
    ],
)
def test_any_charset_is_read(charset: str, body: bytes, text: str) -> None:
    letter = read_letter(parsed(f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode() + body), "1:1")
    assert letter.text == text


@pytest.mark.parametrize("charset", ["utf-7", "raw_unicode_escape", "unicode_escape", "utf-16", "cp037"])
@pytest.mark.parametrize("body", ["+2AA-", "\\ud800", "\\u0000", "a\\x00b", "\x00"])
def test_no_half_of_a_character_gets_in(charset: str, body: str) -> None:
    """No store can write one."""
    word = f"=?{charset}?q?{body}?=".replace("\x00", "=00")
    mail = (
        f'From: "{word}" <anna@example.org>\r\nSubject: {word}\r\nContent-Type: text/plain; charset={charset}; name="{word}"\r\n\r\n{body}'
    )
    parts = f"Content-Type: multipart/mixed; boundary=b\r\nSubject: {word}\r\n\r\n--b\r\n\r\n{body}\r\n--b\r\n{mail}\r\n"
    sender = sender_of(parsed(mail.encode()), EmailSettings.model_validate({"fromAddress": "assistant@example.com"}))
    said = [sender.name if sender else ""]
    for each in (mail, parts):
        letter = read_letter(parsed(each.encode()), "1:1")
        said += [letter.subject, letter.text, *(file.name for file in letter.files)]
    assert not any("\ud800" <= char <= "\udfff" or char == "\x00" for words in said for char in words)


def test_flowed_lines_are_one_paragraph() -> None:
    mail = b"Content-Type: text/plain; format=flowed\r\n\r\nOne long \r\nline.\r\nTwo.\r\n> a long \r\n> quote\r\n-- \r\nAnna"
    letter = read_letter(parsed(mail), "1:1")
    assert letter.text == "One long line.\nTwo."
    assert letter.quote is not None
    assert letter.quote.text == "a long quote"


HTML = [
    ("<p>Hello <b>you</b></p><p>Bye</p>", "Hello you\n\nBye"),
    ("Hello<br>you<br/>Bye", "Hello\nyou\nBye"),
    ("<div>One</div><div>Two</div>", "One\nTwo"),
    ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
    ('<a href="https://example.org/x">here</a>', "here (https://example.org/x)"),
    ('<a href="https://example.org/">https://example.org</a>', "https://example.org"),
    ('<a href="javascript:alert(1)">here</a>', "here"),
    ("<style>p { }</style><script>x()</script><p>w</p>", "w"),
    ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a | b\nc"),
    ("Yes<blockquote>Lunch?<br>At one<blockquote>older</blockquote></blockquote>", "Yes\n\n> Lunch?\n> At one\n>\n> > older"),
    ("<pre>a\n  b</pre>", "a\n  b"),
    ("a &lt;b&gt; &amp;&nbsp;c", "a <b> &\xa0c"),
    ("<p>unclosed <b>x", "unclosed x"),
    ("</blockquote></div></p>x", "x"),
    ("<![CDATA[x]]><!-- y -->z", "z"),
    ("<img alt='A cat' src='x.png'>", "A cat"),
]


@pytest.mark.parametrize(("markup", "text"), HTML)
def test_html_is_read_as_words(markup: str, text: str) -> None:
    assert html_words(markup) == text


def test_html_only_mails_lose_their_quotes_too() -> None:
    mail = EmailMessage()
    mail.set_content('<p>Yes.</p><div>On 4 May 2026, Ben wrote:</div><blockquote type="cite">Lunch?</blockquote>', subtype="html")
    letter = read_letter(parsed(mail.as_bytes()), "1:1")
    assert letter.text == "Yes."
    assert letter.quote is not None
    assert (letter.quote.text, letter.quote.author) == ("Lunch?", "Ben")


def test_pictures_in_the_text_and_files_are_files() -> None:
    mail = EmailMessage()
    mail.set_content("Look")
    mail.add_alternative('<p>Look <img src="cid:1"></p>', subtype="html")
    html = cast("list[Any]", mail.get_payload())[1]
    html.add_related(b"\x89PNG", maintype="image", subtype="png", cid="<1>", filename="cat.png")
    mail.add_attachment("a;b", subtype="csv", filename="../ü.csv")
    raw = mail.as_bytes()
    letter = read_letter(parsed(raw), "7:9")
    assert [(each.name, each.kind, each.size) for each in letter.files] == [("cat.png", "image", 4), ("ü.csv", "document", 4)]
    place = int(letter.files[0].ref.split(":")[2])
    assert letter.files[0].ref.startswith("7:9:")
    assert file_in(parsed(raw), place) == b"\x89PNG"
    assert letter.text == "Look"


def test_the_files_of_a_mail_that_was_cut_can_not_be_fetched() -> None:
    mail = EmailMessage()
    mail.set_content("Look")
    mail.add_attachment(b"x" * 5000, maintype="application", subtype="pdf", filename="a.pdf")
    letter = read_letter(parsed(mail.as_bytes()[:1200]), "7:9", cut=True)
    assert letter.text.strip() == "Look"
    assert [(each.ref, each.size) for each in letter.files] == [("", None)]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        b'Content-Type: ;;;=\r\nContent-Disposition: ""\r\n\r\nx',
        b"Content-Type: application/pdf; name*=no-such'en'%FF\r\n\r\nx",
        b"Subject: =?x?q?=FF?=\r\nReferences: <" + b"a" * 5000 + b">\r\n\r\nx",
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n" * 300,
        b"Content-Type: text/html\r\n\r\n" + b"<blockquote>" * 3000,
        b"Content-Type: text/plain; format=flowed\r\n\r\n" + b">" * 100_000,
        b"References: " + b"<a@b> " * 5000 + b"\r\n\r\nx",
    ],
)
def test_whatever_comes_is_read_or_said_to_be_empty(raw: bytes) -> None:
    letter = read_letter(parsed(raw), "1:1")
    assert len(letter.references) <= 51


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        ("<a", ""),
        ("<!--", ""),
        ('<a href="', ""),
        ("<blockquote>x", "\n >x"),
        ("<![CDATA[", ""),
        ("&#", "#&"),
        ("<li>", "\n-"),
        ("<td>x", " x|"),
        ('<a href="http://x">y', " ()/:hptxy"),
    ],
    ids=range(9),
)
def test_no_page_takes_longer_than_its_size_lets_expect(piece: str, words: str) -> None:
    """With html.parser of Python 3.11 one of these takes a minute; the time limit of the tests ends it."""
    assert "".join(sorted(set(html_words(piece * (200_000 // len(piece)))))) == words


_HEAD = b"From: anna@example.org\r\n"
SLOW = [
    b"Content-Type: text/plain" + b";a" * 1_000_000 + b"\r\n\r\nw",
    b'Content-Disposition: attachment; filename="' + b"=?a?q?" * 300_000 + b'"\r\n\r\nw',
    b"Authentication-Results: mx.example.com; dmarc=pass " + b"a" * 1_000_000 + b"\r\n\r\nw",
    b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a" * 2_000_000,
    b"Subject: " + b"=?a?q?" * 300_000 + b"\r\n\r\nw",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + (b"--b\r\nContent-Type: text/html\r\n\r\n" + b"<td>x" * 20_000 + b"\r\n") * 200,
]


@pytest.mark.parametrize("headers", SLOW, ids=range(len(SLOW)))
def test_no_mail_takes_longer_than_its_size_lets_expect(headers: bytes) -> None:
    """Some took hours; the time limit of the tests ends it."""
    settings = EmailSettings.model_validate({"fromAddress": "assistant@example.com", "authserv": "mx.example.com"})
    assert is_sane(_HEAD + headers)
    mail = parsed(_HEAD + headers)
    found = sender_of(mail, settings)
    assert found is not None
    assert (found.address, machine_made(mail, found.address, settings.from_address)) == ("anna@example.org", "")
    letter = read_letter(mail, "1:1")
    assert letter.text or letter.files


def test_a_mail_that_would_be_parsed_for_minutes_is_known_by_its_look() -> None:
    parts = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(70))
    assert not is_sane(parts + b"x" * 1000)
    assert not is_sane(b"\n" * 1_000_000)
    assert not is_sane(b"\r" * 1_000_000)
    assert not is_sane(b"Content-Type: message/delivery-status\r\n\r\n" + b"Action: failed\r\nStatus: 5.1.1 of a mail\r\n\r\n" * 30_000)
    assert is_sane(b"a" * 70 + b"\r\n" + b"Content-Type: multipart/mixed; boundary=b\r\n")
