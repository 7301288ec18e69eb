"""Mails: every part that says something of its own, invitations, forwarded messages, and attached files read like uploads."""

from email.message import EmailMessage, Message
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from io import BytesIO

import pytest
from PIL import Image

from tests.documents.making import ReadText, paragraph, pdf, show, word

HEAD = "From: Ann <ann@a.example>\nTo: bob@b.example\nDate: Fri, 20 Nov 2026 08:00:00 +0000\nSubject: Hi\n"


def _mail(subtype: str, *parts: Message) -> bytes:
    message = MIMEMultipart(subtype)
    message["From"], message["Date"], message["Subject"] = "ann@a.example", "Fri, 20 Nov 2026 08:00:00 +0000", "Hi"
    for part in parts:
        message.attach(part)
    return message.as_bytes()


def _parts(subtype: str, *parts: Message) -> MIMEMultipart:
    message = MIMEMultipart(subtype)
    for part in parts:
        message.attach(part)
    return message


PLAIN, HTML = MIMEText("Hello plain"), MIMEText("<p>Hello <b>page</b></p>", "html")


@pytest.mark.parametrize(
    ("subtype", "parts", "body"),
    [
        ("alternative", (PLAIN, HTML), "Hello plain"),
        ("alternative", (HTML, PLAIN), "Hello page"),
        ("mixed", (HTML, PLAIN), "Hello page\n\nHello plain"),
        ("mixed", (PLAIN, HTML, PLAIN), "Hello plain\n\nHello page\n\nHello plain"),
        ("related", (HTML,), "Hello page"),
        ("mixed", (_parts("alternative", PLAIN, HTML), MIMEText("footer")), "Hello plain\n\nfooter"),
        ("alternative", (PLAIN, _parts("related", HTML)), "Hello plain"),
        ("alternative", (MIMEText(" \n"), HTML), "Hello page"),
        ("alternative", (MIMEText("See the page"), MIMEText(f"<p>{'word ' * 40}", "html")), ("word " * 40).strip()),
        ("report", (PLAIN, HTML), "Hello plain\n\nHello page"),
        ("unheard-of", (PLAIN, PLAIN), "Hello plain\n\nHello plain"),
    ],
)
async def test_only_alternatives_say_the_same(read: ReadText, subtype: str, parts: tuple[Message, ...], body: str) -> None:
    result = await read("a.eml", _mail(subtype, *parts))
    assert result.text.partition("Subject: Hi\n\n")[2] == body


INVITATION = """BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19701025T030000
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
SUMMARY:Planning\\, 2nd round
DTSTART;TZID=Europe/Berlin:20261120T090000
DTEND;TZID=Europe/Berlin:20261120T103000
LOCATION:Room 5
ORGANIZER;CN="Ann Lee":mailto:ann@a.example
ATTENDEE;PARTSTAT=ACCEPTED;CN=Bob:MAILTO:bob@b.example
DESCRIPTION:Bring the
  figures.\\nThanks
BEGIN:VALARM
SUMMARY:Reminder
DESCRIPTION:No
END:VALARM
END:VEVENT
END:VCALENDAR
"""


