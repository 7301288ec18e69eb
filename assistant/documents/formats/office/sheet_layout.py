"""The rows of a sheet as tables from which each cell can be found by its reference."""

from collections.abc import Iterator
from itertools import pairwise

from assistant.documents.formats.markdown import row
from assistant.documents.formats.office.sheet_extras import letters

_MAX_RULE = 200
_LEAST_ROWS = 2
"""Rows of a table on average; a sheet of shorter ones is one table whose rows are numbered."""


class SheetLayout:
    """Collects rows. A sheet that begins in A1 and has no empty row is a plain table, its first row the header.

    Tables that empty rows part stay apart, each under the range of its cells ("B5:D9"). Where most rows stand alone, they are numbered.
    """

    def __init__(self) -> None:
        self.left = 0
        """The first column, from 0."""
        self.rows: list[tuple[int, int, str]] = []
        """Numbers from 0, numbers of cells, and lines."""
        self.size = 0
        """Characters."""

    def add(self, at: int, texts: list[str]) -> None:
        line = row(texts)
        self.rows.append((at, len(texts), line))
        self.size += len(line) + 1

    def blocks(self) -> Iterator[str]:
        if not self.rows:
            return
        ends = [index for index, (one, other) in enumerate(pairwise(self.rows), start=1) if other[0] > one[0] + 1]
        if not ends and not self.left and not self.rows[0][0]:
            yield self._table(0, len(self.rows))
        elif ends and len(self.rows) < _LEAST_ROWS * (len(ends) + 1):
            yield self._numbered()
        else:
            for start, end in pairwise([0, *ends, len(self.rows)]):
                width = max(size for _, size, _ in self.rows[start:end])
                begin = f"{letters(self.left)}{self.rows[start][0] + 1}"
                close = f"{letters(self.left + width - 1)}{self.rows[end - 1][0] + 1}"
                yield f"{f'Cell {begin}' if begin == close else f'Cells {begin}:{close}'}:\n\n{self._table(start, end)}"

    def _table(self, start: int, end: int) -> str:
        lines = [line for _, _, line in self.rows[start:end]]
        width = max(size for _, size, _ in self.rows[start:end])
        return "\n".join([lines[0], row(["---"] * min(width, _MAX_RULE)), *lines[1:]])

    def _numbered(self) -> str:
        width = min(max(size for _, size, _ in self.rows), _MAX_RULE)
        head = row(["", *(letters(self.left + index) for index in range(width))])
        return "\n".join([head, row(["---"] * (width + 1)), *(f"| {at + 1} {line}" for at, _, line in self.rows)])
