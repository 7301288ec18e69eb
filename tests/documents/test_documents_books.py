"""OpenDocument texts and presentations, and e-books, made from their parts."""

import pytest

from assistant.contracts.errors import FileTooLarge, UnreadableFile
from tests.documents.making import ReadText, pack

SPACES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for short, name in {
        "office": "office",
        "text": "text",
        "table": "table",
        "draw": "drawing",
        "style": "style",
        "presentation": "presentation",
        "svg": "svg-compatible",
        "form": "form",
    }.items()
)
XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'
NUMBERS = '<text:list-style style:name="N"><text:list-level-style-number text:level="1" style:num-format="1"/></text:list-style>'


def odf(body: str, kind: str = "text", styles: str = "", **parts: str | bytes) -> bytes:
    content = f"<office:document-content {SPACES} {XLINK}><office:automatic-styles>{NUMBERS}</office:automatic-styles>"
    return pack(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "META-INF/manifest.xml": "<manifest/>",
            "content.xml": f"{content}<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>",
            **({"styles.xml": f"<office:document-styles {SPACES}>{styles}</office:document-styles>"} if styles else {}),
            **parts,
        }
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<text:p>One</text:p><text:p/><text:p>Two</text:p>", "One\n\nTwo"),
        ('<text:h text:outline-level="2">Part <text:span>A</text:span></text:h>', "## Part A"),
        ("<text:h>Top</text:h>", "# Top"),
        ('<text:p xml:id="a">One</text:p><text:p xml:id="a">Two</text:p><text:p xml:id="3">Three</text:p>', "One\n\nTwo\n\nThree"),
        ('<text:p>a<text:s text:c="3"/>b<text:tab/>c<text:line-break/>d</text:p>', "a   b\tc\nd"),
        ("<text:p>white\n   space</text:p>", "white    space"),
        ('<text:p>See <text:a xlink:href="https://a.example/">here</text:a>.</text:p>', "See [here](https://a.example/)."),
        ('<text:p><text:a xlink:href="#top">up</text:a></text:p>', "up"),
        (
            "<text:list><text:list-item><text:p>a</text:p></text:list-item><text:list-item><text:p>b</text:p></text:list-item></text:list>",
            "- a\n- b",
        ),
        (
            "<text:list><text:list-item><text:p>a</text:p><text:list><text:list-item><text:p>deep</text:p></text:list-item></text:list>"
            "</text:list-item></text:list>",
            "- a\n  - deep",
        ),
        (
            '<text:list text:style-name="N"><text:list-item><text:p>x</text:p></text:list-item>'
            "<text:list-item><text:p>y</text:p></text:list-item></text:list>",
            "1. x\n2. y",
        ),
        (
            "<table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>H</text:p></table:table-cell><table:table-cell "
            'table:number-columns-repeated="2"><text:p>I</text:p></table:table-cell></table:table-row></table:table-header-rows><table:table-row>'
            '<table:table-cell table:number-columns-spanned="2"><text:p>wide</text:p></table:table-cell><table:covered-table-cell/>'
            "<table:table-cell><text:p>1</text:p><text:p>2</text:p></table:table-cell></table:table-row></table:table>",
            "| H | I | I |\n| --- | --- | --- |\n| wide |  | 1<br>2 |",
        ),
        (
            '<text:p>A<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body><text:p>Below</text:p>'
            "</text:note-body></text:note>.</text:p>",
            "A[^1].\n\n[^1]: Below",
        ),
        (
            "<text:p>Was<office:annotation><dc:creator>Ann</dc:creator><dc:date>2026</dc:date><text:p>Why?</text:p></office:annotation>.</text:p>",
            "Was.\n\n- Comment by Ann: Why?",
        ),
        ("<text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:p>kept</text:p>", "kept"),
        ("<text:section><text:p>in a section</text:p></text:section>", "in a section"),
        ("<text:table-of-content><text:index-body><text:p>1 One</text:p></text:index-body></text:table-of-content>", "1 One"),
        (
            "<text:p>x<draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame></text:p><text:p>y</text:p>",
            "x\n\nboxed\n\ny",
        ),
        ("<text:p><draw:frame><draw:image/><svg:desc>A map</svg:desc></draw:frame></text:p>", "[Picture: A map]"),
        ("<text:p>a <draw:frame><draw:image/></draw:frame> b</text:p>", "a [Picture] b"),
        ("<text:p><text:ruby><text:ruby-base>漢</text:ruby-base><text:ruby-text>kan</text:ruby-text></text:ruby></text:p>", "漢(kan)"),
        ("<text:p>a<text:bookmark-start/>b<text:soft-page-break/>c</text:p>", "abc"),
        ("", "(No text was found in this file.)"),
    ],
)
async def test_texts_are_read(read: ReadText, body: str, text: str) -> None:
    result = await read("a.odt", odf(body))
    assert (result.format, result.text) == ("odt", text)


