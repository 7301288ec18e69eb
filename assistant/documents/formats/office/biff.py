"""Old workbooks (.xls, [MS-XLS]): which number format each cell has, errors, whether there is a password, and the long results of formulas; calamine
gives none of these."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from assistant.documents.compound import CompoundFile
from assistant.documents.formats.office.number_formats import BUILT_IN, NumberFormat, parse_format

_BOF, _EOF, _SHEET, _PASSWORD, _FORMAT, _STYLE = 0x809, 0x0A, 0x85, 0x2F, 0x41E, 0xE0
_NUMBER, _PACKED, _PACKED_ROW, _FORMULA, _ERROR_CELL = 0x203, 0x27E, 0xBD, 0x06, 0x205
_RESULT, _CONTINUED = 0x207, 0x3C
_ERRORS = {0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A"}
_MONEY = {5: '"$"#,##0;("$"#,##0)', 6: '"$"#,##0;("$"#,##0)', 7: '"$"#,##0.00;("$"#,##0.00)', 8: '"$"#,##0.00;("$"#,##0.00)'}
_BIFF8 = 0x600
_PLACE = 4
"""Bytes with the row and column of a cell, before anything else in its record."""

CellFormat = tuple[int, int, NumberFormat]
"""Row and column from 0, and the format."""


@dataclass(slots=True)
class OldBook:
    """What the globals of the workbook's stream say."""

    stream: bytes
    encrypted: bool = False
    wide: bool = True
    """Texts are those of Excel 97 and later."""
    sheets: dict[str, int] = field(default_factory=dict[str, int])
    """Names and where their cells begin in the stream."""
    styles: list[NumberFormat | None] = field(default_factory=list[NumberFormat | None])

    def formats(self, sheet: str) -> Iterator[CellFormat]:
        """The cells of a sheet whose numbers are shown in a format, or whose formulas have a long text, in the order of the file."""
        for kind, body in self._cells(sheet):
            if kind == _RESULT:
                yield *struct.unpack_from("<HH", body), NumberFormat((), partial(_whole, body[4:].decode()))
                continue
            if kind == _PACKED_ROW:
                row, first = struct.unpack_from("<HH", body)
                places = [(row, first + number, body[4 + 6 * number : 6 + 6 * number]) for number in range((len(body) - 6) // 6)]
            else:
                places = [(*struct.unpack_from("<HH", body), body[4:6])]
            for row, column, packed in places:
                style = int.from_bytes(packed, "little")
                if style < len(self.styles) and (shown := self.styles[style]) is not None:
                    yield row, column, shown

    def errors(self, sheet: str) -> Iterator[tuple[int, int, str]]:
        """The cells of a sheet that hold an error, and its name."""
        for kind, body in self._cells(sheet, errors=True):
            row, column = struct.unpack_from("<HH", body)
            yield row, column, _ERRORS.get(body[6] if kind == _ERROR_CELL else body[8], "#N/A")

    def _cells(self, sheet: str, *, errors: bool = False) -> Iterator[tuple[int, bytes]]:
        depth, formula = 0, b""
        result: list[bytes] = []
        for kind, body in _records(self.stream, self.sheets.get(sheet, len(self.stream))):
            if kind == _CONTINUED:
                result += [body] if result else []
                continue
            if len(result) > 1 and not errors:
                yield _RESULT, formula + _join(result).encode("utf-8", "replace")
            result = [body] if kind == _RESULT and self.wide and len(formula) == _PLACE else []
            formula = body[:_PLACE] if kind == _FORMULA else formula
            if kind == _BOF:
                depth += 1
            elif kind == _EOF:
                depth -= 1
                if depth <= 0:
                    return
            elif depth != 1:
                continue
            elif kind == _FORMULA and len(body) >= 14:
                special = body[12:14] == b"\xff\xff"
                if (special and body[6] == 2) if errors else not special:
                    yield kind, body
            elif kind == _ERROR_CELL and len(body) >= 8:
                if errors and body[7] == 1:
                    yield kind, body
            elif not errors and ((kind in {_NUMBER, _PACKED} and len(body) >= 6) or (kind == _PACKED_ROW and len(body) >= 12)):
                yield kind, body


def read_old_book(data: bytes) -> OldBook:
    container = CompoundFile(data)
    stream = container.read_first("workbook") or container.read_first("book") or data
    book = OldBook(stream)
    codes = BUILT_IN | _MONEY
    styles: list[int] = []
    for kind, body in _records(stream, 0):
        if kind == _EOF:
            break
        if kind == _PASSWORD:
            book.encrypted = True
            break
        if kind == _BOF and len(body) >= 2:
            book.wide = int.from_bytes(body[:2], "little") >= _BIFF8
        elif kind == _SHEET and len(body) > 8:
            book.sheets[_text(body[6:], book.wide, short=True)] = int.from_bytes(body[:4], "little")
        elif kind == _FORMAT and len(body) > 4:
            codes[int.from_bytes(body[:2], "little")] = _text(body[2:], book.wide, short=not book.wide)
        elif kind == _STYLE and len(body) >= 4:
            styles.append(int.from_bytes(body[2:4], "little"))
    book.styles = [parse_format(codes.get(style, "")) for style in styles]
    return book


def _records(stream: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    while start + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, start)
        yield kind, stream[start + 4 : start + 4 + size]
        start += 4 + size


def _whole(text: str, _cut: str) -> str:
    return text


def _join(records: list[bytes]) -> str:
    """A text whose first record begins with its length, and each with a byte that says how wide its characters are."""
    parts = [records[0][2:], *records[1:]]
    return "".join(part[1:].decode("utf-16-le" if part[:1] and part[0] & 1 else "latin-1", "replace") for part in parts)


def _text(body: bytes, wide: bool, *, short: bool) -> str:
    """A string with its length before it, in one byte or two."""
    length, rest = (body[0], body[1:]) if short else (int.from_bytes(body[:2], "little"), body[2:])
    if not wide:
        return rest[:length].decode("cp1252", "replace")
    if rest[:1] and rest[0] & 1:
        return rest[1 : 1 + 2 * length].decode("utf-16-le", "replace")
    return rest[1 : 1 + length].decode("latin-1")
