"""Workbooks (.xlsx, .xlsb, .xls, .ods): Markdown tables for every sheet, up to a number of cells.

calamine reads them; what it omits is read by `sheet_extras` and `biff`, and openpyxl reads an .xlsx file that it refuses.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any, cast

import python_calamine as calamine

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import DocumentBuilder, cell, count
from assistant.documents.formats.office import ods
from assistant.documents.formats.office.biff import read_old_book
from assistant.documents.formats.office.number_formats import Displayed, NumberFormat, general
from assistant.documents.formats.office.odf import OdfReader
from assistant.documents.formats.office.package import OfficeArchive
from assistant.documents.formats.office.sheet_extras import BookExtras, CellPlace, SheetExtras, place, read_extras
from assistant.documents.formats.office.sheet_layout import SheetLayout
from assistant.documents.formats.pictures import DocumentPictures
from assistant.documents.protocol import IllustratedDocument, ReadLimits, damaged, encrypted

_WHAT = "a workbook"
_LARGEST_AREA = 8_000_000
"""Cells of the rectangle around a sheet's values that calamine may allocate: some 250 MB."""
CellValue = int | float | str | bool | time | date | datetime | timedelta
CellFormat = NumberFormat | Displayed
CellFormats = Iterator[tuple[int, int, NumberFormat]] | Iterator[tuple[int, int, Displayed]]
"""Rows and columns from 0 and formats, in the order of the file."""


@dataclass(slots=True)
class _Book:
    """A workbook as calamine opens it, or as openpyxl does where `rows` is given, and what else is known of it."""

    data: bytes
    sheets: list[calamine.SheetMetadata]
    calamine: calamine.CalamineWorkbook | None
    extras: BookExtras
    formats: Callable[[str], CellFormats]
    can_stream: bool
    """openpyxl can read it."""


@dataclass(slots=True)
class _CellBudget:
    """The cells that may still be read, and what was left out."""

    cells: int
    left_out: list[str] = field(default_factory=list[str])


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument | IllustratedDocument:
    pictures = DocumentPictures(limits)
    book = _open_book(data, name, limits, pictures)
    builder = DocumentBuilder(limits.text_chars)
    budget = _CellBudget(limits.cells)
    rows = 0
    for number, sheet in enumerate(book.sheets, start=1):
        rows += _read_sheet(book, sheet, number, builder, budget)
    missing = f"{'; '.join(budget.left_out)} (documents.cells: {limits.cells:,})" if budget.left_out else ""
    facts = count(len(book.sheets), "sheet"), count(rows, "row")
    return pictures.illustrate(builder.finish(name, facts=facts, missing=missing))


def _open_book(data: bytes, name: str, limits: ReadLimits, pictures: DocumentPictures) -> _Book:
    extras, content = BookExtras(), b""
    formats: Callable[[str], CellFormats] = lambda _: iter(())  # noqa: E731
    if name == "xls":
        old = read_old_book(data)
        if old.encrypted:
            raise encrypted()
        formats = old.formats
        extras.sheets = {
            sheet: SheetExtras(cells={(row, column): error for row, column, error in old.errors(sheet)}) for sheet in old.sheets
        }
    else:
        archive = OfficeArchive(data, limits, what=_WHAT, streamed=_is_streamed, document_types=name == "ods")
        if name == "ods":
            if b"encryption-data" in (archive.part("META-INF/manifest.xml") or b""):
                raise encrypted()
            content = archive.part("content.xml") or b""
            formats = ods.OpenSheets(content).formats
            extras.sheets = ods.read_extras(content, OdfReader(archive, pictures))
        elif name == "xlsx":
            extras = read_extras(archive, pictures)
            formats = extras.formats
    try:
        opened = calamine.CalamineWorkbook.from_filelike(BytesIO(data))
        sheets = list(opened.sheets_metadata)
    except calamine.PasswordError as error:
        raise encrypted() from error
    except calamine.CalamineError as error:
        if name == "ods":
            opened = _open_indented(content)
            sheets = list(opened.sheets_metadata)
        elif name == "xlsx":
            opened, sheets = None, _list_sheets(data)
        else:
            raise damaged(_WHAT) from error
    return _Book(data, sheets, opened, extras, formats, can_stream=name == "xlsx")


