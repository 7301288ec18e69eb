"""What is seen of a text, and how platforms count it."""

import unicodedata
from typing import Final

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})


def utf16(text: str) -> int:
    """Length in UTF-16 code units."""
    return sum(2 if char > "\uffff" else 1 for char in text)


def is_seen(text: str) -> bool:
    """Whether there is anything to see in it; platforms refuse a message of spaces and invisible characters."""
    return any(unicodedata.category(char) not in _UNSEEN and char not in "\u115f\u1160\u2800\u3164\uffa0" for char in text)
