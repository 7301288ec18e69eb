"""Markdown → Discord's Markdown (https://support.discord.com/hc/articles/210298617).

Tables are aligned code, pictures are links, headings below the third level are bold. What would be read as a mark or a mention is escaped. Lengths
are counted in UTF-16 code units, which is never less than Discord's own count.
"""

import re
from typing import Final

from channels.text.blocks import Block, FormattedPart, Line, Mark, Span, Style, indent, marked, marks_of, utf16, words_of
from channels.text.splitting import FencedForm, Size, parts_of

_MARKS: Final = {"bold": "**", "italic": "*", "strike": "~~", "spoiler": "||"}
_URL: Final = re.compile(r"https?://[^\s<>|*`]+")
_SPECIAL: Final = re.compile(r"[\\*_~|`<\[]|@(?=everyone|here)")
_LINE_BEGIN: Final = re.compile(r"(\s*)([#+>-])|(\s*\d+)([.)])(?=\s|$)")
_TICKS: Final = re.compile(r"``(?=`)")
_LONGEST_LINK: Final = 500
_GAP: Final = "\u200b"
"""Zero width: separates backticks that would end a code block."""


def discord_parts(markdown: str, limit: int = 2000) -> list[FormattedPart]:
    """A text as Discord's Markdown, in parts of at most `limit` characters as sent. Every part closes the code blocks that it opens.

    Empty: there is nothing to see in it. Never raises, and loses no word.
    """
    longest = min(_LONGEST_LINK, limit // 4)
    return parts_of(markdown, _DiscordForm(limit), lambda url: url.lower().startswith(("http://", "https://")) and len(url) <= longest)


def escape(text: str) -> str:
    """Escape what Discord would read as a mark or a mention; URLs stay as they are."""
    said: list[str] = []
    at = 0
    for url in _URL.finditer(text):
        said += [_SPECIAL.sub(r"\\\g<0>", text[at : url.start()]), url[0]]
        at = url.end()
    said.append(_SPECIAL.sub(r"\\\g<0>", text[at:]))
    return "".join(said)


class _DiscordForm(FencedForm):
    def lead(self, block: Block, line: Line) -> Size:
        if block.kind == "code":
            return Size(1)
        return Size(2 + utf16(_lead(block, line)))

    def span(self, block: Block, span: Span) -> Size:
        text = span.text
        if block.kind == "code":
            return Size(utf16(text) + text.count("`"))
        marks = len(marks_of(span.style)) + (block.kind == "heading")
        written = utf16(text) + (text.count("`") * 2 + 6 if span.style.code else len(_SPECIAL.findall(text)))
        link = 2 * utf16(span.style.link) + 9 if span.style.link else 0
        return Size(max(written + 4 * marks + link, super().span(block, span).units))

    def written(self, block: Block) -> str:
        return _code(block) if block.kind == "code" else "\n".join([_line(block, line) for line in block.lines])


def _code(block: Block) -> str:
    text = words_of(block).rstrip()
    return f"```{block.language}\n{_TICKS.sub('``' + _GAP, text)}\n```" if text else ""


def _lead(block: Block, line: Line) -> str:
    """The marks at the beginning of a line: quote, list, heading."""
    quote = "> " + "\\> " * (block.quote - 1) if block.quote else ""
    mark = line.mark.replace("•", "-").replace("◦", "-").replace("▪", "-")
    lead = indent(Line(spans=(), depth=line.depth, mark=mark))
    return quote + lead + ("#" * block.level + " " if _is_heading(block, line) else "")


def _is_heading(block: Block, line: Line) -> bool:
    return block.kind == "heading" and block.level <= 3 and not line.depth and not block.quote


def _line(block: Block, line: Line) -> str:
    bold = block.kind == "heading" and not _is_heading(block, line)

    def marks(style: Style) -> tuple[Mark, ...]:
        found = marks_of(style)
        return (*found, ("bold", "")) if bold and not style.bold else found

    def words(place: int, span: Span) -> str:
        if span.style.code:
            code = re.sub(r"`(?=`)", "`" + _GAP, span.text)
            return f"`` {code} ``" if "`" in code else f"`{code}`"
        said = escape(span.text)
        return _at_begin(span.text, said) if place == 0 else said

    return _lead(block, line) + "".join(marked(line.spans, marks, _signs, words))


def _signs(mark: Mark) -> tuple[str, str]:
    kind, link = mark
    if kind == "link":
        return "[", f"](<{link.replace('<', '%3C').replace('>', '%3E')}>)"
    return _MARKS.get(kind, ""), _MARKS.get(kind, "")


def _at_begin(text: str, escaped: str) -> str:
    """Escape the beginning of a line that would be a heading or a list."""
    found = _LINE_BEGIN.match(escaped)
    if found is None:
        return escaped
    return f"{found[1] or found[3] or ''}\\{found[2] or found[4]}{escaped[found.end() :]}"
