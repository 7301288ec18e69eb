"""Where a text may be cut without breaking what is seen as one character (after UAX #29, without its tables)."""

import re
import unicodedata
from typing import Final

_MOST_BACK: Final = 64
"""How long a cluster is kept whole; one with more marks than that is no writing, and is cut."""
_JOINER: Final = "\u200d"
_SENTENCE: Final = re.compile(r"(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』”’）]*)")
_SPACE: Final = re.compile(r"\s+")


def safe_cut(text: str, at: int) -> int:
    """The last place at or before `at` where `text` may be cut; `at` itself where a cluster is longer than can be."""
    if at <= 0 or at >= len(text):
        return at
    for place in range(at, max(at - _MOST_BACK, 0), -1):
        if not _joined(text, place):
            return place
    return at


def best_cut(text: str, at: int) -> int:
    """Where to cut a line that may be `at` characters long: after a sentence in its second half, else after a word; 0: there is no such place."""
    window = text[: at + 1]
    sentence = max((found.end() for found in _SENTENCE.finditer(window, at // 2) if found.end() <= at), default=0)
    if sentence:
        return safe_cut(text, sentence)
    return max((found.start() for found in _SPACE.finditer(window) if 0 < found.start() <= at), default=0)


def _joined(text: str, place: int) -> bool:
    """Whether the characters before and after this place are one to the eye."""
    before, after = text[place - 1], text[place]
    if before < "\u0300" and after < "\u0300":
        return False
    if after == _JOINER or before == _JOINER or unicodedata.category(after) in ("Mn", "Me", "Mc"):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":  # the colour of a skin; tags of a flag
        return True
    if _is_flag_letter(before) and _is_flag_letter(after):
        return _flag_letters_before(text, place) % 2 == 1
    return "\u1160" <= after <= "\u11ff" and "\u1100" <= before <= "\u11ff"  # Hangul, a letter each


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _flag_letters_before(text: str, place: int) -> int:
    start = place
    while start > 0 and _is_flag_letter(text[start - 1]):
        start -= 1
    return place - start
