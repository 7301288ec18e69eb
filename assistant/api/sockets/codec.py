"""Frames of a WebSocket: JSON as text, MessagePack as binary, bounded before they are decoded."""

import asyncio
from typing import Final, cast

import orjson
import ormsgpack
from starlette.types import Message

from assistant.api.body.request import MAX_DEPTH, MAX_TOKENS, parse_object
from assistant.contracts.errors import InvalidRequest, RequestTooLarge

_LENGTHS: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""Bytes of the length field, by type of bin and str."""
_FIXED: Final = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
"""Bytes of the value, by type of number."""
_COUNTS: Final = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Bytes of the count field and values in an entry, by type of array and map."""
_EXTENSIONS: Final = frozenset({*range(0xC7, 0xCA), *range(0xD4, 0xD9)})


def check_msgpack(data: bytes) -> None:
    """Raises InvalidRequest for anything but one MessagePack value with at most 64 levels and no extension types, and RequestTooLarge for more
    than 200,000 values: 4 MB of empty maps would become hundreds of megabytes of Python objects.

    Takes time by the number of values, not of bytes.
    """
    expected = [1]
    """Values still to come, at each level."""
    position, end = 0, len(data)
    for _ in range(MAX_TOKENS):
        while expected and not expected[-1]:
            expected.pop()
        if not expected:
            break
        if position >= end:
            raise _cut_off()
        expected[-1] -= 1
        kind = data[position]
        position += 1
        skipped, inside = _step(data, kind, position)
        position += skipped
        if position + inside > end:
            raise _cut_off()
        if inside:
            expected.append(inside)
            if len(expected) > MAX_DEPTH + 1:
                raise InvalidRequest(f"The MessagePack is nested deeper than {MAX_DEPTH} levels.")
    else:
        raise RequestTooLarge(f"The MessagePack has more than {MAX_TOKENS:,} values.")
    if position != end:
        raise InvalidRequest("The frame holds more than one MessagePack value.")


def _step(data: bytes, kind: int, position: int) -> tuple[int, int]:
    """(Bytes of this value after its type, values inside it.)"""
    if kind < 0x80 or kind >= 0xE0 or kind in (0xC0, 0xC2, 0xC3):
        return 0, 0
    if kind < 0x90:
        return 0, 2 * (kind & 0x0F)
    if kind < 0xA0:
        return 0, kind & 0x0F
    if kind < 0xC0:
        return kind & 0x1F, 0
    if kind in _FIXED:
        return _FIXED[kind], 0
    if kind in _LENGTHS:
        size = _LENGTHS[kind]
        return size + int.from_bytes(data[position : position + size], "big"), 0
    if kind in _COUNTS:
        size, values = _COUNTS[kind]
        return size, values * int.from_bytes(data[position : position + size], "big")
    if kind in _EXTENSIONS:
        raise InvalidRequest(
            "MessagePack extension types (such as timestamps) are not supported: send strings, numbers, bytes, arrays and maps."
        )
    raise InvalidRequest("The frame is not valid MessagePack.")


def _cut_off() -> InvalidRequest:
    return InvalidRequest("The frame is not valid MessagePack: it ends too early.")


Frame = dict[str, object]
_LARGE = 16 * 1024
"""A frame of more bytes is checked in a thread."""


async def decode(message: Message) -> Frame:
    """The object in an ASGI message; of duplicate keys the last counts. Raises InvalidRequest and its kin, RequestTooLarge."""
    data = message.get("bytes")
    if data is None:
        return cast("Frame", await parse_object(message["text"].encode(), "frame"))
    if len(data) > _LARGE:
        await asyncio.to_thread(check_msgpack, data)
    else:
        check_msgpack(data)
    try:
        value: object = ormsgpack.unpackb(data)
    except ormsgpack.MsgpackDecodeError:  # its text may quote the frame
        raise InvalidRequest("The frame is not valid MessagePack: keys must be strings, and strings must be UTF-8.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The frame must be a map.")
    return cast("Frame", value)


def encode(frame: Frame, *, binary: bool) -> Message:
    """An ASGI message to send."""
    if binary:
        return {"type": "websocket.send", "bytes": ormsgpack.packb(frame)}
    return {"type": "websocket.send", "text": orjson.dumps(frame).decode()}
