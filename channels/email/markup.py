"""The words of an HTML mail, as a text mail would have them: quotes with `>`, links with their address.

lxml reads it: html.parser takes a minute for 100 kB of `<a<a<a`.
"""

# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import re
from collections.abc import Mapping
from typing import Final

from lxml import etree

_HIDDEN: Final = frozenset({"script", "style", "head", "title", "template", "noscript"})
_APART: Final = frozenset({"p", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote"})
_BLOCKS: Final = _APART | {
    "div",
    "tr",
    "section",
    "article",
    "header",
    "footer",
    "center",
    "address",
    "figure",
    "dl",
    "dt",
    "dd",
    "form",
    "hr",
}
_MOST_CHARS: Final = 1_000_000
_DEEPEST: Final = 20


class _Words:
    """What lxml calls for each element and text."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self._pieces: list[str] = []
        """Of the line that is being read."""
        self._depth = 0
        """The quote that it is in."""
        self._said = False
        """Whether it has words."""
        self._quote = self._hidden = self._pre = 0
        self._link = ("", 0)
        """The address of the link that is open, and the first of its pieces."""

    def start(self, tag: str, given: Mapping[str, str]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        if tag in _BLOCKS or tag in ("br", "li"):
            self._line(apart=tag in _APART)
        if tag == "blockquote":
            self._quote = min(self._quote + 1, _DEEPEST)
            self._line()
        elif tag == "pre":
            self._pre += 1
        elif tag == "li":
            self._add("- ")
        elif tag in ("td", "th") and self._said:
            self._add(" | ")
        elif tag == "img" and (alt := (given.get("alt") or "").strip()):
            self._add(alt)
        elif tag == "a":
            self._link = (given.get("href") or "", len(self._pieces))

    def end(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        if tag == "a":
            (href, start), self._link = self._link, ("", 0)
            shown = "".join(self._pieces[start:]).strip() if href else ""
            if href.startswith(("http://", "https://")) and href.rstrip("/") != shown.rstrip("/") and shown:
                self._add(f" ({href})")
        if tag == "pre":
            self._pre = max(0, self._pre - 1)
        if tag == "blockquote" and self._quote:
            self._line()
            self._quote -= 1
        if tag in _BLOCKS:
            self._line(apart=tag in _APART)

    def data(self, data: str) -> None:
        if self._pre:
            for place, line in enumerate(data.split("\n")):
                if place:
                    self._end()
                self._add(line)
            return
        words = re.sub(r"[ \t\r\n\f]+", " ", data)
        if words.strip() or not (self._pieces and self._pieces[-1].endswith(" ")):
            self._add(words if self._pieces else words.lstrip(" "))

    def comment(self, text: str) -> None: ...

    def pi(self, target: str, data: str | None = None) -> None: ...

    def close(self) -> list[tuple[int, str]]:
        self._end()
        return self.lines

    def _add(self, words: str) -> None:
        if words and not self._hidden:
            self._depth = self._quote
            self._pieces.append(words)
            self._said = self._said or bool(words.strip())

    def _end(self) -> None:
        """Of the line; the next one begins."""
        self.lines.append((self._depth, "".join(self._pieces)))
        self._pieces.clear()
        self._depth, self._said, self._link = self._quote, False, (self._link[0], 0)

    def _line(self, *, apart: bool = False) -> None:
        if self._said:
            self._end()
        if apart and self.lines and self.lines[-1][1].strip():
            self._end()


def html_words(markup: str) -> str:
    """Never raises."""
    parser = etree.HTMLParser(target=_Words(), recover=True)
    try:
        parser.feed(markup[:_MOST_CHARS])
        read: list[tuple[int, str]] = parser.close()
    except etree.ParserError:  # there is no element in it
        return markup[:_MOST_CHARS]
    lines = [f"{'> ' * quote}{line.rstrip()}".rstrip(" ") if line.strip() or quote else "" for quote, line in read]
    while lines and not lines[-1].strip("> "):
        lines.pop()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
