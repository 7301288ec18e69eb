"""What Discord makes of a message's text: for the stand-in, and for tests of what we write."""

import re
from typing import Final

from tests.doubles.visible import is_seen, utf16

_CODE: Final = re.compile(r"```(?:([a-zA-Z0-9_+\-.#]+)\n)?\n*([^\n].*?)\n*```", re.DOTALL)
_INLINE: Final = re.compile(r"(?<!\\)(`+)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_MASKED: Final = re.compile(r"(?<!\\)\[((?:\\.|[^\[\]\\])+)\]\(<(https?://[^\s<>]+)>\)")
_ESCAPED: Final = re.compile(r"\\([^0-9A-Za-z\s])")
_MENTION: Final = re.compile(r"(?<!\\)(?:@(?:everyone|here)|<(?:@[!&]?|#)\d+>)")


def refusal(text: str, *, most: int = 2000) -> str | None:
    """Why such a message is refused (400, code 50035 or 50006); None: it is taken."""
    if not is_seen(text):
        return "Cannot send an empty message"
    if utf16(text) > most:
        return f"Must be {most} or fewer in length."
    return None


def flaws(text: str) -> list[str]:
    """What is taken and read as something else than was meant: code that is left open, mentions."""
    found = ["a code block that is not closed"] if "```" in _CODE.sub("", text) else []
    return found + [f"a mention: {mention}" for mention in _MENTION.findall(_INLINE.sub("", _CODE.sub("", text)))]


def shown(text: str) -> str:
    """The words that are seen, marks left in: escapes resolved, addresses beside the words that lead to them."""
    out: list[str] = []
    at = 0
    for block in _CODE.finditer(text):
        out += [_outside(text[at : block.start()]), f"{block[1] or ''}\n{block[2]}"]
        at = block.end()
    out.append(_outside(text[at:]))
    return "".join(out).replace("\u200b", "")


def _outside(text: str) -> str:
    return _ESCAPED.sub(r"\1", _MASKED.sub(r"\1 (\2)", text))
