"""Markdown to blocks."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from typing import Final, NamedTuple

from markdown_it.token import Token

from channels.text.blocks import PLAIN, Block, Line, Span, Style, clean, merged
from channels.text.grammar import grammar

LinkTest = Callable[[str], bool]
"""Whether the platform can link words to this URL; if not, the URL is written beside them."""

_SWITCHES: Final = {"strong": "bold", "em": "italic", "s": "strike", "spoiler": "spoiler"}


class _Link(NamedTuple):
    """A link that is open: it began at this span of this line."""

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
        """Words that are a URL themselves are no link: platforms link them, and distrust a link to another URL."""
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

    def read(self, token: Token) -> None:
        kind, _, part = token.type.rpartition("_")
        if token.type in ("softbreak", "hardbreak"):
            self.say("\n")
        elif token.type == "code_inline":
            self.say(token.content.replace("\n", " "), replace(self._style, code=True))
        elif token.type == "image":
            self.begin_link(str(token.attrs.get("src", "")), str(token.attrs.get("title", "")))
            for child in token.children or ():
                self.read(child)
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
    words = _Words(can_link)
    for child in token.children or ():
        words.read(child)
    return [Line(spans=merged(spans)) for spans in words.lines]


_WIDEST: Final = 100
"""Columns of the widest table that is shown aligned."""
_LONGEST_NAME: Final = 60
"""Characters of the longest column name that is repeated for each record."""
_EMPTY: Final = Line(spans=())
_NOTHING: Final = frozenset({"Mn", "Me", "Cf"})


def width(text: str) -> int:
    """Columns that a terminal gives it: two for a wide character (East Asian, emoji), none for a mark."""
    if text.isascii():
        return len(text)
    seen = [char for char in text if unicodedata.category(char) not in _NOTHING]
    return sum(2 if unicodedata.east_asian_width(char) in ("W", "F") else 1 for char in seen)


def table_blocks(rows: Sequence[Sequence[Line]], *, gap: bool, quote: int) -> list[Block]:
    """`rows`: of cells, the header first. Aligned code, or a block for each row ("header: cell") where a row is too wide."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip_longest(*texts, fillvalue="")] if len(max(texts, key=len)) <= _WIDEST else [_WIDEST]
    if sum(widths) + 3 * (len(widths) - 1) > _WIDEST:
        return _records(rows, gap=gap, quote=quote)
    cells = [[cell + " " * (columns - width(cell)) for cell, columns in zip(row, widths, strict=False)] for row in texts]
    lines = [" │ ".join(row).rstrip() for row in cells]
    lines.insert(1, "─┼─".join("─" * columns for columns in widths))
    spans = tuple(Line(spans=(Span(text=line, style=PLAIN),)) for line in lines)
    return [Block(kind="code", lines=spans, gap=gap, quote=quote, header=2)]


def _text(cell: Line) -> str:
    said: list[str] = []
    for place, span in enumerate(cell.spans):
        said.append(span.text)
        following = cell.spans[place + 1].style.link if place + 1 < len(cell.spans) else ""
        if span.style.link and following != span.style.link and span.style.link != span.text:
            said.append(f" ({span.style.link})")
    return "".join(said)


def _records(rows: Sequence[Sequence[Line]], *, gap: bool, quote: int) -> list[Block]:
    """The first record names every column; the others only those that they fill, so that the size stays that of the table."""
    header, *records = rows
    names = [title if sum(len(span.text) for span in title.spans) <= _LONGEST_NAME else _EMPTY for title in header]
    titled = [(names[: len(record)] if place else header, record) for place, record in enumerate(records)]
    fields = [[_field(*pair) for pair in zip_longest(titles, record, fillvalue=_EMPTY)] for titles, record in titled]
    found = [tuple(line for line in lines if line.spans) for lines in fields or [header]]
    return [Block(kind="text", lines=lines, gap=gap or place > 0, quote=quote) for place, lines in enumerate(found) if lines]


def _field(title: Line, cell: Line) -> Line:
    if not title.spans:
        return Line(spans=cell.spans)
    name = [Span(text=span.text, style=replace(span.style, bold=True)) for span in title.spans]
    return Line(spans=merged([*name, Span(text=": ", style=PLAIN), *(cell.spans or (Span(text="—", style=PLAIN),))]))


