"""Encoded messages, kept: a session sends all its messages again with every turn, and they never change."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from assistant.contracts.messages import Images, Message
from assistant.contracts.models import ModelRequest

_PER_CONVERSATION = 2_000
_PER_MESSAGE = 600
"""Bytes that a conversation and a message cost here beside the text, as measured over many short ones."""
_SLOW = 1024 * 1024
"""Bytes of pictures above which they are encoded in a thread: base64 and JSON of 1 MiB take about 2 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The messages of a conversation and the JSON of each; `cost`: bytes."""

    messages: tuple[Message, ...] = ()
    json: list[bytes] = field(default_factory=list[bytes])
    cost: int = _PER_CONVERSATION


class EncodedMessages:
    """The JSON of conversations by the id of their first message, the longest unused dropped first, at most `limit` bytes in all."""

    __slots__ = ("_conversations", "_limit", "_size")

    def __init__(self, *, limit: int = 8 * 1024 * 1024) -> None:
        self._limit = limit
        self._size = 0
        self._conversations: OrderedDict[str, Encoded] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size

    def all(self, messages: tuple[Message, ...], encode: Callable[[Message], bytes]) -> list[bytes]:
        """The JSON of each message. Only what a conversation gained is encoded; where it differs from before (a result was shortened), all."""
        if not messages:
            return []
        before = self._take(messages[0].id)
        # Messages that are the same objects compare at once; only where they are not is their content compared.
        if messages[: len(before.messages)] != before.messages:
            before = Encoded()
        new = [
            bytes(memoryview(encode(message))) for message in messages[len(before.messages) :]
        ]  # orjson's results keep 4 KiB, however short
        cost = before.cost + sum(map(len, new)) + _PER_MESSAGE * len(new)
        encoded = Encoded(messages=messages, json=before.json + new, cost=cost)
        self._keep(encoded)
        return encoded.json

    def _take(self, first: str) -> Encoded:
        held = self._conversations.pop(first, None)
        if held is None:
            return Encoded()
        self._size -= held.cost
        return held

    def _keep(self, encoded: Encoded) -> None:
        if encoded.cost * 4 > self._limit:
            return
        self._conversations[encoded.messages[0].id] = encoded
        self._size += encoded.cost
        while self._size > self._limit:
            self._size -= self._conversations.popitem(last=False)[1].cost


async def encode_messages(request: ModelRequest, kept: EncodedMessages, encode: Callable[[Message, Images], bytes]) -> list[bytes]:
    """The JSON of each message of a request. With pictures in it, nothing is kept: their bytes are large; large ones go to a thread."""
    if not request.images:
        return kept.all(request.messages, lambda message: encode(message, {}))

    def encode_all() -> list[bytes]:
        return [encode(message, request.images) for message in request.messages]

    if sum(map(len, request.images.values())) > _SLOW:
        return await asyncio.to_thread(encode_all)
    return encode_all()
