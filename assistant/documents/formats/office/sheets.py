"""Workbooks (.xlsx, .xlsb, .xls, .ods): a Markdown table for every sheet, up to a number of cells.

calamine reads them; of .xlsx files it omits formulas without a cached value, errors, links, comments, text boxes and charts, which are read here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from html import unescape
from io import BytesIO
from typing import cast

import python_calamine as calamine
from openpyxl import load_workbook
from openpyxl.packaging.relationship import Relationship, get_dependents, get_rels_path  # pyright: ignore[reportUnknownVariableType] - it has no types
from openpyxl.utils.cell import coordinate_to_tuple, get_column_letter  # pyright: ignore[reportUnknownVariableType] - untyped
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from assistant.contracts.documents import ReadDocument
from assistant.documents.formats.markdown import DocumentBuilder, cell, count, row
from assistant.documents.formats.office.drawing import chart_text, shape_texts
from assistant.documents.formats.office.package import (
    OfficeArchive,
    XmlElement,
    attribute,
    child,
    children,
    descendants,
    local,
    opening,
    parse,
    reference,
)
from assistant.documents.formats.pictures import DocumentPictures
from assistant.documents.protocol import MIB, IllustratedDocument, ReadLimits, damaged, encrypted

_WHAT = "a workbook"
_FORMULA = re.compile(rb'<c r="([A-Z]{1,3}[0-9]{1,7})"[^>]*><f(?: [^>]*)?>([^<]{1,8000})</f>(?:<v ?/>|<v></v>)?</c>')
_ERROR = re.compile(rb'<c r="([A-Z]{1,3}[0-9]{1,7})"[^>]* t="e"[^>]*>(?:<f[^>]*/>|<f[^>]*>[^<]*</f>)?<v>(#[^<]{1,20})</v>')
_LINK = re.compile(rb"<hyperlink [^>]*>")
_DIMENSION = re.compile(rb'<dimension ref="(?:[A-Z]+[0-9]+:)?([A-Z]{1,3}[0-9]{1,7})"')
_ROW = re.compile(rb'<row [^>]*?\br="([0-9]{1,7})"')
_FAR_CELL = re.compile(rb'<c r="([A-Z]{3}[0-9]{1,7})"')
_USUAL_COLUMNS = 25
_ATTRIBUTE = re.compile(rb'([A-Za-z:]+)="([^"]*)"')
_LARGEST_SHEET = 10 * MIB
_MAX_CELLS = 20_000
CellValue = int | float | str | bool | time | date | datetime | timedelta
_STREAMED = re.compile(r"xl/(?:worksheets/[^/]*|sharedstrings\.(?:xml|bin))|content\.xml")
"""Sheets and shared strings, which are streamed and so may be larger than other parts."""
_LARGEST_AREA = 8_000_000
"""Cells of the rectangle around a sheet's values that calamine may allocate: some 250 MB."""
_MAX_RULE = 200
_MAX_COLUMN = 16_384


@dataclass(slots=True)
class SheetExtras:
    """The additional content of one sheet."""

    cells: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    """Texts of cells that calamine reads as empty, by row and column from 0."""
    last_row: int = 0
    """From 0, by the last <row> and the declared dimension."""
    area: int = 0
    """Cells of the rectangle around all values."""
    notes: str = ""
    """Links, comments, text boxes and charts."""


def read_extras(archive: OfficeArchive, pictures: DocumentPictures) -> dict[str, SheetExtras]:
    """The extras by sheet name."""
    main = next(iter(_related(archive, "", "officeDocument")), "xl/workbook.xml")
    parts = {relation.Id: relation.Target for relation in _relations(archive, main) if relation.TargetMode != "External"}
    found: dict[str, SheetExtras] = {}
    for sheet in children(child(_tree(archive, main), "sheets"), "sheet"):
        part = parts.get(reference(sheet))
        if part is not None:
            found[attribute(sheet, "name")] = _read_sheet_extras(archive, part, pictures)
    return found


def _tree(archive: OfficeArchive, name: str) -> XmlElement | None:
    data = archive.part(name)
    return None if data is None else parse(data, _WHAT)


def _relations(archive: OfficeArchive, part: str) -> list[Relationship]:
    """The relationships of a part; for "", of the package."""
    name = cast("str", get_rels_path(part))
    if name not in archive.zip.namelist():
        return []
    with opening(_WHAT):
        return list(get_dependents(archive.zip, name))


def _related(archive: OfficeArchive, part: str, kind: str) -> list[str]:
    """The names of parts related by one kind of relationship."""
    found = _relations(archive, part)
    return [item.Target for item in found if item.TargetMode != "External" and item.Type.rpartition("/")[2] == kind]


def _read_sheet_extras(archive: OfficeArchive, part: str, pictures: DocumentPictures) -> SheetExtras:
    data = archive.part(part) or b""
    extras = SheetExtras()
    extras.last_row, last_column = _measure(data)
    extras.area = (extras.last_row + 1) * (last_column + 1)
    if len(data) > _LARGEST_SHEET:
        return extras
    for pattern, sign in ((_FORMULA, "="), (_ERROR, "")):
        for match in pattern.finditer(data):
            extras.cells[_parse_place(match[1])] = sign + unescape(match[2].decode("utf-8", "replace"))
            if len(extras.cells) >= _MAX_CELLS:
                break
    lines = [*_read_links(archive, part, data), *_read_comments(archive, part)]
    extras.notes = "\n\n".join(filter(None, ["\n".join(lines), *_read_drawings(archive, part, pictures)]))
    return extras