_LANGUAGE: Final = re.compile(r"[A-Za-z0-9_+#.-]{1,32}")
_TASK: Final = re.compile(r"\[([ xX])\](?= |$)")
_BULLETS: Final = "•◦▪"


def read(markdown: str, can_link: LinkTest) -> list[Block]:
    """The blocks of a text, in order. Every word is in one of them, except list markers."""
    reader = _Reader(can_link)
    for token in grammar().parse(clean(markdown)):
        reader.take(token)
    return reader.blocks


class _Reader:
    """Turns the parser's tokens into blocks."""

    def __init__(self, can_link: LinkTest) -> None:
        self.blocks: list[Block] = []
        self._can_link = can_link
        self._quote = 0
        self._lists: list[bool] = []
        """For each open list, whether it has an item: the first one of a nested list follows its text without a gap."""
        self._mark = ""
        self._level = 0
        self._tight = False
        self._rows: list[list[Line]] | None = None

    def take(self, token: Token) -> None:
        match token.type:
            case "inline" if self._rows is not None:
                lines = read_inline(token, self._can_link)
                self._rows[-1].append(Line(spans=tuple(span for line in lines for span in line.spans)))
            case "inline":
                self._words(read_inline(token, self._can_link))
            case "paragraph_open":
                self._tight = token.hidden
            case "heading_open":
                self._level, self._tight = int(token.tag[1:]), False
            case "heading_close":
                self._level = 0
            case "fence" | "code_block":
                self._code(token)
            case "hr":
                self._add(Block(kind="rule", lines=(_plain_line("———"),)))
            case "blockquote_open":
                self._show_mark()
                self._quote += 1
            case "blockquote_close":
                self._quote -= 1
            case "bullet_list_open" | "ordered_list_open":
                self._show_mark()
                self._lists.append(False)
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                bullet = _BULLETS[min(len(self._lists), len(_BULLETS)) - 1]
                self._mark = f"{token.info}." if token.info else bullet
            case "list_item_close":
                self._show_mark()
            case "grid_open":
                self._rows = []
            case "row_open" if self._rows is not None:
                self._rows.append([])
            case "grid_close":
                self._show_mark()
                for block in table_blocks(self._rows or [[]], gap=True, quote=self._quote):
                    self._add(block)
                self._rows = None
            case _:
                pass

    def _words(self, lines: Sequence[Line]) -> None:
        found = list(lines)
        depth = len(self._lists)
        if self._mark and found:
            found[0] = _task(found[0], self._mark)
            self._mark = found[0].mark
        placed = [replace(line, depth=depth, mark=self._mark if place == 0 else "") for place, line in enumerate(found)]
        self._mark = ""
        kind = "heading" if self._level else "text"
        self._add(Block(kind=kind, lines=tuple(placed), level=self._level))

    def _code(self, token: Token) -> None:
        self._show_mark()
        info = token.info.strip()
        language = info if _LANGUAGE.fullmatch(info) else ""
        lines = token.content.removesuffix("\n").split("\n")
        if info and not language:
            lines.insert(0, info)
        if any(line.strip() for line in lines):
            self._add(Block(kind="code", lines=tuple(map(_plain_line, lines)), language=language))
        elif language:
            self._add(Block(kind="text", lines=(_plain_line(language),)))

    def _show_mark(self) -> None:
        """The mark of an item that does not begin with words gets a line of its own."""
        if self._mark:
            self._words([Line(spans=())])

    def _add(self, block: Block) -> None:
        gap = block.gap
        if self._lists and block.kind == "text":
            first = not self._lists[-1]
            gap = len(self._lists) == 1 if first else not self._tight
            self._lists[-1] = True
        self.blocks.append(replace(block, quote=self._quote, gap=gap))


def _plain_line(text: str) -> Line:
    return Line(spans=(Span(text=text, style=PLAIN),))


def _task(line: Line, mark: str) -> Line:
    """A box for "[ ]" and "[x]", after the item's number."""
    first = line.spans[0] if line.spans else Span(text="", style=PLAIN)
    found = _TASK.match(first.text) if first.style == PLAIN else None
    if found is None:
        return replace(line, mark=mark)
    box = "☐" if found[1] == " " else "☑"
    rest = Span(text=first.text[found.end() :].lstrip(" "), style=PLAIN)
    spans = (rest, *line.spans[1:]) if rest.text else line.spans[1:]
    return replace(line, spans=spans, mark=box if mark in _BULLETS else f"{mark} {box}")
