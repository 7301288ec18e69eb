"""Columns without rules on PDF pages: tables of short texts that align, with gaps between them, and prose that was drawn row by row."""

# pyright: basic
# (pypdfium2's raw binding is generated from C and has no types.)

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from pypdfium2 import raw

from assistant.documents.formats.pdf_grids import Grid, turned, turned_box
from assistant.documents.formats.pdf_text import PageText, letter, origin

_MAX_RECTANGLES = 3_000
_LEAST_ROWS, _MIN_ROWS, _MIN_COLUMNS, _MAX_COLUMNS = 2, 3, 3, 20
"""Two rows are a table where four columns or more are filled."""
_NEAR = 3.0
"""Points within which edges are aligned, and baselines one."""
_WIDE_GAP = 8.0
"""Points between texts of a row that may be columns."""
_LONGEST_AVERAGE = 24
"""Letters; lines of prose in columns have more."""
_MEASURED = 12
"""Letters by which the width of a chunk's type is known."""
_FULL = 0.85
"""The share of a column that lines of prose fill."""
_RAGGED, _MANY_LINES = 0.65, 20
"""The share that nearly all lines of ragged prose fill, and how many lines tell so: most rows of tables are fewer or shorter."""
_MOST_BETWEEN = 3
"""Rows of one text that follow each other within a table."""
_PROSE_ROWS, _GO_ON = 5, 0.4
"""Rows across columns of prose, at least, and the share of lines that continue a sentence: rows of a table begin one."""
_ROW_DISTANCE = 4.5
"""Heights of a row within which the next one follows."""


@dataclass(slots=True)
class _Chunk:
    """Words on one line without a wide gap."""

    left: float
    right: float
    base: float
    top: float
    length: int
    space: float = 0.0
    """The widest gap that is still one between words."""
    goes_on: bool = False
    """Whether it begins with a small letter, as most lines of prose do."""

    def measure(self) -> None:
        self.space = min(max(4.0, 2.2 * (self.right - self.left) / self.length), 14.0)


_Row = list[_Chunk]


def find_columns(text: PageText, turn: int) -> list[Grid]:
    """The grids around rows of three texts or more that stand in columns, and around columns of prose that were drawn row by row."""
    may_hold_table, may_hold_prose = _looks(text, turn)
    if not (may_hold_table or may_hold_prose):
        return []
    blocks = list(_blocks(_rows(_chunks(text, turn))))
    return [grid for block in blocks for grid in _to_grids(block) or (_to_prose(block) if may_hold_prose else [])]


def _to_grids(block: list[_Row]) -> list[Grid]:
    """The grid of a block; of its parts between rows of one text where the whole is no table."""
    whole = _to_grid(block)
    if whole is not None:
        return [whole]
    parts: list[list[_Row]] = [[]]
    for row in block:
        if len(row) > 1:
            parts[-1].append(row)
        else:
            parts.append([])
    return [grid for part in parts if len(parts) > 1 and (grid := _to_grid(part)) is not None]


def _looks(text: PageText, turn: int) -> tuple[bool, bool]:
    """Whether enough rows hold several texts with gaps, and whether such texts follow each other, by the rectangles that pdfium has at hand."""
    count = raw.FPDFText_CountRects(text.raw.raw, 0, -1)
    if not _LEAST_ROWS * _MIN_COLUMNS <= count <= _MAX_RECTANGLES:
        return False, False
    left, top, right, bottom = (ctypes.c_double() for _ in range(4))
    page, boxes = text.raw.raw, list[tuple[float, float, float, float]]()
    for index in range(count):
        raw.FPDFText_GetRect(page, index, left, top, right, bottom)
        boxes.append(turned_box(left.value, bottom.value, right.value, top.value, turn))
    if all(other - one >= _NEAR for one, other in pairwise(sorted(base for _, base, _, _ in boxes))):
        return False, False  # each stands on a line of its own
    chunks = [_Chunk(low, high, base, upper, 1) for low, base, high, upper in boxes]
    table = sum(1 for row in _rows(chunks) if _gaps(row) >= _MIN_COLUMNS - 1) >= _LEAST_ROWS
    beside = sum(1 for one, other in pairwise(chunks) if abs(one.base - other.base) < _NEAR and other.left - one.right >= _WIDE_GAP)
    return table, beside >= _PROSE_ROWS


def _gaps(row: _Row) -> int:
    return sum(1 for one, other in pairwise(row) if other.left - one.right >= _WIDE_GAP)


def _chunks(text: PageText, turn: int) -> Iterator[_Chunk]:
    """The words of the page joined where the gap between them is that of a space."""
    page = text.address
    x, y = ctypes.c_double(), ctypes.c_double()
    x_at, y_at = ctypes.addressof(x), ctypes.addressof(y)
    now: _Chunk | None = None
    for index, left, _, right, upper in text.letters(turn):
        origin(page, index, x_at, y_at)
        base = turned(x.value, y.value, turn)[1] if turn else y.value
        if now is not None and -_NEAR < base - now.base < _NEAR and -_NEAR < left - now.right < now.space:
            now.length += 1
            now.right = right if right > now.right else now.right
            now.top = upper if upper > now.top else now.top
            if now.length < _MEASURED:
                now.measure()
            continue
        if now is not None:
            yield now
        now = _Chunk(left, right, base, upper, 1, goes_on=chr(letter(page, index)).islower())
        now.measure()
    if now is not None:
        yield now


def _rows(chunks: Iterator[_Chunk] | Sequence[_Chunk]) -> list[_Row]:
    """The chunks by baseline from the top, each row from the left."""
    rows: list[_Row] = []
    for chunk in sorted(chunks, key=lambda chunk: -chunk.base):
        if rows and abs(rows[-1][0].base - chunk.base) < _NEAR:
            rows[-1].append(chunk)
        else:
            rows.append([chunk])
    for row in rows:
        row.sort(key=lambda chunk: chunk.left)
    return rows


