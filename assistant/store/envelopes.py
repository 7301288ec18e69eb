"""Messages on their way out and in ↔ stored text: JSON, read as tolerantly as in `codec`; texts are made `whole`."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, cast

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.inbox import Command, InboundFile, InboundMessage, Quote, Sender
from assistant.contracts.outbox import Button, ButtonRows, Media, Origin, OutboundEvent, OutboundPart
from assistant.contracts.text import whole
from assistant.store.codec import escape, reader

_MOST_KEY_BYTES = 2000


def column(text: str) -> str:
    """A text as a column takes it (`unescape` gives it back)."""
    return escape(whole(text))


def key(*names: str) -> tuple[str, ...]:
    """Names as columns that are found by them. Raises InvalidRequest where they are longer than an index entry may be (PostgreSQL: 2,700
    bytes)."""
    stored = tuple([column(name) for name in names])
    if sum(len(name.encode()) for name in stored) > _MOST_KEY_BYTES:
        raise InvalidRequest("An id or an address is too long.")
    return stored


def encode(message: OutboundEvent | OutboundPart | InboundMessage) -> str:
    """JSON without line breaks; NUL becomes an escape, so any database takes it."""
    try:
        return orjson.dumps(message).decode()
    except TypeError:
        return orjson.dumps(_plain(message)).decode()


def decode_event(payload: str, expires_at: datetime) -> OutboundEvent:
    """The event that `encode` was given; when it expires may have been changed since."""
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
    """The part that `encode` was given."""
    raw: dict[str, Any] = orjson.loads(body)
    return _part({**raw, "media": _media_of(raw), "buttons": _buttons_of(raw)})


def decode_inbound(payload: str) -> InboundMessage:
    """The message that `encode` was given."""
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
    """What `orjson` takes of a message, its texts made whole."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in cast("Sequence[object]", value)]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value
