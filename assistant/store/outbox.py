"""The outbox: events, their parts, claims and receipts."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
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
    OutboundEvent,
    OutboundPart,
    PartState,
    Receipt,
    Settlement,
)
from assistant.contracts.util import Clock, utc_now
from assistant.store import outbox_statements as sql
from assistant.store.blobs import MediaFolder
from assistant.store.codec import decode_event, decode_part, encode_json, from_micros, json_column, json_key, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.notifier import Notifier
from assistant.store.runners import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedEvent:
    """An event as it will be stored: encoded outside of the writer's transaction."""

    values: dict[str, SqlValue]
    digests: frozenset[str]


def prepare_event(event: OutboundEvent, now: int) -> EncodedEvent:
    """Raises InvalidRequest where an id or the address is too long to be stored."""
    not_before = to_micros(event.not_before) if event.not_before is not None else now
    event_id, channel, lane, owner = json_key(event.id, event.address.channel, event.address.lane, event.origin.owner)
    values: dict[str, SqlValue] = {
        "id": event_id,
        "channel": channel,
        "lane": lane,
        "owner": owner,
        "yields": int(not_before > now),
        "due": max(not_before, now),
        "expires": to_micros(event.expires_at),
        "at": now,
        "payload": encode_json(event),
    }
    return EncodedEvent(values=values, digests=frozenset(media.digest for media in event.media))


