"""Cuts a text into parts of a platform's length, never within a grapheme."""

import re
import unicodedata
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from channels.text.blocks import Block, FormattedPart, Line, Span, between, indent, is_visible, plain_text, utf16, words_of
from channels.text.reading import LinkTest, read

_MOST_BACK: Final = 64
"""The longest cluster that is kept whole; longer ones are cut."""
_JOINER: Final = "\u200d"
_SENTENCE: Final = re.compile(r"(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』”’）]*)")
_SPACE: Final = re.compile(r"\s+")


def safe_cut(text: str, at: int) -> int:
    """The last place up to `at` where `text` may be cut; `at` itself if a cluster is too long."""
    if at <= 0 or at >= len(text):
        return at
    return next((place for place in range(at, max(at - _MOST_BACK, 0), -1) if not _joined(text, place)), at)


def best_cut(text: str, at: int) -> int:
    """Where to cut a line of at most `at` characters: after a sentence in its second half, else after a word; 0: nowhere."""
    window = text[: at + 1]
    sentence = max((found.end() for found in _SENTENCE.finditer(window, at // 2) if found.end() <= at), default=0)
    if sentence:
        return safe_cut(text, sentence)
    return max((found.start() for found in _SPACE.finditer(window) if 0 < found.start() <= at), default=0)


def _joined(text: str, place: int) -> bool:
    """Whether the characters before and after this place are one grapheme."""
    before, after = text[place - 1], text[place]
    if before < "\u0300" and after < "\u0300":
        return False
    if after == _JOINER or before == _JOINER or unicodedata.category(after) in ("Mn", "Me", "Mc"):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":  # the colour of a skin; tags of a flag
        return True
    if _is_flag_letter(before) and _is_flag_letter(after):
        start = place
        while start > 0 and _is_flag_letter(text[start - 1]):
            start -= 1
        return (place - start) % 2 == 1
    return "\u1160" <= after <= "\u11ff" and "\u1100" <= before <= "\u11ff"  # Hangul, a letter each


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


_PIECE: Final = 2048
"""Characters of a span that are handled together."""


class Size(NamedTuple):
    """An upper bound of what something takes of a platform's limits."""

    units: int
    """What the platform counts."""
    source: int = 0
    """Characters as sent."""
    entities: int = 0

    def plus(self, other: "Size") -> "Size":
        return Size(self.units + other.units, self.source + other.source, self.entities + other.entities)


class TextForm:
    """How a platform counts and writes a text; this one: as plain text, in UTF-16 code units.

    Sizes are upper bounds: what is written is never larger than the sum of what it is made of.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def fits(self, size: Size) -> bool:
        """Whether a part may be as large as this."""
        return size.units <= self.limit

    def around(self, block: Block) -> Size:
        """What a block takes besides its lines: the gap before it, fences, tags."""
        return Size(2)

    def lead(self, block: Block, line: Line) -> Size:
        """What a line takes besides its spans: its end, its indentation, its mark."""
        return Size(1 if block.kind == "code" else 1 + 2 * block.quote + utf16(indent(line)))

    def span(self, block: Block, span: Span) -> Size:
        return Size(utf16(span.text) + (utf16(span.style.link) + 3 if span.style.link else 0))

    def text(self, blocks: Sequence[Block]) -> str:
        """Blocks as they are sent, one under the other."""
        said = [self.joint(before, block) + self.written(block) for before, block in zip((None, *blocks), blocks, strict=False)]
        return "".join(said).strip("\n").rstrip()

    def joint(self, before: Block | None, block: Block) -> str:
        """What separates two blocks."""
        return between(before, block)

    def written(self, block: Block) -> str:
        return words_of(block)


class FencedForm(TextForm):
    """The base of forms with fences around code, which take the place of an empty line."""

    def around(self, block: Block) -> Size:
        return Size(2 + (len("```\n\n```") + len(block.language) if block.kind == "code" else 0))

    def joint(self, before: Block | None, block: Block) -> str:
        return "\n" if before is not None and "code" in (before.kind, block.kind) else between(before, block)


def parts_of(markdown: str, form: TextForm, can_link: LinkTest) -> list[FormattedPart]:
    """The parts of a text; none where there is nothing to see in it."""
    packing = _Packing(form)
    for block in read(markdown, can_link):
        packing.add(block)
    packing.turn(carry=False)
    return [FormattedPart(text=form.text(blocks), plain=plain_text(blocks)) for blocks in packing.parts if any(map(_shows, blocks))]


def plain_parts(markdown: str, limit: int) -> list[FormattedPart]:
    """The words of a text in parts of at most `limit` UTF-16 code units each; `text` and `plain` are the same. Empty: nothing to see in it."""
    return parts_of(markdown, TextForm(limit), lambda url: True)


class _Packing:
    """Fills one part after the other."""

    def __init__(self, form: TextForm) -> None:
        self.parts: list[list[Block]] = []
        self._form = form
        self._here: list[Block] = []
        self._used = Size(0)

    def add(self, block: Block) -> None:
        whole = self._size(block, block.lines)
        if not self._fits(whole) and self._form.fits(whole):
            self.turn()
        if self._fits(whole):
            self._put(block, whole)
        else:
            self._pour(block)

    def turn(self, *, carry: bool = True) -> None:
        """Begin a new part. Headings at the end of the old one move along."""
        kept = len(self._here)
        while carry and kept > 0 and self._here[kept - 1].kind == "heading":
            kept -= 1
        moved = self._here[kept:] if kept else []
        done = self._here[:kept] if kept else self._here
        if done:
            self.parts.append(done)
        self._here = moved
        self._used = _sum([self._size(block, block.lines) for block in moved])

    def _pour(self, block: Block) -> None:
        """A block that is larger than a part, line by line."""
        if self._here and not self._fits(Size(*(value // 2 + 1 for value in self._used))):  # two thirds are used
            self.turn()
        head = block.lines[: block.header]
        if not self._form.fits(Size(*(value * 3 for value in self._size(block, head)))):  # it takes much of a part: it is not repeated
            head = ()
        lines: list[Line] = []
        size = self._form.around(block)
        for line in block.lines:
            more = self._line(block, line)
            if not self._fits(size.plus(more)):
                again = self._size(block, head)
                if self._form.fits(again.plus(more)):
                    self._leave(block, lines, size, head)
                    lines, size = list(head), again
                    if not self._fits(size.plus(more)):  # because of the headings that moved along
                        self.turn()
                else:
                    lines, size = self._cut(block, line, lines, size, head)
                    continue
            lines.append(line)
            size = size.plus(more)
        self._put_lines(block, lines, size)

    def _cut(self, block: Block, line: Line, lines: list[Line], size: Size, head: Sequence[Line]) -> tuple[list[Line], Size]:
        """Split a line that is larger than a part; returns the lines of the block in the last part, and their size."""
        rest = deque([replace(span, text=span.text[at : at + _PIECE]) for span in line.spans for at in range(0, len(span.text), _PIECE)])
        lead = self._form.lead(block, line)
        while rest:
            empty = not self._here and len(lines) <= len(head)
            taken = self._take(block, rest, size.plus(lead), within_words=empty)
            if not taken and empty and head:
                lines, head, size = [], (), self._form.around(block)
                continue
            if not taken and empty:
                span = rest.popleft()  # the limit holds hardly anything: one character at least
                rest.extendleft([replace(span, text=span.text[1:])] if span.text[1:] else [])
                taken = [replace(span, text=span.text[:1])]
            if taken:
                lines.append(replace(line, spans=tuple(taken)))
                line = replace(line, mark="")
                size = size.plus(self._line(block, lines[-1]))
            if rest:
                self._leave(block, lines, size, head)
                lines, size = list(head), self._size(block, head)
        return lines, size

    def _take(self, block: Block, rest: deque[Span], used: Size, *, within_words: bool) -> list[Span]:
        """What of `rest` fits, cut at the best place; it is removed from `rest`. `within_words`: where there is no better place."""
        taken: list[Span] = []
        while rest:
            more = self._form.span(block, rest[0])
            if not self._fits(used.plus(more)):
                break
            used = used.plus(more)
            taken.append(rest.popleft())
        if not rest:
            return taken
        span = rest.popleft()

        def is_too_long(length: int) -> bool:
            return not self._fits(used.plus(self._form.span(block, replace(span, text=span.text[:length]))))

        most = bisect_left(range(1, len(span.text) + 1), True, key=is_too_long)
        text = "".join([part.text for part in taken])
        at, window = len(text) + most, text + span.text[: most + 64]
        cut = best_cut(window, at)
        if not cut and within_words:
            cut = safe_cut(window, at)
        _put_back(taken, rest, span, len(text) - cut if cut < len(text) else 0, max(cut - len(text), 0))
        if block.kind != "code":
            _trim(taken, rest)
        return taken

    def _leave(self, block: Block, lines: list[Line], size: Size, head: Sequence[Line]) -> None:
        if len(lines) > len(head) or (lines and not head):
            self._put_lines(block, lines, size)
        self.turn(carry=not lines)

    def _put_lines(self, block: Block, lines: list[Line], size: Size) -> None:
        if lines:
            self._put(replace(block, lines=tuple(lines)), size)

    def _put(self, block: Block, size: Size) -> None:
        self._here.append(block)
        self._used = self._used.plus(size)

    def _fits(self, more: Size) -> bool:
        return self._form.fits(self._used.plus(more))

    def _size(self, block: Block, lines: Sequence[Line]) -> Size:
        return self._form.around(block).plus(_sum([self._line(block, line) for line in lines]))

    def _line(self, block: Block, line: Line) -> Size:
        return _sum([self._form.lead(block, line), *[self._form.span(block, span) for span in line.spans]])


def _shows(block: Block) -> bool:
    """Whether anything in it can be seen: Telegram refuses an empty quote."""
    return any(line.mark or any(is_visible(span.text) for span in line.spans) for line in block.lines)


def _sum(sizes: Sequence[Size]) -> Size:
    return Size(*map(sum, zip(*sizes, strict=True))) if sizes else Size(0)


def _put_back(taken: list[Span], rest: deque[Span], span: Span, back: int, ahead: int) -> None:
    """`span` was cut `ahead` characters from its beginning, or `back` characters before it."""
    if ahead:
        taken.append(replace(span, text=span.text[:ahead]))
    if span.text[ahead:]:
        rest.appendleft(replace(span, text=span.text[ahead:]))
    while back > 0:
        last = taken.pop()
        if len(last.text) > back:
            taken.append(replace(last, text=last.text[:-back]))
        rest.appendleft(replace(last, text=last.text[-back:]))
        back -= len(last.text)


def _trim(taken: list[Span], rest: deque[Span]) -> None:
    while taken and not taken[-1].text.rstrip():
        taken.pop()
    if taken:
        taken[-1] = replace(taken[-1], text=taken[-1].text.rstrip())
    while rest and not rest[0].text.lstrip():
        rest.popleft()
    if rest:
        rest[0] = replace(rest[0], text=rest[0].text.lstrip())
