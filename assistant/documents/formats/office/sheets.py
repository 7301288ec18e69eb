"""Workbooks (.xlsx, .xlsb, .xls, .ods): a Markdown table for every sheet, up to a number of cells."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO

import python_calamine as calamine

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.draft import Draft, count
from assistant.documents.formats.office.archive import Archive
from assistant.documents.formats.office.sheet_extras import Extras, read_extras
from assistant.documents.formats.office.sheet_sparse import sparse_rows
from assistant.documents.formats.office.sheet_values import Value, write_value
from assistant.documents.formats.tables import cell, row
from assistant.documents.limits import Limits
from assistant.documents.refusals import damaged, encrypted

_SHEETS = re.compile(r"xl/(?:worksheets/[^/]*|sharedstrings\.(?:xml|bin))|content\.xml")
_LARGEST_AREA = 8_000_000
"""Cells of the rectangle around a sheet's values that calamine may make room for: some 250 MB."""
_WIDEST_RULE = 200


@dataclass(frozen=True, slots=True)
class _Source:
    """One sheet and where to read it."""

    data: bytes
    book: calamine.CalamineWorkbook
    about: calamine.SheetMetadata
    extras: Extras


@dataclass(slots=True)
class _Budget:
    """The cells that may still be read, and what was left out when there were none."""

    cells: int
    left_out: list[str] = field(default_factory=list[str])


def read(data: bytes, name: str, limits: Limits) -> ReadDocument:
    archive = None if name == "xls" else Archive(data, limits, what="a workbook", streamed=_is_streamed, document_types=name == "ods")
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
        rows += _read_sheet(_Source(data, book, sheet, extras.get(sheet.name, Extras())), number, draft, budget)
    missing = f"{'; '.join(budget.left_out)} (documents.cells: {limits.cells:,})" if budget.left_out else ""
    return draft.finish(name, facts=(count(len(book.sheets_metadata), "sheet"), count(rows, "row")), missing=missing)


def _is_streamed(part: str) -> bool:
    """Sheets and shared strings are read as streams, so that they may be larger than other parts."""
    return _SHEETS.fullmatch(part) is not None


def _read_sheet(source: _Source, number: int, draft: Draft, budget: _Budget) -> int:
    """Writes a sheet; the number of its rows that hold something."""
    about = source.about
    hidden = "" if about.visible == calamine.SheetVisibleEnum.Visible else " (hidden)"
    draft.begin(f"sheet {number}: {about.name}")
    draft.add(f"## Sheet: {about.name}{hidden}")
    rows = 0
    if about.typ == calamine.SheetTypeEnum.WorkSheet:
        if budget.cells <= 0:
            budget.left_out.append(f'sheet "{about.name}"')
        else:
            rows = _read_cells(source, draft, budget)
    draft.add(source.extras.notes)
    return rows


def _read_cells(source: _Source, draft: Draft, budget: _Budget) -> int:
    last, left, rows = _open(source)
    lines: list[str] = []
    width = 0
    for at, texts in _merge(rows, left, source.extras):
        if budget.cells <= 0 or draft.full:
            budget.left_out.append(f'rows {at + 1:,} to {max(at, last) + 1:,} of sheet "{source.about.name}"')
            break
        budget.cells -= len(texts)
        width = max(width, len(texts))
        if texts:
            lines.append(row(texts))
    if lines:
        draft.add("\n".join([lines[0], row(["---"] * min(width, _WIDEST_RULE)), *lines[1:]]))
    elif not source.extras.notes:
        draft.add("(This sheet is empty.)")
    return len(lines)


def _open(source: _Source) -> tuple[int, int, Iterator[tuple[int, list[Value]]]]:
    """A sheet's last row, its first column, and its rows from there, numbered from 0."""
    if source.extras.area > _LARGEST_AREA:
        return source.extras.last_row, 0, sparse_rows(source.data, source.about.name)
    try:
        sheet = source.book.get_sheet_by_name(source.about.name)
    except calamine.CalamineError as error:
        raise damaged("a workbook") from error
    top, left = sheet.start or (0, 0)
    return (sheet.end or (0, 0))[0], left, enumerate(sheet.iter_rows() if sheet.start else (), start=top)


def _merge(rows: Iterable[tuple[int, list[Value]]], left: int, extras: Extras) -> Iterator[tuple[int, list[str]]]:
    """The rows as texts, together with the cells that only the extras know, each row up to its last cell that holds something."""
    shift = min([left, *(column for _, column in extras.cells)])
    rest: dict[int, dict[int, str]] = {}
    for (at, column), text in sorted(extras.cells.items()):
        rest.setdefault(at, {})[column - shift] = text
    for at, values in rows:
        for before in [number for number in rest if number < at] if rest else ():
            yield before, _trim(_fill([], rest.pop(before)))
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
