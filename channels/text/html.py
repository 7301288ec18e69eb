"""Markdown → HTML for Matrix and mail: a few elements, no attribute but a link's address, nothing of the text is read as markup.

Matrix's subset: https://spec.matrix.org/latest/client-server-api/#mroommessage-msgtypes
"""

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Final

from channels.text.blocks import Block, FormattedPart, Line, Mark, Span, Style, marked, marks_of, utf16, words_of
from channels.text.splitting import Size, TextForm, parts_of

_TAGS: Final = {"bold": "strong", "italic": "em", "strike": "del", "code": "code"}
_ITEM: Final = re.compile(r"[•◦▪]|\d+[.)]")
_LONGEST_LINK: Final = 2000
_TAG_CHARS: Final = len("<strong></strong>")
_AROUND: Final = len('<pre><code class="language-">\n</code></pre>')
_QUOTE: Final = len("<blockquote></blockquote>")
_ITEM_TAGS: Final = len('<ol start="9999"><li></li></ol>')


def html_parts(markdown: str, limit: int) -> list[FormattedPart]:
    """A text as HTML, in parts whose HTML has at most `limit` characters, and whose plain text fits as well.

    Empty: there is nothing to see in it. Never raises, and loses no word.
    """
    longest = min(_LONGEST_LINK, limit // 4)
    return parts_of(
        markdown, _HtmlForm(limit), lambda url: url.lower().startswith(("http://", "https://", "mailto:")) and len(url) <= longest
    )


class _HtmlForm(TextForm):
    def around(self, block: Block) -> Size:
        return Size(2 + _AROUND + len(block.language) + _QUOTE * block.quote)

    def lead(self, block: Block, line: Line) -> Size:
        return Size(super().lead(block, line).units + (0 if block.kind == "code" else len("<br>") + _ITEM_TAGS * line.depth))

    def span(self, block: Block, span: Span) -> Size:
        marks = len(marks_of(span.style)) + (block.kind == "heading")
        link = 6 * utf16(span.style.link) + len('<a href=""></a>') if span.style.link else 0
        written = utf16(span.text) + 5 * sum(span.text.count(char) for char in "&<>\"'")
        return Size(written + _TAG_CHARS * marks + link)

    def text(self, blocks: Sequence[Block]) -> str:
        out: list[str] = []
        depth = 0
        for (quote, is_text), run in groupby(blocks, key=lambda block: (block.quote, block.kind == "text")):
            if quote != depth:
                out.append("</blockquote>" * (depth - quote) or "<blockquote>" * (quote - depth))
                depth = quote
            here = list(run)
            out.extend(_paragraphs(here) if is_text else map(_block, here))
        return "".join([*out, "</blockquote>" * depth])


def _paragraphs(blocks: Sequence[Block]) -> list[str]:
    """Text as paragraphs, and items that follow one another as one list: each item is a block of its own."""
    out: list[str] = []
    items: list[Line] = []
    for block in blocks:
        for listed, run in groupby(block.lines, key=lambda line: line.depth > 0):
            lines = list(run)
            if listed:
                items += lines
                continue
            out += [_list(items)] if items else []
            items = []
            out.append(f"<p>{'<br>'.join(map(_words, lines))}</p>")
    return [*out, _list(items)] if items else out


def _block(block: Block) -> str:
    match block.kind:
        case "code":
            language = f' class="language-{escape(block.language)}"' if block.language else ""
            return f"<pre><code{language}>{escape(words_of(block))}\n</code></pre>"
        case "rule":
            return "<hr>"
        case "heading":
            level = min(max(block.level, 1), 6)
            return "".join(f"<h{level}>{_words(line)}</h{level}>" for line in block.lines)
        case _:
            return "".join(_paragraphs([block]))


def _list(lines: Sequence[Line]) -> str:
    """Lists in lists, by their depth. A line without a mark continues its item."""
    out: list[str] = []
    opened: list[str] = []
    for line in lines:
        kind = "ol" if line.mark[:1].isdigit() else "ul"
        if not line.mark and opened:
            out.append(f"<br>{_words(line)}")
            continue
        while len(opened) > line.depth:
            out.append(f"</li></{opened.pop()}>")
        if len(opened) == line.depth and opened[-1] != kind:
            out.append(f"</li></{opened.pop()}>")
        elif len(opened) == line.depth:
            out.append("</li>")
        while len(opened) < line.depth:
            start = (
                f' start="{line.mark.rstrip(".)")}"' if kind == "ol" and line.mark.rstrip(".)").isdigit() and line.mark[:2] != "1." else ""
            )
            deeper = len(opened) + 1 < line.depth
            out.append(f"<{kind}{start}>" + ("<li>" if deeper else ""))
            opened.append(kind)
        sign = "" if _ITEM.fullmatch(line.mark) or not line.mark else f"{escape(line.mark)} "
        out.append(f"<li>{sign}{_words(line)}")
    out.extend(f"</li></{kind}>" for kind in reversed(opened))
    return "".join(out)


def _words(line: Line) -> str:
    def marks(style: Style) -> tuple[Mark, ...]:
        return tuple(mark for mark in marks_of(style) if mark[0] != "spoiler")

    def signs(mark: Mark) -> tuple[str, str]:
        kind, link = mark
        return (f'<a href="{escape(link)}">', "</a>") if kind == "link" else (f"<{_TAGS[kind]}>", f"</{_TAGS[kind]}>")

    def words(place: int, span: Span) -> str:
        return escape(span.text)

    return "".join(marked(line.spans, marks, signs, words))
