"""Markdown → Telegram's HTML (https://core.telegram.org/bots/api#html-style).

Lists are lines with bullets, headings are bold, tables are aligned code, pictures are links. Telegram counts the text that is left when the tags
are parsed away, in UTF-16 code units, and keeps at most 100 entities of a message.
"""

import re
from collections.abc import Sequence
from typing import Final

from channels.text.blocks import PLAIN, Block, FormattedPart, Line, Mark, Span, Style, between, indent, marked, marks_of, utf16, words_of
from channels.text.splitting import Size, TextForm, parts_of

_TAGS: Final = {"link": "a", "bold": "b", "italic": "i", "strike": "s", "spoiler": "tg-spoiler", "code": "code"}
_LINK: Final = re.compile(r"https?://[^\s/?#@:]+\.[^\s/?#@:.]{2,}(?::\d+)?(?:[/?#]\S*)?", re.IGNORECASE)
"""Telegram makes links only of URLs with a domain."""
_LONGEST_LINK: Final = 1000
_MOST_ENTITIES: Final = 100
_SOURCE: Final = 3
"""Characters of HTML for each of the text."""
_TAG_CHARS: Final = 27
"""Of the longest pair of tags, <tg-spoiler></tg-spoiler>, with room."""


def telegram_parts(markdown: str, limit: int = 4000) -> list[FormattedPart]:
    """A text as HTML, in parts of at most `limit` UTF-16 code units after entities (captions: 1024), of `plain` as well.

    Empty: there is nothing to see in it. Never raises, and loses no word.
    """
    longest = min(_LONGEST_LINK, limit // 4)
    return parts_of(markdown, _TelegramForm(limit), lambda url: len(url) <= longest and _LINK.fullmatch(url) is not None)


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _marks(style: Style, block: Block) -> tuple[Mark, ...]:
    """Code takes no others; linked code is a link without it. Headings are bold."""
    if style.code and not style.link:
        return (("code", ""),)
    marks = tuple([mark for mark in marks_of(style) if mark[0] != "code"])
    return (*marks, ("bold", "")) if block.kind == "heading" and not style.bold else marks


def _tags(mark: Mark) -> tuple[str, str]:
    kind, link = mark
    return f'<a href="{_attribute(link)}">' if kind == "link" else f"<{_TAGS[kind]}>", f"</{_TAGS[kind]}>"


def _attribute(value: str) -> str:
    return escape(value).replace('"', "&quot;")


class _TelegramForm(TextForm):
    def fits(self, size: Size) -> bool:
        return size.units <= self.limit and size.source <= self.limit * _SOURCE and size.entities <= _MOST_ENTITIES

    def around(self, block: Block) -> Size:
        tags = len('<pre><code class="language-"></code></pre><blockquote></blockquote>') + len(block.language)
        return Size(2, 2 + tags, (block.kind == "code") + (block.quote > 0))

    def lead(self, block: Block, line: Line) -> Size:
        units = super().lead(block, line).units
        return Size(units, units + 4 * block.quote)

    def span(self, block: Block, span: Span) -> Size:
        text, style = span.text, span.style
        source = len(text) + 4 * text.count("&") + 3 * (text.count("<") + text.count(">"))
        if block.kind == "code" or (style is PLAIN and block.kind == "text"):
            return Size(utf16(text), source)
        marks = _marks(style, block)
        link = len(_attribute(span.style.link)) if span.style.link else 0
        return Size(super().span(block, span).units, source + link + _TAG_CHARS * len(marks), len(marks))

    def text(self, blocks: Sequence[Block]) -> str:
        out: list[str] = []
        for before, block in zip((None, *blocks), blocks, strict=False):
            out.extend(_joint(before, block))
            out.append(_code(block) if block.kind == "code" else "\n".join([_line(block, line) for line in block.lines]))
        if blocks and _in_quote(blocks[-1]):
            out.append("</blockquote>")
        return "".join(out)


def _in_quote(block: Block) -> bool:
    """Code ends a quote: some clients can't show one in the other."""
    return block.quote > 0 and block.kind != "code"


def _joint(before: Block | None, block: Block) -> list[str]:
    """What separates two blocks, with the tags of quotes."""
    space = between(before, block)
    was, is_now = before is not None and _in_quote(before), _in_quote(block)
    if was == is_now:
        return [space]
    return ["</blockquote>", space] if was else [space, "<blockquote>"]


def _code(block: Block) -> str:
    text = escape(words_of(block)).rstrip()
    if not text:
        return ""
    return f'<pre><code class="language-{block.language}">{text}</code></pre>' if block.language else f"<pre>{text}</pre>"


def _line(block: Block, line: Line) -> str:
    lead = escape("> " * (block.quote - 1)) + indent(line)
    if len(line.spans) == 1 and line.spans[0].style is PLAIN and block.kind == "text":
        return lead + escape(line.spans[0].text)
    words = marked(line.spans, lambda style: _marks(style, block), _tags, lambda _, span: escape(span.text))
    return lead + "".join(words)
