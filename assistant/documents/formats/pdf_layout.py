"""The layout of a PDF page: its tables as Markdown, its other lines with the size and weight of their type, headings among them."""

# pyright: basic
# (pypdfium2's raw binding is generated from C and has no types.)

import ctypes
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import pypdfium2
from pypdfium2 import raw

from assistant.documents.formats.markdown import table
from assistant.documents.formats.pdf_columns import find_columns
from assistant.documents.formats.pdf_grids import Grid, find_grids, turned, turned_box
from assistant.documents.formats.pdf_text import PageText, box, letter, matrix, origin, type_name, type_size, type_weight

_LINE = re.compile(r"[^\r\n]+")
_BOLD = re.compile(rb"bold|black|heavy|semibold|demi", re.IGNORECASE)
_BOLD_WEIGHT = 600
_LONGEST_NAME = 100
"""Bytes of a font's name."""
_LARGER = 1.12
"""How much larger than the body's a heading's type is."""
_LONGEST_HEADING = 160
_HEADING_LINES = 3
_NUMBERED = re.compile(r"(?:\d{1,2}(?:\.\d{1,2})*\.?|[A-Z]\.|[IVX]{1,5}\.)\s+\S")
_LETTERS = re.compile(r"[^\W\d_].*[^\W\d_]")
_GAP = 1.3
_LONGEST_CELL = 1_500
_FILLED = 0.25
"""The share of a table's cells that hold text, at least; diagrams have less."""
_SAME_LINE = 3.0
_WIDE_GAP = 14.0
"""Points between letters of one line that stand in columns."""
_WORD_GAP = 3.5
"""Points between words of one text, at most."""
_MOST_GAPS = 4
"""Wide gaps in a cell from which on it holds columns of its own: the grid is a frame."""
_MOST_HEADINGS = 0.15
"""The share of a document's letters of which a size of headings may have."""


_Area = tuple[int, int, int]


@dataclass(slots=True)
class PdfLine:
    """A line of text outside tables, or a whole table."""

    text: str
    size: float = 0.0
    """Points; 0 for a table."""
    bold: bool = False
    height: float = 0.0
    """Where its baseline lies, growing upward."""
    is_table: bool = False
    parted: bool = False
    """Whether a bold line has wide gaps, as the head of a table has."""


@dataclass(slots=True)
class _Table:
    cells: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    columns: dict[int, list[PdfLine]] = field(default_factory=dict)
    """Of prose."""
    place: int = -1
    """Index of the line before which it stands."""


@dataclass(slots=True)
class _Places:
    areas: list[_Area | None] = field(default_factory=list)
    parted: Counter[_Area] = field(default_factory=Counter)
    """How many wide gaps the lines within a cell have."""
    cut: set[int] = field(default_factory=set)
    """The grids whose borders cut through lines of words."""


