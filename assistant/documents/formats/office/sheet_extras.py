"""Content of .xlsx files that calamine omits: formulas without a cached value, errors, links, comments, text boxes, charts."""

import re
from dataclasses import dataclass, field
from html import unescape
from typing import cast

from openpyxl.packaging.relationship import Relationship, get_dependents, get_rels_path  # pyright: ignore[reportUnknownVariableType] - it has no types
from openpyxl.utils.cell import coordinate_to_tuple  # pyright: ignore[reportUnknownVariableType] - untyped

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
from assistant.documents.protocol import MIB

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


def read_extras(archive: OfficeArchive) -> dict[str, SheetExtras]:
    """The extras by sheet name."""
    main = next(iter(_related(archive, "", "officeDocument")), "xl/workbook.xml")
    parts = {relation.Id: relation.Target for relation in _relations(archive, main) if relation.TargetMode != "External"}
    found: dict[str, SheetExtras] = {}
    for sheet in children(child(_tree(archive, main), "sheets"), "sheet"):
        part = parts.get(reference(sheet))
        if part is not None:
            found[attribute(sheet, "name")] = _read_sheet(archive, part)
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


def _read_sheet(archive: OfficeArchive, part: str) -> SheetExtras:
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
    blocks = ["\n".join(lines), *_read_drawings(archive, part)]
    extras.notes = "\n\n".join(block for block in blocks if block)
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


def _read_drawings(archive: OfficeArchive, part: str) -> list[str]:
    blocks: list[str] = []
    for drawing in _related(archive, part, "drawing"):
        root = _tree(archive, drawing)
        blocks += ["\n".join(shape_texts(body)) for body in descendants(root, "txBody")]
        blocks += [chart_text(_tree(archive, chart)) for chart in _related(archive, drawing, "chart")]
    return blocks