def _measure(data: bytes) -> tuple[int, int]:
    """The last row and the last column from 0: by the number of the last <row> and the declared dimension."""
    rows, columns = 0, _USUAL_COLUMNS
    if dimension := _DIMENSION.search(data[:4096]):
        rows, columns = _parse_place(dimension[1])
    elif far := _FAR_CELL.search(data):
        columns = _parse_place(far[1])[1]
    if end := _ROW.match(data, max(0, data.rfind(b"<row "))):
        rows = max(rows, int(end[1]) - 1)
    return rows, columns


def _parse_place(place: bytes) -> tuple[int, int]:
    """Row and column from 0 of "B3"."""
    row, column = coordinate_to_tuple(place.decode())
    return row - 1, column - 1


def _read_links(archive: OfficeArchive, part: str, data: bytes) -> list[str]:
    tags = _LINK.findall(data)
    outside = {relation.Id: relation.Target for relation in _relations(archive, part) if relation.TargetMode == "External"}
    lines: list[str] = []
    for tag in tags[:_MAX_CELLS]:
        found = {key.rpartition(b":")[2]: value.decode("utf-8", "replace") for key, value in _ATTRIBUTE.findall(tag)}
        if address := outside.get(found.get(b"id", "")):
            lines.append(f"- Link in {found.get(b'ref', '?')}: {address}")
    return lines


def _read_comments(archive: OfficeArchive, part: str) -> list[str]:
    lines: list[str] = []
    threaded = _related(archive, part, "threadedComment")
    for name in threaded or _related(archive, part, "comments"):
        root = _tree(archive, name)
        for comment in (*descendants(root, "comment"), *descendants(root, "threadedComment")):
            words = "".join(text.text or "" for text in comment.iter() if local(text) in {"t", "text"})
            lines.append(f"- Comment on {attribute(comment, 'ref', '?')}: {' '.join(words.split())}")
    return lines


def _read_drawings(archive: OfficeArchive, part: str, pictures: DocumentPictures) -> list[str]:
    blocks: list[str] = []
    for drawing in _related(archive, part, "drawing"):
        root = _tree(archive, drawing)
        blocks += ["\n".join(shape_texts(body)) for body in descendants(root, "txBody")]
        blocks += [chart_text(_tree(archive, chart)) for chart in _related(archive, drawing, "chart")]
        links = {relation.Id: relation.Target for relation in _relations(archive, drawing) if relation.TargetMode != "External"}
        blocks += [
            _read_picture(archive, anchor, links, pictures) for anchor in root or () if next(descendants(anchor, "blip"), None) is not None
        ]
    return blocks


def _read_picture(archive: OfficeArchive, anchor: XmlElement, links: Mapping[str | None, str], pictures: DocumentPictures) -> str:
    """The mark of a picture, with the cell that its corner is in."""
    described = next((words for item in descendants(anchor, "cNvPr") if (words := attribute(item, "descr").strip())), "")
    target = next((links[place] for item in descendants(anchor, "blip") if (place := reference(item, "embed")) in links), "")
    corner = [child(anchor, "from", axis) for axis in ("col", "row")]
    column, line = (int(item.text or 0) if item is not None and (item.text or "").isdecimal() else None for item in corner)
    place = f" at {get_column_letter(column + 1)}{line + 1}" if column is not None and line is not None and column < _MAX_COLUMN else ""
    return pictures.mark(archive.part(target) if target else None, described) + place


@dataclass(frozen=True, slots=True)
class _SheetSource:
    data: bytes
    book: calamine.CalamineWorkbook
    about: calamine.SheetMetadata
    extras: SheetExtras


@dataclass(slots=True)
class _CellBudget:
    """The cells that may still be read, and what was left out."""

    cells: int
    left_out: list[str] = field(default_factory=list[str])


def read(data: bytes, name: str, limits: ReadLimits) -> ReadDocument | IllustratedDocument:
    pictures = DocumentPictures(limits)
    extras: dict[str, SheetExtras] = {}
    if name != "xls":
        archive = OfficeArchive(data, limits, what=_WHAT, streamed=_STREAMED.fullmatch, document_types=name == "ods")
        if name == "ods" and b"encryption-data" in (archive.part("META-INF/manifest.xml") or b""):
            raise encrypted()
        extras = read_extras(archive, pictures) if name == "xlsx" else {}
    try:
        book = calamine.CalamineWorkbook.from_filelike(BytesIO(data))
    except calamine.PasswordError as error:
        raise encrypted() from error
    except calamine.CalamineError as error:
        raise damaged(_WHAT) from error
    builder = DocumentBuilder(limits.text_chars)
    budget = _CellBudget(limits.cells)
    rows = 0
    for number, sheet in enumerate(book.sheets_metadata, start=1):
        rows += _read_sheet(_SheetSource(data, book, sheet, extras.get(sheet.name, SheetExtras())), number, builder, budget)
    missing = f"{'; '.join(budget.left_out)} (documents.cells: {limits.cells:,})" if budget.left_out else ""
    facts = count(len(book.sheets_metadata), "sheet"), count(rows, "row")
    return pictures.illustrate(builder.finish(name, facts=facts, missing=missing))


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
        raise damaged(_WHAT) from error
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
