"""Cells of workbooks as people see them: numbers in their formats, errors, notes with their authors, and where each cell stands."""

import struct
from io import BytesIO
from zipfile import ZipFile

import openpyxl
import pytest
from openpyxl.comments import Comment
from openpyxl.worksheet.worksheet import Worksheet

from assistant.contracts.errors import UnreadableFile
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from tests.documents.making import ReadText, Spool, compound, pack, relations

DOLLARS = '_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)'
FORMATS: list[tuple[str, float | str, str]] = [
    ("0%", 0.125, "13%"),
    ("0.0%", 0.125, "12.5%"),
    ("0.00%", -0.285, "-28.50%"),
    ("0%", 0.285, "29%"),
    ('"$"#,##0.00', 1234.5, "$1,234.50"),
    ("$#,##0", 1e6, "$1,000,000"),
    ("[$€-407]\\ #,##0.00", 99, "€ 99.00"),
    ("#,##0.00\\ [$€-407]", 99, "99.00 €"),
    ("#,##0.00 [$USD]", 5, "5.00 USD"),
    ('#,##0.00 "zł"', 7.5, "7.50 zł"),
    ('"CHF" #,##0.00', -7.5, "-CHF 7.50"),
    (DOLLARS, 1234.5, "$ 1,234.50"),
    (DOLLARS, -1234.5, "$ (1,234.50)"),
    (DOLLARS, 0, "$ -"),
    (DOLLARS, "n/a", "n/a"),
    ("00000", 1234, "01234"),
    ("000-00-0000", 123456789, "123-45-6789"),
    ("(###) ###-####", 5551234567, "(555) 123-4567"),
    ('0" kg"', 12, "12 kg"),
    ("0.00\\ \\m", 2.5, "2.50 m"),
    ("#,##0", 1234567, "1,234,567"),
    ("#,##0,", 1234567, "1,235"),
    ('0.0,,"M"', 1234567, "1.2M"),
    ("00,000", 5, "00,005"),
    ("# ?/?", 1.5, "1 1/2"),
    ("?/8", 0.375, "3/8"),
    ("# ??/??", 0.25, "1/4"),
    ("0.00E+00", 12345, "1.23E+04"),
    ("##0.0E+0", 12345, "12.3E+3"),
    ("0.0E-0", 0.0012, "1.2E-3"),
    ("#,##0;(#,##0)", -5, "(5)"),
    ("#,##0_);[Red](#,##0)", -1234, "(1,234)"),
    ("[Blue]0.0;[Red]-0.0", -1.25, "-1.3"),
    ('0;-0;"zero"', 0, "zero"),
    ('[>100]"big "0;0', 150, "big 150"),
    ('[>100]"big "0;0', -5, "-5"),
    ('[<0]"neg "0;0', -3, "neg 3"),
    ('[=1]"yes";[=0]"no";0', 0, "no"),
    ('"up";"down";"same"', -2, "down"),
    ('0;0;0;"Mr. "@', "Lee", "Mr. Lee"),
    ('@" left"', "3 days", "3 days left"),
    ('General" items"', 2.5, "2.5 items"),
    (";;;", 5, "5"),
    ("0.00", 2.675, "2.68"),
    ("0.00", -0.001, "0.00"),
    ("0.0#", 3.1, "3.1"),
    ("0.0#", 3.14159, "3.14"),
    ("#.##", 0.5, ".5"),
    ("0", 1234567890123456, "1234567890123456"),
    ("General", 1234567890123456, "1234567890123456"),
    ("General", 12345678901234570000.0, "12345678901234570000"),
    ("General", 1 / 3, "0.333333333333333"),
    ("@", 1234, "1234"),
    ("yyyy-mm", "2026", "2026"),
    ('0"unclosed', 3, "3unclosed"),
    ("0.0[", 3, "3.0["),
]


def _book(values: list[tuple[str, float | str]]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for number, (code, value) in enumerate(values, start=1):
        sheet.cell(number, 1, value).number_format = code
    return _save(book)


def _save(book: openpyxl.Workbook) -> bytes:
    target = BytesIO()
    book.save(target)
    return target.getvalue()


def _parts(data: bytes) -> dict[str, str]:
    with ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def _lines(text: str) -> list[str]:
    return [line[2:-2] for line in text.split("\n") if line.startswith("| ") and "---" not in line]


async def test_a_cell_is_read_as_it_is_shown(read: ReadText) -> None:
    result = await read("a.xlsx", _book([(code, value) for code, value, _ in FORMATS]))
    assert dict(zip(FORMATS, _lines(result.text), strict=True)) == {row: row[2] for row in FORMATS}


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def _short(text: str) -> bytes:
    return bytes([len(text), 0]) + text.encode("latin-1")


def _old_book(formats: list[str], cells: bytes, extra: bytes = b"") -> bytes:
    """An .xls file: style n has format n. Its sheet is named S."""
    start = _record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0)) + extra
    texts = b"".join(_record(0x41E, struct.pack("<HHB", 164 + n, len(code), 0) + code.encode("latin-1")) for n, code in enumerate(formats))
    styles = b"".join(_record(0xE0, struct.pack("<HH", 0, 164 + n) + bytes(16)) for n in range(len(formats)))
    place = len(start + texts + styles) + 4 + 6 + 3 + 4
    sheet = _record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0)) + cells + _record(0x0A, b"")
    return compound(
        "Workbook", start + texts + styles + _record(0x85, struct.pack("<IH", place, 0) + _short("S")) + _record(0x0A, b"") + sheet
    )


