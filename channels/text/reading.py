"""Markdown → blocks."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from markdown_it.token import Token

from channels.text.blocks import PLAIN, Block, Line, Span, clean
from channels.text.grammar import grammar
from channels.text.inline import LinkTest, read_inline
from channels.text.table import table_blocks

_LANGUAGE: Final = re.compile(r"[A-Za-z0-9_+#.-]{1,32}")
_TASK: Final = re.compile(r"\[([ xX])\](?= |$)")
_BULLETS: Final = "•◦▪"


def read(markdown: str, can_link: LinkTest) -> list[Block]:
    """The blocks of a text, in order. Every word of it is in one of them, but for the names of list markers."""
    reader = _Reader(can_link)
    for token in grammar().parse(clean(markdown)):
        reader.take(token)
    return reader.blocks


class _Reader:
    """Goes through the parser's tokens once."""

    def __init__(self, can_link: LinkTest) -> None:
        self.blocks: list[Block] = []
        self._can_link = can_link
        self._quote = 0
        self._lists: list[bool] = []
        """Of each list that is open, whether an item of it has begun: the first one follows its text closely in a nested list."""
        self._mark = ""
        self._level = 0
        self._tight = False
        self._rows: list[list[Line]] | None = None

    def take(self, token: Token) -> None:
        match token.type:
            case "inline" if self._rows is not None:
                self._rows[-1].append(_one_line(read_inline(token, self._can_link)))
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
                self._table()
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

    def _table(self) -> None:
        self._show_mark()
        for block in table_blocks(self._rows or [[]], gap=True, quote=self._quote):
            self._add(block)
        self._rows = None

    def _show_mark(self) -> None:
        """Of an item that does not begin with words: on a line of its own."""
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


def _one_line(lines: Sequence[Line]) -> Line:
    return Line(spans=tuple(span for line in lines for span in line.spans))


def _task(line: Line, mark: str) -> Line:
    """A box for "[ ]" and "[x]"; the item's own number stays before it."""
    first = line.spans[0] if line.spans else Span(text="", style=PLAIN)
    found = _TASK.match(first.text) if first.style == PLAIN else None
    if found is None:
        return replace(line, mark=mark)
    box = "☐" if found[1] == " " else "☑"
    rest = Span(text=first.text[found.end() :].lstrip(" "), style=PLAIN)
    spans = (rest, *line.spans[1:]) if rest.text else line.spans[1:]
    return replace(line, spans=spans, mark=box if mark in _BULLETS else f"{mark} {box}")
