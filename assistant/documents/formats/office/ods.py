"""OpenDocument spreadsheets (.ods): how cells show their numbers, which is written beside each value (ODF 1.3 Part 3, 9.1.4)."""

# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (lxml declares no types.)

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from lxml import etree

from assistant.documents.formats.office.number_formats import Displayed

_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:[.,][0-9]+)?(?:E[+-]?[0-9]+)?")
"""A number that its cell shows with fewer digits at most."""
_MOST_REPEATED = 1_000


@dataclass(frozen=True, slots=True)
class OpenSheets:
    content: bytes
    """The part content.xml."""

    def formats(self, sheet: str) -> Iterator[tuple[int, int, Displayed]]:
        """The cells of a sheet whose numbers have signs or zeros beside their digits, in the order of the file."""
        row = column = 0
        inside = False
        tags = [f"{_TABLE}{name}" for name in ("table", "table-row", "table-cell", "covered-table-cell")]
        found: list[tuple[int, Displayed]] = []
        try:
            for event, element in etree.iterparse(BytesIO(self.content), ("start", "end"), tag=tags, resolve_entities=False):
                name = element.tag.rpartition("}")[2]
                if name == "table":
                    inside = event == "start" and element.get(f"{_TABLE}name") == sheet
                    row = 0
                elif event == "start":
                    column = 0 if name == "table-row" else column
                elif name == "table-row":
                    times = _count(element, "rows")
                    if inside:
                        yield from ((row + add, at, shown) for add in range(min(times, _MOST_REPEATED)) for at, shown in found)
                    row, found = row + times, []
                    element.clear()
                else:
                    times = _count(element, "columns")
                    if inside and (words := _display(element)):
                        found += [(column + add, Displayed(words)) for add in range(min(times, _MOST_REPEATED))]
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
    words = " ".join(" ".join("".join(line.itertext()).split()) for line in cell.findall(f"{_TEXT}p"))
    return "" if kind == "float" and _PLAIN.fullmatch(words) else words
