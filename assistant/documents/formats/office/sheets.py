"""Workbooks (.xlsx, .xlsb, .xls, .ods): a Markdown table for every sheet, up to a number of cells."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import cast

import python_calamine as calamine
from openpyxl import load_workbook
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import DocumentBuilder, cell, count, row
from assistant.documents.formats.office.package import OfficeArchive
from assistant.documents.formats.office.sheet_extras import SheetExtras, read_extras
from assistant.documents.protocol import ReadLimits, damaged, encrypted

CellValue = int | float | str | bool | time | date | datetime | timedelta
_SHEETS = re.compile(r"xl/(?:worksheets/[^/]*|sharedstrings\.(?:xml|bin))|content\.xml")
_LARGEST_AREA = 8_000_000
"""Cells of the rectangle around a sheet's values that calamine may allocate: some 250 MB."""
_MAX_RULE = 200


@dataclass(frozen=True, slots=True)
class _SheetSource:
    """One sheet of a workbook."""

    data: bytes
    book: calamine.CalamineWorkbook
    about: calamine.SheetMetadata
    extras: SheetExtras


@dataclass(slots=True)
class _CellBudget:
    """The cells that may still be read, and what was left out."""

    cells: int
    left_out: list[str] = field(default_factory=list[str])


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument:
    archive = None if name == "xls" else OfficeArchive(data, limits, what="a workbook", streamed=_is_streamed, document_types=name == "ods")
    if name == "ods" and archive is not None and b"encryption-data" in (archive.part("META-INF/manifest.xml") or b""):
        raise encrypted()
    extras = read_extras(archive) if name == "xlsx" and archive is not None else {}
    try:
        book = calamine.CalamineWorkbook.from_filelike(BytesIO(data))
    except calamine.PasswordError as error:
        raise encrypted() from error
    except calamine.CalamineError as error:
        raise damaged("a workbook") from error
    builder = DocumentBuilder(limits.text_chars)
    budget = _CellBudget(limits.cells)
    rows = 0
    for number, sheet in enumerate(book.sheets_metadata, start=1):
        rows += _read_sheet(_SheetSource(data, book, sheet, extras.get(sheet.name, SheetExtras())), number, builder, budget)
    missing = f"{'; '.join(budget.left_out)} (documents.cells: {limits.cells:,})" if budget.left_out else ""
    return builder.finish(name, facts=(count(len(book.sheets_metadata), "sheet"), count(rows, "row")), missing=missing)


def _is_streamed(part: str) -> bool:
    """Whether a part is a sheet or shared strings, which are streamed and so may be larger than other parts."""
    return _SHEETS.fullmatch(part) is not None


def _read_sheet(source: _SheetSource, number: int, builder: DocumentBuilder, budget: _CellBudget) -> int:
    """Adds a sheet; returns the number of its non-empty rows."""
    about = source.about
    hidden = "" if about.visible == calamine.SheetVisibleEnum.Visible else " (hidden)"
    builder.begin(f"sheet {number}: {about.name}")
    builder.add(f"## Sheet: {about.name}{hidden}")
    rows = 0
    if about.typ == calamine.SheetTypeEnum.WorkSheet:
        if budget.cells <= 0:
            budget.left_out.append(f'sheet "{about.name}"')
        else:
            rows = _read_cells(source, builder, budget)
    builder.add(source.extras.notes)
    return rows


def _read_cells(source: _SheetSource, builder: DocumentBuilder, budget: _CellBudget) -> int:
    last, left, rows = _open(source)
    lines: list[str] = []
    width = 0
    for at, texts in _merge(rows, left, source.extras):
        if budget.cells <= 0 or builder.full:
            budget.left_out.append(f'rows {at + 1:,} to {max(at, last) + 1:,} of sheet "{source.about.name}"')
            break
        budget.cells -= len(texts)
        width = max(width, len(texts))
        if texts:
            lines.append(row(texts))
    if lines:
        builder.add("\n".join([lines[0], row(["---"] * min(width, _MAX_RULE)), *lines[1:]]))
    elif not source.extras.notes:
        builder.add("(This sheet is empty.)")
    return len(lines)


def _open(source: _SheetSource) -> tuple[int, int, Iterator[tuple[int, list[CellValue]]]]:
    """A sheet's last row, its first column, and its rows from there, numbered from 0."""
    if source.extras.area > _LARGEST_AREA:
        return source.extras.last_row, 0, _sparse_rows(source.data, source.about.name)
    try:
        sheet = source.book.get_sheet_by_name(source.about.name)
    except calamine.CalamineError as error:
        raise damaged("a workbook") from error
    top, left = sheet.start or (0, 0)
    return (sheet.end or (0, 0))[0], left, enumerate(sheet.iter_rows() if sheet.start else (), start=top)


def _merge(rows: Iterable[tuple[int, list[CellValue]]], left: int, extras: SheetExtras) -> Iterator[tuple[int, list[str]]]:
    """The rows as texts, with the cells that only the extras have, each row up to its last non-empty cell."""
    shift = min([left, *(column for _, column in extras.cells)])
    rest: dict[int, dict[int, str]] = {}
    for (at, column), text in sorted(extras.cells.items()):
        rest.setdefault(at, {})[column - shift] = text
    for at, values in rows:
        for before in [number for number in rest if number < at] if rest else ():
            yield before, _trim(_fill([], rest.pop(before)))
        texts = [""] * (left - shift) + [_write_value(value) for value in values]
        yield at, _trim(_fill(texts, rest.pop(at, {})))
    for at, more in rest.items():
        yield at, _trim(_fill([], more))


def _fill(texts: list[str], more: dict[int, str]) -> list[str]:
    """The row with texts put into its empty cells."""
    for index, text in more.items():
        texts += [""] * (index + 1 - len(texts))
        texts[index] = texts[index] or text
    return texts


def _trim(texts: list[str]) -> list[str]:
    cells = [cell(text) if text else "" for text in texts]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _sparse_rows(data: bytes, sheet: str) -> Iterator[tuple[int, list[CellValue]]]:
    """The non-empty rows with their numbers from 0, streamed by openpyxl: calamine allocates the whole rectangle."""
    book = load_workbook(BytesIO(data), read_only=True, data_only=True, keep_links=False)
    rows = cast("ReadOnlyWorksheet", book[sheet])
    rows.reset_dimensions()  # else every row is filled up to the size that the file claims
    for number, values in enumerate(rows.iter_rows(values_only=True)):
        if any(value is not None for value in values):
            yield number, [cast("CellValue", "" if value is None else value) for value in values]


def _write_value(value: CellValue) -> str:
    """A cell's value as text: 3 rather than 3.0, dates as ISO 8601 without midnight."""
    match value:
        case str():
            return value
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else format(value, ".15g")
        case datetime():
            return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
        case date():
            return value.isoformat()
        case time():
            return value.isoformat("seconds")
        case _:
            hours, seconds = divmod(round(value.total_seconds()), 3600)
            return f"{hours}:{seconds // 60:02}:{seconds % 60:02}"
