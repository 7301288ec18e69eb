"""Encoded messages, kept: a session sends all its messages again with every turn, and they never change."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from assistant.contracts.messages import Message, UserMessage
from assistant.contracts.models import ModelRequest

_OVERHEAD = 300
"""Bytes that an entry costs beside its text, roughly."""
_SLOW = 1024 * 1024
"""Bytes of pictures above which they are encoded in a thread: base64 and JSON of 1 MiB take about 2 ms."""


class EncodedMessages:
    """The JSON of messages by their id, the longest unused dropped first, at most `limit` bytes in all.

    Messages with pictures are never kept here: their bytes are large and come and go.
    """

    __slots__ = ("_entries", "_limit", "_size")

    def __init__(self, *, limit: int = 16 * 1024 * 1024) -> None:
        self._limit = limit
        self._size = 0
        self._entries: OrderedDict[str, tuple[Message, bytes]] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size

    def get(self, message: Message, encode: Callable[[Message], bytes]) -> bytes:
        """The message's JSON. An id that comes with other content (a shortened copy) is encoded anew."""
        found = self._entries.get(message.id)
        if found is not None:
            if found[0] is message or found[0] == message:
                self._entries.move_to_end(message.id)
                return found[1]
            del self._entries[message.id]
            self._size -= len(found[1]) + _OVERHEAD
        encoded = encode(message)
        cost = len(encoded) + _OVERHEAD
        if cost * 4 > self._limit or has_images(message):
            return encoded
        self._entries[message.id] = (message, encoded)
        self._size += cost
        while self._size > self._limit:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._size -= len(dropped) + _OVERHEAD
        return encoded


def has_images(message: Message) -> bool:
    """Whether a picture is part of it."""
    return message.role == "user" and any(part.kind == "image" for part in message.parts)


async def encode_pictured(request: ModelRequest, encode: Callable[[UserMessage], bytes]) -> dict[str, bytes]:
    """The messages of a request that hold pictures, by id, encoded for this request only; large ones in a thread."""

    def encode_all() -> dict[str, bytes]:
        return {message.id: encode(message) for message in request.messages if message.role == "user" and has_images(message)}

    if sum(map(len, request.images.values())) > _SLOW:
        return await asyncio.to_thread(encode_all)
    return encode_all()
