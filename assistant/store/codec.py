"""How messages, events and readings of files are written into columns, and read back."""

import re
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.documents import ReadDocument, ReadImage, Section
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.inbox import Command, InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.messages import AssistantMessage, Document, Image, Message, Part, Text, ToolCall, ToolMessage, Usage, UserMessage
from assistant.contracts.outbox import Button, ButtonRows, Media, Origin, OutboundEvent, OutboundPart
from assistant.contracts.util import replace_surrogates

T = TypeVar("T")
_MOST_KEY_BYTES = 2000
_ESCAPED = re.compile(r"\\(.)")


def encode_message(message: Message) -> str:
    """JSON without line breaks; NUL is escaped, so any database takes it. Raises TypeError on a lone surrogate."""
    return orjson.dumps(message).decode()


def decode_message(payload: str) -> Message:
    """The message that was encoded."""
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
    """(owner, key) as stored. Raises InvalidRequest if they are too long for an index entry (PostgreSQL: 2,700 bytes)."""
    stored = escape(owner), escape(key)
    if sum(map(len, stored)) * 4 > _MOST_KEY_BYTES and sum(len(name.encode()) for name in stored) > _MOST_KEY_BYTES:
        raise InvalidRequest("The session id is too long.", param="session_id")
    return stored


def reader(cls: type[T]) -> Callable[[dict[str, Any]], T]:
    """A function that makes a `cls` of a JSON object; unknown fields are left out."""
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


def json_column(text: str) -> str:
    """A text as a column takes it (`unescape` gives it back)."""
    return escape(replace_surrogates(text))


def json_key(*names: str) -> tuple[str, ...]:
    """Names as indexed columns. Raises InvalidRequest if they are too long for an index entry."""
    stored = tuple([json_column(name) for name in names])
    if sum(len(name.encode()) for name in stored) > _MOST_KEY_BYTES:
        raise InvalidRequest("An id or an address is too long.")
    return stored


def owned(owner: str, name: str) -> dict[str, str]:
    """The parameters of a statement that finds a row by owner and id. Raises as `json_key`."""
    stored_owner, stored_id = json_key(owner, name)
    return {"owner": stored_owner, "id": stored_id}


def encode_json(message: OutboundEvent | OutboundPart | InboundMessage) -> str:
    """JSON without line breaks; NUL is escaped, so any database takes it."""
    try:
        return orjson.dumps(message).decode()
    except TypeError:
        return orjson.dumps(_plain(message)).decode()


def decode_event(payload: str, expires_at: datetime) -> OutboundEvent:
    """The event that `encode_json` was given, with its current expiry."""
    raw: dict[str, Any] = orjson.loads(payload)
    return _event(
        {
            **raw,
            "address": _address(raw["address"]),
            "media": _media_of(raw),
            "buttons": _buttons_of(raw),
            "not_before": _time(raw.get("not_before")),
            "expires_at": expires_at,
            "origin": _origin(raw["origin"]),
        }
    )


def decode_part(body: str) -> OutboundPart:
    """The part that `encode_json` was given."""
    raw: dict[str, Any] = orjson.loads(body)
    return _part({**raw, "media": _media_of(raw), "buttons": _buttons_of(raw)})


def decode_inbound(payload: str) -> InboundMessage:
    """The message that was encoded."""
    raw: dict[str, Any] = orjson.loads(payload)
    quote, command = raw.get("quote"), raw.get("command")
    return _inbound(
        {
            **raw,
            "address": _address(raw["address"]),
            "sender": _sender(raw["sender"]),
            "quote": _quote(quote) if quote is not None else None,
            "files": tuple([_file(file) for file in raw.get("files", ())]),
            "command": _command(command) if command is not None else None,
            "at": datetime.fromisoformat(raw["at"]),
        }
    )


_address, _origin, _media, _button = reader(Address), reader(Origin), reader(Media), reader(Button)
_event, _part = reader(OutboundEvent), reader(OutboundPart)
_inbound, _sender, _quote = reader(InboundMessage), reader(Sender), reader(Quote)
_file, _command = reader(InboundFile), reader(Command)


def _media_of(raw: dict[str, Any]) -> tuple[Media, ...]:
    return tuple([_media(media) for media in raw.get("media", ())])


def _buttons_of(raw: dict[str, Any]) -> ButtonRows:
    return tuple([tuple([_button(button) for button in row]) for row in raw.get("buttons", ())])


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None


def _plain(value: object) -> object:
    """A message as `orjson` takes it, with surrogates replaced."""
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in cast("Sequence[object]", value)]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


A = TypeVar("A")
B = TypeVar("B")


def optional(convert: Callable[[A], B], value: A | None) -> B | None:
    """`convert(value)`, and None for None."""
    return None if value is None else convert(value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    """Of an aware time; exact."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


READER_VERSION = 1
"""Raise it when a reader finds more in the same bytes: a file that is sent again is then read again."""


def encode_reading(reading: ReadDocument | ReadImage) -> bytes:
    """The JSON of all but an image's bytes."""
    if isinstance(reading, ReadDocument):
        return orjson.dumps({"version": READER_VERSION, "kind": "document", "document": reading})
    image = {"media_type": reading.media_type, "width": reading.width, "height": reading.height, "original": reading.original}
    return orjson.dumps({"version": READER_VERSION, "kind": "image", "image": image})


def is_current(stored: bytes) -> bool:
    """Whether this version's readers made it."""
    return orjson.loads(stored)["version"] == READER_VERSION


def decode_document(stored: bytes) -> ReadDocument | None:
    """The document of any version; None: it is an image's."""
    raw: dict[str, Any] | None = orjson.loads(stored).get("document")
    if raw is None:
        return None
    sections = tuple(Section(label=section["label"], start=section["start"]) for section in raw["sections"])
    return ReadDocument(format=raw["format"], text=raw["text"], sections=sections, facts=tuple(raw["facts"]), missing=raw["missing"])


def decode_image(stored: bytes, data: bytes) -> ReadImage | None:
    """The image of any version; None: it is a document's."""
    raw: dict[str, Any] | None = orjson.loads(stored).get("image")
    return ReadImage(**raw, data=data) if raw is not None else None
