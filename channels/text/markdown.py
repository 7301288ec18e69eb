"""Markdown → a platform's dialect of CommonMark: what its clients would read otherwise (marks, mentions, HTML) is escaped.

Nested quotes, lists, code and tables are written as CommonMark has them; a table is aligned code where the dialect has none.
"""

import re
from collections.abc import Callable
from typing import Final

from assistant.contracts.records import record
from channels.text.blocks import Block, FormattedPart, Line, Mark, Span, indent, marked, marks_of, utf16, words_of
from channels.text.splitting import FencedForm, Size, parts_of

_URL: Final = re.compile(r"https?://(?:[^\W_][\w.-]*|\[[\da-fA-F:.]+\])(?::\d+)?(?:[/?#][^\s<>|*`]*)?(?<!@)(?<!@_)")
"""Neither a sign at its end that would begin a mention, nor what is no URL to a platform, which looks for mentions there."""
_LINE_BEGIN: Final = re.compile(r"(\s*)([#+>=-])|(\s*\d+)([.)])(?=\s|$)")
_TICKS: Final = re.compile(r"``(?=`)")
_GAP: Final = "\u200b"
"""Zero width: separates backticks that would end a code block, and signs that would ping someone."""
_LONGEST_LINK: Final = 500
_MARKS: Final = {"bold": "**", "italic": "*", "strike": "~~"}


@record
class Dialect:
    """What a platform's Markdown has."""

    special: str = r"\\*_~`<\[&"
    """Characters that are escaped with a backslash, as inside of a regular expression's brackets. Empty: the dialect has no escapes."""
    pings: str = ""
    """What would notify people: a zero-width space is put behind the first character. Empty: nothing would."""
    headings: bool = True
    read: frozenset[str] = frozenset()
    """Languages of code that is none to the platform: it would read what is in it."""

    def quiet(self, text: str) -> str:
        """Plain text that notifies no one; URLs stay as they are."""
        return _outside_urls(text, self._silent)

    def escape(self, text: str) -> str:
        """The same, and nothing is read as a mark."""
        special = f"[{self.special}]" if self.special else r"(?!)"
        return _outside_urls(text, lambda words: self._silent(re.sub(special, r"\\\g<0>", words)))

    def most_more(self, text: str) -> int:
        """The most characters that `escape` adds: where a URL begins or ends, there may be one more sign that notifies someone."""
        special = len(re.findall(f"[{self.special}]", text)) if self.special else 0
        return special + (len(re.findall(self.pings, text)) + 2 * text.count("://") if self.pings else 0)

    def _silent(self, words: str) -> str:
        return re.sub(self.pings, lambda found: found[0][:1] + _GAP + found[0][1:], words) if self.pings else words


def _outside_urls(text: str, write: Callable[[str], str]) -> str:
    said: list[str] = []
    at = 0
    for url in _URL.finditer(text):
        said += [write(text[at : url.start()]), url[0]]
        at = url.end()
    return "".join([*said, write(text[at:])])


def markdown_parts(markdown: str, limit: int, dialect: Dialect) -> list[FormattedPart]:
    """A text in parts of at most `limit` UTF-16 code units as sent; every part closes the code blocks that it opens.

    Empty: there is nothing to see in it. Never raises, and loses no word.
    """
    longest = min(_LONGEST_LINK, limit // 4)
    form = _MarkdownForm(limit, dialect)
    return parts_of(markdown, form, lambda url: url.lower().startswith(("http://", "https://", "mailto:")) and len(url) <= longest)


class _MarkdownForm(FencedForm):
    def __init__(self, limit: int, dialect: Dialect) -> None:
        super().__init__(limit)
        self._dialect = dialect
        self._escape = "\\" if dialect.special else _GAP

    def lead(self, block: Block, line: Line) -> Size:
        return Size(1) if block.kind == "code" else Size(2 + utf16(self._lead(block, line)))

    def span(self, block: Block, span: Span) -> Size:
        text = span.text
        if block.kind == "code":
            return Size(utf16(text) + text.count("`"))
        marks = len(marks_of(span.style)) + (block.kind == "heading")
        written = utf16(text) + (text.count("`") * 2 + 6 if span.style.code else self._dialect.most_more(text))
        link = 2 * utf16(span.style.link) + 9 if span.style.link else 0
        return Size(max(written + 4 * marks + link, super().span(block, span).units))

    def written(self, block: Block) -> str:
        return self._code(block) if block.kind == "code" else "\n".join([self._line(block, line) for line in block.lines])

    def _code(self, block: Block) -> str:
        text = words_of(block).rstrip()
        language = "" if block.language.lower() in self._dialect.read else block.language
        return f"```{language}\n{_TICKS.sub('``' + _GAP, text)}\n```" if text else ""

    def _lead(self, block: Block, line: Line) -> str:
        """The marks at the beginning of a line: quote, list, heading."""
        quote = "> " * block.quote
        mark = line.mark.replace("•", "-").replace("◦", "-").replace("▪", "-")
        lead = indent(Line(spans=(), depth=line.depth, mark=mark))
        return quote + lead + ("#" * block.level + " " if self._is_heading(block, line) else "")

    def _is_heading(self, block: Block, line: Line) -> bool:
        return self._dialect.headings and block.kind == "heading" and not line.depth and not block.quote

    def _line(self, block: Block, line: Line) -> str:
        bold = block.kind == "heading" and not self._is_heading(block, line)

        def words(place: int, span: Span) -> str:
            if span.style.code:
                code = re.sub(r"`(?=`)", "`" + _GAP, span.text)
                return f"`` {code} ``" if "`" in code else f"`{code}`"
            said = self._dialect.escape(span.text)
            return _at_begin(said, self._escape) if place == 0 else said

        def signs(mark: Mark) -> tuple[str, str]:
            kind, link = mark
            if kind == "link":
                return "[", f"](<{link.replace('<', '%3C').replace('>', '%3E')}>)"
            sign = _MARKS.get(kind, "")
            return sign, sign

        pieces = marked(
            line.spans, lambda style: (*marks_of(style), ("bold", "")) if bold and not style.bold else marks_of(style), signs, words
        )
        return self._lead(block, line) + "".join(pieces)


def _at_begin(escaped: str, escape: str) -> str:
    """Escape the beginning of a line that would be a heading or a list."""
    found = _LINE_BEGIN.match(escaped)
    if found is None:
        return escaped
    return f"{found[1] or found[3] or ''}{escape}{found[2] or found[4]}{escaped[found.end() :]}"
