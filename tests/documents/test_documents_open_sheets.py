"""OpenDocument spreadsheets as other programs write them."""

from dataclasses import replace

import pytest

from assistant.contracts.documents import ReadDocument
from assistant.contracts.errors import UnreadableFile
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from tests.documents.making import ReadText, Spool, pack

_NAMES = "".join(
    f" xmlns:{name}='urn:oasis:names:tc:opendocument:xmlns:{full}:1.0'"
    for name, full in (("office", "office"), ("table", "table"), ("text", "text"), ("draw", "drawing"))
)


def _book(tables: str, more: dict[str, str | bytes] | None = None) -> bytes:
    """A spreadsheet of its tables. `more`: other parts."""
    return pack(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": "<a/>",
            "content.xml": f"<office:document-content{_NAMES} xmlns:calcext='urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0' "
            "xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:xlink='http://www.w3.org/1999/xlink'>"
            f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>",
            **(more or {}),
        }
    )


def _number(value: int, shown: str) -> str:
    return f"<table:table-cell office:value-type='currency' office:value='{value}'><text:p>{shown}</text:p></table:table-cell>"


async def test_many_sheets_are_read_in_the_time_that_their_rows_take(spool: Spool) -> None:
    row = f"<table:table-row>{_number(7, '7 €')}</table:table-row>"
    tables = "".join(f"<table:table table:name='Sheet {number}'>{row * 250}</table:table>" for number in range(400))
    reader = ChildReader(DocumentSettings(), replace(DocumentSettings().limits(), cpu_seconds=30, wall_seconds=120))
    try:
        found = await reader.read(spool("a.ods", _book(tables)))
    finally:
        await reader.close()
    assert isinstance(found, ReadDocument)
    assert found.facts == ("400 sheets", "100,000 rows")
    assert found.text.count("| 7 € |") == 100_000


async def test_each_sheet_has_its_own_formats(read: ReadText) -> None:
    nested = f"<table:table table:name='Inner'><table:table-row>{_number(5, '5 ct')}</table:table-row></table:table>"
    tables = [
        f"<table:table table:name='A'><table:table-row>{_number(1, '1 €')}</table:table-row></table:table>",
        "<table:table table:name='B'><table:table-row><table:table-cell/></table:table-row></table:table>",
        f"<table:table table:name='C'><table:table-row><table:table-cell>{nested}</table:table-cell></table:table-row>"
        f"<table:table-row>{_number(2, '2 €')}</table:table-row><table:table-row>{_number(3, '3 €')}</table:table-row></table:table>",
    ]
    text = (await read("a.ods", _book("".join(tables).replace("<table:table ", "<table:table xml:id='same' ")))).text
    assert [line for line in text.splitlines() if "€" in line] == ["| 1 € |", "| 2 € |", "| 3 € |"]


async def test_an_indented_sheet_is_read_as_one_on_a_single_line(read: ReadText) -> None:
    row = (
        "<table:table-row>\n  <table:table-cell office:value-type='string'>\n    <text:p><text:span>Bread</text:span> <text:span>rolls</text:span>"
        f"</text:p>\n  </table:table-cell>\n  <table:covered-table-cell/>\r\n\t<!-- price -->\n  {_number(3, '3 €')}\n</table:table-row>"
    )
    text = (await read("a.ods", _book(f"\n<table:table table:name='T'>\n{row}\n</table:table>\n"))).text
    assert text == "## Sheet: T\n\n| Bread rolls |  | 3 € |\n| --- | --- | --- |"


async def test_white_space_without_an_end_costs_no_more_than_its_length(spool: Spool) -> None:
    """Between cells and before words, where no cell may stand: a pattern that tries all ways to divide it would take for ever."""
    rows = f"<table:table-row>{_number(3, '3 €')}{' ' * 60_000}words</table:table-row>"
    reader = ChildReader(DocumentSettings())
    with pytest.raises(UnreadableFile, match=r"damaged"):
        await reader.read(spool("a.ods", _book(f"<table:table table:name='T'>{rows}</table:table>")))
    await reader.close()


async def test_errors_comments_links_and_drawings_of_a_sheet_are_read(read: ReadText) -> None:
    drawn = (
        "<draw:g><draw:rect><text:p>In a group</text:p></draw:rect></draw:g>"
        "<draw:frame><draw:image xlink:href='Pictures/1.png'/><draw:desc>Our logo</draw:desc></draw:frame>"
    )
    comment = "<office:annotation><dc:creator>Ann</dc:creator><dc:date>2026-01-02</dc:date><text:p>Check this</text:p></office:annotation>"
    link = "<text:p><text:a xlink:href='https://example.com/'>Shop</text:a></text:p>"
    error = "office:value-type='string' office:string-value='' calcext:value-type='error'"
    rows = [
        f"<table:table-cell office:value-type='string'>{link}</table:table-cell><table:table-cell office:value-type='string'>{comment}<text:p>Total"
        f"</text:p></table:table-cell><table:table-cell>{drawn}</table:table-cell>",
        f"<table:table-cell {error}><text:p>#REF!</text:p></table:table-cell>{_number(2, '2 €')}",
        f"<table:table-cell {error} table:number-columns-repeated='3'><text:p>#N/A</text:p></table:table-cell>",
    ]
    box = "<draw:text-box><text:p>Text beside</text:p><text:p>the cells</text:p></draw:text-box>"
    shapes = f"<table:shapes><draw:frame>{box}</draw:frame></table:shapes>"
    tables = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    text = (await read("a.ods", _book(f"<table:table table:name='T'>{shapes}{tables}</table:table>"))).text
    assert text == (
        "## Sheet: T\n\n| Shop | Total |\n| --- | --- | --- |\n| #REF! | 2 € |\n| #N/A | #N/A | #N/A |\n\n"
        "- Link in A1 (Shop): https://example.com/\n- Comment on B1 (Total) by Ann: Check this\n\n"
        "Text beside\n\nthe cells\n\nIn a group\n\n[Picture: Our logo] at C1"
    )


async def test_a_sheet_of_errors_alone_is_not_called_empty(read: ReadText) -> None:
    cell = "<table:table-cell office:value-type='string' office:string-value='' calcext:value-type='error'><text:p>#REF!</text:p></table:table-cell>"
    rows = f"<table:table-row table:number-rows-repeated='2'><table:table-cell/>{cell}</table:table-row>"
    text = (await read("a.ods", _book(f"<table:table table:name='T'>{rows}</table:table>"))).text
    assert text == "## Sheet: T\n\nCells B1:B2:\n\n| #REF! |\n| --- |\n| #REF! |"
