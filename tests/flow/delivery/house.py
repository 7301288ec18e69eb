"""What tests of deliveries share: a real store with a clock that can be turned, and dispatchers on it, each like a process of its own."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count

from assistant.contracts.addresses import Address
from assistant.contracts.outbox import Delivery, DeliveryState, Origin, OutboundEvent
from assistant.delivery.dispatcher import Dispatcher
from assistant.delivery.service import DeliveryService, Watch, describe
from assistant.delivery.settings import DeliverySettings
from assistant.store.outbox import OutboxStore
from assistant.store.store import Store
from tests.clocks import ShiftedClock
from tests.doubles.platform import Platform

_numbers = count(1)
HOUR = timedelta(hours=1)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what nobody tells of."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - as said
            await asyncio.sleep(0.005)


class House:
    def __init__(self, store: Store, clock: ShiftedClock) -> None:
        self.store = store
        self.clock = clock
        self.watch = Watch()
        self._dispatchers: list[Dispatcher] = []

    def dispatcher(self, *platforms: Platform, settings: DeliverySettings | None = None, outbox: OutboxStore | None = None) -> Dispatcher:
        dispatcher = Dispatcher(
            outbox or self.store.outbox,
            self.store.notifier,
            platforms,
            settings or DeliverySettings(),
            watch=self.watch,
            clock=self.clock,
            jitter=lambda: 0.5,
        )
        self._dispatchers.append(dispatcher)
        dispatcher.start()
        return dispatcher

    def service(self, dispatcher: Dispatcher) -> DeliveryService:
        return DeliveryService(self.store.outbox, enabled=dispatcher.enabled, watch=self.watch)

    def words(self, service: DeliveryService, delivery: Delivery) -> str:
        """What is true of it now, in words."""
        return describe(delivery, service.enabled(delivery.event.address.channel), self.clock())

    def event(
        self,
        text: str,
        chat: str = "42",
        *,
        channel: str = "telegram",
        expires: timedelta = 24 * HOUR,
        not_before: timedelta | None = None,
        replaces: str | None = None,
    ) -> OutboundEvent:
        now = self.clock()
        return OutboundEvent(
            id=f"evt_{next(_numbers):028x}",
            address=Address(channel=channel, chat_id=chat),
            text=text,
            replaces=replaces,
            not_before=now + not_before if not_before is not None else None,
            expires_at=now + expires,
            origin=Origin(kind="tool", owner="anna"),
        )

    async def enqueue(self, text: str, chat: str = "42", *, channel: str = "telegram", expires: timedelta = 24 * HOUR) -> str:
        event = self.event(text, chat, channel=channel, expires=expires)
        await self.store.outbox.enqueue([event])
        return event.id

    def turn(self, by: timedelta) -> None:
        """Set the clock forward, and have everybody look at it."""
        self.clock.turn(by)
        self.store.notifier.notify()

    async def delivery(self, event_id: str) -> Delivery:
        delivery = await self.store.outbox.get(None, event_id)
        assert delivery is not None
        return delivery

    async def until(self, event_id: str, state: DeliveryState, *, trouble: str | None = None, attempts: int = 0) -> Delivery:
        """Wait until it is in this state (and met this trouble, after so many attempts)."""
        async with asyncio.timeout(10):
            with self.watch.on(event_id) as changed:
                while True:
                    changed.clear()
                    delivery = await self.delivery(event_id)
                    met = delivery.trouble.code if delivery.trouble else None
                    if delivery.state == state and delivery.attempts >= attempts and trouble in (None, met):
                        return delivery
                    await changed.wait()

    async def until_state(self, event_id: str, state: DeliveryState) -> Delivery:
        """Wait until it is in this state, whoever brought it there: for what the dispatcher does not tell of."""
        async with asyncio.timeout(10):
            while (await self.delivery(event_id)).state != state:  # noqa: ASYNC110 - another process would not tell either
                await asyncio.sleep(0.005)
        return await self.delivery(event_id)

    async def all_sent(self, event_ids: Sequence[str]) -> None:
        for event_id in event_ids:
            await self.until(event_id, "sent")

    async def crash(self, dispatcher: Dispatcher) -> None:
        """What it was sending is cut off in the middle, and its claims are left to lapse."""
        await dispatcher.close(grace=0)
        self.clock.turn(timedelta(seconds=16))

    async def close(self) -> None:
        for dispatcher in self._dispatchers:
            await dispatcher.close(grace=0)
