"""Text in any encoding, pages, messages; and that a file's content, not its name, says what it is."""

import unicodedata

import pytest

from assistant.documents.formats.markdown import clean
from tests.documents.making import ReadText, pdf, show

GERMAN = "Grüße aus Köln, schöne Straße – größer als gestern"
JAPANESE = "名前,年齢,住所\n佐藤太郎,30,東京\n三木英子,25,大阪\n"
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. Это обычный русский текст."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "cp1252"),
        ("plain words", "utf-16-le"),
        ("plain words", "utf-16-be"),
        (GERMAN, "utf-32"),
        (JAPANESE.strip(), "cp932"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        ("Déjà vu à l'été, où ça? Très bien, merci beaucoup.", "cp1252"),
        ("Zażółć gęślą jaźń. To jest zwykły polski tekst o książkach.", "cp1250"),
        ("这是一个简体中文的文本文件，用于测试编码。", "gb18030"),
        ("안녕하세요. 이것은 한국어 텍스트 파일입니다.", "cp949"),
    ],
)
async def test_the_encoding_is_found(read: ReadText, text: str, encoding: str) -> None:
    assert (await read("a.txt", text.encode(encoding))).text == text


async def test_a_damaged_byte_does_not_spoil_the_rest(read: ReadText) -> None:
    data = GERMAN.encode() * 3 + b"\xff" + GERMAN.encode()
    assert (await read("a.txt", data)).text == f"{GERMAN * 3}\ufffd{GERMAN}"


async def test_source_and_data_stay_as_they_are(read: ReadText) -> None:
    for name, text in {
        "a.json": '{"a": [1, 2]}',
        "b.csv": "a;b\n1;2",
        "c.py": "def f():\n\treturn 1",
        "d.svg": "<svg><text>x</text></svg>",
    }.items():
        result = await read(name, text.encode())
        assert (result.format, result.text) == (name[2:], text)


async def test_line_ends_are_one_kind_and_control_characters_go(read: ReadText) -> None:
    data = b"one\r\ntwo\rthree\x1b[31m" + b"\x00" + b" " * 200 + b"\xe2\x80\xa8end"
    text = (await read("a.log", data)).text
    assert text.startswith("one\ntwo\nthree[31m ")
    assert text.endswith("\nend")


async def test_of_all_characters_only_controls_and_noncharacters_go(read: ReadText) -> None:
    breaks, rest = "\n\x0b\x0c\r\x85\u2028\u2029", [*range(0xD800), *range(0xE000, 0x110000)]
    gone = {chr(code) for code in (*range(0xFDD0, 0xFDF0), 0xFFFE, 0xFFFF)}

    def shown(sign: str) -> str:
        return "\n" if sign in breaks else "" if sign in gone or (unicodedata.category(sign) == "Cc" and sign != "\t") else sign

    signs = [chr(code) for code in rest]
    text = (await read("a.txt", "".join(f"a{sign}b\n" for sign in signs).encode())).text
    assert text == "".join(f"a{shown(sign)}b\n" for sign in signs).strip()


@pytest.mark.parametrize("sign", "\x00\x0e\x1b\x7f\x80\x9f\ud800\udfff\ufdd0\ufdef\ufffe\uffff")
def test_each_of_them_goes_where_it_is_the_only_one(sign: str) -> None:
    assert clean(f"é{sign}中") == "é中"


@pytest.mark.parametrize("sign", ["\x0b", "\x0c", "\r", "\r\n", "\x85", "\u2028", "\u2029"])
def test_each_line_break_is_one_where_it_is_the_only_one(sign: str) -> None:
    assert clean(f"é{sign}中") == "é\n中"


@pytest.mark.parametrize("plain", ["", "plain words and more\n" * 50_000, "Wörter – und mehr\n" * 50_000])
async def test_what_goes_is_found_anywhere_in_a_long_text(read: ReadText, plain: str) -> None:
    text = (await read("a.txt", (plain + "ab\r\nc\x85" * 200_000 + plain + "\x1b\u2028end").encode())).text
    assert text == plain + "ab\nc\n" * 200_000 + plain + "\nend"


