"""What a text is made of, whatever the platform: blocks of lines of spans."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

BlockKind = Literal["text", "heading", "code", "rule"]

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols by their category that are drawn as nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How words look. `link`: where they lead, or empty."""

    bold: bool = False
    italic: bool = False
    strike: bool = False
    spoiler: bool = False
    code: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Words of one style; no newline in them."""

    text: str
    style: Style


PLAIN: Final = Style()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`depth`: how many lists it stands in. `mark`: what it begins with there ("•", "1.", "☐"); empty: it goes on."""

    spans: tuple[Span, ...]
    depth: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lines that belong together."""

    kind: BlockKind
    lines: tuple[Line, ...]
    gap: bool = True
    """Whether an empty line stands before it."""
    quote: int = 0
    """How many quotes it stands in."""
    level: int = 0
    """Of a heading: 1 to 6."""
    language: str = ""
    """Of code: a word without spaces, or empty."""
    header: int = 0
    """How many of its first lines are repeated where it is cut (a table's)."""


def clean(text: str) -> str:
    """Without what no platform takes: halves of characters become whole, control characters (but tab and newline) go."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return _CONTROLS.sub("", _SURROGATES.sub("\ufffd", text))


def is_visible(text: str) -> bool:
    """Whether there is anything to see in it: platforms refuse a message without."""
    return any(char not in _BLANK and unicodedata.category(char) not in _INVISIBLE for char in text)


def merged(spans: list[Span]) -> tuple[Span, ...]:
    """Without empty ones, and neighbours of one style as one."""
    found: list[Span] = []
    texts: list[str] = []
    for span in spans:
        if not span.text:
            continue
        if found and found[-1].style == span.style:
            texts.append(span.text)
            continue
        if texts:
            found[-1] = Span(text="".join(texts), style=found[-1].style)
        found.append(span)
        texts = [span.text]
    if texts:
        found[-1] = Span(text="".join(texts), style=found[-1].style)
    return tuple(found)
