"""Markdown → WhatsApp's marks (https://faq.whatsapp.com/539178204879377): *bold*, _italic_, ~strike~, `code`, ```blocks```, lists and quotes.

WhatsApp has no escapes, so a mark that is meant as a sign stays as it is; links are written behind their words. Lengths are counted in UTF-16 code
units, which is never less than WhatsApp's own count.
"""

import re
from typing import Final

from channels.text.blocks import Block, FormattedPart, Line, Mark, Span, Style, indent, marked, marks_of, shows, words_of
from channels.text.splitting import Size, TextForm, parts_of

_MARKS: Final = {"bold": "*", "italic": "_", "strike": "~", "code": "`"}
_TICKS: Final = re.compile(r"`(?=`)")
_GAP: Final = "\u200b"
"""Zero width: separates backticks that would end code."""


def whatsapp_parts(markdown: str, limit: int = 4096) -> list[FormattedPart]:
    """A text with WhatsApp's marks, in parts of at most `limit` characters as sent. Empty: there is nothing to see in it. Never raises, and loses no
    word."""
    return parts_of(markdown, _WhatsAppForm(limit), lambda url: True)


class _WhatsAppForm(TextForm):
    def around(self, block: Block) -> Size:
        return Size(2 + (len("```\n\n```") if block.kind == "code" else 0))

    def span(self, block: Block, span: Span) -> Size:
        marks = 2 * (len(marks_of(span.style)) + (block.kind == "heading"))
        return Size(super().span(block, span).units + marks + span.text.count("`"))

    def written(self, block: Block) -> str:
        return _code(block) if block.kind == "code" else "\n".join([_line(block, line) for line in block.lines])


def _code(block: Block) -> str:
    return f"```\n{_TICKS.sub('`' + _GAP, words_of(block))}\n```"


def _line(block: Block, line: Line) -> str:
    lead = "> " * block.quote + indent(line)

    def marks(style: Style) -> tuple[Mark, ...]:
        found = tuple([mark for mark in marks_of(style) if mark[0] in _MARKS])
        if style.code:
            return (("code", ""),)
        return (*found, ("bold", "")) if block.kind == "heading" and not style.bold else found

    def words(place: int, span: Span) -> str:
        said, link = (_TICKS.sub("`" + _GAP, span.text) if span.style.code else span.text), span.style.link
        last = place + 1 == len(line.spans) or line.spans[place + 1].style.link != link
        return f"{said} ({link})" if link and last and not shows(span.text, link) else said

    return lead + "".join(marked(line.spans, marks, lambda mark: (_MARKS[mark[0]], _MARKS[mark[0]]), words))