def _number(row: int, style: int, value: float) -> bytes:
    return _record(0x203, struct.pack("<HHHd", row, 0, style, value))


async def test_old_workbooks_show_their_formats(read: ReadText) -> None:
    rows = [row for row in FORMATS if isinstance(row[1], float | int) and row[0].isascii()]
    cells = b"".join(_number(at, at, float(value)) for at, (_, value, _) in enumerate(rows) if isinstance(value, float | int))
    result = await read("a.xls", _old_book([code for code, _, _ in rows], cells))
    assert dict(zip(rows, _lines(result.text), strict=True)) == {row: row[2] for row in rows}


async def test_old_workbooks_show_packed_numbers_and_errors(read: ReadText) -> None:
    packed = struct.pack("<HH", 0, 0) + struct.pack("<HIHI", 0, 7 << 2 | 2, 0, 50 << 2 | 3) + struct.pack("<H", 1)
    errors = (0x00, 0x07, 0x0F, 0x17, 0x1D, 0x24, 0x2A)
    cells = _record(0xBD, packed) + b"".join(_record(0x205, struct.pack("<HHHBB", 1, at, 0, code, 1)) for at, code in enumerate(errors))
    formula = struct.pack("<HHH", 2, 0, 0) + bytes([2, 0, 0x2A, 0, 0, 0, 0xFF, 0xFF]) + struct.pack("<HIH", 0, 0, 0)
    result = await read("a.xls", _old_book(['0.0" kg"'], cells + _record(0x06, formula)))
    assert _lines(result.text) == ["7.0 kg | 0.5 kg", "#NULL! | #DIV/0! | #VALUE! | #REF! | #NAME? | #NUM! | #N/A", "#N/A"]


