"""Short forms for what goes out, and how it is sent."""

from datetime import UTC, datetime, timedelta
from itertools import count

from assistant.contracts.addresses import Address
from assistant.contracts.outbox import Claim, DeliveryError, Origin, OutboundEvent, OutboundPart, Receipt, Settlement
from assistant.store.store import Store

LEASE = timedelta(seconds=15)
_numbers = count(1)
_BEGAN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
"""When the tests' clock begins."""


def event(
    text: str = "hello",
    *,
    event_id: str | None = None,
    chat: str = "42",
    channel: str = "telegram",
    owner: str = "anna",
    not_before: datetime | None = None,
    expires: timedelta = timedelta(hours=24),
) -> OutboundEvent:
    return OutboundEvent(
        id=event_id or f"evt_{next(_numbers):028x}",
        address=Address(channel=channel, chat_id=chat),
        text=text,
        not_before=not_before,
        expires_at=_BEGAN + expires,
        origin=Origin(kind="tool", owner=owner),
    )


def parts(*texts: str) -> tuple[OutboundPart, ...]:
    return tuple(OutboundPart(text=text, plain=text) for text in texts)


async def claimed(store: Store, lane: str = "telegram:42") -> Claim:
    claim = await store.outbox.claim(lane, LEASE)
    assert isinstance(claim, Claim), claim
    return claim


async def send_all(store: Store, lane: str = "telegram:42") -> list[str]:
    """Send what a lane has to send now; returns the texts in the order in which they went."""
    texts: list[str] = []
    while isinstance(claim := await store.outbox.claim(lane, LEASE), Claim):
        texts.append(claim.event.text)
        assert await store.outbox.note(claim, settle=Settlement(state="sent"))
    return texts


def receipt(message_id: str | None, at: datetime) -> Receipt:
    return Receipt(message_id=message_id, at=at)


def again(due: datetime, *, counts: bool = True, code: str = "network") -> Settlement:
    return Settlement(state="queued", trouble=DeliveryError(code=code, words="Not now."), due=due, counts=counts)


def failed(code: str = "chat_not_found") -> Settlement:
    return Settlement(state="failed", trouble=DeliveryError(code=code, words="There is no such chat."))
