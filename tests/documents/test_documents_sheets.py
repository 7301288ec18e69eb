"""Workbooks: values as people write them, a table for every sheet, and nothing left out in silence."""

import datetime
from io import BytesIO

import openpyxl
from openpyxl.comments import Comment
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from tests.documents.making import ReadText, Spool, pack


def _new() -> tuple[Workbook, Worksheet]:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    return book, sheet


def _save(book: Workbook) -> bytes:
    target = BytesIO()
    book.save(target)
    return target.getvalue()


async def test_values_are_written_as_people_write_them(read: ReadText) -> None:
    book, sheet = _new()
    sheet.append(["Name", "Value"])
    for name, value in {
        "whole": 3.0,
        "part": 0.1 + 0.2,
        "large": 12345678901.0,
        "date": datetime.date(2026, 11, 20),
        "moment": datetime.datetime(2026, 11, 20, 8, 5, 30),  # noqa: DTZ001
        "time": datetime.time(8, 5),
        "yes": True,
        "bar": "a|b",
    }.items():
        sheet.append([name, value])
    assert (await read("a.xlsx", _save(book))).text == (
        "## Sheet: Sheet\n\n| Name | Value |\n| --- | --- |\n| whole | 3 |\n| part | 0.3 |\n| large | 12345678901 |\n| date | 2026-11-20 |\n"
        "| moment | 2026-11-20 08:05:30 |\n| time | 08:05:00 |\n| yes | TRUE |\n| bar | a\\|b |"
    )


async def test_every_sheet_has_its_section_and_hidden_ones_say_so(read: ReadText) -> None:
    book, sheet = _new()
    sheet.title = "Costs"
    sheet["A1"] = "x"
    hidden = book.create_sheet("Secret")
    hidden["A1"] = "y"
    hidden.sheet_state = "hidden"
    book.create_sheet("Nothing")
    result = await read("a.xlsx", _save(book))
    assert [section.label for section in result.sections] == ["sheet 1: Costs", "sheet 2: Secret", "sheet 3: Nothing"]
    assert result.text[result.sections[1].start :].startswith("## Sheet: Secret (hidden)\n\n| y |")
    assert result.text.endswith("## Sheet: Nothing\n\n(This sheet is empty.)")
    assert result.facts == ("3 sheets", "2 rows")


async def test_a_formula_that_was_never_calculated_is_shown_itself(read: ReadText) -> None:
    book, sheet = _new()
    sheet.append([1, 2, "=SUM(A1:B1)"])
    sheet["C3"] = "=1<2"
    sheet["A4"] = "#DIV/0!"
    text = (await read("a.xlsx", _save(book))).text
    assert "| 1 | 2 | =SUM(A1:B1) |" in text
    assert "|  |  | =1<2 |" in text
    assert "| #DIV/0! |" in text


async def test_links_comments_and_merged_cells_are_kept(read: ReadText) -> None:
    book, sheet = _new()
    sheet["B2"] = "site"
    sheet["B2"].hyperlink = "https://a.example/"
    sheet["C3"] = 5
    sheet["C3"].comment = Comment("Checked twice", "Ann")
    sheet.merge_cells("D1:E2")
    sheet["D1"] = "merged"
    text = (await read("a.xlsx", _save(book))).text
    assert "- Link in B2 (site): https://a.example/" in text
    assert "- Comment on C3 (5) by Ann: Checked twice" in text
    assert "|  |  | merged |" in text


async def test_beyond_the_limit_of_cells_the_rest_is_named(spool: Spool) -> None:
    book, sheet = _new()
    for number in range(100):
        sheet.append([number, "x"])
    book.create_sheet("More")["A1"] = "z"
    result = await ChildReader(DocumentSettings(cells=50)).read(spool("a.xlsx", _save(book)))
    assert result.kind == "document"
    assert "| 24 | x |" in result.text
    assert "| 25 | x |" not in result.text
    assert result.missing == 'rows 26 to 100 of sheet "Sheet"; sheet "More" (documents.cells: 50)'


async def test_a_stray_value_in_the_last_row_costs_nothing(read: ReadText) -> None:
    book, sheet = _new()
    sheet.append(["first", *range(19)])
    sheet.cell(1_048_576, 1, "stray")
    result = await read("a.xlsx", _save(book))
    assert "first" in result.text
    assert "stray" in result.text
    assert result.missing == ""


async def test_open_document_sheets_are_read(read: ReadText) -> None:
    rows = "<table:table-row><table:table-cell office:value-type='float' office:value='4'><text:p>4</text:p></table:table-cell></table:table-row>"
    content = (
        "<office:document-content xmlns:office='urn:oasis:names:tc:opendocument:xmlns:office:1.0'"
        " xmlns:table='urn:oasis:names:tc:opendocument:xmlns:table:1.0' xmlns:text='urn:oasis:names:tc:opendocument:xmlns:text:1.0'>"
        f"<office:body><office:spreadsheet><table:table table:name='T'>{rows}</table:table></office:spreadsheet></office:body>"
        "</office:document-content>"
    )
    data = pack(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            # older programs declare a document type here, and this format allows it
            "META-INF/manifest.xml": '<!DOCTYPE manifest:manifest PUBLIC "-//OpenOffice.org//DTD Manifest 1.0//EN" "Manifest.dtd">'
            "<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'/>",
            "content.xml": content,
        }
    )
    result = await read("a.ods", data)
    assert (result.format, result.text) == ("ods", "## Sheet: T\n\n| 4 |\n| --- |")