def _open_indented(content: bytes) -> calamine.CalamineWorkbook:
    """An OpenDocument spreadsheet that calamine refused as it is."""
    try:
        return calamine.CalamineWorkbook.from_filelike(BytesIO(ods.close_up(content)))
    except calamine.CalamineError as error:
        raise damaged(_WHAT) from error


def _is_streamed(name: str) -> bool:
    """Sheets and shared strings, which are streamed and so may be larger than other parts."""
    return name.startswith("xl/worksheets/") or name in {"xl/sharedstrings.xml", "xl/sharedstrings.bin", "content.xml"}


def _read_sheet(book: _Book, about: calamine.SheetMetadata, number: int, builder: DocumentBuilder, budget: _CellBudget) -> int:
    """Adds a sheet; returns the number of its non-empty rows."""
    hidden = "" if about.visible == calamine.SheetVisibleEnum.Visible else " (hidden)"
    extras = book.extras.sheets.get(about.name) or SheetExtras()
    builder.begin(f"sheet {number}: {about.name}")
    builder.add(f"## Sheet: {about.name}{hidden}")
    layout = SheetLayout()
    texts: dict[CellPlace, str] = {}
    if about.typ == calamine.SheetTypeEnum.WorkSheet:
        if budget.cells <= 0:
            budget.left_out.append(f'sheet "{about.name}"')
        else:
            texts = _read_cells(book, about.name, extras, layout, budget, builder)
            for block in layout.blocks():
                builder.add(block)
    remarks = "\n".join(f"- {kind} {where}{_quote(texts.get(place(where), ''))}{words}" for kind, where, words in extras.remarks)
    if not layout.rows and not remarks and not extras.notes and about.typ == calamine.SheetTypeEnum.WorkSheet and budget.cells > 0:
        builder.add("(This sheet is empty.)")
    builder.add(remarks)
    builder.add(extras.notes)
    return len(layout.rows)


def _quote(text: str) -> str:
    """A cell's text behind its reference, since no row bears its number."""
    return f" ({text if len(text) <= 60 else f'{text[:59]}…'})" if text else ""


def _read_cells(
    book: _Book, name: str, extras: SheetExtras, layout: SheetLayout, budget: _CellBudget, builder: DocumentBuilder
) -> dict[CellPlace, str]:
    """Puts the rows into the layout; returns the texts of the cells that links and comments refer to."""
    wanted = {place(where) for _, where, _ in extras.remarks}
    wanted_rows = {row for row, _ in wanted}
    texts_found: dict[CellPlace, str] = {}
    last, left, rows = _open_sheet(book, name, extras)
    left, merged = _merge(rows, left, extras, book.formats(name))
    layout.left = left
    for at, texts in merged:
        if budget.cells <= 0 or builder.full or layout.size > builder.room:
            budget.left_out.append(f'rows {at + 1:,} to {max(at, last) + 1:,} of sheet "{name}"')
            break
        budget.cells -= len(texts)
        if texts:
            layout.add(at, texts)
        if at in wanted_rows:
            texts_found |= {(at, left + index): text for index, text in enumerate(texts) if (at, left + index) in wanted}
    return texts_found


def _open_sheet(book: _Book, name: str, extras: SheetExtras) -> tuple[int, int, Iterator[tuple[int, list[CellValue]]]]:
    """A sheet's last row, its first column, and its rows from there, numbered from 0."""
    if book.calamine is None or extras.area > _LARGEST_AREA:
        return extras.last_row, 0, _stream_rows(book.data, name)
    try:
        sheet = book.calamine.get_sheet_by_name(name)
    except calamine.CalamineError as error:
        if not book.can_stream:
            raise damaged(_WHAT) from error
        return extras.last_row, 0, _stream_rows(book.data, name)
    _, left = sheet.start or (0, 0)
    return (sheet.end or (0, 0))[0], left, enumerate(sheet.iter_rows() if sheet.start else ())  # from the sheet's first row


