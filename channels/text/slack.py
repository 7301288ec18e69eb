"""Markdown → Slack's mrkdwn (https://docs.slack.dev/messaging/formatting-message-text/).

Lists are lines with bullets, headings are bold, tables are aligned code, pictures are links. `&`, `<` and `>` are escaped, so that no word is read
as a mention; mrkdwn has no way to escape a mark. Lengths are counted as sent, in UTF-16 code units.
"""

import re
from collections.abc import Callable
from typing import Final

from channels.text.blocks import Block, FormattedPart, Line, Mark, Span, Style, indent, marked, marks_of, utf16, words_of
from channels.text.splitting import FencedForm, Size, parts_of

_MARKS: Final = {"bold": "*", "italic": "_", "strike": "~", "code": "`"}
_LONGEST_LINK: Final = 500
_GAP: Final = "\u200b"
"""Zero width: stands between a mark and the letter beside it, where Slack sees no mark else, and between backticks that would end code."""
_BEGIN, _END = "\ue000", "\ue001"
_EDGES: Final = re.compile(rf"(?<=\w){_BEGIN}|{_END}(?=\w)")
_TICKS: Final = re.compile(r"``(?=`)")


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def slack_parts(markdown: str, limit: int = 3000, *, escaped: Callable[[str], str] = escape) -> list[FormattedPart]:
    """A text as mrkdwn, in parts of at most `limit` characters as sent; a section of Block Kit holds 3,000. `escaped`: words as the platform reads
    them as such, for others with the same marks.

    Empty: there is nothing to see in it. Never raises, and loses no word.
    """
    longest = min(_LONGEST_LINK, limit // 4)
    form = _SlackForm(limit, escaped)
    return parts_of(markdown, form, lambda url: url.lower().startswith(("http://", "https://")) and len(url) <= longest)


class _SlackForm(FencedForm):
    def __init__(self, limit: int, escaped: Callable[[str], str]) -> None:
        super().__init__(limit)
        self._escaped = escaped

    def lead(self, block: Block, line: Line) -> Size:
        return Size(1 if block.kind == "code" else 1 + 5 * block.quote + utf16(indent(line)))

    def span(self, block: Block, span: Span) -> Size:
        written = utf16(self._escaped(span.text))
        if block.kind == "code":
            return Size(written + span.text.count("`"))
        link = utf16(self._target(span.style.link)) + 3 if span.style.link else 0
        return Size(max(written + 4 * len(_marks(span.style, block)) + link, super().span(block, span).units))

    def written(self, block: Block) -> str:
        return self._code(block) if block.kind == "code" else "\n".join([self._line(block, line) for line in block.lines])

    def _code(self, block: Block) -> str:
        text = self._escaped(words_of(block)).rstrip()
        return f"```\n{_TICKS.sub('``' + _GAP, text)}\n```" if text else ""

    def _line(self, block: Block, line: Line) -> str:
        lead = "> " + self._escaped("> ") * (block.quote - 1) if block.quote else ""
        pieces = marked(line.spans, lambda style: _marks(style, block), self._signs, lambda _, span: self._escaped(_without_edges(span)))
        text = _EDGES.sub(_GAP, "".join(pieces))
        return lead + indent(line) + text.replace(_BEGIN, "").replace(_END, "")

    def _signs(self, mark: Mark) -> tuple[str, str]:
        kind, link = mark
        if kind == "link":
            return f"<{self._target(link)}|", ">"
        return _BEGIN + _MARKS[kind], _MARKS[kind] + _END

    def _target(self, url: str) -> str:
        return self._escaped(url).replace("|", "%7C").replace(">", "%3E")


def _marks(style: Style, block: Block) -> tuple[Mark, ...]:
    found = tuple([mark for mark in marks_of(style) if mark[0] == "link" or mark[0] in _MARKS])
    return (*found, ("bold", "")) if block.kind == "heading" and not style.bold else found


def _without_edges(span: Span) -> str:
    text = span.text.replace(_BEGIN, "").replace(_END, "")
    return text.replace("`", "ˋ") if span.style.code else text  # a backtick would end the code
