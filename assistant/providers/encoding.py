"""Encoded messages, kept: a session sends all its messages again with every turn, and they never change."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from assistant.contracts.messages import Images, Message
from assistant.contracts.models import ModelRequest

_OVERHEAD = 300
"""Bytes that a message costs here beside its text, roughly."""
_SLOW = 1024 * 1024
"""Bytes of pictures above which they are encoded in a thread: base64 and JSON of 1 MiB take about 2 ms."""


class EncodedMessages:
    """The JSON of conversations by the id of their first message, the longest unused dropped first, at most `limit` bytes in all."""

    __slots__ = ("_conversations", "_limit", "_size")

    def __init__(self, *, limit: int = 16 * 1024 * 1024) -> None:
        self._limit = limit
        self._size = 0
        self._conversations: OrderedDict[str, tuple[tuple[Message, ...], list[bytes], int]] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size

    def all(self, messages: tuple[Message, ...], encode: Callable[[Message], bytes]) -> list[bytes]:
        """The JSON of each message. Only what follows the part that was encoded before is encoded now; where that part differs (a result
        was shortened), all of it."""
        before, encoded, cost = self._conversations.pop(messages[0].id, ((), [], 0)) if messages else ((), [], 0)
        self._size -= cost
        # Messages that are the same objects compare at once; only where they are not is their content compared.
        if messages[: len(before)] != before:
            before, encoded, cost = (), [], 0
        new = [encode(message) for message in messages[len(before) :]]
        encoded = encoded + new
        cost += sum(map(len, new)) + _OVERHEAD * len(new)
        if messages and cost * 4 <= self._limit:
            self._conversations[messages[0].id] = (messages, encoded, cost)
            self._size += cost
        while self._size > self._limit:
            _, (_, _, dropped) = self._conversations.popitem(last=False)
            self._size -= dropped
        return encoded


async def encode_messages(request: ModelRequest, kept: EncodedMessages, encode: Callable[[Message, Images], bytes]) -> list[bytes]:
    """The JSON of each message of a request. With pictures in it, nothing is kept: their bytes are large; large ones go to a thread."""
    if not request.images:
        return kept.all(request.messages, lambda message: encode(message, {}))

    def encode_all() -> list[bytes]:
        return [encode(message, request.images) for message in request.messages]

    if sum(map(len, request.images.values())) > _SLOW:
        return await asyncio.to_thread(encode_all)
    return encode_all()
