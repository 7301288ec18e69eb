"""Workbooks (.xlsx, .xlsb, .xls, .ods): a Markdown table for every sheet, up to a number of cells."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from io import BytesIO

import python_calamine as calamine

from assistant.contracts.documents import ReadDocument
from assistant.documents.archive import Archive
from assistant.documents.draft import Draft, count
from assistant.documents.limits import Limits
from assistant.documents.refusals import damaged, encrypted
from assistant.documents.sheet_extras import Extras, read_extras
from assistant.documents.tables import cell, row

_Value = int | float | str | bool | time | date | datetime | timedelta
_SHEETS = re.compile(r"xl/(?:worksheets/[^/]*|sharedstrings\.(?:xml|bin))|content\.xml")


@dataclass(slots=True)
class _Budget:
    """The cells that may still be read, and what was left out when there were none."""

    cells: int
    left_out: list[str] = field(default_factory=list[str])


def read(data: bytes, name: str, limits: Limits) -> ReadDocument:
    archive = None if name == "xls" else Archive(data, limits, what="a workbook", streamed=_is_streamed)
    if name == "ods" and archive is not None and b"encryption-data" in (archive.part("META-INF/manifest.xml") or b""):
        raise encrypted()
    extras = read_extras(archive) if name == "xlsx" and archive is not None else {}
    try:
        book = calamine.CalamineWorkbook.from_filelike(BytesIO(data))
    except calamine.PasswordError as error:
        raise encrypted() from error
    except calamine.CalamineError as error:
        raise damaged("a workbook") from error
    draft = Draft(limits.text_chars)
    budget = _Budget(limits.cells)
    rows = 0
    for number, sheet in enumerate(book.sheets_metadata, start=1):
        rows += _read_sheet(book, number, sheet, extras.get(sheet.name, Extras()), draft, budget)
    missing = f"{'; '.join(budget.left_out)} (documents.cells: {limits.cells:,})" if budget.left_out else ""
    return draft.finish(name, facts=(count(len(book.sheets_metadata), "sheet"), count(rows, "row")), missing=missing)


def _is_streamed(part: str) -> bool:
    """Sheets and shared strings are read as streams, so that they may be larger than other parts."""
    return _SHEETS.fullmatch(part) is not None


def _read_sheet(
    book: calamine.CalamineWorkbook, number: int, about: calamine.SheetMetadata, extras: Extras, draft: Draft, budget: _Budget
) -> int:
    """Writes a sheet; the number of its rows that hold something."""
    hidden = "" if about.visible == calamine.SheetVisibleEnum.Visible else " (hidden)"
    draft.begin(f"sheet {number}: {about.name}")
    draft.add(f"## Sheet: {about.name}{hidden}")
    rows = 0
    if about.typ == calamine.SheetTypeEnum.WorkSheet:
        if budget.cells <= 0:
            budget.left_out.append(f'sheet "{about.name}"')
        else:
            rows = _read_cells(book, about.name, extras, draft, budget)
    draft.add(extras.notes)
    return rows


def _read_cells(book: calamine.CalamineWorkbook, name: str, extras: Extras, draft: Draft, budget: _Budget) -> int:
    try:
        sheet = book.get_sheet_by_name(name)
    except calamine.CalamineError:
        draft.add("(This sheet is damaged.)")
        return 0
    lines: list[str] = []
    rows, width = 0, 0
    last = (sheet.end or (0, 0))[0]
    for at, texts in _texts(sheet, extras):
        if budget.cells <= 0 or draft.full:
            budget.left_out.append(f'rows {at + 1:,} to {max(at, last) + 1:,} of sheet "{name}"')
            break
        budget.cells -= len(texts)
        rows += bool(texts)
        width = max(width, len(texts))
        if texts:
            lines.append(row(texts))
    if lines:
        draft.add("\n".join([lines[0], row(["---"] * min(width, 200)), *lines[1:]]))
    else:
        draft.add("(This sheet is empty.)" if not extras.notes else "")
    return rows


def _texts(sheet: calamine.CalamineSheet, extras: Extras) -> Iterator[tuple[int, list[str]]]:
    """The rows with their numbers from 0, each up to its last cell that holds something."""
    top, left = sheet.start or (0, 0)
    shift = min([left, *(column for _, column in extras.cells)])
    rest: dict[int, dict[int, str]] = {}
    for (at, column), text in sorted(extras.cells.items()):
        rest.setdefault(at, {})[column - shift] = text
    for at in [at for at in rest if at < top]:
        yield at, _trim(_fill([], rest.pop(at)))
    for at, values in enumerate(sheet.iter_rows() if sheet.start else (), start=top):
        texts = [""] * (left - shift) + [write_value(value) for value in values]
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


def write_value(value: _Value) -> str:
    """A cell's value as a person would write it: 3 rather than 3.0, dates as ISO 8601, midnight left out."""
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
