"""The Markdown that is understood: CommonMark with strikethrough, spoilers (||…||) and tables; HTML is text.

Two rules of the parser are left out because they hide words: definitions of references, and HTML blocks. Two are added: a bound of nesting (the
parser itself drops what is nested deeper than it likes), and tables whose rows keep the cells that the header has no column for.
"""

import re
from functools import cache
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

_DEEPEST: Final = 24
"""Levels of quotes and lists (a list and its item are two); what is deeper is text."""
_PIECE: Final = 8192
"""Characters of a paragraph that are parsed together, because some rules look ahead to its end."""
_RULE_ROW: Final = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")
_PIPE: Final = re.compile(r"(?<!\\)\|")
_BAR: Final = 0x7C


@cache
def grammar() -> MarkdownIt:
    """The parser. It holds no state between texts, and may be used by several threads."""
    md = MarkdownIt("commonmark", {"html": False, "maxNesting": 32}).enable("strikethrough").disable(["reference", "html_block"])
    md.block.ruler.before("code", "too_deep", _too_deep, {"alt": []})
    md.block.ruler.before("hr", "grid", _grid, {"alt": ["paragraph"]})
    md.core.ruler.at("inline", _inline_by_pieces)
    md.inline.add_terminator_char("|")
    md.inline.ruler.before("emphasis", "spoiler", _spoiler)
    md.inline.ruler2.before("emphasis", "spoiler", _pair_spoilers)
    md.parse("*")  # its rules are put in order at the first use, which no two threads may do at once
    return md


def _too_deep(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if state.level < _DEEPEST:
        return False
    if not silent:
        content = state.getLines(start, end, state.blkIndent, False)
        state.push("paragraph_open", "p", 1)
        state.push("inline", "", 0).content = content.strip()
        state.push("paragraph_close", "p", -1)
        state.line = end
    return True


def _grid(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A table: a row, a row of dashes with as many columns, and every line that follows to an empty one."""
    if start + 2 > end or state.sCount[start] - state.blkIndent >= 4 or state.sCount[start + 1] < state.blkIndent:
        return False
    dashes = _line(state, start + 1)
    if "-" not in dashes or ("|" not in dashes and ":" not in dashes) or not _RULE_ROW.fullmatch(dashes):
        return False
    header = _cells(_line(state, start))
    if "|" not in _line(state, start) or len(header) != len(_cells(dashes)):
        return False
    if silent:
        return True
    state.push("grid_open", "", 1)
    _row(state, header)
    line = start + 2
    stops = state.md.block.ruler.getRules("blockquote")
    while line < end and state.sCount[line] >= state.blkIndent and not state.isEmpty(line):
        if any(stop(state, line, end, True) for stop in stops):
            break
        _row(state, _cells(_line(state, line)))
        line += 1
    state.push("grid_close", "", -1)
    state.line = line
    return True


def _row(state: StateBlock, cells: list[str]) -> None:
    state.push("row_open", "", 1)
    for cell in cells:
        state.push("inline", "", 0).content = cell
    state.push("row_close", "", -1)


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].strip()


def _cells(row: str) -> list[str]:
    cells = [cell.strip().replace("\\|", "|") for cell in _PIPE.split(row)]
    if len(cells) > 1 and not cells[0]:
        del cells[0]
    if len(cells) > 1 and not cells[-1]:
        del cells[-1]
    return cells


def _inline_by_pieces(state: StateCore) -> None:
    """Each paragraph in pieces of bounded length, cut at a line's end, else at a space, so that the time is linear whatever it holds."""
    for token in state.tokens:
        if token.type != "inline":
            continue
        children: list[Token] = []
        text, start = token.content, 0
        while start < len(text):
            end = start + _PIECE
            if end < len(text):
                cuts = (text.rfind("\n", start + 1, end), text.rfind(" ", start + 1, end))
                end = next((cut for cut in cuts if cut > start + _PIECE // 2), end)
            children += state.md.inline.parse(text[start:end], state.md, state.env, [])
            start = end
        token.children = children


def _spoiler(state: StateInline, silent: bool) -> bool:
    if silent or state.src[state.pos] != "|":
        return False
    found = state.scanDelims(state.pos, True)
    if found.length < 2:
        return False
    odd = found.length % 2
    if odd:
        state.push("text", "", 0).content = "|"
    for _ in range(found.length // 2):
        state.push("text", "", 0).content = "||"
        place = len(state.tokens) - 1
        state.delimiters.append(Delimiter(marker=_BAR, length=0, token=place, end=-1, open=found.can_open, close=found.can_close))
    state.pos += found.length
    return True


def _pair_spoilers(state: StateInline) -> None:
    metas = [meta["delimiters"] for meta in state.tokens_meta if meta and "delimiters" in meta]
    for delimiters in (state.delimiters, *metas):
        for opener in delimiters:
            if opener.marker == _BAR and opener.end != -1:
                begin, end = state.tokens[opener.token], state.tokens[delimiters[opener.end].token]
                begin.type, begin.nesting, begin.content = "spoiler_open", 1, ""
                end.type, end.nesting, end.content = "spoiler_close", -1, ""
