"""A call as it is asked for: the same bytes for the same call, and whole for the person who decides."""

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from assistant.contracts.approvals import Approval
from assistant.contracts.messages import Json
from assistant.contracts.outbox import Button, Origin, OutboundEvent

_ALPHABET: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_CODE_LENGTH: Final = 6
_LONGEST_SHOWN: Final = 3_000
"""Characters of one argument in a question; `/approvals CODE` and the other doors show all of it."""
_SHOWN_ENDS: Final = (2_000, 500)
_LONGEST_REASON: Final = 500
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def canonical(arguments: Mapping[str, Json]) -> str:
    """JSON, the same for the same arguments."""
    return json.dumps(arguments, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest_of(tool: str, arguments: Mapping[str, Json], agent: str, folder: str) -> str:
    """SHA-256 of what a yes is bound to; 64 hex digits."""
    bound: dict[str, Json] = {"tool": tool, "arguments": dict(arguments), "agent": agent, "folder": folder}
    return sha256(canonical(bound).encode(errors="surrogatepass")).hexdigest()


def code_of(approval_id: str) -> str:
    """What a person writes for it: of 31 letters and digits that are not taken for each other. It is no secret, since only one person may answer."""
    number, code = int(sha256(approval_id.encode()).hexdigest(), 16), ""
    for _ in range(_CODE_LENGTH):
        number, place = divmod(number, len(_ALPHABET))
        code += _ALPHABET[place]
    return code


def call_text(tool: str, arguments: Mapping[str, Json]) -> str:
    """All of a call: the tool, and a line for each argument, whose further lines are indented. What could not be seen, or would turn the text
    around, is written as \\u…"""
    return "\n".join([tool, *[f"{name}: {_seen(value)}".replace("\n", "\n  ") for name, value in arguments.items() if value is not None]])


def reason_text(why: str) -> str:
    """Why a call is asked for: on one line, since names and addresses in it are others' words. The call itself is shown whole."""
    words = _seen(" ".join(why.split()))
    return words if len(words) <= _LONGEST_REASON else f"{words[: _LONGEST_REASON - 1]}…"


def _seen(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join([char if char == "\n" or unicodedata.category(char) not in _HIDDEN else f"\\u{ord(char):04x}" for char in text])


def fenced(text: str) -> str:
    """As a block that no text in it can end."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def question(approval: Approval) -> str:
    """What the person is asked, in Markdown."""
    arguments: Mapping[str, Json] = json.loads(approval.arguments)
    shown = {name: _shortened(value) for name, value in arguments.items()}
    more = "" if shown == arguments else f" Not all of it is shown here: `/approvals {approval.code}` does."
    asked = fenced(f"{call_text(approval.tool, shown)}\n\n{approval.why}")  # of the arguments, all further lines are indented
    return f"May I do this?{more}\n\n{asked}\n\nUntil {_until(approval)}, code {approval.code}."


def _shortened(value: Json) -> Json:
    if not isinstance(value, str) or len(value) <= _LONGEST_SHOWN:
        return value
    begin, end = _SHOWN_ENDS
    return f"{value[:begin]}\n[… {len(value) - begin - end:,} characters are not shown …]\n{value[-end:]}"


def _until(approval: Approval) -> str:
    return f"{approval.expires_at:%Y-%m-%d %H:%M} UTC"


def question_event(approval: Approval) -> OutboundEvent | None:
    """The message that asks, with a button for each answer; None: there is no chat in which the person can be asked."""
    if approval.asked is None:
        return None
    named = (("Once", "/approve"), ("This session", "/approve session"), ("No", "/deny"))
    return OutboundEvent(
        id=approval.question,
        address=approval.asked,
        text=question(approval),
        buttons=(tuple(Button(text=text, command=f"{command} {approval.code}") for text, command in named),),
        expires_at=approval.expires_at,
        origin=Origin(kind="notice", owner=approval.owner, session=approval.session, turn_id=approval.turn_id),
    )


def summary(approval: Approval, most: int = 80) -> str:
    """The call on one line."""
    words = " ".join(approval.text.split())
    return words if len(words) <= most else f"{words[: most - 1]}…"


def left(approval: Approval, now: datetime) -> str:
    """How long it can be answered: "12 min"."""
    return f"{max(1, (approval.expires_at - now) // timedelta(minutes=1))} min"