async def test_headers_and_footers_are_read_once(read: ReadText) -> None:
    page = "<style:master-page><style:header><text:p>Top</text:p></style:header><style:footer><text:p>End</text:p></style:footer></style:master-page>"
    data = odf("<text:p>Body</text:p>", styles=f"<office:master-styles>{page}{page}</office:master-styles>")
    assert (await read("a.odt", data)).text == "Header: Top\n\nBody\n\nFooter: End"


async def test_slides_are_read_with_their_notes(read: ReadText) -> None:
    def frame(kind: str, inner: str) -> str:
        return f'<draw:frame presentation:class="{kind}"><draw:text-box>{inner}</draw:text-box></draw:frame>'

    items = "<text:list><text:list-item><text:p>First</text:p></text:list-item></text:list>"
    notes = f"<presentation:notes><draw:page-thumbnail presentation:class='page'/>{frame('notes', '<text:p>Say it</text:p>')}</presentation:notes>"
    cells = "".join(f"<table:table-cell><text:p>{text}</text:p></table:table-cell>" for text in "ab")
    table = f"<draw:frame><table:table><table:table-row>{cells}</table:table-row></table:table></draw:frame>"
    shape = "<draw:g><draw:custom-shape><text:p>In a shape</text:p></draw:custom-shape></draw:g>"
    first = f"<draw:page>{frame('title', '<text:p>Plan</text:p>')}{frame('outline', items)}{table}{shape}{notes}</draw:page>"
    result = await read("a.odp", odf(f"{first}<draw:page>{frame('page-number', '<text:p>2</text:p>')}</draw:page>", "presentation"))
    assert result.text == "## Slide 1: Plan\n\n- First\n\n| a | b |\n| --- | --- |\n\nIn a shape\n\n### Notes\n\nSay it\n\n## Slide 2"
    assert ([section.label for section in result.sections], result.facts) == (["slide 1", "slide 2"], ("2 slides",))


@pytest.mark.parametrize("kind", ["text-template", "text-master", "text-web"])
async def test_kinds_of_texts_are_read(read: ReadText, kind: str) -> None:
    content = f"<office:document-content {SPACES}><office:body><office:text><text:p>x</text:p></office:text></office:body></office:document-content>"
    assert (await read("a.ott", pack({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content}))).text == "x"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (odf("", **{"META-INF/manifest.xml": "<manifest><encryption-data/></manifest>"}), "is password-protected"),
        (odf("<text:p>"), "can't be read as an OpenDocument text: it is damaged"),
        (pack({"mimetype": "application/vnd.oasis.opendocument.text"}), "can't be read as an OpenDocument text"),
        (odf("", **{"content.xml": '<!DOCTYPE a [<!ENTITY b "ha">]><a>&b;</a>'}), "can't be read as an OpenDocument text"),
        (odf("<text:section>" * 3_000 + "</text:section>" * 3_000), ""),
    ],
)
async def test_why_a_text_is_not_read(read: ReadText, data: bytes, words: str) -> None:
    with pytest.raises(UnreadableFile, match=rf"^a\.odt {words}"):
        await read("a.odt", data)


