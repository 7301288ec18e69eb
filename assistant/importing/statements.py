"""Statements in the Markdown that assistants keep as their memory: a list's items, else sentences on lines of their own."""

import re
from collections.abc import Iterator
from typing import Final

from assistant.contracts.memory import MOST_CHARS

_ITEM: Final = re.compile(r"\s{0,8}(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?(.+)")
"""An item of a list, ticked off or not."""
_NO_STATEMENT: Final = ("#", ">", "|", "---")
"""How headings, quotes, tables and rules begin."""
_MARKUP: Final = re.compile(r"\*\*|__|`|<!--(?:(?!<!--).)*?-->")
_PLACEHOLDER: Final = re.compile(r"[(\[<{_*].*[)\]>}_*]|.*:|[-–—\s.]*")
"""Of a template that was never filled in: "(Important facts about the user)", "Name:"."""
_SHORTEST: Final = 8
"""Characters: less says nothing of anyone."""
_MOST: Final = 2_000
"""Statements of one text."""


def statements_of(markdown: str) -> Iterator[str]:
    """Each on one line, without its markup, at most 2,000 of them.

    Headings, code, tables, quotes, placeholders of templates, and what is too short or too long to be a memory are none.
    """
    fenced, count = False, 0
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        if fenced or line.lstrip().startswith(_NO_STATEMENT):
            continue
        item = _ITEM.fullmatch(line)
        text = " ".join(_MARKUP.sub("", item[1] if item else line).split())
        if len(text) < _SHORTEST or len(text) > MOST_CHARS or _PLACEHOLDER.fullmatch(text):
            continue
        count += 1
        if count > _MOST:
            return
        yield text