def _merge(
    rows: Iterable[tuple[int, list[CellValue]]], left: int, extras: SheetExtras, formats: CellFormats
) -> tuple[int, Iterator[tuple[int, list[str]]]]:
    """The first column, and the rows as texts, with the cells that only the extras have, each row up to its last non-empty cell."""
    first = min([left, *(column for _, column in extras.cells)])
    rest: dict[int, dict[int, str]] = {}
    for (at, column), text in sorted(extras.cells.items()):
        rest.setdefault(at, {})[column - first] = cell(text)

    def merged() -> Iterator[tuple[int, list[str]]]:
        shown = _RowFormats(formats)
        for at, values in rows:
            for before in [number for number in rest if number < at] if rest else ():
                yield before, _trim(_fill([], rest.pop(before)))
            found = shown.take(at)
            texts = (
                [_write(value, found.get(column)) for column, value in enumerate(values, start=left)]
                if found
                else [_PLAIN.get(type(value), _write)(value) for value in values]
            )
            yield at, _trim(_fill([""] * (left - first) + texts, rest.pop(at, {})))
        for at, more in rest.items():
            yield at, _trim(_fill([], more))

    return first, merged()


class _RowFormats:
    """The formats of one row after the other. Cells that the file does not have in their order are shown without."""

    def __init__(self, formats: CellFormats) -> None:
        self._formats = formats
        self._next = next(formats, None)

    def take(self, row: int) -> dict[int, CellFormat]:
        found: dict[int, CellFormat] = {}
        while self._next is not None and self._next[0] <= row:
            if self._next[0] == row:
                found[self._next[1]] = self._next[2]
            self._next = next(self._formats, None)
        return found


def _fill(texts: list[str], more: dict[int, str]) -> list[str]:
    """The row with texts put into its empty cells."""
    for index, text in more.items():
        texts += [""] * (index + 1 - len(texts))
        texts[index] = texts[index] or text
    return texts


def _trim(texts: list[str]) -> list[str]:
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _list_sheets(data: bytes) -> list[calamine.SheetMetadata]:
    """The sheets of a file that calamine refuses, such as one with macro sheets."""
    try:
        book = _load(data)
        states = {"visible": calamine.SheetVisibleEnum.Visible}
        return [
            calamine.SheetMetadata(
                sheet.title, calamine.SheetTypeEnum.WorkSheet, states.get(sheet.sheet_state, calamine.SheetVisibleEnum.Hidden)
            )
            for sheet in book.worksheets
        ]
    except Exception as error:
        raise damaged(_WHAT) from error


def _stream_rows(data: bytes, name: str) -> Iterator[tuple[int, list[CellValue]]]:
    """The non-empty rows with their numbers from 0, streamed by openpyxl: calamine allocates the whole rectangle."""
    try:
        sheet = _load(data)[name]
        sheet.reset_dimensions()  # else every row is filled up to the size that the file claims
        for number, values in enumerate(sheet.iter_rows(values_only=True)):
            if any(value is not None for value in values):
                yield number, [cast("CellValue", "" if value is None else value) for value in values]
    except MemoryError:
        raise
    except Exception as error:
        raise damaged(_WHAT) from error


def _load(data: bytes):
    from openpyxl import load_workbook  # noqa: PLC0415 - few files need it

    return load_workbook(BytesIO(data), read_only=True, data_only=True, keep_links=False)


def _write(value: CellValue, shown: CellFormat | None = None) -> str:
    """A cell's value as its text in a table: in its format, else 3 rather than 3.0, dates as ISO 8601 without midnight."""
    match value:
        case str():
            return cell(value if shown is None or shown.text is None or not value else shown.text(value))
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return general(value) if shown is None else cell(shown.show(value))
        case int():
            return str(value) if shown is None else cell(shown.show(float(value)))
        case datetime():
            return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
        case date():
            return value.isoformat()
        case time():
            return value.isoformat("seconds")
        case _:
            hours, seconds = divmod(round(value.total_seconds()), 3600)
            return f"{hours}:{seconds // 60:02}:{seconds % 60:02}"


_PLAIN: Mapping[type[CellValue], Callable[[Any], str]] = {str: cell, float: general}
"""What `_write` does with most values that have no format, at once: a sheet has hundreds of thousands."""
