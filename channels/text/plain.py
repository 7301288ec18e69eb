"""Text without any form: what a platform gets that takes no other, or that refuses the other."""

from collections.abc import Sequence
from typing import Final

from channels.text.blocks import Block, FormattedPart, Line, Span
from channels.text.reading import read
from channels.text.splitting import Size, parts_of

_DEEPEST: Final = 8
"""Levels of indentation that are shown."""


def plain_parts(markdown: str, limit: int) -> list[FormattedPart]:
    """The words of a text in parts of at most `limit` UTF-16 code units each; `text` and `plain` are the same. Empty: nothing to see in it."""
    return parts_of(read(markdown, lambda url: True), PlainForm(limit))


def utf16(text: str) -> int:
    """Length in UTF-16 code units: what Telegram counts, and never less than code points."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def indent(line: Line) -> str:
    """What a line of a list begins with: two spaces a level, and its mark."""
    within = max(min(line.depth, _DEEPEST) - 1, 0)
    if line.mark:
        return "  " * within + line.mark + " "
    return "  " * (within + 1) if line.depth else ""


def between(before: Block | None, block: Block) -> str:
    """What stands between two blocks."""
    if before is None:
        return ""
    return "\n\n" if block.gap and before.kind != "heading" else "\n"


def plain_line(block: Block, line: Line) -> str:
    """A line as text; addresses stand behind the words that lead to them."""
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
    """Whether the words are the address."""
    return text.rstrip("/") in (link.rstrip("/"), link.removeprefix("mailto:"))


def plain_text(blocks: Sequence[Block]) -> str:
    """Blocks as text, one under the other."""
    said: list[str] = []
    before: Block | None = None
    for block in blocks:
        said.append(between(before, block))
        said.append("\n".join([plain_line(block, line) for line in block.lines]))
        before = block
    return "".join(said).strip("\n").rstrip()


def plain_span(span: Span) -> int:
    """What a span takes in plain text, at most."""
    return utf16(span.text) + (utf16(span.style.link) + 3 if span.style.link else 0)


def plain_lead(block: Block, line: Line) -> int:
    """What a line takes besides its spans, at most."""
    return 1 if block.kind == "code" else 1 + 2 * block.quote + utf16(indent(line))


class PlainForm:
    """Form: nothing."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def fits(self, size: Size) -> bool:
        return size.units <= self._limit

    def around(self, block: Block) -> Size:
        return Size(2)

    def lead(self, block: Block, line: Line) -> Size:
        return Size(plain_lead(block, line))

    def span(self, block: Block, span: Span) -> Size:
        return Size(plain_span(span))

    def write(self, blocks: Sequence[Block]) -> FormattedPart:
        text = plain_text(blocks)
        return FormattedPart(text=text, plain=text)
