"""The words of a paragraph, with their styles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from markdown_it.token import Token

from channels.text.blocks import PLAIN, Line, Span, Style, merged

LinkTest = Callable[[str], bool]
"""Whether the platform can make words lead to this address; where not, the address is written beside them."""

_SWITCHES: Final = {"strong": "bold", "em": "italic", "s": "strike", "spoiler": "spoiler"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """A link that was begun: at this span of this line."""

    url: str
    title: str
    line: int
    span: int


class _Words:
    """Lines of spans, while they are read."""

    def __init__(self, can_link: LinkTest) -> None:
        self.lines: list[list[Span]] = [[]]
        self._can_link = can_link
        self._style = PLAIN
        self._outer: list[Style] = []
        self._links: list[_Link] = []

    def say(self, text: str, style: Style | None = None) -> None:
        for place, words in enumerate(text.split("\n")):
            if place:
                self.lines.append([])
            self.lines[-1].append(Span(text=words, style=style or self._style))

    def begin(self, style: Style) -> None:
        self._outer.append(self._style)
        self._style = style

    def end(self) -> None:
        self._style = self._outer.pop() if self._outer else PLAIN

    def begin_link(self, url: str, title: str) -> None:
        self._links.append(_Link(url=url, title=title, line=len(self.lines) - 1, span=len(self.lines[-1])))
        self.begin(replace(self._style, link=url if self._can_link(url) else self._style.link))

    def end_link(self) -> None:
        """Where the words are an address themselves they are no link: platforms make one of the words, and distrust one that leads elsewhere."""
        link = self._links.pop()
        linked = self._style.link == link.url
        self.end()
        spans = [*self.lines[link.line][link.span :], *chain.from_iterable(self.lines[link.line + 1 :])]
        said = "".join([span.text for span in spans])
        if not said.strip():
            self.say(link.url or link.title)
            return
        if linked and "://" in said:
            linked = False
            for line in range(link.line, len(self.lines)):
                start = link.span if line == link.line else 0
                self.lines[line][start:] = [replace(span, style=replace(span.style, link="")) for span in self.lines[line][start:]]
        if not linked and link.url and said != link.url.removeprefix("mailto:"):
            self.say(f" ({link.url})")
        if link.title:
            self.say(f" ({link.title})")

    def read(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            self._token(token)

    def _token(self, token: Token) -> None:
        kind, _, part = token.type.rpartition("_")
        if token.type in ("softbreak", "hardbreak"):
            self.say("\n")
        elif token.type == "code_inline":
            self.say(token.content.replace("\n", " "), replace(self._style, code=True))
        elif token.type == "image":
            self.begin_link(str(token.attrs.get("src", "")), str(token.attrs.get("title", "")))
            self.read(token.children or [])
            self.end_link()
        elif token.type == "link_open":
            self.begin_link(str(token.attrs.get("href", "")), str(token.attrs.get("title", "")))
        elif token.type == "link_close":
            self.end_link()
        elif part == "open" and kind in _SWITCHES:
            self.begin(replace(self._style, **{_SWITCHES[kind]: True}))
        elif part == "close" and kind in _SWITCHES:
            self.end()
        else:
            self.say(token.content)


def read_inline(token: Token, can_link: LinkTest) -> list[Line]:
    """The lines of an `inline` token of the parser."""
    words = _Words(can_link)
    words.read(token.children or [])
    return [Line(spans=merged(spans)) for spans in words.lines]