def add_event(connection: Transaction, drafts: Sequence[EncodedEvent], notifier: Notifier) -> None:
    """Enqueue those whose id is not known. Whoever commits calls `notifier.announced` afterwards."""
    new = False
    for each in drafts:
        added = connection.execute(sql.ADD_EVENT, each.values)
        for (seq,) in added:
            new = True
            for digest in each.digests:
                connection.execute(sql.ADD_MEDIA, {"seq": seq, "digest": digest})
    if new:
        notifier.announce(connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDelivery:
    """An event's row and the rows of its parts: read within a transaction, decoded outside of it."""

    row: SqlRow
    parts: Sequence[SqlRow]


def find_delivery(connection: Transaction, owner: str | None, event_id: str) -> StoredDelivery | None:
    """By the event's id and its owner, both as stored; `owner` None: anybody's."""
    rows = connection.execute(sql.DELIVERY, {"id": event_id})
    return with_parts(connection, rows[0]) if rows and owner in {None, rows[0][-1]} else None


def with_parts(connection: Transaction, row: SqlRow) -> StoredDelivery:
    """`row`: of which the first is the event's seq."""
    seq: SqlValue = row[0]
    return StoredDelivery(row=row, parts=connection.execute(sql.PARTS, {"seq": seq}))


def decode_delivery(stored: StoredDelivery) -> Delivery:
    """Of the columns of `outbox_statements.DELIVERY`."""
    _, payload, state, attempts, created, due, expires, ended, code, words, maybe_duplicate, _ = stored.row
    return Delivery(
        event=decode_event(payload, from_micros(expires)),
        state=state,
        attempts=attempts,
        created=from_micros(created),
        due=from_micros(due),
        ended=from_micros(ended) if ended is not None else None,
        trouble=DeliveryError(code=unescape(code), words=unescape(words)) if code is not None else None,
        maybe_duplicate=bool(maybe_duplicate),
        parts=_parts(stored.parts),
    )


def decode_claim(stored: StoredDelivery) -> Claim:
    """Of the event's seq and the columns that `outbox_statements.TAKE` returns."""
    _, payload, expires, fence, attempts, held, maybe_duplicate = stored.row
    return Claim(
        event=decode_event(payload, from_micros(expires)),
        fence=fence,
        attempts=attempts,
        held=held,
        maybe_duplicate=bool(maybe_duplicate),
        parts=_parts(stored.parts),
    )


def _parts(rows: Sequence[SqlRow]) -> tuple[PartState, ...]:
    return tuple([_part(*row) for row in rows])


def _part(body: str, started: int | None, receipt_id: str | None, receipt_at: int | None) -> PartState:
    receipt: Receipt | None = None
    if receipt_at is not None:
        receipt = Receipt(message_id=unescape(receipt_id) if receipt_id is not None else None, at=from_micros(receipt_at))
    return PartState(part=decode_part(body), started=from_micros(started) if started is not None else None, receipt=receipt)


_PATIENCE = 5
"""How often an event may have been held by trouble of its own before those behind it pass."""
EXPIRY: Mapping[str, SqlValue] = {
    "expired": "It expired before it could be sent.",
    "unclear": "It was cut off while it was being sent, and expired: whether it arrived is not known.",
}


def due_lanes(connection: Transaction, values: Mapping[str, SqlValue], channels: int) -> list[SqlRow]:
    """(lane, channel, due) of what is first in line, of what may be sent besides, and of what may be sent next."""
    now: Mapping[str, SqlValue] = {"now": values["now"]}
    asked = {name: value for name, value in values.items() if name != "now"}
    rows = connection.execute(sql.first_in_lines(channels), asked) + connection.execute(sql.YIELDING_DUE, now)
    later = connection.execute(sql.next_yielding(channels), values)
    return rows + [("", values["c0"], due) for (due,) in later]


def take_next(connection: Transaction, values: Mapping[str, SqlValue]) -> StoredDelivery | int | None:
    """The lane's next event, taken; or when there will be one; or None."""
    lane: Mapping[str, SqlValue] = {"lane": values["lane"]}
    at: Mapping[str, SqlValue] = {**lane, "now": values["now"]}
    if connection.execute(sql.LANE_IS_SENDING, lane):
        return None
    connection.execute(sql.FALL_IN_LINE, at)
    first = connection.execute(sql.FIRST_IN_LINE, lane)
    if first and _passed(first[0][2], values["now"]):
        connection.execute(sql.EXPIRE_IN_LINE, {**at, **EXPIRY})
        first = connection.execute(sql.FIRST_IN_LINE, lane)
    if first and _passed(first[0][1], values["now"]):
        seq = first[0][0]
        taken = connection.execute(sql.TAKE, {"seq": seq, "runner": values["runner"], "lease": values["lease"]})
        return with_parts(connection, (seq, *taken[0]))
    times = [due for _, due, _ in first] + [due for (due,) in connection.execute(sql.NEXT_IN_LANE, lane) if due is not None]
    return min(times, default=None)


def noted(
    now: int,
    *,
    plan: Sequence[OutboundPart] | None,
    receipt: tuple[int, Receipt] | None,
    start: int | None,
    maybe_duplicate: bool,
    settle: Settlement | None,
) -> list[tuple[str, dict[str, SqlValue]]]:
    """The statements of `OutboxStore.note`, each on an event `:seq`."""
    written: list[tuple[str, dict[str, SqlValue]]] = [
        (sql.ADD_PART, {"place": place, "body": encode_json(part)}) for place, part in enumerate(plan or ())
    ]
    if receipt is not None:
        place, given = receipt
        message_id = json_column(given.message_id) if given.message_id is not None else None
        written.append((sql.NOTE_RECEIPT, {"place": place, "receipt": message_id, "at": to_micros(given.at)}))
    if maybe_duplicate:
        written.append((sql.MAYBE_TWICE, {}))
    if start is not None:
        written.append((sql.START_PART, {"place": start, "at": now}))
    if settle is not None:
        written.append((sql.SETTLE, _settled(settle, now)))
    return written


def _settled(settle: Settlement, now: int) -> dict[str, SqlValue]:
    again = settle.state == "queued"
    trouble = settle.trouble if settle.state != "sent" else None
    return {
        "state": settle.state,
        "counts": int(settle.counts and again),
        "patience": _PATIENCE,
        "due": (to_micros(settle.due) if settle.due is not None else now) if again else None,
        "ended": None if again else now,
        "code": json_column(trouble.code) if trouble is not None else None,
        "words": json_column(trouble.words) if trouble is not None else None,
    }


def _passed(at: int, now: SqlValue) -> bool:
    return isinstance(now, int) and at <= now


T = TypeVar("T")
_AT_ONCE = 500


class OutboxStore:
    """The outbox as kept. Every write is durable when the call returns, each is one transaction; a call that the store can't do raises
    StoreUnavailable. A write under a claim returns False, with nothing written, when the claim is lost: its holder must stop at once.

    Order: in a lane, events are claimed in the order in which they were enqueued, one at a time. One that is not due for the first time
    (`not_before`) is not in the way. One that waits for a retry is, until it was `held` five times: then those behind it pass.
    """

    def __init__(self, database: Database, runner: Runner, notifier: Notifier, media: MediaFolder, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._notifier = notifier
        self._media = media
        self._clock = clock

    async def enqueue(self, events: Sequence[OutboundEvent]) -> Sequence[Delivery]:
        """Accept them all, or none. An event whose id is known is not accepted again: what became of the first comes back. Rings the notifier."""
        now = self._now()
        drafts = [prepare_event(event, now) for event in events]

        def add(connection: Transaction) -> list[StoredDelivery]:
            add_event(connection, drafts, self._notifier)
            return [self._found(connection, None, str(each.values["id"])) for each in drafts]

        return [decode_delivery(stored) for stored in await self._write_and_ring(add)]

    async def lanes(self, channels: Collection[str]) -> DueLanes:
        """What there is to do on these channels (the enabled ones), leaving out lanes in which something is being sent."""
        wanted = {json_column(channel) for channel in channels}
        if not wanted:
            return DueLanes(ready=(), next_at=None)
        now = self._now()
        values: dict[str, SqlValue] = {"now": now, **{f"c{number}": channel for number, channel in enumerate(sorted(wanted))}}
        found = await self._database.read(lambda connection: due_lanes(connection, values, len(wanted)))
        since: dict[str, int] = {}
        later: list[int] = []
        for lane, channel, due in found:
            if channel in wanted:
                if due > now:
                    later.append(due)
                else:
                    since[lane] = min(due, since.get(lane, due))
        ready = tuple([unescape(lane) for lane in sorted(since, key=lambda lane: (since[lane], lane))])
        return DueLanes(ready=ready, next_at=from_micros(min(later)) if later else None)

    async def claim(self, lane: str, lease: timedelta) -> Claim | datetime | None:
        """The next event of a lane, as "sending". A time: nothing before then. None: nothing waits, or somebody else is sending.
        What has expired on the way is settled as such."""
        now = self._now()
        values: dict[str, SqlValue] = {
            "lane": json_column(lane),
            "now": now,
            "runner": self._runner.id,
            "lease": now + lease // _MICROSECOND,
        }
        found = await self._database.write(lambda connection: take_next(connection, values))
        if isinstance(found, StoredDelivery):
            return decode_claim(found)
        return from_micros(found) if found is not None else None

    async def renew(self, claims: Mapping[str, int], lease: timedelta) -> Collection[str]:
        """Keep claims (event id → fence) for another lease; returns the ids of those that are lost."""
        until = self._now() + lease // _MICROSECOND

        def extend(connection: Transaction) -> set[str]:
            return {
                event
                for event, fence in claims.items()
                if not connection.execute(sql.RENEW, {"id": json_column(event), "fence": fence, "lease": until})
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
        """What happened under a claim, in one transaction: the parts that were planned, the receipt of a part (its place, from 0), the part
        that is about to be sent, that it may be sent twice, and how the attempt ended (which ends the claim). Places of parts are from 0."""
        written = noted(self._now(), plan=plan, receipt=receipt, start=start, maybe_duplicate=maybe_duplicate, settle=settle)
        return await self._under(claim, written)

    async def unstart(self, claim: Claim, place: int) -> bool:
        """The part was surely not accepted by the platform: forget that it was started."""
        return await self._under(claim, [(sql.UNSTART_PART, {"place": place})])

    async def recover(self) -> int:
        """Put back what dead processes were sending, and what has outlived its lease. What expired unsent (also on channels that are not
        enabled) is settled: as "expired", or as "unknown" where a part was started and has no receipt. Returns how many were put back.
        Called at start and every few seconds."""
        now = self._now()

        def put_back(connection: Transaction) -> int:
            senders = [runner for (runner,) in connection.execute(sql.SENDERS, {"runner": self._runner.id})]
            dead = [runner for runner in senders if self._runner.is_dead(connection, runner)]
            back = sum(len(connection.execute(sql.PUT_BACK, {"now": now, "dead": runner})) for runner in ("", *dead))
            connection.execute(sql.EXPIRE_ALL, {"now": now, **EXPIRY})
            # On channels that nobody serves, too: else they would be looked at anew each time that somebody asks what is due.
            connection.execute(sql.ALL_FALL_IN_LINE, {"now": now})
            if back:
                self._notifier.announce(connection)
            return back

        back = await self._database.write(put_back)
        if back:
            self._notifier.announced()
        return back

    async def get(self, owner: str | None, event_id: str) -> Delivery | None:
        """`owner` None: anybody's (the command line)."""
        its_owner, its_id = _identity(owner, event_id)
        stored = await self._database.read(lambda connection: find_delivery(connection, its_owner, its_id))
        return decode_delivery(stored) if stored is not None else None

    async def list(
        self,
        owner: str | None,
        *,
        state: DeliveryState | None = None,
        channel: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Sequence[Delivery]:
        """The latest first; `before`: the id of the last one of the page before."""
        asked: dict[str, str | None] = {"owner": owner, "state": state, "channel": channel, "before": before}
        wanted = sql.deliveries_of(**{name: value is not None for name, value in asked.items()})
        values: dict[str, SqlValue] = {name: json_column(value) for name, value in asked.items() if value is not None}

        def read(connection: Transaction) -> list[StoredDelivery]:
            return [with_parts(connection, row) for row in connection.execute(wanted, {**values, "limit": limit})]

        return [decode_delivery(stored) for stored in await self._database.read(read)]

    async def retry(self, owner: str | None, event_id: str, expires_at: datetime) -> Delivery:
        """Queue again what is failed, expired, cancelled or unknown (or make a queued one due now); parts with a receipt are not sent again.
        One that was unknown becomes `maybe_duplicate`: whoever asks for this wants it sent though it may have arrived.
        Raises DeliveryNotFound, and DeliveryConflict where it is sent or being sent. Rings the notifier."""
        now, expires = self._now(), to_micros(expires_at)
        its_owner, its_id = _identity(owner, event_id)

        def queue(connection: Transaction) -> StoredDelivery:
            seq, _, state, *_ = self._found(connection, its_owner, its_id).row
            if state != "queued" and state not in UNSENT:
                raise DeliveryConflict(f"The delivery can't be tried again: it is {'being sent' if state == 'sending' else state}.")
            connection.execute(sql.RETRY, {"seq": seq, "now": now, "expires": expires})
            self._notifier.announce(connection)
            return self._found(connection, its_owner, its_id)

        return decode_delivery(await self._write_and_ring(queue))

    async def cancel(self, owner: str | None, event_id: str) -> Delivery:
        """Cancel what is queued. Raises DeliveryNotFound, and DeliveryConflict in any other state."""
        now = self._now()
        its_owner, its_id = _identity(owner, event_id)

        def end(connection: Transaction) -> StoredDelivery:
            seq, _, state, *_ = self._found(connection, its_owner, its_id).row
            if state != "queued":
                raise DeliveryConflict(f"The delivery can't be cancelled: it is {'being sent' if state == 'sending' else state}.")
            connection.execute(sql.CANCEL, {"seq": seq, "now": now})
            return self._found(connection, its_owner, its_id)

        return decode_delivery(await self._database.write(end))

    async def counts(self) -> Mapping[tuple[str, DeliveryState], int]:
        """How many by (channel, state)."""
        rows = await self._database.read(lambda connection: connection.execute(sql.COUNTS))
        return {(unescape(channel), state): count for channel, state, count in rows}

    async def purge(self, before: datetime) -> int:
        """Remove what ended before this time, and media that nothing refers to any more. Returns how many deliveries went."""
        values: dict[str, SqlValue] = {"before": to_micros(before), "most": _AT_ONCE}
        removed = gone = await self._database.write(lambda connection: len(connection.execute(sql.PURGE, values)))
        # In slices, so that what has to be sent meanwhile waits for none of them long.
        while gone == _AT_ONCE:
            gone = await self._database.write(lambda connection: len(connection.execute(sql.PURGE, values)))
            removed += gone
        await self._media.sweep(self._clock())
        return removed

    async def _under(self, claim: Claim, statements: Sequence[tuple[str, dict[str, SqlValue]]]) -> bool:
        """Run statements on the event of a claim (`:seq`), if the claim still holds."""
        held: dict[str, SqlValue] = {"id": json_column(claim.event.id), "fence": claim.fence}

        def write(connection: Transaction) -> bool:
            rows = connection.execute(sql.CLAIMED, held)
            for statement, values in statements if rows else ():
                connection.execute(statement, {**values, "seq": rows[0][0]})
            return bool(rows)

        return await self._database.write(write)

    async def _write_and_ring(self, job: Callable[[Transaction], T]) -> T:
        result = await self._database.write(job)
        self._notifier.announced()
        return result

    def _found(self, connection: Transaction, owner: str | None, event_id: str) -> StoredDelivery:
        stored = find_delivery(connection, owner, event_id)
        if stored is None:
            raise DeliveryNotFound
        return stored

    def _now(self) -> int:
        return to_micros(self._clock())


_MICROSECOND = timedelta(microseconds=1)


def _identity(owner: str | None, event_id: str) -> tuple[str | None, str]:
    """As stored."""
    return json_column(owner) if owner is not None else None, json_column(event_id)
