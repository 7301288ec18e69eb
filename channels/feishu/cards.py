"""Text and buttons as a card. https://open.feishu.cn/document/feishu-cards/card-components/content-components/rich-text"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from assistant.contracts.outbox import Button, ButtonRows
from channels.kit.commands import button_value
from channels.text.blocks import FormattedPart
from channels.text.markdown import Dialect, markdown_parts

MOST_TEXT: Final = 6000
"""UTF-16 code units. A card holds 30 KB as JSON, where a unit takes five bytes at most."""
_MOST_VALUE: Final = 1000
_DIALECT: Final = Dialect(special=r"\\*_~`\[<&", pings="", headings=False)
_ESCAPED: Final = re.compile(r"(```.*?```|``.*?``|`[^`\n]*`)|\]\(<([^>\n]*)>\)|\\([\\*_~`\[<&#+>=.)-])", re.DOTALL)
"""Code, a link's target, an escaped character."""
_AT: Final = re.compile(r"<(?=/?at\b)", re.IGNORECASE)
"""Would ping people, also out of code."""
_GAP: Final = "\u200b"


def card_parts(markdown: str, limit: int = MOST_TEXT) -> list[FormattedPart]:
    """A text as a card's Markdown, which escapes by character references and not by backslashes."""
    return [replace(part, text=_safe(part.text)) for part in markdown_parts(markdown, limit, _DIALECT)]


def first_part(markdown: str) -> str:
    """As much of an answer as one card holds."""
    return next((part.text for part in card_parts(markdown[: 2 * MOST_TEXT])), "")


def card(words: str, *, styled: bool, buttons: ButtonRows = (), thread: str | None = None) -> str:
    """JSON. `update_multi`: the card can be changed later. `thread`: of the card, which a press is to tell."""
    text = {"tag": "markdown", "content": words} if styled else {"tag": "div", "text": {"tag": "plain_text", "content": words}}
    elements: list[Mapping[str, Any]] = [text] if words else []
    for row, each in enumerate(buttons):
        elements.append({"tag": "action", "actions": [_button(button, f"{row}.{place}", thread) for place, button in enumerate(each)]})
    return orjson.dumps({"config": {"wide_screen_mode": True, "update_multi": True}, "elements": elements}).decode()


def plain(words: str) -> str:
    """The content of a message of the kind "text", where `<at …>` would ping people."""
    return orjson.dumps({"text": _AT.sub("<" + _GAP, words)}).decode()


def _button(button: Button, place: str, thread: str | None) -> Mapping[str, Any]:
    shown: dict[str, Any] = {"tag": "button", "text": {"tag": "plain_text", "content": button.text}, "type": "default"}
    if button.url is not None:
        return shown | {"url": button.url}
    value = {"nanobot": button_value(button, place, _MOST_VALUE)} | ({"thread": thread} if thread else {})
    return shown | {"value": value}


def _safe(text: str) -> str:
    def written(found: re.Match[str]) -> str:
        code, target, char = found.groups()
        if code is not None:
            return _AT.sub("<" + _GAP, code)
        return f"&#{ord(char)};" if target is None else f"]({target.replace('(', '%28').replace(')', '%29')})"

    return _ESCAPED.sub(written, text)
