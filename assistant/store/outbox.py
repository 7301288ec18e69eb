"""The outbox: events, their parts, claims and receipts."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from assistant.contracts.errors import DeliveryConflict, DeliveryNotFound
from assistant.contracts.outbox import (
    UNSENT,
    Claim,
    Delivery,
    DeliveryError,
    DeliveryState,
    DueLanes,
    Media,
    OutboundEvent,
    OutboundPart,
    Receipt,
    Settlement,
)
from assistant.contracts.util import Clock, utc_now
from assistant.store import outbox_rows as rows
from assistant.store.codec import from_micros, json_column, optional, to_micros, unescape
from assistant.store.database import Database, SqlValue, Transaction
from assistant.store.media import MediaFolder
from assistant.store.occurrence_rows import LOST, end_lost, end_with_delivery
from assistant.store.outbox_reports import RECEIVED, report_undelivered
from assistant.store.outbox_rows import StoredDelivery, decode_claim, decode_delivery
from assistant.store.processes import Notifier, Runner, dead_among
from assistant.store.reaching import Offers, follow

T = TypeVar("T")
_AT_ONCE = 500
_MICROSECOND = timedelta(microseconds=1)


class OutboxStore:
    """The outbox. Each write is one transaction, durable when the call returns. Every method may raise StoreUnavailable.

    A write under a claim that was lost writes nothing and returns False: the claim's holder must stop at once.

    Order: a lane's events are claimed one at a time, in the order in which they were enqueued. An event that is not due for the first time
    (`not_before`) does not block the lane. One that waits for a retry does, until it was `held` five times: then those behind it pass.
    `owner` None means any owner's (the command line).
    """

    def __init__(
        self,
        database: Database,
        runner: Runner,
        notifier: Notifier,
        media: MediaFolder,
        *,
        offers: Offers = lambda _: True,
        clock: Clock = utc_now,
    ) -> None:
        """`media`: the files that events refer to. `offers`: which chats a failed delivery to a person may be followed in."""
        self._database = database
        self._runner = runner
        self._notifier = notifier
        self._media = media
        self._clock = clock
        self._offers = offers

    async def enqueue(self, events: Sequence[OutboundEvent]) -> Sequence[Delivery]:
        """Accept all events, or none, and notify. For an event whose id is known, return the delivery of the first one."""
        now = self._now()
        drafts = [rows.prepare_event(event, now) for event in events]

        def add(connection: Transaction) -> list[StoredDelivery]:
            rows.add_events(connection, drafts, self._notifier)
            return [_found(connection, None, str(each.values["id"])) for each in drafts]

        return [decode_delivery(stored) for stored in await self._write_and_notify(add)]

    async def lanes(self, channels: Collection[str]) -> DueLanes:
        """The lanes of these (enabled) channels with an event to send now; not those in which one is being sent."""
        wanted = {json_column(channel) for channel in channels}
        if not wanted:
            return DueLanes(ready=(), next_at=None)
        now = self._now()
        values: dict[str, SqlValue] = {"now": now, **{f"c{number}": channel for number, channel in enumerate(sorted(wanted))}}
        found = await self._database.read(lambda connection: rows.due_lanes(connection, values, len(wanted)))
        since: dict[str, int] = {}
        later: list[int] = []
        for lane, channel, due in found:
            if channel in wanted:
                if due > now:
                    later.append(due)
                else:
                    since[lane] = min(due, since.get(lane, due))
        ready = tuple([unescape(lane) for lane in sorted(since, key=lambda lane: (since[lane], lane))])
        return DueLanes(ready=ready, next_at=optional(from_micros, min(later, default=None)))

    async def claim(self, lane: str, lease: timedelta) -> Claim | datetime | None:
        """Claim the lane's next event, which becomes "sending". Expired events found first are settled as such.

        A time: nothing is due before it. None: nothing waits, or an event of the lane is being sent.
        """
        now = self._now()
        values: dict[str, SqlValue] = {
            "lane": json_column(lane),
            "now": now,
            "runner": self._runner.id,
            "lease": now + lease // _MICROSECOND,
        }
        found = await self._database.write(lambda connection: rows.take_next(connection, values))
        return decode_claim(found) if isinstance(found, StoredDelivery) else optional(from_micros, found)

    async def fetch(self, media: Sequence[Media]) -> None:
        """Put files of an event where adapters open them, where another machine kept them."""
        for each in media:
            await self._media.fetch(each)

    async def renew(self, claims: Mapping[str, int], lease: timedelta) -> Collection[str]:
        """Keep claims (event id → fence) for another lease. Returns the ids of those that are lost."""
        until = self._now() + lease // _MICROSECOND

        def extend(connection: Transaction) -> set[str]:
            return {
                event
                for event, fence in claims.items()
                if not connection.execute(rows.RENEW, {"id": json_column(event), "fence": fence, "lease": until})
            }

        return await self._database.write(extend) if claims else ()

    async def note(
        self,
        claim: Claim,
        *,
        plan: Sequence[OutboundPart] | None = None,
        receipt: tuple[int, Receipt] | None = None,
        start: int | None = None,
        maybe_duplicate: bool = False,
        settle: Settlement | None = None,
    ) -> bool:
        """Store what happened under a claim, in one transaction: the planned parts, a part's receipt, the part about to be sent, that it
        may arrive twice, and how the attempt ended (which ends the claim). Parts are counted from 0."""
        ends = (
            settle.state if settle and settle.state != "queued" and (claim.event.origin.kind == "schedule" or claim.event.person) else None
        )
        written = rows.noted(self._now(), plan=plan, receipt=receipt, start=start, maybe_duplicate=maybe_duplicate, settle=settle)
        return await self._under(claim, written, ends)

    async def unstart(self, claim: Claim, place: int) -> bool:
        """Forget that a part was started: the platform surely did not accept it."""
        return await self._under(claim, [(rows.UNSTART_PART, {"place": place})])

    async def recover(self) -> int:
        """Queue again what dead processes were sending and what outlived its lease. Returns how many. Called at start and every few seconds.

        Expired events, also of channels that are not enabled, become "expired", or "unknown" if a part was started and has no receipt.
        """
        now = self._now()

        def put_back(connection: Transaction) -> tuple[int, bool]:
            dead = dead_among(self._runner, connection, [runner for (runner,) in connection.execute(rows.SENDERS)])
            back = sum(len(connection.execute(rows.PUT_BACK, {"now": now, "dead": runner})) for runner in ("", *dead))
            connection.execute(rows.EXPIRE_ALL, {"now": now, **rows.EXPIRY})
            # Of channels that are not enabled, too: `lanes` would otherwise look at them each time.
            connection.execute(rows.ALL_FALL_IN_LINE, {"now": now})
            if back:
                self._notifier.announce(connection)
            followed = follow(connection, self._notifier, self._offers, now)
            lost = connection.execute(LOST)
            return back, (bool(lost) and end_lost(connection, self._notifier, lost, now)) or bool(followed)

        back, lost = await self._database.write(put_back)
        if back or lost:
            self._notifier.announced()
        return back

    async def get(self, owner: str | None, event_id: str) -> Delivery | None:
        names = optional(json_column, owner), json_column(event_id)
        return optional(decode_delivery, await self._database.read(lambda connection: rows.find_delivery(connection, *names)))

    async def list(
        self,
        owner: str | None,
        *,
        state: DeliveryState | None = None,
        channel: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Sequence[Delivery]:
        """The latest first. `before`: the id of the last delivery of the previous page."""
        asked: dict[str, str | None] = {"owner": owner, "state": state, "channel": channel, "before": before}
        wanted = rows.deliveries_of(**{name: value is not None for name, value in asked.items()})
        values: dict[str, SqlValue] = {name: json_column(value) for name, value in asked.items() if value is not None}

        def read(connection: Transaction) -> list[StoredDelivery]:
            return [rows.with_parts(connection, row) for row in connection.execute(wanted, {**values, "limit": limit})]

        return [decode_delivery(stored) for stored in await self._database.read(read)]

    async def retry(self, owner: str | None, event_id: str, expires_at: datetime) -> Delivery:
        """Queue a failed, expired, cancelled or unknown delivery again, or make a queued one due now, and notify. Parts with a receipt are not
        sent again; an unknown delivery becomes `maybe_duplicate`. Raises DeliveryNotFound; DeliveryConflict if it is sent or being sent."""
        values: dict[str, SqlValue] = {"now": self._now(), "expires": to_micros(expires_at)}
        names = optional(json_column, owner), json_column(event_id)

        def queue(connection: Transaction) -> StoredDelivery:
            seq, _, state, *_ = _found(connection, *names).row
            if state != "queued" and state not in UNSENT:
                raise DeliveryConflict(f"The delivery can't be tried again: it is {_state(state)}.")
            connection.execute(rows.RETRY, {**values, "seq": seq})
            self._notifier.announce(connection)
            return _found(connection, *names)

        return decode_delivery(await self._write_and_notify(queue))

    async def cancel(self, owner: str | None, event_id: str) -> Delivery:
        """Cancel a queued delivery. Raises DeliveryNotFound, and DeliveryConflict in any other state."""
        now = self._now()
        names = optional(json_column, owner), json_column(event_id)

        def end(connection: Transaction) -> StoredDelivery:
            seq, _, state, *_ = _found(connection, *names).row
            if state != "queued":
                raise DeliveryConflict(f"The delivery can't be cancelled: it is {_state(state)}.")
            connection.execute(rows.CANCEL, {"seq": seq, "now": now})
            return _found(connection, *names)

        return decode_delivery(await self._database.write(end))

    async def undelivered(self, channel: str, message_id: str, trouble: DeliveryError) -> str | None:
        """The platform reports that a message with this id, which it had accepted, did not arrive: its delivery fails. Returns its id; None: no
        such message is known. Repeatable."""
        now, names = self._now(), (json_column(channel), json_column(message_id))
        return await self._write_and_notify(
            lambda connection: report_undelivered(connection, self._notifier, *names, trouble, now, self._offers)
        )

    async def delivered(self, channel: str, message_id: str, *, read: bool = False) -> bool:
        """The platform reports that a message reached its receiver, or was read. False: no such message is known."""
        values: dict[str, SqlValue] = {"channel": json_column(channel), "receipt": json_column(message_id)}
        values |= {"now": self._now(), "read": int(read)}
        return bool(await self._database.write(lambda connection: connection.execute(RECEIVED, values), relaxed=True))

    async def counts(self) -> Mapping[tuple[str, DeliveryState], int]:
        """How many by (channel, state)."""
        found = await self._database.select(rows.COUNTS)
        return {(unescape(channel), state): count for channel, state, count in found}

    async def purge(self, before: datetime) -> int:
        """Remove what ended before this time, and media without a delivery. Returns how many deliveries were removed."""
        values: dict[str, SqlValue] = {"before": to_micros(before), "most": _AT_ONCE}
        removed, gone = 0, _AT_ONCE
        # In slices, so that other writes wait for none of them long.
        while gone == _AT_ONCE:
            gone = len(await self._database.execute(rows.PURGE, values))
            removed += gone
        await self._media.sweep(self._clock())
        return removed

    async def _under(self, claim: Claim, statements: Sequence[tuple[str, dict[str, SqlValue]]], ends: str | None = None) -> bool:
        """Run statements on the event of a claim (`:seq`), if it still holds. `ends`: the state in which the delivery ends, of a schedule's or one
        to a person."""
        now = self._now()
        held: dict[str, SqlValue] = {"id": json_column(claim.event.id), "fence": claim.fence}

        def write(connection: Transaction) -> bool:
            found = connection.execute(rows.CLAIMED, held)
            for statement, values in statements if found else ():
                connection.execute(statement, {**values, "seq": found[0][0]})
            failed = found and ends in ("failed", "expired")
            followed = follow(connection, self._notifier, self._offers, now) if failed else ()
            if found and ends and claim.event.id not in followed:
                end_with_delivery(connection, self._notifier, str(held["id"]), ends, now)
            return bool(found)

        written = await self._database.write(write)
        if ends not in (None, "sent"):
            self._notifier.announced()
        return written

    async def _write_and_notify(self, job: Callable[[Transaction], T]) -> T:
        result = await self._database.write(job)
        self._notifier.announced()
        return result

    def _now(self) -> int:
        return to_micros(self._clock())


def _found(connection: Transaction, owner: str | None, event_id: str) -> StoredDelivery:
    stored = rows.find_delivery(connection, owner, event_id)
    if stored is None:
        raise DeliveryNotFound
    return stored


def _state(state: str) -> str:
    return "being sent" if state == "sending" else state