class _Layout:
    def __init__(self, page: pypdfium2.PdfPage, text: PageText, *, tables: bool) -> None:
        self._text, self._raw, self._address = text, text.raw.raw, text.address
        self._turn = text.turn
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._sides = [ctypes.c_double() for _ in range(4)]
        self._matrix, self._name, self._flags = raw.FS_MATRIX(), ctypes.create_string_buffer(_LONGEST_NAME), ctypes.c_int()
        written = (self._x, self._y), self._sides, (self._matrix,), (self._name, self._flags)
        self._x_y_at, self._sides_at, self._matrix_at, self._name_at = (tuple(map(ctypes.addressof, to)) for to in written)
        self.lines: list[PdfLine] = []
        if not tables or not self._read_around(page):
            self.lines = []
            self._add_lines(0, text.count)

    def _read_around(self, page: pypdfium2.PdfPage) -> bool:
        """Reads tables into their cells, columns one after the other, the rest as lines. False where there is neither."""
        grids, areas = self._find(page)
        if not grids:
            return False
        tables: dict[int, _Table] = {}
        start = 0
        for index in range(1, self._text.count + 1):
            here = areas[start]
            if index < self._text.count and areas[index] == here:
                continue
            if here is None:
                self._add_lines(start, index - start)
            else:
                done = tables.setdefault(here[0], _Table(place=len(self.lines)))
                if grids[here[0]].flows:
                    around, self.lines = self.lines, done.columns.setdefault(here[2], [])
                    self._add_lines(start, index - start)
                    self.lines = around
                else:
                    done.cells.setdefault(here[1:], []).append(" ".join(self._text.read(start, index - start).split()))
            start = index
        for number, done in sorted(tables.items(), key=lambda item: -item[1].place):
            made = [line for _, lines in sorted(done.columns.items()) for line in lines]
            self.lines[done.place : done.place] = made or [PdfLine(_compose(grids[number], done.cells), is_table=True)]
        return True

    def _find(self, page: pypdfium2.PdfPage) -> tuple[list[Grid], list[_Area | None]]:
        """The grids that hold tables, the ruled ones first, and what each character belongs to."""
        found = find_grids(page, self._turn)
        places = self._place(found) if found else _Places()
        ruled = [grid for number, grid in enumerate(found) if _is_table(number, grid, places)]
        grids = [*ruled, *(grid for grid in find_columns(self._text, self._turn) if not any(map(grid.overlaps, ruled)))]
        if grids != found:
            places = self._place(grids)
            whole = [grid for number, grid in enumerate(grids) if number < len(ruled) or number not in places.cut]
            places = self._place(whole) if whole != grids else places
            grids = whole
        return grids, places.areas

    def _place(self, grids: Sequence[Grid]) -> _Places:
        """For each character the number of its grid, its row and column; what pdfium added belongs to the character before."""
        places = _Places()
        if not grids:
            return places
        areas, end, end_y = places.areas, -math.inf, 0.0
        for index, left, base, right, upper in self._text.letters(self._turn):
            behind_space = index > len(areas) or not index
            if behind_space:
                areas += [areas[-1] if areas else None] * (index - len(areas))
            x, y = (left + right) / 2, (base + upper) / 2
            before = areas[-1] if areas else None
            gap = left - end if abs(y - end_y) < _SAME_LINE else math.inf
            area = _area_at(grids, x, y)
            if area != before and gap + 1 >= 0 and gap < _WORD_GAP:
                places.cut |= {found[0] for found in (area, before) if found is not None}
                area = area if behind_space else before  # a word stays whole
            elif area is not None and area == before and _WIDE_GAP < gap < math.inf:
                places.parted[area] += 1
            end, end_y = right, y
            areas.append(area)
        areas += [areas[-1] if areas else None] * (self._text.count - len(areas))
        return places

    def _add_lines(self, start: int, count: int) -> None:
        words = self._text.read(start, count)
        units = len(words) if words.isascii() else len(words.encode("utf-16-le", "surrogatepass")) // 2
        wide = units > len(words)  # pdfium counts characters beyond U+FFFF twice
        first = raw.FPDFText_GetTextIndexFromCharIndex(self._raw, start)
        place = self._index(first)
        # Unless characters without text lie between, as they hardly do, all lie as far apart as their text.
        close = self._index(first + units - 1) - place == units - 1
        for match in _LINE.finditer(words):
            line = match[0]
            if line.isspace():
                continue
            begin, end = len(words[: match.start()].encode("utf-16-le")) // 2 if wide else match.start(), len(line)
            index = place + begin if close else self._index(first + begin)
            last = index + end - 1 if close else self._index(first + begin + end - 1)
            size, bold = self._size(index), self._is_bold(index)
            if last > index and not line[-1].isspace():
                size, bold = min(size, self._size(last)), bold and self._is_bold(last)
            origin(self._address, index, *self._x_y_at)
            height = turned(self._x.value, self._y.value, self._turn)[1]
            parted = bold and end <= _LONGEST_HEADING and self._is_parted(index, last)
            self.lines.append(PdfLine(line.rstrip(), size, bold, height, False, parted))

    def _index(self, place: int) -> int:
        """The index of the character at a place of the page's text."""
        return raw.FPDFText_GetCharIndexFromTextIndex(self._raw, place)

    def _is_parted(self, first: int, last: int) -> bool:
        end = math.inf
        for index in range(first, last + 1):
            if letter(self._address, index) <= ord(" "):
                continue
            box(self._address, index, *self._sides_at)
            low, high, bottom, top = (side.value for side in self._sides)
            left, _, right, _ = turned_box(low, bottom, high, top, self._turn)
            if left - end > _WIDE_GAP:
                return True
            end = right
        return False

    def _size(self, index: int) -> float:
        """Points of a character's type."""
        size = type_size(self._address, index)
        if matrix(self._address, index, *self._matrix_at):
            size *= math.hypot(self._matrix.c, self._matrix.d)
        return round(size * 2) / 2

    def _is_bold(self, index: int) -> bool:
        self._name[0] = b"\0"  # a longer name is not written
        name, flags = self._name_at
        type_name(self._address, index, name, _LONGEST_NAME, flags)
        return _is_bold(self._name.value) or type_weight(self._address, index) >= _BOLD_WEIGHT


@lru_cache(maxsize=1_024)
def _is_bold(name: bytes) -> bool:
    return bool(_BOLD.search(name))


