"""Encoded messages, kept: a session sends all its messages again with every turn, and they never change."""

from collections import OrderedDict
from collections.abc import Callable

from assistant.contracts.messages import Message

_OVERHEAD = 300
"""Bytes that an entry costs beside its text, roughly."""


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