@pytest.mark.parametrize("name", ["a.odt", "a.epub"])
async def test_a_bomb_is_refused(read: ReadText, name: str) -> None:
    kind = "application/epub+zip" if name == "a.epub" else "application/vnd.oasis.opendocument.text"
    with pytest.raises(FileTooLarge):
        await read(name, pack({"mimetype": kind, "content.xml": b"<a>" + bytes(60 * 1024 * 1024)}))


def book(spine: str = "", folder: str = "OEBPS/", **parts: str) -> bytes:
    items = "".join(f'<item id="c{n}" href="{path}" media-type="application/xhtml+xml"/>' for n, path in enumerate(parts))
    order = spine or "".join(f'<itemref idref="c{n}"/>' for n in range(len(parts)))
    about = '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A Book</dc:title><dc:creator>Ann</dc:creator></metadata>'
    return pack(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'<container><rootfiles><rootfile full-path="{folder}book.opf"/></rootfiles></container>',
            f"{folder}book.opf": f"<package>{about}<manifest>{items}</manifest><spine>{order}</spine></package>",
            **{f"{folder}{path}": content for path, content in parts.items()},
        }
    )


def chapter(inner: str) -> str:
    return f'<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><body>{inner}</body></html>'


TABLE = "<table><tr><td>a</td><td>b</td></tr><tr><td>1</td><td>2</td></tr></table>"
LOCKED = pack(
    {
        "mimetype": "application/epub+zip",
        "META-INF/encryption.xml": '<encryption><EncryptedData><EncryptionMethod Algorithm="aes128-cbc"/></EncryptedData></encryption>',
    }
)


async def test_chapters_are_read_in_the_order_of_the_spine(read: ReadText) -> None:
    spine = '<itemref idref="c1"/><itemref idref="c0"/>'
    result = await read(
        "a.epub", book(spine, **{"a.xhtml": chapter("<h1>End</h1><p>two</p>"), "text/b.xhtml": chapter("<h1>Start</h1><p>one</p>")})
    )
    assert result.text == "Title: A Book\nAuthor: Ann\n\n# Start\n\none\n\n# End\n\ntwo"
    assert [section.label for section in result.sections] == ["chapter 1", "chapter 2"]
    assert (result.format, result.facts) == ("epub", ("2 chapters",))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (book(folder="", **{"a.xhtml": chapter("x")}), "x"),
        (book('<itemref idref="gone"/><itemref idref="c0"/>', **{"a.xhtml": chapter("x")}), "(This chapter is missing.)\n\nx"),
        (
            book(**{"a.xhtml": chapter(TABLE)}),
            "| a | b |\n| --- | --- |\n| 1 | 2 |",
        ),
        (book(**{"a%20b.xhtml": "", "a b.xhtml": chapter("spaced")}, spine='<itemref idref="c0"/>'), "spaced"),
        (book(**{"a.xhtml": '<!DOCTYPE html [<!ENTITY a "ha">]><html><body>&a;x</body></html>'}), "x"),
        (book(**{"a.xhtml": chapter("<p>unclosed<p>two")}), "unclosed\n\ntwo"),
    ],
)
async def test_books_with_faults_are_read(read: ReadText, data: bytes, text: str) -> None:
    assert (await read("a.epub", data)).text.endswith(text)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pack({"mimetype": "application/epub+zip"}), "can't be read as an e-book: it is damaged"),
        (LOCKED, "is password-protected"),
    ],
)
async def test_why_a_book_is_not_read(read: ReadText, data: bytes, words: str) -> None:
    with pytest.raises(UnreadableFile, match=words):
        await read("a.epub", data)
