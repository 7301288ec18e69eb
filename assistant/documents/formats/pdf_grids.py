"""Ruled tables of PDF pages: the grids that their lines and thin rectangles draw, and which cells are merged."""

# pyright: basic
# (pypdfium2's raw binding is generated from C and has no types.)

import ctypes
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2
from pypdfium2 import raw

_MAX_OBJECTS = 20_000
"""Objects of a page beyond which its lines are taken for a drawing."""
_MAX_SEGMENTS = 6_000
_MAX_LINES = 800
_DEEPEST_FORM = 3
_NEAR = 3.0
"""Points within which lines are one, or meet."""
_STRAIGHT = 0.6
_SHORTEST = 5.0
_OVERHANG = 8.0
"""Points that lines must reach beyond the outermost line across for a column or row without its own border."""
_MOST_COLUMNS, _MOST_ROWS = 60, 300
_SLANT = 4.0
"""Points by which a line that is neither horizontal nor vertical runs in both directions, or a curve."""
_SMALL = 12
"""Cells of a grid that may be a drawing's."""
_Matrix = tuple[float, float, float, float, float, float]


@dataclass(slots=True)
class _Rule:
    """A horizontal or vertical line: where it lies, and from where to where it reaches."""

    at: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a table on a page. Rows run from the top."""

    columns: list[float]
    """The borders of columns from the left: one more than columns."""
    rows: list[float]
    """The borders of rows as negated heights, from the top."""
    merged: dict[tuple[int, int], tuple[int, int]]
    """Row and column of each cell that belongs to another, and that other."""

    @property
    def flows(self) -> bool:
        """Whether it has a single row: columns of prose, which are read one after the other."""
        return len(self.rows) == 2

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of the cell at a point; None outside."""
        columns, rows = self.columns, self.rows
        if not (columns[0] <= x < columns[-1] and rows[0] <= -y < rows[-1]):
            return None
        place = bisect_right(rows, -y) - 1, bisect_right(columns, x) - 1
        return self.merged.get(place, place)

    def overlaps(self, other: "Grid") -> bool:
        """Whether the two share a part of the page."""
        beside = self.columns[-1] <= other.columns[0] or other.columns[-1] <= self.columns[0]
        return not beside and self.rows[-1] > other.rows[0] and other.rows[-1] > self.rows[0]


