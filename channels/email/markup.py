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
        self.lines: list[tuple[int, str]] = [(0, "")]
        self._quote = self._hidden = self._pre = 0
        self._links: list[tuple[str, int]] = []

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
        elif tag in ("td", "th") and self.lines[-1][1].strip():
            self._add(" | ")
        elif tag == "img" and (alt := (given.get("alt") or "").strip()):
            self._add(alt)
        elif tag == "a":
            self._links.append((given.get("href") or "", len(self.lines[-1][1])))

    def end(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        if tag == "a" and self._links:
            href, start = self._links.pop()
            shown = self.lines[-1][1][start:].strip()
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
                    self.lines.append((self._quote, ""))
                self._add(line)
            return
        words = re.sub(r"[ \t\r\n\f]+", " ", data)
        if words.strip() or not self.lines[-1][1].endswith((" ", "\n")):
            self._add(words if self.lines[-1][1] else words.lstrip(" "))

    def comment(self, text: str) -> None: ...

    def pi(self, target: str, data: str | None = None) -> None: ...

    def close(self) -> list[tuple[int, str]]:
        return self.lines

    def _add(self, words: str) -> None:
        if not self._hidden:
            _, before = self.lines[-1]
            self.lines[-1] = (self._quote, before + words)

    def _line(self, *, apart: bool = False) -> None:
        if self.lines[-1][1].strip():
            self.lines.append((self._quote, ""))
        if apart and len(self.lines) > 1 and self.lines[-2][1].strip():
            self.lines.append((self._quote, ""))


def html_words(markup: str) -> str:
    """Never raises."""
    reader = _Words()
    parser = etree.HTMLParser(target=reader, recover=True)
    try:
        parser.feed(markup[:_MOST_CHARS])
        parser.close()
    except etree.ParserError:  # there is no element in it
        return markup[:_MOST_CHARS]
    lines = [f"{'> ' * quote}{line.rstrip()}".rstrip(" ") if line.strip() or quote else "" for quote, line in reader.lines]
    while lines and not lines[-1].strip("> "):
        lines.pop()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