def read_lines(page: pypdfium2.PdfPage, text: PageText, *, tables: bool) -> list[PdfLine]:
    """The lines and tables of a page in reading order. `tables`: whether tables are searched for."""
    return _Layout(page, text, tables=tables).lines


def _area_at(grids: Sequence[Grid], x: float, y: float) -> _Area | None:
    for number, grid in enumerate(grids):
        if cell := grid.cell(x, y):
            return number, *cell
    return None


def _is_table(number: int, grid: Grid, places: _Places) -> bool:
    """Whether a grid's letters stand in two rows and columns or more, and three cells or more, none of which holds a page or columns."""
    cells = Counter(area[1:] for area in places.areas if area is not None and area[0] == number)
    rows, columns = {row for row, _ in cells}, {column for _, column in cells}
    fits = len(rows) > 1 and len(columns) > 1 and len(cells) > 2 and max(cells.values()) <= _LONGEST_CELL
    fits = fits and len(cells) >= _FILLED * ((len(grid.rows) - 1) * (len(grid.columns) - 1) - len(grid.merged))
    return fits and all(gaps < _MOST_GAPS for area, gaps in places.parted.items() if area[0] == number)


def _compose(grid: Grid, cells: dict[tuple[int, int], list[str]]) -> str:
    width, height = len(grid.columns) - 1, len(grid.rows) - 1
    rows = [[" ".join(cells.get((row, column), ())).strip() for column in range(width)] for row in range(height)]
    used = [column for column in range(width) if any(row[column] for row in rows)]
    return table([[row[column] for column in used] for row in rows])


def to_texts(pages: Sequence[Sequence[PdfLine]]) -> list[str]:
    """The texts of pages, with headings marked: lines in larger type than the body's, or bold ones that stand alone."""
    sizes = Counter[float]()
    bold = Counter[bool]()
    for line in (line for page in pages for line in page if not line.is_table):
        sizes[line.size] += len(line.text)
        bold[line.bold] += len(line.text)
    if not sizes:
        return ["\n".join(line.text for line in page) for page in pages]
    body = sizes.most_common(1)[0][0]
    most = _MOST_HEADINGS * sum(sizes.values())
    rare = {size for size, letters in sizes.items() if letters <= most or letters <= _LONGEST_HEADING}
    larger = sorted({line.size for page in pages for line in page if line.size in rare and _is_larger(line, body)}, reverse=True)
    levels = {size: min(3 + place, 6) for place, size in enumerate(larger)}
    below = min(3 + len(larger), 6)
    return [_to_text(page, body, levels, below if bold[True] * 4 < bold[False] else 0) for page in pages]


def _is_larger(line: PdfLine, body: float) -> bool:
    return not line.is_table and line.size >= body * _LARGER and len(line.text) <= _LONGEST_HEADING and bool(_LETTERS.search(line.text))


def _to_text(page: Sequence[PdfLine], body: float, levels: dict[float, int], bold_level: int) -> str:
    marks = [levels.get(line.size, 0) if _is_larger(line, body) else 0 for line in page]
    if bold_level:
        marks = [mark or (bold_level if _stands_alone(page, index, body) else 0) for index, mark in enumerate(marks)]
    parts: list[str] = []
    run = 0
    for index, (line, mark) in enumerate(zip(page, marks, strict=True)):
        before = page[index - 1] if index else None
        same = before is not None and mark == marks[index - 1] and before.size == line.size and 0 < run < _HEADING_LINES
        if mark and same and before and 0 < before.height - line.height < 1.6 * line.size:
            parts[-1] += f" {line.text.strip()}"
            run += 1
        elif mark:
            parts.append(f"\n{'#' * mark} {line.text.strip()}")
            run = 1
        else:
            between = "\n" if line.is_table or run or (before is not None and before.is_table) else ""
            parts.append(between + line.text)
            run = 0
    return "\n".join(parts).strip("\n")


def _stands_alone(page: Sequence[PdfLine], index: int, body: float) -> bool:
    """Whether a line is bold at the body's size, short, no sentence, parted from the text above, and above text that is not bold."""
    line = page[index]
    words = line.text.strip()
    if (
        line.is_table
        or line.parted
        or not line.bold
        or line.size < body
        or len(words) > 90
        or words[-1] in ".,;:"
        or not _LETTERS.search(words)
    ):
        return False
    if index + 1 == len(page) or page[index + 1].bold or page[index + 1].is_table:
        return False
    below = line.height - page[index + 1].height
    above = page[index - 1].height - line.height if index and not page[index - 1].is_table else math.inf
    return 0 < below < 4 * line.size and (above > _GAP * below or above <= 0 or bool(_NUMBERED.match(words)))
