"""Text in blocks of lines and spans, and the marks that a platform writes around them."""

import re
import unicodedata
from collections.abc import Callable, Sequence
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FormattedPart:
    """One message's worth of a text."""

    text: str
    """In the platform's own form."""
    plain: str
    """The same words without any form, within the same limit."""


Mark = tuple[str, str]
"""A kind ("bold", "link") and what it needs to know (the link's address), or nothing."""


def marks_of(style: Style) -> tuple[Mark, ...]:
    """From the outermost to the innermost, where nothing else decides."""
    kinds = ("spoiler", "bold", "italic", "strike", "code")
    found = [(kind, "") for kind in kinds if getattr(style, kind)]
    return (("link", style.link), *found) if style.link else tuple(found)


def write_marked(
    spans: Sequence[Span],
    marks: Callable[[Style], tuple[Mark, ...]],
    begin: Callable[[Mark], str],
    end: Callable[[Mark], str],
    words: Callable[[int, Span], str],
) -> list[str]:
    """Pieces of text: what `begin` and `end` give for each mark, around what `words` gives for each span; the longer mark stands outside."""
    wanted = [marks(span.style) for span in spans]
    reach: list[dict[Mark, int]] = [{} for _ in spans]
    for place in range(len(spans) - 1, -1, -1):
        after = reach[place + 1] if place + 1 < len(spans) else {}
        reach[place] = {mark: after.get(mark, place) for mark in wanted[place]}
    out: list[str] = []
    opened: list[Mark] = []
    for place, span in enumerate(spans):
        keep = 0
        while keep < len(opened) and opened[keep] in reach[place]:
            keep += 1
        out.extend(end(mark) for mark in reversed(opened[keep:]))
        del opened[keep:]
        new = [mark for mark in wanted[place] if mark not in opened]
        new.sort(key=lambda mark: (mark[0] == "code", -reach[place][mark]))
        out.extend(begin(mark) for mark in new)
        opened.extend(new)
        out.append(words(place, span))
    out.extend(end(mark) for mark in reversed(opened))
    return out
