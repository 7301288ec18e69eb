"""The words of PDF pages as pdfium finds them: letters of ligatures in order, words joined that a line's end broke."""

# pyright: basic
# (pypdfium2's raw binding is generated from C and has no types.)

import ctypes
import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pypdfium2
from pypdfium2 import raw

from assistant.documents.formats.pdf_grids import turned_box

RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_LAM_ALEF = re.compile("\u0644[\u0622\u0623\u0625\u0627\u0671]")
_PRESENTATION_FORMS = (range(0xFB1D, 0xFDFF), range(0xFE70, 0xFEFD))

_MARKS = "\ufffe\x02"
"""What pdfium puts for a hyphen at the end of a line, in place of the line's end."""
_HYPHEN = re.compile(f"[{_MARKS}]")
_HALVES = re.compile("\\w*[\ufffe\x02]\\w*")
_WORD = re.compile(r"\w+(?:-\w+)*")
_END_OF_WORD, _START_OF_WORD = re.compile(r"\w*$"), re.compile(r"\w*")
_ADDRESS = re.compile(r"://|@|^\W*www\.|^\W*[/\\~]|\w\.[a-z]{2,}/", re.IGNORECASE)
_LONGEST_TOKEN = 300
_SUSPENDED = re.compile(r"(?:und|oder|bzw|sowie)\b|(?:and|or|et|ou|en|of)\s+(?:\w+\s+)?\w+-\w")
"""What follows a hyphen that stands for the end of a later word: "short- and long-term", "Vor- und Nachteile"."""
_MIN_HALF = 3
_SAMPLES = 100
_MAX_ANGLES = 12
_LETTER_ALONE = re.compile(r"(?<=[^\W\d_] )[^\W\d_](?= +[^\W\d_]| *[\r\n]| *$)")
_USUAL_ALONE = frozenset("aeiouykvwszаеиоуявкс")
"""Words of one letter in the languages of Europe."""
_TORN, _LEAST_WORDS = 0.05, 30
_Letters = tuple["array[int] | array[float]", ...]

_NUMBER, _INTEGER, _POINTER = ctypes.c_double, ctypes.c_int, ctypes.c_void_p


def _by_address(function: object, result: type, *more: type) -> Callable[..., Any]:
    """pdfium's function of a text page's address and a character's index. `more`: its further parameters, those it writes to as addresses.

    For those called for each letter or line: the binding checks a typed pointer each time, which takes up to a third of a call.
    """
    return ctypes.CFUNCTYPE(result, _POINTER, _INTEGER, *more)(ctypes.cast(function, _POINTER).value or 0)  # pyright: ignore[reportArgumentType]


letter = _by_address(raw.FPDFText_GetUnicode, ctypes.c_uint)
is_generated = _by_address(raw.FPDFText_IsGenerated, _INTEGER)
is_unknown = _by_address(raw.FPDFText_HasUnicodeMapError, _INTEGER)
letter_angle = _by_address(raw.FPDFText_GetCharAngle, ctypes.c_float)
type_size = _by_address(raw.FPDFText_GetFontSize, _NUMBER)
type_weight = _by_address(raw.FPDFText_GetFontWeight, _INTEGER)
type_name = _by_address(raw.FPDFText_GetFontInfo, ctypes.c_ulong, _POINTER, ctypes.c_ulong, _POINTER)
matrix = _by_address(raw.FPDFText_GetMatrix, _INTEGER, _POINTER)
origin = _by_address(raw.FPDFText_GetCharOrigin, _INTEGER, _POINTER, _POINTER)
box = _by_address(raw.FPDFText_GetCharBox, _INTEGER, _POINTER, _POINTER, _POINTER, _POINTER)


def address_of(text: pypdfium2.PdfTextPage) -> int:
    return ctypes.cast(text.raw, _POINTER).value or 0


