"""Text in blocks of lines and spans, the marks that a platform writes around them, and their words as plain text."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Final, Literal

from assistant.contracts.records import record

BlockKind = Literal["text", "heading", "code", "rule"]

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that are drawn as nothing."""


@record
class Style:
    """How words look. `link`: a URL, or empty."""

    bold: bool = False
    italic: bool = False
    strike: bool = False
    spoiler: bool = False
    code: bool = False
    link: str = ""
    underline: bool = False
    """Only of what people write; Markdown has no sign for it."""


@record
class Span:
    """Words of one style; no newline in them."""

    text: str
    style: Style


PLAIN: Final = Style()


@record
class Line:
    """`depth`: the number of lists around it. `mark`: what it begins with ("•", "1.", "☐"); empty: it continues an item."""

    spans: tuple[Span, ...]
    depth: int = 0
    mark: str = ""


@record
class Block:
    kind: BlockKind
    lines: tuple[Line, ...]
    gap: bool = True
    """Whether an empty line comes before it."""
    quote: int = 0
    """The number of quotes around it."""
    level: int = 0
    """Of a heading: 1 to 6."""
    language: str = ""
    """Of code: a word without spaces, or empty."""
    header: int = 0
    """How many of its first lines are repeated where it is cut (a table's)."""


def clean(text: str) -> str:
    """Without control characters (but tab and newline); surrogates are replaced."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return _CONTROLS.sub("", _SURROGATES.sub("\ufffd", text))


def is_visible(text: str) -> bool:
    """Whether anything in it can be seen: platforms refuse a message without."""
    return any(char not in _BLANK and unicodedata.category(char) not in _INVISIBLE for char in text)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Without empty ones, and neighbours of one style as one."""
    runs = groupby([span for span in spans if span.text], key=lambda span: span.style)
    return tuple([Span(text="".join([span.text for span in run]), style=style) for style, run in runs])


@record
class FormattedPart:
    text: str
    """In the platform's own form."""
    plain: str
    """The same words as plain text, within the same limit."""


Mark = tuple[str, str]
"""A kind ("bold", "link") and the link's URL, or an empty text."""


def marks_of(style: Style) -> tuple[Mark, ...]:
    """From the outermost to the innermost, where nothing else decides."""
    kinds = ("spoiler", "bold", "italic", "strike", "code")
    found = [(kind, "") for kind in kinds if getattr(style, kind)]
    return (("link", style.link), *found) if style.link else tuple(found)


def marked(
    spans: Sequence[Span],
    marks: Callable[[Style], tuple[Mark, ...]],
    signs: Callable[[Mark], tuple[str, str]],
    words: Callable[[int, Span], str],
) -> list[str]:
    """Pieces of text: the `signs` (begin, end) of each mark around the `words` of each span; the longer mark is outside."""
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
        out.extend(signs(mark)[1] for mark in reversed(opened[keep:]))
        del opened[keep:]
        new = [mark for mark in wanted[place] if mark not in opened]
        new.sort(key=lambda mark: (mark[0] == "code", -reach[place][mark]))
        out.extend(signs(mark)[0] for mark in new)
        opened.extend(new)
        out.append(words(place, span))
    out.extend(signs(mark)[1] for mark in reversed(opened))
    return out


_DEEPEST: Final = 8
"""Levels of indentation that are shown."""


def utf16(text: str) -> int:
    """Length in UTF-16 code units, which Telegram counts; never less than code points."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def indent(line: Line) -> str:
    """What a line of a list begins with: two spaces a level, and its mark."""
    within = max(min(line.depth, _DEEPEST) - 1, 0)
    if line.mark:
        return "  " * within + line.mark + " "
    return "  " * (within + 1) if line.depth else ""


def between(before: Block | None, block: Block) -> str:
    """What separates two blocks."""
    if before is None:
        return ""
    return "\n\n" if block.gap and before.kind != "heading" else "\n"


def words_of(block: Block) -> str:
    return "\n".join([_plain_line(block, line) for line in block.lines])


def _plain_line(block: Block, line: Line) -> str:
    """A line as text; URLs follow the words that link to them."""
    if block.kind == "code":
        return "".join([span.text for span in line.spans])
    said = ["> " * block.quote, indent(line)]
    for place, span in enumerate(line.spans):
        said.append(span.text)
        link = span.style.link
        if link and not shows(span.text, link) and (place + 1 == len(line.spans) or line.spans[place + 1].style.link != link):
            said.append(f" ({link})")
    return "".join(said)


def shows(text: str, link: str) -> bool:
    """Whether the words are the URL."""
    return text.rstrip("/") in (link.rstrip("/"), link.removeprefix("mailto:"))


def plain_text(blocks: Sequence[Block]) -> str:
    """Blocks as text, one under the other."""
    said = [between(before, block) + words_of(block) for before, block in zip((None, *blocks), blocks, strict=False)]
    return "".join(said).strip("\n").rstrip()
