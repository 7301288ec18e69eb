"""Deliveries for those who queue them: enqueue, wait for the outcome, and the outcome in one sentence."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from assistant.contracts.errors import DeliveryNotFound
from assistant.contracts.outbox import Delivery, OutboundEvent, following_id
from assistant.store.outbox import OutboxStore


class Watch:
    """Wakes the watchers of an event when the dispatcher changed its state."""

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
"""Where it is this process, `Watch` wakes the caller; the look-up finds what another process, or an expiry, settled."""


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
                if (then := await self._following(delivery)) is not None:
                    return await self.outcome(then.event.id, max(0.0, deadline - loop.time()))
                left = deadline - loop.time()
                if left <= 0 or self._is_told(delivery):
                    return delivery
                try:
                    async with asyncio.timeout(min(left, self._poll)):
                        await changed.wait()
                except TimeoutError:
                    continue

    async def _following(self, delivery: Delivery) -> Delivery | None:
        """The one on the person's next channel."""
        if delivery.event.person is None or delivery.state not in ("failed", "expired"):
            return None
        return await self._outbox.get(None, following_id(delivery.event.id))

    def enabled(self, channel: str) -> bool:
        return self._enabled(channel)

    def _is_told(self, delivery: Delivery) -> bool:
        """Whether waiting longer would not change the state."""
        match delivery.state:
            case "sending":
                return False
            case "queued":
                return delivery.trouble is not None or not self._enabled(delivery.event.address.channel)
            case _:
                return True


_TWICE = "it may have arrived twice, because an earlier try ended without an answer"


def describe(delivery: Delivery, enabled: bool, now: datetime | None = None, *, to_owner: bool = False) -> str:
    """`enabled`: whether anybody delivers on its channel now. `now`: for "in 30 s"; None: the present. `to_owner`: where a message to a person went
    may be told."""
    now = now or datetime.now(UTC)
    person = delivery.event.person
    if person is not None and person.hidden and not to_owner:
        return _told_without_address(delivery, now)
    match delivery.state:
        case "sent":
            words = _sent(delivery)
        case "sending":
            words = f"being sent now{_progress(delivery)}: it is not known yet whether it arrives"
        case "queued":
            words = _queued(delivery, enabled, now)
        case "failed":
            words = f"failed: {_why(delivery, 'no reason was given')}{_progress(delivery)}{_doubt(delivery)}"
        case "expired":
            words = f"expired: it could not be sent in time{_because(delivery)}{_progress(delivery)}"
        case "cancelled":
            words = f"cancelled before it was sent{_progress(delivery)}{_doubt(delivery)}"
        case "unknown":
            words = f"unknown: it may have arrived or not{_because(delivery)}; it is not sent again unless you retry it"
    for route in person.tried if person is not None else ():
        words = f"{words}; before, it could not be delivered on {route.channel}: {route.words}"
    if delivery.notice:
        words = f"{words}; {delivery.notice}"
    return f"{words}; {_TWICE}" if delivery.maybe_duplicate else words


def _told_without_address(delivery: Delivery, now: datetime) -> str:
    """Neither channel, id nor a platform's words: what a person's chats are is known to them and to the owner."""
    wait = (delivery.due - now).total_seconds()
    match delivery.state:
        case "sent":
            return "sent"
        case "queued" if delivery.event.not_before is not None and wait > 0 and delivery.trouble is None:
            return f"scheduled: it will be sent in {span(wait)}"
        case "queued" | "sending":
            return "queued: it has not been sent yet, and is tried until it is"
        case "cancelled":
            return "cancelled before it was sent"
        case "unknown":
            return "unknown: it may have arrived or not"
        case "failed" | "expired":
            return "failed: it could not be delivered in any of their chats"


def _sent(delivery: Delivery) -> str:
    ids = [part.receipt.message_id for part in delivery.parts if part.receipt and part.receipt.message_id]
    if not ids:
        return "sent (accepted by the service; it gives no receipt)"
    return f"sent (message{'s' if len(ids) > 1 else ''} {', '.join(ids)})"


def _queued(delivery: Delivery, enabled: bool, now: datetime) -> str:
    expiry = span((delivery.event.expires_at - now).total_seconds())
    channel = delivery.event.address.channel
    wait = (delivery.due - now).total_seconds()
    scheduled = delivery.event.not_before is not None and wait > 0 and delivery.trouble is None
    if not enabled:
        what = f"scheduled in {span(wait)}" if scheduled else "queued"
        return f"{what}, but the {channel} channel is not enabled: nothing will be delivered until it is (it expires in {expiry})"
    if delivery.trouble is not None:
        again = f"next in {span(wait)}" if wait > 0 else "it is tried again as soon as the channel can be reached"
        met = "met a flood wait" if delivery.trouble.code == "flood_wait" else f"failed ({_why(delivery, '')})"
        arrived = sum(part.receipt is not None for part in delivery.parts)
        # Parts that wait for the platform's limits are claimed one by one: then the number of attempts would tell of trouble that there was not.
        what = f"part {arrived + 1}" if arrived else f"attempt {delivery.attempts}"
        return f"queued: {what} {met}, {again}{_progress(delivery)}"
    if scheduled:
        return f"scheduled: it will be sent in {span(wait)}"
    return f"queued: it has not been sent yet, and will be as soon as the {channel} channel takes it (it expires in {expiry}){_progress(delivery)}"


def _progress(delivery: Delivery) -> str:
    """Of a message in several parts, some of which arrived."""
    arrived = sum(part.receipt is not None for part in delivery.parts)
    return f" ({arrived} of {len(delivery.parts)} parts arrived)" if arrived else ""


def _doubt(delivery: Delivery) -> str:
    """Of one that is over, though a try of it ended without an answer."""
    doubtful = any(part.started is not None and part.receipt is None for part in delivery.parts)
    return "; but an earlier try ended without an answer, and may have arrived" if doubtful else ""


def _why(delivery: Delivery, otherwise: str) -> str:
    return delivery.trouble.words.rstrip(".") if delivery.trouble else otherwise


def _because(delivery: Delivery) -> str:
    """`expired` says nothing that the state does not."""
    return f" ({_why(delivery, '')})" if delivery.trouble and delivery.trouble.code != "expired" else ""


def span(seconds: float) -> str:
    """A length of time in the largest unit that tells enough: "30 s", "5 min", "24 h", "3 days"."""
    whole = max(1, round(seconds))
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if whole >= 2 * unit:
            return f"{round(whole / unit)} {name}"
    return f"{whole} s"