async def test_an_invitation_is_told_in_words(read: ReadText) -> None:
    result = await read("a.eml", _mail("alternative", PLAIN, HTML, MIMEText(INVITATION, "calendar")))
    assert result.text.partition("Hello plain\n\n")[2] == (
        "Invitation: Planning, 2nd round\nWhen: 2026-11-20 09:00 (Europe/Berlin) to 2026-11-20 10:30 (Europe/Berlin)\nWhere: Room 5\n"
        "Organizer: Ann Lee <ann@a.example>\nAttendees: Bob <bob@b.example> (accepted)\n\nBring the figures.\nThanks"
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("DTSTART;VALUE=DATE:20261120\nDTEND;VALUE=DATE:20261121", "When: 2026-11-20\n"),
        ("DTSTART;VALUE=DATE:20261120\nDTEND;VALUE=DATE:20261123", "When: 2026-11-20 to 2026-11-22\n"),
        ("DTSTART:20261120T080000Z\nDURATION:PT1H", "When: 2026-11-20 08:00 UTC, for PT1H\n"),
        ("DTSTART:20261120T080000", "When: 2026-11-20 08:00\n"),
        ("DTSTART:someday", "When: someday\n"),
        ("DTSTART:99999999", "When: 99999999\n"),
        ("RRULE:FREQ=WEEKLY;COUNT=3", "Repeats: FREQ=WEEKLY;COUNT=3\n"),
        (
            "EXDATE;TZID=Europe/Berlin:20261127T090000,20261204T090000",
            "Not: 2026-11-27 09:00 (Europe/Berlin), 2026-12-04 09:00 (Europe/Berlin)\n",
        ),
        ("EXDATE;VALUE=DATE:20261127\nEXDATE;VALUE=DATE:20261204", "Not: 2026-11-27, 2026-12-04\n"),
        ("RDATE:20261128T080000Z", "Also: 2026-11-28 08:00 UTC\n"),
        ("RECURRENCE-ID:20261120T080000Z", "In place of: 2026-11-20 08:00 UTC\n"),
        ("EXDATE:", "Cancelled: S\n"),
        ("STATUS:CANCELLED", "Status: cancelled\n"),
        ("URL:https://a.example/x", "Link: https://a.example/x\n"),
        ("ORGANIZER:mailto:ann@a.example", "Organizer: ann@a.example\n"),
    ],
)
async def test_a_calendar_entry_is_told_in_words(read: ReadText, lines: str, words: str) -> None:
    entry = f"BEGIN:VCALENDAR\nMETHOD:CANCEL\nBEGIN:VEVENT\nSUMMARY:S\n{lines}\nEND:VEVENT\nEND:VCALENDAR"
    text = (await read("a.eml", _mail("mixed", MIMEText(entry, "calendar")))).text + "\n"
    assert "Cancelled: S\n" in text
    assert words in text


async def test_a_forwarded_message_keeps_its_sender_date_and_subject(read: ReadText) -> None:
    inner = MIMEText("Old words")
    inner["From"], inner["Date"], inner["Subject"] = "carol@c.example", "Thu, 19 Nov 2026 08:00:00 +0000", "=?utf-8?q?Gr=C3=BC=C3=9Fe?="
    text = (await read("a.eml", _mail("mixed", PLAIN, MIMEMessage(inner)))).text
    assert text.endswith(
        "Hello plain\n\n---------- Forwarded message ----------\nFrom: carol@c.example\nDate: Thu, 19 Nov 2026 08:00:00 +0000\n"
        "Subject: Grüße\n\nOld words"
    )


def _picture() -> bytes:
    target = BytesIO()
    Image.new("RGB", (30, 20)).save(target, "PNG")
    return target.getvalue()


def _with_file(data: bytes, name: str, kind: str = "application/octet-stream", disposition: str = "attachment") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ann <ann@a.example>", "bob@b.example", "Grüße"
    message["Date"] = "Fri, 20 Nov 2026 08:00:00 +0000"
    message.set_content("See the file.")
    main, _, sub = kind.partition("/")
    message.add_attachment(data, maintype=main, subtype=sub, filename=name, disposition=disposition)
    return message


