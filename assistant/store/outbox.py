"""The outbox as kept. The contract is `assistant.contracts.outbox.OutboxStore`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from assistant.contracts.clock import Clock, utc_now
from assistant.contracts.errors import DeliveryConflict, DeliveryNotFound
from assistant.contracts.outbox import UNSENT, Claim, Delivery, DeliveryState, DueLanes, OutboundEvent, OutboundPart, Receipt, Settlement
from assistant.store import outbox_statements as sql
from assistant.store import outgoing
from assistant.store.bell import StoreBell
from assistant.store.claims import EXPIRY, due_lanes, noted, take_next
from assistant.store.codec import unescape
from assistant.store.connection import Connection, Value
from assistant.store.database import Database
from assistant.store.deliveries import Stored, claim, delivery, find, with_parts
from assistant.store.envelopes import column
from assistant.store.media import Media
from assistant.store.runners import Runner
from assistant.store.times import from_micros, to_micros

T = TypeVar("T")
_AT_ONCE = 500


class Outbox:
    """Implements OutboxStore on a Database. `media`: the files that its events refer to."""

    def __init__(self, database: Database, runner: Runner, bell: StoreBell, media: Media, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._bell = bell
        self._media = media
        self._clock = clock

    async def enqueue(self, events: Sequence[OutboundEvent]) -> Sequence[Delivery]:
        now = self._now()
        drafts = [outgoing.draft(event, now) for event in events]

        def add(connection: Connection) -> list[Stored]:
            outgoing.add(connection, drafts, self._bell)
            return [self._found(connection, None, str(each.values["id"])) for each in drafts]

        return [delivery(stored) for stored in await self._write_and_ring(add)]

    async def lanes(self, channels: Collection[str]) -> DueLanes:
        wanted = {column(channel) for channel in channels}
        if not wanted:
            return DueLanes(ready=(), next_at=None)
        now = self._now()
        values: dict[str, Value] = {"now": now, **{f"c{number}": channel for number, channel in enumerate(sorted(wanted))}}
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
        now = self._now()
        values: dict[str, Value] = {"lane": column(lane), "now": now, "runner": self._runner.id, "lease": now + lease // _MICROSECOND}
        found = await self._database.write(lambda connection: take_next(connection, values))
        if isinstance(found, Stored):
            return claim(found)
        return from_micros(found) if found is not None else None

    async def renew(self, claims: Mapping[str, int], lease: timedelta) -> Collection[str]:
        until = self._now() + lease // _MICROSECOND

        def extend(connection: Connection) -> set[str]:
            return {
                event
                for event, fence in claims.items()
                if not connection.execute(sql.RENEW, {"id": column(event), "fence": fence, "lease": until})
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
        written = noted(self._now(), plan=plan, receipt=receipt, start=start, maybe_duplicate=maybe_duplicate, settle=settle)
        return await self._under(claim, written)

    async def unstart(self, claim: Claim, place: int) -> bool:
        return await self._under(claim, [(sql.UNSTART_PART, {"place": place})])

    async def recover(self) -> int:
        now = self._now()

        def put_back(connection: Connection) -> int:
            senders = [runner for (runner,) in connection.execute(sql.SENDERS, {"runner": self._runner.id})]
            dead = [runner for runner in senders if self._runner.is_dead(connection, runner)]
            back = sum(len(connection.execute(sql.PUT_BACK, {"now": now, "dead": runner})) for runner in ("", *dead))
            connection.execute(sql.EXPIRE_ALL, {"now": now, **EXPIRY})
            # On channels that nobody serves, too: else they would be looked at anew each time that somebody asks what is due.
            connection.execute(sql.ALL_FALL_IN_LINE, {"now": now})
            if back:
                self._bell.announce(connection)
            return back

        back = await self._database.write(put_back)
        if back:
            self._bell.announced()
        return back

    async def get(self, owner: str | None, event_id: str) -> Delivery | None:
        its_owner, its_id = _identity(owner, event_id)
        stored = await self._database.read(lambda connection: find(connection, its_owner, its_id))
        return delivery(stored) if stored is not None else None

    async def list(
        self,
        owner: str | None,
        *,
        state: DeliveryState | None = None,
        channel: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Sequence[Delivery]:
        asked: dict[str, str | None] = {"owner": owner, "state": state, "channel": channel, "before": before}
        wanted = sql.deliveries_of(**{name: value is not None for name, value in asked.items()})
        values: dict[str, Value] = {name: column(value) for name, value in asked.items() if value is not None}

        def read(connection: Connection) -> list[Stored]:
            return [with_parts(connection, row) for row in connection.execute(wanted, {**values, "limit": limit})]

        return [delivery(stored) for stored in await self._database.read(read)]

    async def retry(self, owner: str | None, event_id: str, expires_at: datetime) -> Delivery:
        now, expires = self._now(), to_micros(expires_at)
        its_owner, its_id = _identity(owner, event_id)

        def queue(connection: Connection) -> Stored:
            seq, _, state, *_ = self._found(connection, its_owner, its_id).row
            if state != "queued" and state not in UNSENT:
                raise DeliveryConflict(f"The delivery can't be tried again: it is {'being sent' if state == 'sending' else state}.")
            connection.execute(sql.RETRY, {"seq": seq, "now": now, "expires": expires})
            self._bell.announce(connection)
            return self._found(connection, its_owner, its_id)

        return delivery(await self._write_and_ring(queue))

    async def cancel(self, owner: str | None, event_id: str) -> Delivery:
        now = self._now()
        its_owner, its_id = _identity(owner, event_id)

        def end(connection: Connection) -> Stored:
            seq, _, state, *_ = self._found(connection, its_owner, its_id).row
            if state != "queued":
                raise DeliveryConflict(f"The delivery can't be cancelled: it is {'being sent' if state == 'sending' else state}.")
            connection.execute(sql.CANCEL, {"seq": seq, "now": now})
            return self._found(connection, its_owner, its_id)

        return delivery(await self._database.write(end))

    async def counts(self) -> Mapping[tuple[str, DeliveryState], int]:
        rows = await self._database.read(lambda connection: connection.execute(sql.COUNTS))
        return {(unescape(channel), state): count for channel, state, count in rows}

    async def purge(self, before: datetime) -> int:
        values: dict[str, Value] = {"before": to_micros(before), "most": _AT_ONCE}
        removed = gone = await self._database.write(lambda connection: len(connection.execute(sql.PURGE, values)))
        # In slices, so that what has to be sent meanwhile waits for none of them long.
        while gone == _AT_ONCE:
            gone = await self._database.write(lambda connection: len(connection.execute(sql.PURGE, values)))
            removed += gone
        await self._media.sweep(self._clock())
        return removed

    async def _under(self, claim: Claim, statements: Sequence[tuple[str, dict[str, Value]]]) -> bool:
        """Run statements on the event of a claim (`:seq`), if the claim still holds."""
        held: dict[str, Value] = {"id": column(claim.event.id), "fence": claim.fence}

        def write(connection: Connection) -> bool:
            rows = connection.execute(sql.CLAIMED, held)
            for statement, values in statements if rows else ():
                connection.execute(statement, {**values, "seq": rows[0][0]})
            return bool(rows)

        return await self._database.write(write)

    async def _write_and_ring(self, job: Callable[[Connection], T]) -> T:
        result = await self._database.write(job)
        self._bell.announced()
        return result

    def _found(self, connection: Connection, owner: str | None, event_id: str) -> Stored:
        stored = find(connection, owner, event_id)
        if stored is None:
            raise DeliveryNotFound
        return stored

    def _now(self) -> int:
        return to_micros(self._clock())


_MICROSECOND = timedelta(microseconds=1)


def _identity(owner: str | None, event_id: str) -> tuple[str | None, str]:
    """As stored."""
    return column(owner) if owner is not None else None, column(event_id)
