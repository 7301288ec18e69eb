"""What a provider wants back with a step, unread: sealed into a reasoning item's `encrypted_content`, and opened when the item comes back."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

import orjson

from assistant.contracts.messages import AssistantMessage, Json

_MARK: Final = "nanobot1."
"""Begins what was sealed here; what other servers encrypted begins otherwise, and can't be opened."""
_OURS: Final = frozenset({"role", "content", "tool_calls", "tool_call_id", "function_call", "id", "type", "function", "index"})
"""Fields of a step that are never taken from an envelope."""
Fields = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Fields for one provider: of a step, and of its calls by their ids."""

    provider: str = ""
    extras: Fields = field(default_factory=dict[str, Json])
    calls: Mapping[str, Fields] = field(default_factory=dict[str, Fields])


def sealed(step: AssistantMessage) -> str | None:
    """The text for `encrypted_content`; None where the provider wants nothing back. It is not secret, only opaque."""
    calls = {call.id: call.extras for call in step.tool_calls if call.extras}
    if not step.extras and not calls:
        return None
    return _MARK + base64.b64encode(orjson.dumps({"provider": step.provider, "extras": dict(step.extras), "calls": calls})).decode("ascii")


def opened(text: str | None) -> Envelope:
    """What was sealed; an empty envelope for anything else."""
    if text is None or not text.startswith(_MARK):
        return Envelope()
    try:
        value: object = orjson.loads(base64.b64decode(text.removeprefix(_MARK), validate=True))
    except (ValueError, binascii.Error):
        return Envelope()
    fields = _object(value)
    provider = fields.get("provider")
    calls = {call: _taken(extras) for call, extras in _object(fields.get("calls")).items()}
    return Envelope(provider if isinstance(provider, str) else "", _taken(fields.get("extras")), calls)


def _taken(value: object) -> Fields:
    return {name: each for name, each in _object(value).items() if name not in _OURS}


def _object(value: object) -> dict[str, Json]:
    return cast("dict[str, Json]", value) if isinstance(value, dict) else {}