@pytest.mark.parametrize(
    ("name", "data", "shown"),
    [
        ("plan.pdf", pdf([show("The plan")]), "## Attached file: plan.pdf (pdf, 1 page)\n\n## Page 1\n\nThe plan"),
        ("a.docx", word(paragraph("In Word")), "## Attached file: a.docx (docx, 2 words)\n\nIn Word"),
        ("a.csv", b"a;b\n1;2\n", "## Attached file: a.csv (csv, 2 lines)\n\na;b\n1;2"),
        ("Übersicht.txt", "Größe".encode("cp1252"), "## Attached file: Übersicht.txt (text, 1 line)\n\nGröße"),
        ("page.html", b"<html><h1>Head</h1>", "## Attached file: page.html (html, 2 words)\n\n# Head"),
        ("photo.png", _picture(), "[Picture: photo.png, PNG, 30×20]"),
        ("old.zip", b"PK\x05\x06" + bytes(18), "Attached file: old.zip is a ZIP archive"),
        ("broken.pdf", b"%PDF-1.7 stream 1 0 obj", "Attached file: broken.pdf can't be read as a PDF: it is damaged or incomplete."),
        ("app.exe", b"MZ" + bytes(200), "Attached file: app.exe is a Windows program."),
        ("empty.txt", b"", None),
    ],
)
async def test_an_attached_file_is_read_like_an_upload_or_named(read: ReadText, name: str, data: bytes, shown: str | None) -> None:
    result = await read("a.eml", bytes(_with_file(data, name)))
    start = "From: Ann <ann@a.example>\nTo: bob@b.example\nDate: Fri, 20 Nov 2026 08:00:00 +0000\nSubject: Grüße\n\nSee the file."
    assert result.text.startswith(start)
    assert shown is None or result.text[len(start) + 2 :].startswith(shown)
    assert result.facts == ("1 message", "0 attached files" if shown is None else "1 attached file")


async def test_an_inline_table_is_read(read: ReadText) -> None:
    result = await read("a.eml", _mail("mixed", PLAIN, MIMEText("a,b\n1,2\n", "csv")))
    assert result.text.endswith("Hello plain\n\n## Attached file: text/csv (csv, 2 lines)\n\na,b\n1,2")


async def test_files_of_an_alternative_that_is_not_shown_are_read(read: ReadText) -> None:
    file = MIMEText("a,b", "csv")
    file.add_header("Content-Disposition", "attachment", filename="t.csv")
    result = await read("a.eml", _mail("alternative", PLAIN, _parts("mixed", HTML, file)))
    assert result.text.endswith("Hello plain\n\n## Attached file: t.csv (csv, 1 line)\n\na,b")


async def test_mails_in_mails_are_read_up_to_a_depth(read: ReadText) -> None:
    data = HEAD.encode() + b"\nthe innermost"
    for depth in range(8):
        data = bytes(_with_file(data, f"{depth}.dat"))
    text = (await read("a.eml", data)).text
    assert text.count("See the file.") == 5
    assert "is not read: the attached files are too many, too large or too deep." in text
    assert "the innermost" not in text


async def test_of_many_attached_files_the_rest_is_named(read: ReadText) -> None:
    message = _with_file(b"text 0", "0.txt")
    for number in range(1, 80):
        message.add_attachment(f"text {number}".encode(), maintype="application", subtype="x", filename=f"{number}.txt")
    text = (await read("a.eml", bytes(message))).text
    assert "text 49" in text
    assert "Attached file: 50.txt is not read" in text
    assert "Attached file: 79.txt is not read" in text


@pytest.mark.parametrize(
    "head",
    [
        "From: a@x.example\nDate: Fri, 5 Jan 2024 10:00:00 +0100\n",
        "Date: 5 Jan 24 10:00\nFrom: a@x.example\nTo: b@x.example\n",
        "X-Gmail-Labels: Inbox\n" + "".join(f"ARC-Seal: i={n}; a=rsa\n {'x' * 70}\n" for n in range(300)) + HEAD,
        "Received: from x by y\nMessage-ID: <1@x>\n",
        "Return-Path: <a@x.example>\r\nDelivered-To: b@x.example\r\nFrom: a@x.example\r\n",
        "From ann@a.example Fri Nov 20 08:00:00 2026\n" + HEAD,
        "from : Ann <ann@a.example>\nsubject : Hi\nmime-version : 1.0\n",
        "\ufeff" + HEAD,
    ],
    ids=["no subject", "old date", "long head", "no sender", "stored", "mailbox", "spaces", "mark"],
)
async def test_a_mail_is_known_by_its_fields(read: ReadText, head: str) -> None:
    result = await read("a", f"{head}\nThe meeting is at noon.".encode())
    assert result.format == "eml"
    assert result.text.endswith("The meeting is at noon.")
    assert "ARC-Seal" not in result.text


