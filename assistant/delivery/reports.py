"""What platforms report of messages that they had accepted (`ChannelLink.undelivered`, `delivered`)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.metrics import DELIVERIES, Metrics
from assistant.contracts.outbox import DeliveryError
from assistant.store.outbox import OutboxStore

log = logging.getLogger(__name__)

_MOST_WAITING: Final = 1_000


class DeliveryReports:
    """Implements `supervisor.ReportReceiver`. A report can be quicker than the answer that gives the message's id: one of an unknown message is
    looked up a second time, a little later."""

    def __init__(self, outbox: OutboxStore, *, metrics: Metrics | None = None, again_after: float = 5.0) -> None:
        """Needs a running event loop. `again_after`: seconds to the second look."""
        self._outbox = outbox
        self._metrics = metrics or Metrics()
        self._again_after = again_after
        self._waiting: set[asyncio.Task[None]] = set()

    async def undelivered(self, channel: str, message_id: str, code: str, words: str) -> None:
        """See `ChannelLink`."""
        await self._note(channel, partial(self._fail, channel, message_id, DeliveryError(code=code, words=words)))

    async def delivered(self, channel: str, message_id: str, *, read: bool) -> None:
        """See `ChannelLink`."""
        await self._note(channel, partial(self._outbox.delivered, channel, message_id, read=read))

    async def close(self) -> None:
        """Forget what waits for its second look. Safe to call twice."""
        for task in self._waiting:
            task.cancel()
        if self._waiting:
            await asyncio.wait(self._waiting)

    async def _fail(self, channel: str, message_id: str, trouble: DeliveryError) -> bool:
        event = await self._outbox.undelivered(channel, message_id, trouble)
        if event is None:
            return False
        self._metrics.add(DELIVERIES, channel, "failed")
        log.warning("delivery.undelivered event=%s channel=%s code=%s", event, channel, trouble.code)
        return True

    async def _note(self, channel: str, report: Callable[[], Awaitable[bool]]) -> None:
        if await report():
            return
        if len(self._waiting) >= _MOST_WAITING:
            log.warning("delivery.report_ignored channel=%s", channel)
            return
        task = asyncio.create_task(self._note_later(channel, report), name="delivery-report")
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _note_later(self, channel: str, report: Callable[[], Awaitable[bool]]) -> None:
        await asyncio.sleep(self._again_after)
        try:
            known = await report()
        except StoreUnavailable as error:
            log.warning("delivery.report_lost channel=%s code=%s", channel, error.code)
            return
        if not known:
            log.info("delivery.report_of_unknown channel=%s", channel)
