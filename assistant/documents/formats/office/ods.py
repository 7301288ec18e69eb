"""OpenDocument spreadsheets (.ods): how cells show their numbers, which is written beside each value (ODF 1.3 Part 3, 9.1.4), and what calamine
omits: errors, comments, links, text boxes, pictures."""

# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (lxml declares no types.)

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice, product
from typing import Any, cast
from zipfile import ZipFile

from lxml import etree

from assistant.documents.formats.office.number_formats import Displayed
from assistant.documents.formats.office.odf import OdfReader
from assistant.documents.formats.office.sheet_extras import SheetExtras, letters

_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_KIND = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}value-type"
_TAGS = [f"{_TABLE}{name}" for name in ("table", "table-row", "table-cell", "covered-table-cell", "shapes")]
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:[.,][0-9]+)?(?:E[+-]?[0-9]+)?")
"""A number that its cell shows with fewer digits at most."""
_BETWEEN_CELLS = re.compile(
    rb"(<table:table-row\b[^>]*>|</table:(?:covered-)?table-cell>|<table:(?:covered-)?table-cell\b[^>]*/>)(?:\s|<!--.*?-->)+(?=<)",
    re.DOTALL,
)
_EXTRA = re.compile(rb"value-type=[\"']error|<office:annotation[ >]|<text:a |<draw:")
_MOST_REPEATED = 1_000
_MOST_EXTRAS = 20_000
_EXTRAS_SECONDS = 3
"""Of computing time, after which the cells' values matter more."""


@dataclass(frozen=True, slots=True)
class _Row:
    sheet: str
    number: int
    """From 0; -1 for the beginning of the sheet, and for what is drawn on it and in no cell."""
    times: int
    cells: list[tuple[int, int, Any]]
    """Columns from 0, how often each is repeated, and the elements; none that is empty."""


class OpenSheets:
    """The part content.xml. It is read once for all sheets, which are asked for in their order."""

    def __init__(self, content: bytes) -> None:
        self._rows = _rows(content)
        self._next: _Row | None = None

    def formats(self, sheet: str) -> Iterator[tuple[int, int, Displayed]]:
        """The cells of a sheet whose numbers have signs or zeros beside their digits, in the order of the file."""
        row = self._next or next(self._rows, None)
        while row is not None and row.sheet != sheet:
            row = next(self._rows, None)
        while row is not None and row.sheet == sheet:
            shown = [(column, times, Displayed(words)) for column, times, cell in row.cells if (words := _display(cell))]
            for number in range(row.number, row.number + min(row.times, _MOST_REPEATED) if shown else 0):
                yield from ((number, column + add, words) for column, times, words in shown for add in range(min(times, _MOST_REPEATED)))
            row = next(self._rows, None)
        self._next = row


def read_extras(content: bytes, reader: OdfReader) -> dict[str, SheetExtras]:
    """What is beside the values, by the names of the sheets."""
    found: dict[str, SheetExtras] = {}
    drawn: dict[str, list[str]] = {}
    left, end = _MOST_EXTRAS, time.process_time() + _EXTRAS_SECONDS
    for row in _rows(content) if _EXTRA.search(content) else ():
        extras = found.setdefault(row.sheet, SheetExtras())
        for column, times, cell in row.cells:
            if cell.get(_KIND) == "error" and (words := _words(cell)):
                repeated = product(range(row.number, row.number + row.times), range(column, column + times))
                places = dict.fromkeys(islice(repeated, left), words)
                extras.cells |= places
                left -= len(places)
            where = f"{letters(column)}{row.number + 1}" if row.number >= 0 else ""
            remarks, blocks = _read_remarks(cell, where, reader)
            extras.remarks += remarks
            drawn.setdefault(row.sheet, []).extend(blocks)
            left -= len(remarks) + len(blocks)
        if left <= 0 or time.process_time() > end:
            break
    for sheet, blocks in drawn.items():
        found[sheet].notes = "\n\n".join(blocks)
    return found


def _read_remarks(cell: Any, where: str, reader: OdfReader) -> tuple[list[tuple[str, str, str]], list[str]]:
    """The links and comments of a cell, and what is drawn over it. `where`: its reference; empty for what is drawn elsewhere on the sheet."""
    links = [link for item in cell.iter(f"{_TEXT}a") if (link := item.get(_HREF) or "")[:1] not in {"", "#"}] if where else []
    remarks = [("Link in", where, f": {link}") for link in links]
    blocks: list[str] = []
    for item in cell:
        if item.tag == f"{_OFFICE}annotation":
            remarks.append(("Comment on", where, reader.comment(item)))
        elif isinstance(item.tag, str) and item.tag.startswith(_DRAW):
            blocks += [f"{block} at {where}" if where and block.startswith("[Picture") else block for block in reader.shape(item)]
    return remarks, blocks


def close_up(content: bytes) -> bytes:
    """A spreadsheet of the part content.xml, with nothing between the cells of a row: calamine refuses the white space of programs that indent."""
    target = BytesIO()
    with ZipFile(target, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", _BETWEEN_CELLS.sub(rb"\1", content))
    return target.getvalue()


def _rows(content: bytes) -> Iterator[_Row]:
    """The beginning of each sheet, and its rows; one row's cells are gone with the next. Ends where the part is malformed."""
    sheet, number, column, depth = "", 0, 0, 0
    cells: list[tuple[int, int, Any]] = []
    try:
        parsed = etree.iterparse(BytesIO(content), ("start", "end"), tag=_TAGS, resolve_entities=False, collect_ids=False)
        for event, element in cast("Iterator[tuple[str, Any]]", parsed):
            name = element.tag.rpartition("}")[2]
            if name == "table":
                depth += 1 if event == "start" else -1
                if event == "start" and depth == 1:
                    sheet, number = element.get(f"{_TABLE}name") or "", 0
                    yield _Row(sheet, -1, 1, [])
            elif depth != 1:  # of a table within a cell
                continue
            elif name == "shapes":
                if event == "end":
                    yield _Row(sheet, -1, 1, [(0, 1, element)])
            elif event == "start":
                column, cells = (0, []) if name == "table-row" else (column, cells)
            elif name == "table-row":
                times = _count(element, "rows")
                yield _Row(sheet, number, times, cells)
                number += times
                element.clear()
            else:
                times = _count(element, "columns")
                cells += [(column, times, element)] if len(element) else []
                column += times
    except etree.XMLSyntaxError:
        return


def _count(element: Any, what: str) -> int:
    value = element.get(f"{_TABLE}number-{what}-repeated") or "1"
    return int(value) if value.isdecimal() and len(value) < 9 else 1


def _display(cell: Any) -> str:
    kind = cell.get(f"{_OFFICE}value-type")
    if kind not in {"float", "percentage", "currency"}:
        return ""
    words = _words(cell)
    return "" if kind == "float" and _PLAIN.fullmatch(words) else words


def _words(cell: Any) -> str:
    return " ".join(" ".join("".join(line.itertext()).split()) for line in cell.findall(f"{_TEXT}p"))