def find_grids(page: pypdfium2.PdfPage, turn: int) -> list[Grid]:
    """The grids of two columns and rows or more. `turn`: quarters by which the page's text is turned, as `turned` takes it."""
    across: list[_Rule] = []
    down: list[_Rule] = []
    slanted: list[tuple[float, float]] = []
    for x0, y0, x1, y1 in _segments(page):
        (x0, y0), (x1, y1) = turned(x0, y0, turn), turned(x1, y1, turn)
        if abs(y1 - y0) <= _STRAIGHT and abs(x1 - x0) >= _SHORTEST:
            across.append(_Rule((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
        elif abs(x1 - x0) <= _STRAIGHT and abs(y1 - y0) >= _SHORTEST:
            down.append(_Rule((x0 + x1) / 2, min(y0, y1), max(y0, y1)))
        elif abs(x1 - x0) > _SLANT and abs(y1 - y0) > _SLANT:
            slanted.append(((x0 + x1) / 2, (y0 + y1) / 2))
    across, down = _join(across), _join(down)
    if len(across) < 2 or not down or len(across) > _MAX_LINES or len(down) > _MAX_LINES:
        return []
    grids = (_grid(*lines) for lines in _connected(across, down))
    return [grid for grid in grids if grid is not None and not _is_drawing(grid, slanted)]


def _is_drawing(grid: Grid, slanted: list[tuple[float, float]]) -> bool:
    """Whether slanted lines or curves lie in a small grid: the axes of a diagram."""
    small = (len(grid.columns) - 1) * (len(grid.rows) - 1) <= _SMALL
    return small and any(grid.cell(*place) is not None for place in slanted)


def turned(x: float, y: float, turn: int) -> tuple[float, float]:
    """A point of a page whose text is turned by quarters with the clock, as it is with upright text."""
    match turn:
        case 1:
            return -y, x
        case 2:
            return -x, -y
        case 3:
            return y, -x
        case _:
            return x, y


def turned_box(left: float, bottom: float, right: float, top: float, turn: int) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a box, turned as points are by `turned`."""
    if not turn:
        return left, bottom, right, top
    (left, bottom), (right, top) = turned(left, bottom, turn), turned(right, top, turn)
    return min(left, right), min(bottom, top), max(left, right), max(bottom, top)


def _segments(page: pypdfium2.PdfPage) -> Iterator[tuple[float, float, float, float]]:
    """The straight edges of what is drawn on the page, up to a limit."""
    left = _MAX_SEGMENTS
    for path, matrix in _paths(page.raw, raw.FPDFPage_CountObjects, raw.FPDFPage_GetObject, (1, 0, 0, 1, 0, 0), _DEEPEST_FORM):
        count = raw.FPDFPath_CountSegments(path)
        left -= count
        if left < 0:
            return
        yield from _edges(path, count, matrix)


def _paths(holder: object, count: object, get: object, matrix: _Matrix, depth: int) -> Iterator[tuple[object, _Matrix]]:
    number = count(holder)  # pyright: ignore[reportCallIssue]
    if number > _MAX_OBJECTS:
        return
    for index in range(number):
        item = get(holder, index)  # pyright: ignore[reportCallIssue]
        kind = raw.FPDFPageObj_GetType(item)
        if kind == raw.FPDF_PAGEOBJ_PATH and _is_drawn(item):
            yield item, _multiply(_matrix(item), matrix)
        elif kind == raw.FPDF_PAGEOBJ_FORM and depth:
            inner = _multiply(_matrix(item), matrix)
            yield from _paths(item, raw.FPDFFormObj_CountObjects, raw.FPDFFormObj_GetObject, inner, depth - 1)


def _is_drawn(path: object) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    return bool(raw.FPDFPath_GetDrawMode(path, fill, stroke)) and bool(fill.value or stroke.value)


def _matrix(item: object) -> _Matrix:
    found = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(item, found):
        return 1, 0, 0, 1, 0, 0
    return found.a, found.b, found.c, found.d, found.e, found.f


def _multiply(first: _Matrix, then: _Matrix) -> _Matrix:
    a, b, c, d, e, f = first
    g, h, i, j, k, m = then
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m


def _edges(path: object, count: int, matrix: _Matrix) -> Iterator[tuple[float, float, float, float]]:
    a, b, c, d, e, f = matrix
    x, y = ctypes.c_float(), ctypes.c_float()
    start = last = (0.0, 0.0)
    for index in range(count):
        segment = raw.FPDFPath_GetPathSegment(path, index)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        point = (a * x.value + c * y.value + e, b * x.value + d * y.value + f)
        kind = raw.FPDFPathSegment_GetType(segment)
        if kind == raw.FPDF_SEGMENT_MOVETO:
            start = point
        else:  # of a curve each step
            yield *last, *point
        if raw.FPDFPathSegment_GetClose(segment):
            yield *point, *start
        last = point


def _join(rules: list[_Rule]) -> list[_Rule]:
    """The rules with those made one that lie on each other or continue each other."""
    joined: list[_Rule] = []
    for level in _cluster(rules):
        at = sum(rule.at for rule in level) / len(level)
        level.sort(key=lambda rule: rule.low)
        run: _Rule | None = None
        for rule in level:
            if run is not None and rule.low <= run.high + _NEAR:
                run.high = max(run.high, rule.high)
            else:
                run = _Rule(at, rule.low, rule.high)
                joined.append(run)
    return joined


def _cluster(rules: list[_Rule]) -> list[list[_Rule]]:
    levels: list[list[_Rule]] = []
    for rule in sorted(rules, key=lambda rule: rule.at):
        if levels and rule.at - levels[-1][0].at <= _NEAR:
            levels[-1].append(rule)
        else:
            levels.append([rule])
    return levels


def _connected(across: list[_Rule], down: list[_Rule]) -> Iterator[tuple[list[_Rule], list[_Rule]]]:
    """The groups of lines that meet."""
    free_across, free_down = list(across), list(down)
    while free_across:
        found: tuple[list[_Rule], list[_Rule]] = ([free_across.pop()], [])
        news = [(0, found[0][0])]
        while news:
            side, rule = news.pop()
            others = free_down if side == 0 else free_across
            meeting = [other for other in others if _meet(rule, other)]
            for other in meeting:
                others.remove(other)
                found[1 - side].append(other)
                news.append((1 - side, other))
        yield found


def _meet(one: _Rule, other: _Rule) -> bool:
    return one.low - _NEAR <= other.at <= one.high + _NEAR and other.low - _NEAR <= one.at <= other.high + _NEAR


def _grid(across: list[_Rule], down: list[_Rule]) -> Grid | None:
    columns, rows = _borders(down, across), [-at for at in reversed(_borders(across, down))]
    if not (3 <= len(columns) <= _MOST_COLUMNS and 3 <= len(rows) <= _MOST_ROWS):
        return None
    merged: dict[tuple[int, int], tuple[int, int]] = {}
    for row in range(len(rows) - 1):
        for column in range(len(columns) - 1):
            x, y = (columns[column] + columns[column + 1]) / 2, -(rows[row] + rows[row + 1]) / 2
            if column and not _covered(down, columns[column], y):
                merged[row, column] = merged.get((row, column - 1), (row, column - 1))
            elif row and not _covered(across, -rows[row], x):
                merged[row, column] = merged.get((row - 1, column), (row - 1, column))
    return Grid(columns, rows, merged)


def _borders(rules: list[_Rule], crossing: list[_Rule]) -> list[float]:
    """Where lines lie, with the ends of the lines across them where those reach beyond."""
    places = sorted({round(rule.at, 2) for rule in rules})
    low, high = min((rule.low for rule in crossing), default=0.0), max((rule.high for rule in crossing), default=0.0)
    if places and low < places[0] - _OVERHANG:
        places.insert(0, low)
    if places and high > places[-1] + _OVERHANG:
        places.append(high)
    return places


def _covered(rules: list[_Rule], at: float, where: float) -> bool:
    return any(abs(rule.at - at) <= _NEAR and rule.low - _NEAR <= where <= rule.high + _NEAR for rule in rules)