@pytest.mark.parametrize(
    ("words", "end", "shown"),
    [
        ("plain words\n", GERMAN.encode("cp1252"), GERMAN),
        (f"{GERMAN}\n", b"\xfc", "\ufffd"),
    ],
)
async def test_a_text_whose_end_alone_is_not_utf_8_is_read(read: ReadText, words: str, end: bytes, shown: str) -> None:
    text = (await read("a.txt", (words * 200_000).encode() + end)).text
    assert text == words * 200_000 + shown


async def test_chapters_of_markdown_are_sections(read: ReadText) -> None:
    result = await read("notes.md", b"# One\n\ntext\n\n## Two\n\n# One\n")
    assert [(section.label, section.start) for section in result.sections] == [("One", 0), ("Two", 13), ("One (2)", 21)]


async def test_ten_megabytes_of_text_are_read_whole(read: ReadText) -> None:
    data = b"0123456789abcde\n" * (10 * 1024 * 1024 // 16)
    result = await read("big.log", data)
    assert len(result.text) == len(data) - 1
    assert (result.facts, result.missing) == (("655,360 lines",), "")


async def test_a_page_is_read_without_its_scripts(read: ReadText) -> None:
    page = (
        "<!DOCTYPE html><html><head><title>My page</title><style>p{}</style></head><body><h2>Costs</h2><script>evil()</script>"
        "<p>Some <b>bold</b> text &amp; a <a href='https://a.example/'>link</a><br>next line</p>"
        "<ul><li>one<ul><li>deep</li></ul></li><li>two</li></ul>"
        "<ol start='3'><li>three</li></ol><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2|3</td></tr></table>"
        "<pre>x\n  y</pre><img src='https://evil.example/?q=1' alt='A cat'></body></html>"
    )
    assert (await read("page.html", page.encode())).text == (
        "Title: My page\n\n## Costs\n\nSome bold text & a [link](https://a.example/)\nnext line\n\n- one\n  - deep\n- two\n3. three\n\n"
        "| a | b |\n| --- | --- |\n| 1 | 2\\|3 |\n\n```\nx\n  y\n```\n\n[Picture: A cat]"
    )


async def test_a_page_of_links_that_are_never_closed_is_read_in_its_time(read: ReadText) -> None:
    page = "<html>" + "".join(f"<a href='https://a.example/{number}'>w{number}<p>" for number in range(20_000))
    text = (await read("old.html", page.encode())).text
    assert text.startswith("[w0](https://a.example/0)\n\n[w1](https://a.example/1)\n\n")
    assert text.count("](") == 20_000


async def test_a_list_of_many_items_is_read_in_its_time(read: ReadText) -> None:
    page = "<html><ul>" + "<li>words of an item that make its line a little longer</li>" * 90_000
    assert len((await read("list.html", page.encode())).text.split("\n")) == 90_000


async def test_rich_text_is_read(read: ReadText) -> None:
    result = await read("a.rtf", rb"{\rtf1\ansi{\fonttbl\f0\fswiss Helvetica;}\f0\pard Hello \b bold\b0  w\'f6rld\par Next \u8364?\par}")
    assert result.text == "Hello bold wörld\nNext €"


@pytest.mark.parametrize("name", ["a.txt", "a.docx", "a.png", "a", "a.exe", "../../etc/passwd.csv"])
async def test_the_content_and_not_the_name_says_what_a_file_is(read: ReadText, name: str) -> None:
    assert (await read(name, pdf([show("Hello")]))).format == "pdf"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.xls", b"a\tb\n1\t2", "text"),
        ("a.xls", b"<html><table><tr><td>1</td><td>2</td></tr></table></html>", "html"),
        ("a.png", b"hello", "text"),
    ],
)
async def test_text_under_the_name_of_another_kind_is_text(read: ReadText, name: str, data: bytes, expected: str) -> None:
    assert (await read(name, data)).format == expected


async def test_text_that_speaks_of_pdf_is_text(read: ReadText) -> None:
    assert (await read("a.md", b"A file begins with %PDF-1.7 by its standard.")).format == "md"
