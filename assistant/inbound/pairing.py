"""Strangers who are let in: the open codes, a yes and its message to the sender, and the end of it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from assistant.contracts.addresses import Address
from assistant.contracts.errors import NotFound
from assistant.contracts.inbox import Pairing
from assistant.contracts.outbox import Origin, OutboundEvent
from assistant.contracts.people import OWNER_ID
from assistant.contracts.records import record
from assistant.contracts.util import derived_id
from assistant.inbound.phrases import LET_IN
from assistant.store.channels import PairingStore
from assistant.store.links import LinkStore
from assistant.store.outbox import OutboxStore
from assistant.store.people import PeopleStore
from assistant.store.store import Store


class PairingNotFound(NotFound, code="pairing_not_found"):
    """There is no such pairing; codes last an hour."""


@record
class PairingDesk:
    """What the owner does about strangers. Every method may raise StoreUnavailable."""

    pairings: PairingStore
    links: LinkStore
    people: PeopleStore
    outbox: OutboxStore
    expire_after: timedelta
    """How long the message to the sender is tried."""

    async def list(self) -> Sequence[Pairing]:
        """Open ones that have not expired, and approved ones, the latest first."""
        return await self.pairings.list(datetime.now(UTC))

    async def approve(self, code: str, person: str | None = None) -> Pairing:
        """Let the holder of an open code write, and queue a message that says so. `person`: whose other chat it is, by id or name; None: the sender
        becomes a person. Raises PairingNotFound, PersonNotFound, PersonConflict."""
        now = datetime.now(UTC)
        known = None if person is None else (await self.people.find(person)).id
        found = await self.links.approve(code, now, known)
        if found is None:
            raise PairingNotFound(
                "There is no open pairing with this code; codes last an hour. nanobot pairing list shows those there are."
            )
        told = OutboundEvent(
            id=derived_id("evt", "let in", found.channel, found.sender.id, found.created.isoformat()),
            address=Address(channel=found.channel, chat_id=found.chat_id),
            text=LET_IN,
            expires_at=now + self.expire_after,
            origin=Origin(kind="pairing", owner=OWNER_ID),
        )
        await self.outbox.enqueue([told])
        return found

    async def revoke(self, channel: str, sender_id: str) -> None:
        """End an approval, or refuse an open code. Those whom the configuration lets write stay. Raises PairingNotFound."""
        if not await self.pairings.revoke(channel, sender_id):
            raise PairingNotFound


def pairing_desk(store: Store, expire_after: float) -> PairingDesk:
    """`expire_after`: seconds (`deliver.expireAfter`)."""
    return PairingDesk(
        pairings=store.pairings, links=store.links, people=store.people, outbox=store.outbox, expire_after=timedelta(seconds=expire_after)
    )
