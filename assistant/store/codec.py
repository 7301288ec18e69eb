"""Messages and names ↔ stored text.

A message is the JSON object of its fields. Reading is tolerant: a field that this version does not know is ignored, one that is missing gets its
default. A change that this can't carry is a migration's work, so the form needs no version of its own.
"""

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import orjson

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import AssistantMessage, Document, Image, Message, Part, Text, ToolCall, ToolMessage, Usage, UserMessage

T = TypeVar("T")
_MOST_NAME_BYTES = 2000
_ESCAPED = re.compile(r"\\(.)")


def encode(message: Message) -> str:
    """JSON without line breaks; NUL becomes an escape, so any database takes it. Raises TypeError on a lone surrogate."""
    return orjson.dumps(message).decode()


def decode(payload: str) -> Message:
    """The message that `encode` was given."""
    raw: dict[str, Any] = orjson.loads(payload)
    return _MESSAGES[raw["role"]](raw)


def escape(name: str) -> str:
    """A name without NUL, which PostgreSQL's text can't hold; no two names become the same."""
    if "\\" not in name and "\0" not in name:
        return name
    return name.replace("\\", "\\\\").replace("\0", "\\0")


def unescape(stored: str) -> str:
    """The name that `escape` was given."""
    return _ESCAPED.sub(lambda found: "\0" if found[1] == "0" else found[1], stored) if "\\" in stored else stored


def identity(owner: str, key: str) -> tuple[str, str]:
    """(owner, key) as stored. Raises InvalidRequest where they are longer than an index entry may be (PostgreSQL: 2,700 bytes)."""
    stored = escape(owner), escape(key)
    if sum(map(len, stored)) * 4 > _MOST_NAME_BYTES and sum(len(name.encode()) for name in stored) > _MOST_NAME_BYTES:
        raise InvalidRequest("The session id is too long.", param="session_id")
    return stored


def reader(cls: type[T]) -> Callable[[dict[str, Any]], T]:
    """What makes a `cls` of a JSON object; fields that `cls` does not have are left out."""
    names = frozenset(field.name for field in fields(cls))  # pyright: ignore[reportArgumentType] - every T here is a dataclass
    return lambda raw: cls(**{name: value for name, value in raw.items() if name in names})


_text, _image, _document = reader(Text), reader(Image), reader(Document)
_usage, _call = reader(Usage), reader(ToolCall)
_user, _assistant, _tool = reader(UserMessage), reader(AssistantMessage), reader(ToolMessage)


def _read_document(raw: dict[str, Any]) -> Document:
    return _document({**raw, "facts": tuple(raw.get("facts", ()))})


_PARTS: dict[str, Callable[[dict[str, Any]], Part]] = {"text": _text, "image": _image, "document": _read_document}


def _read_user(raw: dict[str, Any]) -> UserMessage:
    return _user({**raw, "parts": tuple(_PARTS[part["kind"]](part) for part in raw["parts"])})


def _read_assistant(raw: dict[str, Any]) -> AssistantMessage:
    calls = tuple(_call(call) for call in raw.get("tool_calls", ()))
    return _assistant({**raw, "tool_calls": calls, "usage": _usage(raw.get("usage", {}))})


_MESSAGES: dict[str, Callable[[dict[str, Any]], Message]] = {"user": _read_user, "assistant": _read_assistant, "tool": _tool}