def _result(row: int, *records: bytes) -> bytes:
    """A formula and the text that it has, in records of which each begins with the width of its characters."""
    formula = struct.pack("<HHH", row, 0, 0) + bytes([0, 0, 0, 0, 0, 0, 0xFF, 0xFF]) + struct.pack("<HIH", 0, 0, 0)
    length = sum((len(record) - 1) // (1 + record[0]) for record in records)
    first, *others = records
    return _record(0x06, formula) + _record(0x207, struct.pack("<H", length) + first) + b"".join(_record(0x3C, other) for other in others)


async def test_the_long_text_of_an_old_formula_is_whole(read: ReadText) -> None:
    words, more = "word " * 1_600, "слово " * 600
    cells = _result(0, b"\0short") + _result(1, b"\0" + words.encode(), b"\1" + more.encode("utf-16-le"), b"\0end") + _result(2, b"\0after")
    result = await read("a.xls", _old_book(["0"], cells + _number(3, 0, 4)))
    assert _lines(result.text) == ["short", f"{words}{more}end", "after", "4"]


async def test_an_old_workbook_with_a_password_is_named_so(reader: ChildReader, spool: Spool) -> None:
    locked = _old_book(["0"], _number(0, 0, 1), _record(0x2F, struct.pack("<HHH", 0, 1, 2)))
    with pytest.raises(UnreadableFile, match=r"^a\.xls is password-protected\."):
        await reader.read(spool("a.xls", locked))


async def test_open_document_sheets_show_their_formats(read: ReadText) -> None:
    office, table, text = (f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0" for name in ("office", "table", "text"))

    def cell(kind: str, value: str, shown: str, more: str = "") -> str:
        return f"<table:table-cell office:value-type='{kind}' office:value='{value}'{more}><text:p>{shown}</text:p></table:table-cell>"

    rows = [
        cell("percentage", "0.125", "12.5 %"),
        cell("currency", "99", "99,00 €") + cell("float", "1234", "01234"),
        cell("float", "12", "12 kg", " table:number-columns-repeated='2'") + cell("float", "0.333333", "0.33"),
    ]
    content = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    document = (
        f"<office:document-content xmlns:office='{office}' xmlns:table='{table}' xmlns:text='{text}'><office:body><office:spreadsheet>"
        f"<table:table table:name='T'>{content}</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    data = pack({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "META-INF/manifest.xml": "<a/>", "content.xml": document})
    assert _lines((await read("a.ods", data)).text) == ["12.5 %", "99,00 € | 01234", "12 kg | 12 kg | 0.333333"]


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ({"A1": 1, "A2": 2}, "| 1 |\n| --- |\n| 2 |"),
        ({"B2": 1, "C3": 2}, "Cells B2:C3:\n\n| 1 |\n| --- | --- |\n|  | 2 |"),
        ({"D7": 1}, "Cell D7:\n\n| 1 |\n| --- |"),
        (
            {"A1": 1, "A2": 2, "A5": 3, "B6": 4},
            "Cells A1:A2:\n\n| 1 |\n| --- |\n| 2 |\n\nCells A5:B6:\n\n| 3 |\n| --- | --- |\n|  | 4 |",
        ),
        ({"A1": 1, "A3": 2, "B5": 3}, "|  | A | B |\n| --- | --- | --- |\n| 1 | 1 |\n| 3 | 2 |\n| 5 |  | 3 |"),
        ({"C1": 1, "C9": 2}, "|  | C |\n| --- | --- |\n| 1 | 1 |\n| 9 | 2 |"),
        ({"AA1": 1, "AA2": 2}, "Cells AA1:AA2:\n\n| 1 |\n| --- |\n| 2 |"),
    ],
)
async def test_each_cell_can_be_found_by_its_reference(read: ReadText, cells: dict[str, int], text: str) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for place, value in cells.items():
        sheet[place] = value
    assert (await read("a.xlsx", _save(book))).text == f"## Sheet: Sheet\n\n{text}"


async def test_notes_and_threaded_comments_are_both_shown_with_their_authors(read: ReadText) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for place, value, words, author in (
        ("A1", "Ink", "Ann:\nCheap last year", "Ann"),
        ("B2", 12, "[Threaded comment] see the other", "tc={1}"),
        ("C3", "x" * 90, "No name", ""),
    ):
        sheet[place] = value
        sheet[place].comment = Comment(words, author)
    parts = _parts(_save(book))
    space = "http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments"
    thread = '<threadedComment ref="B2" personId="{P}" id="{1}"><text>Too cheap?</text></threadedComment>'
    parts["xl/threadedComments/t.xml"] = f'<ThreadedComments xmlns="{space}">{thread}</ThreadedComments>'
    parts["xl/persons/person.xml"] = f'<personList xmlns="{space}"><person displayName="Bob Lee" id="{{P}}"/></personList>'
    for name, kind, target in (
        ("xl/worksheets/_rels/sheet1.xml.rels", "threadedComment", "../threadedComments/t.xml"),
        ("xl/_rels/workbook.xml.rels", "person", "persons/person.xml"),
    ):
        added = relations([("rIdX", kind, target)]).partition(">")[2]
        parts[name] = parts[name].replace("</Relationships>", added)
    text = (await read("a.xlsx", pack({**parts}))).text
    assert text.endswith(
        f"- Comment on A1 (Ink) by Ann: Cheap last year\n- Comment on C3 ({'x' * 59}…): No name\n- Comment on B2 (12) by Bob Lee: Too cheap?"
    )


async def test_a_workbook_that_one_library_refuses_is_read_by_the_other(read: ReadText) -> None:
    parts = _parts(_book([("0.0%", 0.5), ("0", 7)]))
    macro = (
        '<Relationship Id="rIdM" Type="http://schemas.microsoft.com/office/2006/relationships/xlMacrosheet" Target="macrosheets/m.xml"/>'
    )
    parts["xl/_rels/workbook.xml.rels"] = parts["xl/_rels/workbook.xml.rels"].replace("</Relationships>", f"{macro}</Relationships>")
    sheet = '<sheet xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" name="M" sheetId="9" r:id="rIdM"/>'
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace("</sheets>", f"{sheet}</sheets>")
    parts["xl/macrosheets/m.xml"] = (
        "<xm:macrosheet xmlns:xm='http://schemas.microsoft.com/office/excel/2006/main'><sheetData/></xm:macrosheet>"
    )
    assert "| 50.0% |\n| --- |\n| 7 |" in (await read("a.xlsm", pack({**parts}))).text


async def test_a_million_cells_are_read_within_the_memory(spool: Spool) -> None:
    rows = "".join(
        f'<row r="{n}"><c r="A{n}" s="1"><v>{n / 7}</v></c>'
        + "".join(f'<c r="{column}{n}"><v>{n}</v></c>' for column in "BCDEFGHIJ")
        + "</row>"
        for n in range(1, 60_001)
    )
    parts = _parts(_book([("0.00%", 1)]))
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts["xl/worksheets/sheet1.xml"] = f'<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>'
    settings = DocumentSettings(cells=1_000_000, wall_seconds=60, cpu_seconds=30)
    result = await ChildReader(settings).read(spool("a.xlsx", pack({**parts})))
    assert result.kind == "document"
    assert result.missing == ""
    assert result.text.endswith(f"| 857142.86% |{' 60000 |' * 9}")
