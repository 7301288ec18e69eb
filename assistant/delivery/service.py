"""Deliveries for those who queue them: enqueue, wait for the outcome, retry, cancel."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from assistant.contracts.errors import DeliveryNotFound
from assistant.contracts.outbox import Delivery, OutboundEvent
from assistant.store.outbox import OutboxStore


class Watch:
    """The dispatcher tells it of every event whose state it changed; whoever watches that event is woken."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[asyncio.Event]] = {}

    def changed(self, event_id: str) -> None:
        for watcher in self._watchers.get(event_id, ()):
            watcher.set()

    @contextmanager
    def on(self, event_id: str) -> Generator[asyncio.Event]:
        """Set whenever the event changed, from now to the end of the block."""
        watcher = asyncio.Event()
        watchers = self._watchers.setdefault(event_id, set())
        watchers.add(watcher)
        try:
            yield watcher
        finally:
            watchers.discard(watcher)
            if not watchers:
                self._watchers.pop(event_id, None)


_POLL: Final = 0.1
"""Seconds. Where the dispatcher is another process (`nanobot send`), its outcome is looked up this often."""
_POLL_BESIDE: Final = 1.0
"""Where it is this one, it says so itself; the look-up finds what another process, or an expiry, settled."""


class DeliveryService:
    """Implements `Deliveries`."""

    def __init__(self, outbox: OutboxStore, *, enabled: Callable[[str], bool], watch: Watch | None = None) -> None:
        """`enabled`: whether anybody delivers on a channel now (`Dispatcher.enabled`). `watch`: that of the dispatcher of this process; None:
        there is none here."""
        self._outbox = outbox
        self._enabled = enabled
        self._watch = watch or Watch()
        self._poll = _POLL if watch is None else _POLL_BESIDE

    async def send(self, event: OutboundEvent) -> Delivery:
        (delivery,) = await self._outbox.enqueue([event])
        return delivery

    async def outcome(self, event_id: str, within: float) -> Delivery:
        """As the port says. Raises DeliveryNotFound, StoreUnavailable."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        with self._watch.on(event_id) as changed:
            while True:
                changed.clear()
                delivery = await self._outbox.get(None, event_id)
                if delivery is None:
                    raise DeliveryNotFound
                left = deadline - loop.time()
                if left <= 0 or self._is_told(delivery):
                    return delivery
                try:
                    async with asyncio.timeout(min(left, self._poll)):
                        await changed.wait()
                except TimeoutError:
                    continue

    def enabled(self, channel: str) -> bool:
        return self._enabled(channel)

    def _is_told(self, delivery: Delivery) -> bool:
        """Whether waiting longer would tell nothing more, for now."""
        match delivery.state:
            case "sending":
                return False
            case "queued":
                return delivery.trouble is not None or not self._enabled(delivery.event.address.channel)
            case _:
                return True