@pytest.mark.parametrize(
    "text", ["From: Berlin\nTo: Paris\n\nA journey", "Date: today\nSubject: notes\n\nx", "To: all\n\nFrom: me\nDate: now"]
)
async def test_text_that_begins_like_a_mail_is_text(read: ReadText, text: str) -> None:
    result = await read("a.txt", text.encode())
    assert (result.format, result.text) == ("text", text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
async def test_a_mail_in_wide_characters_is_read(read: ReadText, encoding: str) -> None:
    result = await read("a.eml", f"{HEAD}\nGrüße".encode(encoding))
    assert (result.format, result.text) == ("eml", f"{HEAD}\nGrüße")


@pytest.mark.parametrize(
    ("content", "body", "shown"),
    [
        ("text/plain; charset=windows-1250", "Győző".encode("cp1250"), "Győző"),
        ("text/plain; charset=iso-2022-jp", "金曜日".encode("iso2022_jp"), "金曜日"),
        ("text/plain; charset=unknown-8bit", "Größe".encode(), "Größe"),
        ("text/plain; charset=us-ascii", "Größe – gut".encode(), "Größe – gut"),
        ("text/plain; charset=iso-8859-1", "Größe – gut".encode(), "Größe – gut"),
        ("text/plain; charset=iso-8859-1", "“Größe”".encode("cp1252"), "“Größe”"),
        ("text/plain; charset=ks_c_5601-1987", "안녕하세요".encode("cp949"), "안녕하세요"),
        ("text/plain; charset=no-such", "Привет, друзья".encode("cp1251"), "Привет, друзья"),
        ("text/plain; format=flowed", b"One \nparagraph\n> quoted \n> words\n-- \nAnn", "One paragraph\n> quoted words\n-- \nAnn"),
        ("text/plain; format=flowed; delsp=yes", b"Wort \nteil", "Wortteil"),
        ("text/plain; format=flowed", b"a \n> b\n\n  c", "a \n> b\n\n c"),
        ("text/plain", b"> quoted\n> words\nmine", "> quoted\n> words\nmine"),
        ("text/html", b"<table><tr><td rowspan=2>a<td>b<tr><td>c</table>", "| a | b |\n| --- | --- |\n| a | c |"),
    ],
)
async def test_a_body_is_read_in_its_charset_and_form(read: ReadText, content: str, body: bytes, shown: str) -> None:
    data = f"{HEAD}MIME-Version: 1.0\nContent-Type: {content}\nContent-Transfer-Encoding: 8bit\n\n".encode() + body
    assert (await read("a.eml", data)).text.partition("Subject: Hi\n\n")[2] == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"),
        (b"=?iso-8859-1?Q?Gr=FC=DFe?=", "Grüße"),
        (b"=?utf-8?q?Gr=C3=BC?= =?utf-8?q?=C3=9Fe?=", "Grüße"),
        ("Grüße aus Köln".encode(), "Grüße aus Köln"),
        ("Привет, друзья".encode("cp1251"), "Привет, друзья"),
        (b"=?no-such?q?abc?=", "abc"),
        (b"folded\n words", "folded words"),
    ],
)
async def test_a_field_is_decoded(read: ReadText, raw: bytes, shown: str) -> None:
    data = b"From: a@x.example\nDate: Fri, 5 Jan 2024 10:00:00 +0100\nSubject: " + raw + b"\n\nbody"
    assert f"Subject: {shown}\n" in (await read("a.eml", data)).text


async def test_a_report_of_delivery_is_shown(read: ReadText) -> None:
    report = b"--B\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; bob@b.example\nStatus: 5.1.1\n--B--\n"
    text = (await read("a.eml", HEAD.encode() + b'Content-Type: multipart/report; boundary="B"\n\n' + report)).text
    assert "Final-Recipient: rfc822; bob@b.example\nStatus: 5.1.1" in text


async def test_a_file_that_is_kept_elsewhere_is_named(read: ReadText) -> None:
    part = b"Content-Type: message/external-body; name=plan.txt; access-type=ANON-FTP\n\nContent-Type: text/plain\n\n"
    text = (await read("a.eml", HEAD.encode() + part)).text
    assert text.endswith("Attached file: plan.txt is kept elsewhere and not in the message.")
