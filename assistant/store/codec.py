"""How messages, events and readings of files are written into columns, and read back."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Final, TypeVar, cast

import orjson
from pydantic import Discriminator, TypeAdapter
from pydantic_core import SchemaValidator

from assistant.contracts.approvals import Approval
from assistant.contracts.continuations import Continuation
from assistant.contracts.documents import DocumentPicture, ReadDocument, ReadImage
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.messages import Message
from assistant.contracts.outbox import OutboundEvent, OutboundPart
from assistant.contracts.provenance import UNTRUSTED, Provenance
from assistant.contracts.schedules import NewSchedule
from assistant.contracts.sessions import SessionCut
from assistant.contracts.tasks import NewTask, TaskOutcome
from assistant.contracts.util import replace_surrogates

S = TypeVar("S")
T = TypeVar("T")
_MOST_KEY_BYTES = 2000
_ESCAPED = re.compile(r"\\(.)")


def encode_message(message: Message) -> str:
    """JSON without line breaks; NUL is escaped, so any database takes it. Raises TypeError on a lone surrogate."""
    return orjson.dumps(message).decode()


def decode_message(payload: str) -> Message:
    """The message that was encoded. Fields that this version does not know are ignored, those that are missing have defaults."""
    return _decoder(_MESSAGE).validate_json(payload)


_MESSAGE: Any = Annotated[Message, Discriminator("role")]


@cache
def _decoder(kind: type[T]) -> SchemaValidator:
    """Made by the first use: it takes milliseconds."""
    return SchemaValidator(_open(TypeAdapter(kind).core_schema))


def _open(schema: Any) -> Any:
    """The schema with any text where it names several: what another version stored must not make a session unreadable."""
    if isinstance(schema, dict):
        known = cast("dict[str, Any]", schema)
        names_several = known.get("type") == "literal" and len(known["expected"]) > 1
        return {"type": "str"} if names_several else {name: _open(value) for name, value in known.items()}
    return [_open(each) for each in cast("list[Any]", schema)] if isinstance(schema, list) else schema


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


def encode_json(value: object) -> str:
    """Dataclasses and JSON values as JSON without line breaks; NUL is escaped, so any database takes it, and lone surrogates are replaced.

    Raises TypeError for an integer beyond 64 bits.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return orjson.dumps(_plain(value)).decode()


def decode_event(payload: str, expires_at: datetime) -> OutboundEvent:
    """The event that `encode_json` was given, with its current expiry."""
    return replace(_decoder(OutboundEvent).validate_json(payload), expires_at=expires_at)


def decode_part(body: str) -> OutboundPart:
    return _decoder(OutboundPart).validate_json(body)


def decode_inbound(payload: str) -> InboundMessage:
    return _decoder(InboundMessage).validate_json(payload)


def decode_new_schedule(payload: str) -> NewSchedule:
    return _decoder(NewSchedule).validate_json(payload)


def decode_new_task(payload: str) -> NewTask:
    return _decoder(NewTask).validate_json(payload)


def decode_outcome(payload: str) -> TaskOutcome:
    return _decoder(TaskOutcome).validate_json(payload)


def decode_approval(payload: str) -> Approval:
    return _decoder(Approval).validate_json(payload)


def decode_continuation(payload: str) -> Continuation:
    return _decoder(Continuation).validate_json(payload)


def decode_cut(row: tuple[Any, ...]) -> SessionCut:
    seq, results_from, text, tokens, made_by, at = row
    made = from_micros(at)
    return SessionCut(seq=seq, results_from=results_from, text=unescape(text), tokens=tokens, made_by=unescape(made_by), at=made)


def _plain(value: object) -> object:
    """A value as `orjson` takes it, with surrogates replaced."""
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in cast("Sequence[object]", value)]
    if isinstance(value, dict):
        return {replace_surrogates(name): _plain(each) for name, each in cast("dict[str, object]", value).items()}
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


def optional(convert: Callable[[S], T], value: S | None) -> T | None:
    """`convert(value)`, and None for None."""
    return None if value is None else convert(value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(at: datetime) -> int:
    """Of an aware time; exact."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


_BITS: Final[tuple[Provenance, ...]] = ("file", "web", "mail", "tool", "mcp", "stranger")
"""The places of UNTRUSTED in a stored number. Only ever added to."""


def encode_provenances(provenances: Iterable[Provenance]) -> int:
    """Those that are untrusted, as a number: databases join two by `|`."""
    return sum({1 << _BITS.index(each) for each in provenances if each in UNTRUSTED})


def decode_provenances(stored: int) -> frozenset[Provenance]:
    return frozenset([name for place, name in enumerate(_BITS) if stored >> place & 1])


READER_VERSION = 3
"""Raise it when a reader finds more in the same bytes: a file that is sent again is then read again."""


def encode_reading(reading: ReadDocument | ReadImage) -> bytes:
    """The JSON of all but the bytes of pictures; a document's are stored one behind the other, `size` each."""
    if isinstance(reading, ReadDocument):
        pictures = [{**_plain_fields(picture), "size": len(picture.data)} for picture in reading.pictures]
        document = _plain_fields(reading) | {"pictures": pictures}
        return orjson.dumps({"version": READER_VERSION, "kind": "document", "document": document})
    image = {"media_type": reading.media_type, "width": reading.width, "height": reading.height, "original": reading.original}
    return orjson.dumps({"version": READER_VERSION, "kind": "image", "image": image, "words": reading.words})


def is_current(stored: bytes) -> bool:
    """Whether this version's readers made it."""
    return orjson.loads(stored)["version"] == READER_VERSION


def _plain_fields(value: ReadDocument | DocumentPicture) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value) if field.name not in {"data", "pictures"}}


def decode_document(stored: bytes, pictures: bytes = b"") -> ReadDocument | None:
    """The document of any version; None: it is an image's. `pictures`: their bytes, without which they are empty."""
    raw: dict[str, Any] | None = orjson.loads(stored).get("document")
    if raw is None:
        return None
    start = 0
    for picture in raw.get("pictures", ()):
        size = picture.pop("size")
        picture["data"] = pictures[start : start + size]
        start += size
    return _decoder(ReadDocument).validate_python(raw)


def decode_image(stored: bytes, data: bytes) -> ReadImage | None:
    """The image of any version; None: it is a document's."""
    raw = orjson.loads(stored)
    return ReadImage(**raw["image"], data=data, words=raw.get("words")) if "image" in raw else None
