"""Markdown → Signal's text and the ranges of its styles.

Signal sends styles beside the text, as ranges of UTF-16 code units. A planned part is one text, so its styles are marked in it by control characters,
which no text of a message holds; `ranges` takes them out when it is sent. Links are written behind their words.
"""

import re
from typing import Final

from channels.text.blocks import Block, FormattedPart, Line, Mark, Span, Style, indent, marked, marks_of, shows, utf16, words_of
from channels.text.splitting import Size, TextForm, parts_of

_MARKS: Final = {"bold": "\x01", "italic": "\x02", "strike": "\x03", "spoiler": "\x04", "code": "\x05"}
"""Each begins a style, and ends it."""
_NAMES: Final = {"\x01": "BOLD", "\x02": "ITALIC", "\x03": "STRIKETHROUGH", "\x04": "SPOILER", "\x05": "MONOSPACE"}
_MARK: Final = re.compile("[\x01-\x05]")


def signal_parts(markdown: str, limit: int) -> list[FormattedPart]:
    """A text in parts of at most `limit` UTF-16 code units. Empty: there is nothing to see in it. Never raises, and loses no word."""
    return parts_of(markdown, _SignalForm(limit), lambda url: True)


def ranges(text: str) -> tuple[str, list[str]]:
    """(the text without marks, its styles as signal-cli takes them: "0:4:BOLD")."""
    said: list[str] = []
    found: list[tuple[int, int, str]] = []
    opened: dict[str, int] = {}
    at = place = 0
    for mark in _MARK.finditer(text):
        words = text[at : mark.start()]
        said.append(words)
        place += utf16(words)
        at = mark.end()
        if (begun := opened.pop(mark[0], None)) is None:
            opened[mark[0]] = place
        elif place > begun:
            found.append((begun, place - begun, _NAMES[mark[0]]))
    said.append(text[at:])
    return "".join(said), [f"{begin}:{length}:{name}" for begin, length, name in sorted(found)]


class _SignalForm(TextForm):
    def around(self, block: Block) -> Size:
        return Size(4)

    def span(self, block: Block, span: Span) -> Size:
        return Size(super().span(block, span).units + 2 * len(marks_of(span.style)) + 2)

    def written(self, block: Block) -> str:
        code = _MARKS["code"]
        return f"{code}{words_of(block)}{code}" if block.kind == "code" else "\n".join([_line(block, line) for line in block.lines])


def _line(block: Block, line: Line) -> str:
    def marks(style: Style) -> tuple[Mark, ...]:
        found = tuple([mark for mark in marks_of(style) if mark[0] in _MARKS])
        return (*found, ("bold", "")) if block.kind == "heading" and not style.bold else found

    def words(place: int, span: Span) -> str:
        link = span.style.link
        last = place + 1 == len(line.spans) or line.spans[place + 1].style.link != link
        return f"{span.text} ({link})" if link and last and not shows(span.text, link) else span.text

    return "> " * block.quote + indent(line) + "".join(marked(line.spans, marks, lambda mark: (_MARKS[mark[0]], _MARKS[mark[0]]), words))
