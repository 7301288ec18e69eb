"""Takes a platform's messages in, in order: stored before they are acknowledged, and never held up by one that can't be."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

from assistant.contracts.channels import ChannelLink
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.util import backoff
from channels.kit.values import Latest

T = TypeVar("T")
log = logging.getLogger(__name__)
_MOST_TRIES: Final = 3
_MOST_KNOWN: Final = 10_000
_LONGEST_PAUSE: Final = 10.0
NOT_KEPT: Final = "The store can't be written; messages wait."


async def next_of(queue: asyncio.Queue[T], ended: asyncio.Future[Any], *, within: float | None = None) -> T | None:
    """The next in a queue. None: it is empty, and `ended` is done or `within` seconds are over."""
    if not queue.empty():
        return queue.get_nowait()
    taking = asyncio.ensure_future(queue.get())
    try:
        await asyncio.wait([taking, ended], timeout=within, return_when=asyncio.FIRST_COMPLETED)
        return taking.result() if taking.done() else None
    finally:
        taking.cancel()


class Intake:
    """One for all connections of an adapter. A message that hits a bug each time is dropped after three tries: it would hold up all others."""

    def __init__(self, channel: str, *, pause: float = 1.0) -> None:
        """`pause`: seconds before the first retry of `keep`."""
        self._channel = channel
        self._pause = pause
        self._tries: Latest[int] = Latest(_MOST_KNOWN)

    async def accept(self, link: ChannelLink, message: InboundMessage) -> str:
        """Store a message of a platform that sends it again until it is acknowledged: acknowledge it when this returns. Returns its id; empty: its
        sender may not write, or it was given up. Raises StoreUnavailable: don't acknowledge it."""
        key = message.external_id
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        if tries > _MOST_TRIES:
            log.error("channel.message_given_up channel=%s id=%s tries=%d", self._channel, key, _MOST_TRIES)
            self._tries.pop(key, None)
            return ""
        try:
            id = await link.accept(message)
        except (StoreUnavailable, asyncio.CancelledError):  # not the message's fault
            self._tries.pop(key, None)
            raise
        self._tries.pop(key, None)
        return id

    async def keep(self, link: ChannelLink, message: InboundMessage | None, *, healed: Callable[[], object] | None = None) -> str:
        """The same for a platform that sends each message once: tried until it is stored, which holds up those behind it. `healed` is called when it
        is stored after all. None: what came is not for the assistant."""
        if message is None:
            return ""
        return await self.until_stored(link, partial(self.accept, link, message), healed=healed)

    async def until_stored(self, link: ChannelLink, work: Callable[[], Awaitable[T]], *, healed: Callable[[], object] | None = None) -> T:
        """Do this until the store can be used. Harmless to repeat."""
        failures = 0
        while True:
            try:
                done = await work()
            except StoreUnavailable:
                failures += 1
                link.degraded(NOT_KEPT)
                await asyncio.sleep(backoff(failures, first=self._pause, longest=_LONGEST_PAUSE))
            else:
                if failures and healed is not None:
                    healed()
                return done