def read_turn(text: pypdfium2.PdfTextPage) -> int:
    """Quarters by which most sampled letters of a text page are turned with the clock, as the page is drawn."""
    page, count = address_of(text), text.count_chars()
    angles = [letter_angle(page, index) for index in range(0, count, max(1, count // _MAX_ANGLES))]
    if not any(angles):
        return 0
    turns = Counter(round(angle / (math.pi / 2)) % 4 for angle in angles if angle >= 0)
    return turns.most_common(1)[0][0] if turns else 0


def are_torn(words: str) -> bool:
    """Whether letters stand apart from the words that they belong to: "Singapor e"."""
    tokens = words.split()
    number = len(tokens)
    if number < _LEAST_WORDS or sum(1 for token in tokens if len(token) == 1 and token not in _USUAL_ALONE) < _TORN * number:
        return False  # few of one letter, wherever they stand
    alone = sum(1 for letter in _LETTER_ALONE.findall(words) if letter.lower() not in _USUAL_ALONE and letter.lower() != letter.upper())
    return alone >= _TORN * number


class PageText:
    """A page's characters by index, as pdfium orders them for reading."""

    def __init__(self, text: pypdfium2.PdfTextPage, turn: int) -> None:
        """`turn`: what `read_turn` says of it."""
        self.raw = text
        self.count = text.count_chars()
        self.address = address_of(text)
        self._fixes: list[tuple[int, int, str]] = []
        self._letters: _Letters = ()
        self.doubtful = False
        """The order of some letters can't be told from pdfium's characters."""
        words = text.get_text_range()
        self.right_to_left = not words.isascii() and RIGHT_TO_LEFT.search(words) is not None
        """Whether there are letters of a script that runs that way."""
        if self.right_to_left:
            self._order_ligatures()
        self.words = self._fix(words, 0, self.count)
        self.turn = turn

    @property
    def unmapped(self) -> float:
        """The share of sampled letters of which their font doesn't say which characters they are."""
        places = range(0, self.count, max(1, self.count // _SAMPLES))
        unknown = {index for index in places if is_unknown(self.address, index) == 1}
        if not unknown:
            return 0.0
        letters = [index for index in places if is_generated(self.address, index) != 1]
        return len(unknown.intersection(letters)) / max(1, len(letters))

    def read(self, start: int, count: int) -> str:
        """The words of a range of characters."""
        if not start and count == self.count:
            return self.words
        return self._fix(self.raw.get_text_range(start, count), start, count)

    def letters(self, turn: int) -> Iterator[tuple[int, float, float, float, float]]:
        """Index, left, bottom, right and top of each character that is no space or control. `turn`: that of the page, as `turned` takes it."""
        if not self._letters:
            self._letters = self._measure(turn)
        return zip(*self._letters, strict=True)

    def _measure(self, turn: int) -> _Letters:
        page = self.address
        low, high, bottom, top = (ctypes.c_double() for _ in range(4))
        places = [ctypes.addressof(side) for side in (low, high, bottom, top)]
        indexes = array("L", (index for index in range(self.count) if letter(page, index) > 32))
        sides = lefts, bottoms, rights, tops = array("d"), array("d"), array("d"), array("d")
        for index in indexes:
            box(page, index, *places)
            left, base, right, upper = turned_box(low.value, bottom.value, high.value, top.value, turn)
            lefts.append(left)
            bottoms.append(base)
            rights.append(right)
            tops.append(upper)
        return indexes, *sides

    def _fix(self, words: str, start: int, count: int) -> str:
        fixes = [fix for fix in self._fixes if start <= fix[0] and fix[0] + fix[1] <= start + count]
        if not fixes:
            return words
        units = words.encode("utf-16-le", "surrogatepass")
        first = raw.FPDFText_GetTextIndexFromCharIndex(self.raw, start)
        for index, _, right in fixes:
            at = 2 * (raw.FPDFText_GetTextIndexFromCharIndex(self.raw, index) - first)
            new = right.encode("utf-16-le", "surrogatepass")
            if sorted(units[at : at + len(new)]) == sorted(new):
                units = units[:at] + new + units[at + len(new) :]
        return units.decode("utf-16-le", "replace")

    def _order_ligatures(self) -> None:
        """Finds glyphs of several right-to-left letters (PDF 32000-1, 9.10.3), which pdfium turns round with their line."""
        before: tuple[float, float] | None = None
        group: list[int] = []
        for index in range(self.count + 1):
            origin = self._origin(index) if index < self.count else None
            if origin is not None and origin == before and self._box(index) == self._box(group[0]):
                group.append(index)
                continue
            if len(group) > 1:
                self._order(group)
            group, before = [index], origin

    def _order(self, group: list[int]) -> None:
        letters = "".join(chr(raw.FPDFText_GetUnicode(self.raw, index)) for index in group)
        if not RIGHT_TO_LEFT.search(letters):
            return
        turned = letters[::-1]
        known = _ligatures()
        if _LAM_ALEF.match(letters) or (letters in known and turned not in known and not _LAM_ALEF.match(turned)):
            return  # from one character for the ligature, which pdfium has taken apart
        if letters in known and turned in known:
            self.doubtful |= letters != turned
        else:
            self._fixes.append((group[0], len(group), turned))

    def _origin(self, index: int) -> tuple[float, float] | None:
        """Where the glyph of a letter stands; None for characters that pdfium added."""
        x, y = ctypes.c_double(), ctypes.c_double()
        if raw.FPDFText_IsGenerated(self.raw, index) == 1 or not raw.FPDFText_GetCharOrigin(self.raw, index, x, y):
            return None
        return x.value, y.value

    def _box(self, index: int) -> tuple[float, ...]:
        sides = [ctypes.c_double() for _ in range(4)]
        raw.FPDFText_GetCharBox(self.raw, index, *sides)
        return tuple(side.value for side in sides)


@cache
def _ligatures() -> frozenset[str]:
    """The letters of each right-to-left ligature that is one character."""
    forms = [chr(code) for codes in _PRESENTATION_FORMS for code in codes]
    steps = (re.findall(r"\b[0-9A-F]{4,5}\b", unicodedata.decomposition(form)) for form in forms)
    apart = {unicodedata.normalize("NFKC", form) for form in forms} | {"".join(chr(int(code, 16)) for code in step) for step in steps}
    return frozenset(letters for letters in apart if len(letters) > 1)


def join_lines(pages: list[str]) -> list[str]:
    """The pages with words joined that a line's end broke, where pdfium puts a mark for the hyphen.

    The hyphen stays in addresses, beside digits, before a capital, in a word that has another one, behind a single letter, and
    where the document writes the word with one elsewhere or uses both halves as words.
    """
    if not any(mark in page for page in pages for mark in _MARKS):
        return pages
    words = {word.lower() for page in pages for word in _WORD.findall(_HALVES.sub(" ", page))}
    return [_join(page, words) for page in pages]


def _join(page: str, words: set[str]) -> str:
    first, *others = _HYPHEN.split(page)
    joined = [first]
    token = _last_token(first)
    for piece in others:
        hyphen = _hyphen(token, piece, words)
        joined += [hyphen, piece]
        token = _last_token(f"{token}{hyphen}{piece}")
    return "".join(joined)


def _last_token(text: str) -> str:
    end = text[-_LONGEST_TOKEN:]
    return "" if not end or end[-1].isspace() else end.split()[-1]


def _hyphen(before: str, behind: str, words: set[str]) -> str:
    """The joint of two halves: "", "-" or "- ". `before`: the word up to the line's end. `behind`: the text that follows."""
    after = (behind[:_LONGEST_TOKEN].split(maxsplit=1) or [""])[0] if behind[:1].strip() else ""
    left, right = _END_OF_WORD.findall(before)[0], _START_OF_WORD.match(after)[0]  # pyright: ignore[reportOptionalSubscript] - may be empty
    if not right or _ADDRESS.search(before) or ("@" in after and "." in after) or right[0].isdigit() or left[-1:].isdigit():
        return "-"
    if _SUSPENDED.match(behind):
        return "- "
    whole, parted = (left + right).lower(), f"{left}-{right}".lower()
    if whole in words and parted not in words:
        return ""
    if right[0].isupper() or len(left) == 1 or _has_hyphen(before, after):
        return "-"
    both = min(len(left), len(right)) >= _MIN_HALF and left.lower() in words and right.lower() in words
    return "-" if parted in words or both else ""


def _has_hyphen(before: str, after: str) -> bool:
    return bool(re.search(r"\w-\w+$", before) or re.match(r"\w+-\w", after))