def _blocks(rows: list[_Row]) -> Iterator[list[_Row]]:
    """Runs of rows that may be one table: they begin and end with a row of several texts; rows of one text may lie between."""
    block: list[_Row] = []
    between: list[_Row] = []
    for row in rows:
        height = max(chunk.top - chunk.base for chunk in row)
        last = between[-1] if between else block[-1] if block else None
        follows = last is not None and last[0].base - row[0].base <= _ROW_DISTANCE * max(height, 6.0)
        if follows and len(row) == 1 and len(between) < _MOST_BETWEEN:
            between.append(row)
        elif follows and len(row) > 1 and (not between or all(_fits(one, [*block, row]) for one in between)):
            block += [*between, row]
            between = []
        else:
            yield block
            block, between = [row] if len(row) > 1 else [], []
    yield block


def _fits(row: _Row, others: list[_Row]) -> bool:
    """Whether the one text of a row stays within a column of the others."""
    spans = _spans([chunk for other in others if len(other) > 1 for chunk in other])
    return any(low - _NEAR <= row[0].left and row[0].right <= high + _NEAR for low, high in spans)


def _to_grid(block: list[_Row]) -> Grid | None:
    """The grid of a block; None where its texts are no table."""
    full = [row for row in block if len(row) >= _MIN_COLUMNS]
    spans = _spans([chunk for row in block for chunk in row])
    least = _LEAST_ROWS if len(spans) > _MIN_COLUMNS else _MIN_ROWS
    if len(full) < least or len(full) * 2 < len(block) or not _MIN_COLUMNS <= len(spans) <= _MAX_COLUMNS:
        return None
    columns = [[chunk for row in block for chunk in row if low <= chunk.left <= high] for low, high in spans]
    lengths = [chunk.length for column in columns for chunk in column]
    filled = sum(len(column) for column in columns) / (len(block) * len(columns))
    enough = 0.5 if len(full) >= _MIN_ROWS else 0.9
    if fmean(lengths) > _LONGEST_AVERAGE or filled < enough or not all(map(_aligned, columns)) or _is_prose(columns, spans):
        return None
    borders = [
        spans[0][0] - 1.0,
        *((one[1] + other[0]) / 2 for one, other in pairwise(spans)),
        spans[-1][1] + 1.0,
    ]
    tops = [-(max(chunk.top for chunk in row) + 1.0) for row in block]
    return Grid(borders, [*tops, -(min(chunk.base for chunk in block[-1]) - 4.0)], {})


def _to_prose(block: list[_Row]) -> list[Grid]:
    """One row around columns that lines of prose fill; none where there are no such columns."""
    across = [row for row in block if len(row) > 1]
    spans = _spans([chunk for row in block for chunk in row])
    if len(across) < _PROSE_ROWS or not 1 < len(spans) <= _MAX_COLUMNS:
        return []
    columns = [[chunk for row in block for chunk in row if low <= chunk.left <= high] for low, high in spans]
    if not all(map(_goes_on, columns, spans)):
        return []
    middles = [(one[1] + other[0]) / 2 for one, other in pairwise(spans)]
    top, base = max(chunk.top for chunk in block[0]), min(chunk.base for chunk in block[-1])
    return [Grid([spans[0][0] - 1.0, *middles, spans[-1][1] + 1.0], [-(top + 1.0), -(base - 4.0)], {})]


def _goes_on(column: list[_Chunk], span: tuple[float, float]) -> bool:
    begun_low = sum(chunk.goes_on for chunk in column)
    return begun_low >= _GO_ON * len(column) and _aligned(column) and _is_filled(_shares(column, *span))


def _spans(chunks: list[_Chunk]) -> list[tuple[float, float]]:
    """Where columns reach from and to: the chunks of all rows laid over each other."""
    spans: list[tuple[float, float]] = []
    for chunk in sorted(chunks, key=lambda chunk: chunk.left):
        if spans and chunk.left <= spans[-1][1] + 1.0:
            spans[-1] = (spans[-1][0], max(spans[-1][1], chunk.right))
        else:
            spans.append((chunk.left, chunk.right))
    return spans


def _aligned(column: list[_Chunk]) -> bool:
    """Whether the texts of a column share their left or right edges or their middles, but for a few."""
    for place in (lambda chunk: chunk.left, lambda chunk: chunk.right, lambda chunk: (chunk.left + chunk.right) / 2):
        places = sorted(map(place, column))
        middle = places[len(places) // 2]
        if sum(1 for found in places if abs(found - middle) <= _NEAR) >= 0.7 * len(places):
            return True
    return False


def _is_prose(columns: list[list[_Chunk]], spans: list[tuple[float, float]]) -> bool:
    """Whether two columns or more are filled from edge to edge by most of their lines, and wide; or all nearly so by many lines."""
    shares = [_shares(column, *span) for column, span in zip(columns, spans, strict=True)]
    ragged = (len(found) >= _MANY_LINES and found[len(found) // 8] >= _RAGGED for found in shares)
    return sum(map(_is_filled, shares)) >= 2 or all(ragged)


def _shares(column: list[_Chunk], low: float, high: float) -> list[float]:
    """How much of a wide column each of its lines fills, the shortest first; none where it is narrow or its texts are short."""
    wide = high - low > 90 and fmean(chunk.length for chunk in column) > 15
    return sorted((chunk.right - chunk.left) / (high - low) for chunk in column) if wide else []


def _is_filled(shares: list[float]) -> bool:
    return bool(shares) and shares[int(0.4 * len(shares))] >= _FULL
