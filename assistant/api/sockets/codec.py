"""Frames: MessagePack in binary messages, JSON in text; an answer is of the kind of the last frame that came."""

import asyncio
from typing import cast

import orjson
import ormsgpack
from starlette.types import Message

from assistant.api.body.json_body import parse_object
from assistant.api.sockets.msgpack_shape import check_msgpack
from assistant.contracts.errors import InvalidRequest

Frame = dict[str, object]
_LARGE = 16 * 1024
"""Bytes, from which on looking MessagePack over is done in a thread."""


async def decode(message: Message) -> Frame:
    """The object that an ASGI message holds. Raises InvalidRequest and its kin, RequestTooLarge. Of keys that come twice, the last counts."""
    data = message.get("bytes")
    if data is None:
        return cast("Frame", await parse_object(message["text"].encode(), "frame"))
    if len(data) > _LARGE:
        await asyncio.to_thread(check_msgpack, data)
    else:
        check_msgpack(data)
    try:
        value: object = ormsgpack.unpackb(data)
    except ormsgpack.MsgpackDecodeError:  # its words may quote the frame
        raise InvalidRequest("The frame is not valid MessagePack: keys must be strings, and strings must be UTF-8.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The frame must be a map.")
    return cast("Frame", value)


def encode(frame: Frame, *, binary: bool) -> Message:
    """An ASGI message to send."""
    if binary:
        return {"type": "websocket.send", "bytes": ormsgpack.packb(frame)}
    return {"type": "websocket.send", "text": orjson.dumps(frame).decode()}
