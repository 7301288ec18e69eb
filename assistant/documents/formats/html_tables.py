"""Tables of web pages: cells put into the slots that their spans give them (HTML Standard, 4.9.12 "Forming a table").

A cell that spans rows is repeated in each of them, where it is short; one that spans columns leaves the others empty.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_NUMBER = re.compile(r"[ \t\n\f\r]*\+?([0-9]{1,9})")
_MOST_COLUMNS = 1_000
_MOST_ROWS = 65_534
_LONGEST_REPEATED = 100


@dataclass(slots=True)
class SpanBudget:
    """The slots that cells spanning rows may still take on one page; a small page may ask for billions."""

    slots: int = 200_000


@dataclass(slots=True)
class _Cell:
    text: str
    columns: int
    rows: int
    """Rows from its own on; 0: to the end of its row group."""


@dataclass(slots=True)
class _Growing:
    """A cell that takes slots in rows to come."""

    start: int
    end: int
    left: int
    text: str


@dataclass(slots=True)
class HtmlTable:
    """Receives a table's groups, rows and cells in the order of the page."""

    outer: list[str]
    """The blocks before it."""
    groups: list[list[list[_Cell]]] = field(default_factory=list[list[list[_Cell]]])
    feet: list[list[list[_Cell]]] = field(default_factory=list[list[list[_Cell]]])
    _group: list[list[_Cell]] | None = None
    _spans: tuple[int, int] = (1, 1)

    def begin_group(self, *, foot: bool) -> None:
        self._group = []
        (self.feet if foot else self.groups).append(self._group)

    def begin_row(self) -> None:
        if self._group is None:
            self.begin_group(foot=False)
        if self._group is not None:
            self._group.append([])

    def begin_cell(self, attributes: Mapping[str, str]) -> None:
        columns, rows = _NUMBER.match(attributes.get("colspan", "")), _NUMBER.match(attributes.get("rowspan", ""))
        self._spans = (min(int(columns[1]), _MOST_COLUMNS) or 1) if columns else 1, min(int(rows[1]), _MOST_ROWS) if rows else 1

    def end_cell(self, text: str) -> None:
        if not self._group:
            self.begin_row()
        if self._group:
            self._group[-1].append(_Cell(text, *self._spans))
        self._spans = (1, 1)

    @property
    def lays_out(self) -> bool:
        """No row has a second cell: the table only lays out the page."""
        return all(len(row) <= 1 for group in (*self.groups, *self.feet) for row in group)

    def texts(self) -> Iterator[list[str]]:
        """The rows as they are written, without slots."""
        return ([cell.text for cell in row] for group in (*self.groups, *self.feet) for row in group)

    def form(self, budget: SpanBudget) -> list[list[str]]:
        """The rows with a text for each slot. Columns in which no cell begins are dropped."""
        rows: list[dict[int, str]] = []
        begins: set[int] = set()
        for group in (*self.groups, *self.feet):
            growing: list[_Growing] = []
            for cells in group:
                placed, growing = _place(cells, growing, begins, budget)
                rows.append(placed)
        numbers = {column: number for number, column in enumerate(sorted(begins))}
        return [_dense({numbers[column]: text for column, text in row.items() if column in numbers}) for row in rows]


def _place(cells: list[_Cell], growing: list[_Growing], begins: set[int], budget: SpanBudget) -> tuple[dict[int, str], list[_Growing]]:
    """A row's texts by column, and the cells that grow on below it, by column. Adds the columns in which cells begin."""
    budget.slots -= len(growing)
    if budget.slots < 0:
        growing = []
    placed = {cell.start: cell.text for cell in growing} if cells else {}
    added: list[_Growing] = []
    column = above = 0
    for cell in cells:
        while above < len(growing) and growing[above].start <= column:
            column = max(column, growing[above].end)
            above += 1
        placed[column] = cell.text
        begins.add(column)
        end = column + cell.columns
        if cell.rows != 1:
            short = cell.text if len(cell.text) <= _LONGEST_REPEATED else ""
            added.append(_Growing(column, end, cell.rows - 1 if cell.rows else _MOST_ROWS, short))
        column = end
    kept = [_Growing(cell.start, cell.end, cell.left - 1, cell.text) for cell in growing if cell.left > 1]
    return placed, sorted((*kept, *added), key=lambda cell: cell.start)


def _dense(row: dict[int, str]) -> list[str]:
    texts = [""] * (max(row, default=-1) + 1)
    for column, text in row.items():
        texts[column] = text
    return texts
