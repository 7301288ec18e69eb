"""Tables, as lines that are aligned where every character is as wide as the next, or as records where that would be too wide."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Final

from channels.text.blocks import PLAIN, Block, Line, Span, merged

_WIDEST: Final = 100
"""Columns of a row that is still shown aligned."""
_LONGEST_NAME: Final = 60
"""Characters of a column's name that is said for each record."""
_EMPTY: Final = Line(spans=())
_NOTHING: Final = frozenset({"Mn", "Me", "Cf"})


def width(text: str) -> int:
    """Columns that a terminal gives it: two for a wide character (East Asian, emoji), none for a mark."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.category(char) in _NOTHING:
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def table_blocks(rows: Sequence[Sequence[Line]], *, gap: bool, quote: int) -> list[Block]:
    """`rows`: of cells, the header first. Aligned code, or a block for each row ("header: cell") where a row is too wide."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip_longest(*texts, fillvalue="")] if len(max(texts, key=len)) <= _WIDEST else [_WIDEST]
    if sum(widths) + 3 * (len(widths) - 1) > _WIDEST:
        return _records(rows, gap=gap, quote=quote)
    lines = [_aligned(row, widths) for row in texts]
    lines.insert(1, "─┼─".join("─" * columns for columns in widths))
    spans = tuple(Line(spans=(Span(text=line, style=PLAIN),)) for line in lines)
    return [Block(kind="code", lines=spans, gap=gap, quote=quote, header=2)]


def _text(cell: Line) -> str:
    said: list[str] = []
    for place, span in enumerate(cell.spans):
        said.append(span.text)
        following = cell.spans[place + 1].style.link if place + 1 < len(cell.spans) else ""
        if span.style.link and following != span.style.link and span.style.link != span.text:
            said.append(f" ({span.style.link})")
    return "".join(said)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell + " " * (columns - width(cell)) for cell, columns in zip(row, widths, strict=False)]
    return " │ ".join(cells).rstrip()


def _records(rows: Sequence[Sequence[Line]], *, gap: bool, quote: int) -> list[Block]:
    """The first record names every column; the others repeat the names of those that they fill, so that their size is that of the table."""
    header, *records = rows
    fields: list[list[Line]] = []
    if records:
        fields.append([_field(title, cell) for title, cell in zip_longest(header, records[0], fillvalue=_EMPTY)])
    else:
        fields.append(list(header))
    names = [title if sum(len(span.text) for span in title.spans) <= _LONGEST_NAME else _EMPTY for title in header]
    for record in records[1:]:
        cells = zip_longest(names[: len(record)], record, fillvalue=_EMPTY)
        fields.append([_field(title, cell) for title, cell in cells])
    found = [tuple(line for line in lines if line.spans) for lines in fields]
    return [Block(kind="text", lines=lines, gap=gap or place > 0, quote=quote) for place, lines in enumerate(found) if lines]


def _field(title: Line, cell: Line) -> Line:
    if not title.spans:
        return Line(spans=cell.spans)
    name = [Span(text=span.text, style=replace(span.style, bold=True)) for span in title.spans]
    return Line(spans=merged([*name, Span(text=": ", style=PLAIN), *(cell.spans or (Span(text="—", style=PLAIN),))]))
