"""Telegram's HTML: which tags there are, and what is seen of a text (core.telegram.org/bots/api#html-style)."""

import html
import re
from typing import Final

_TAG = re.compile(r"<(/?)([a-zA-Z][\w-]*)((?:\s[^<>]*)?)>")
_TAGS: Final = frozenset(
    {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "a", "code", "pre", "tg-spoiler", "span", "tg-emoji", "blockquote"}
)


class CannotParse(ValueError):
    """In the platform's words."""


def visible(source: str) -> str:
    """The text without its tags, its entities resolved. Raises CannotParse."""
    seen: list[str] = []
    open_tags: list[str] = []
    end = 0
    for tag in _TAG.finditer(source):
        seen.append(_words(source[end : tag.start()], end))
        closes, name = tag[1] == "/", tag[2].lower()
        if name not in _TAGS:
            raise CannotParse(f'Unsupported start tag "{name}" at byte offset {tag.start()}')
        if not closes:
            open_tags.append(name)
        elif not open_tags or open_tags.pop() != name:
            raise CannotParse(f"Unmatched end tag at byte offset {tag.start()}")
        end = tag.end()
    seen.append(_words(source[end:], end))
    if open_tags:
        raise CannotParse(f"Can't find end tag corresponding to start tag {open_tags[-1]}")
    return "".join(seen)


def _words(text: str, offset: int) -> str:
    if "<" in text:
        raise CannotParse(f'Unsupported start tag "" at byte offset {offset + text.index("<")}')
    return html.unescape(text)
