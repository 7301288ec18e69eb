"""A real outbox for tests of the doors that send; nothing is delivered unless the test settles it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from assistant.api.deliveries import Outgoing, Reach
from assistant.app.schedules import Later, open_later
from assistant.config.extensions import ChannelsSettings, ConfiguredChannels
from assistant.contracts.outbox import Claim, OutboundPart, Receipt, Settlement
from assistant.contracts.people import UnknownPeople
from assistant.delivery.service import DeliveryService, Watch
from assistant.store.database import StoreSettings
from assistant.store.store import Store, open_store

LEASE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    store: Store
    enabled: set[str]
    """Channels that count as served, as the test sets them."""
    channels: ConfiguredChannels
    service: DeliveryService
    watch: Watch

    @property
    def outgoing(self) -> Outgoing:
        return Outgoing(
            deliveries=self.service,
            outbox=self.store.outbox,
            files=self.store.media,
            reach=self.reach,
            expire_after=timedelta(hours=24),
        )

    @property
    def reach(self) -> Reach:
        return Reach(channels=self.channels, people=self.store.people, chats=self.store.inbox)

    @property
    def later(self) -> Later:
        return open_later(self.store, self.channels, UnknownPeople())

    async def claim(self, lane: str) -> Claim:
        claim = await self.store.outbox.claim(lane, LEASE)
        assert isinstance(claim, Claim), claim
        return claim

    async def settle(self, lane: str, settlement: Settlement | None = None) -> None:
        """What a dispatcher would do with the next event of a lane: send it as message 42, or what the settlement says."""
        claim = await self.claim(lane)
        part = OutboundPart(text=claim.event.text, plain=claim.event.text)
        receipt = (0, Receipt(message_id="42", at=datetime.now(UTC))) if settlement is None else None
        settled = settlement or Settlement(state="sent")
        assert await self.store.outbox.note(claim, plan=[part], receipt=receipt, settle=settled)
        self.watch.changed(claim.event.id)


@asynccontextmanager
async def open_outbox(folder: Path, *enabled: str) -> AsyncGenerator[Outbox]:
    """`enabled`: the channels that people are reached on; none: any, and nothing is delivered here."""
    delivered, watch = set(enabled), Watch()
    store = await open_store(StoreSettings(), folder / "state", offers=lambda address: not enabled or address.channel in delivered)
    try:
        yield Outbox(
            store=store,
            enabled=delivered,
            channels=ConfiguredChannels(ChannelsSettings().by_name()),
            service=DeliveryService(store.outbox, enabled=delivered.__contains__, watch=watch),
            watch=watch,
        )
    finally:
        await store.close()
