"""Occurrences: what is due is claimed with its delivery, turn or job, and comes to an end, in whichever process."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.records import record
from assistant.contracts.schedules import Schedule
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import decode_new_schedule, from_micros, json_column, optional, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.occurrence_rows import (
    ADVANCE,
    CLAIM_WAITING,
    COUNTS,
    DUE,
    DUE_OWNERS,
    DUE_RECEIVERS,
    FAIL,
    FOUND,
    GIVE_BACK,
    HELD_BY,
    HOLD,
    LEAVE,
    PAUSE_OF_LOST_KEYS,
    PURGE,
    PURGE_SCHEDULES,
    REZONE,
    SAW,
    STALE,
    TOLD,
    UNTOLD,
    WAITING_DUE,
    note_end,
)
from assistant.store.outbox_rows import add_events, prepare_event
from assistant.store.processes import Notifier, Runner, dead_among
from assistant.store.schedules import ADD_OCCURRENCE, NOTHING_WAITS, decode_schedule, new_occurrence
from assistant.store.sessions import interrupt

log = logging.getLogger(__name__)

HANDED_BACK: Final = ""
_MOST_CRASHES: Final = 2
_MOST_REZONED: Final = 200
Ending = Literal["delivered", "done", "failed", "skipped", "missed"]


@record
class Due:
    """A schedule that has something due: `extra` is the instant of a waiting occurrence, and `round` how often it came before; None: its rule's."""

    schedule: Schedule
    extra: datetime | None = None
    round: int = 0


@record
class Begun:
    """What is done about an instant that is due."""

    instant: datetime
    ref: str | None = None
    """The id of what comes of it; None: not known yet, or nothing."""
    held: bool = False
    """This process works on it now. Otherwise it ends with `ref`."""
    ended: Ending | None = None
    """It has ended already."""
    error: str | None = None
    """Why it does not run: where it has not `ended`, it is missed once that is told."""


@record
class Plan:
    """What is done about a due schedule, in one transaction."""

    begun: Begun | None
    """None: nothing is due after all (its zone changed)."""
    earlier: Sequence[tuple[datetime, Ending, str]] = ()
    """Instants before it, each with its end and why."""
    events: Sequence[OutboundEvent] = ()
    again: datetime | None = None
    """When it comes again until it is done."""
    next_at: datetime | None
    """Of its rule; for an extra occurrence as it was."""


@record
class HeldOccurrence:
    """An occurrence that this process works on."""

    schedule: Schedule
    id: str
    instant: datetime
    ref: str | None
    error: str | None
    material: str | None
    """What a watch found; None: nothing, or not looked yet."""
    watch: str | None
    """What the watch saw last."""


class OccurrenceStore:
    """Occurrences in a Database. Every write is one transaction, durable when the call returns. Every method may raise StoreUnavailable.

    An instant is claimed once: claims move the schedule on in the transaction that stores the occurrence, and writers of all processes take turns.
    The ends of deliveries, turns and jobs end their occurrence in their own transaction (`occurrence_rows.note_end`).
    """

    def __init__(self, database: Database, runner: Runner, notifier: Notifier, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._notifier = notifier
        self._clock = clock

    async def due_people(self, most: int) -> Collection[str]:
        """The owners of the `most` schedules that have been due longest, and the people that these are for."""
        values: dict[str, SqlValue] = {"now": self._now(), "most": most}
        owners, named = await self._database.read(lambda link: (link.execute(DUE_OWNERS, values), link.execute(DUE_RECEIVERS, values)))
        receivers = [decode_new_schedule(payload).person for (payload,) in named]
        return {unescape(owner) for (owner,) in owners} | {person.id for person in receivers if person is not None}

    async def claim(self, decide: Callable[[Due, datetime], Plan | None], most: int, zones: str) -> tuple[int, Sequence[HeldOccurrence]]:
        """Do what `decide` (pure; may be called twice) says of what is due now, at most `most` schedules and as many extra occurrences. None of it:
        left for later. What is due of a person whose API keys have all ended is paused. Returns how many
        were decided, and what this process holds."""
        clock = self._clock()
        now = to_micros(clock)

        def take(connection: Transaction) -> tuple[int, list[HeldOccurrence], bool]:
            held: list[HeldOccurrence] = []
            decided, sends = 0, False
            for (lost,) in connection.execute(PAUSE_OF_LOST_KEYS, {"now": now}):
                log.warning("schedules.key_ended schedule=%s", lost)
            for row in connection.execute(DUE, {"now": now, "most": most}):
                due = Due(schedule=decode_schedule(row[:-1]))
                if plan := decide(due, clock):
                    held += self._begin(connection, due.schedule, plan, now, row[-1], zones)
                    decided, sends = decided + 1, sends or bool(plan.events)
            for row in connection.execute(WAITING_DUE, {"now": now, "most": most}):
                instant, root, round, *columns, watch = row
                due = Due(schedule=decode_schedule(tuple(columns)), extra=from_micros(instant), round=round)
                if plan := decide(due, clock):
                    held += self._begin_extra(connection, due, plan, now, watch, instant if root is None else root)
                    decided, sends = decided + 1, sends or bool(plan.events)
            return decided, held, sends

        decided, held, sends = await self._database.write(take)
        if sends or held:
            self._notifier.announced()
        return decided, held

    async def take_over(self) -> Sequence[HeldOccurrence]:
        """Hold what dead processes worked on, or handed back. What a second process died of has failed."""
        now = self._now()

        def take(connection: Transaction) -> tuple[list[HeldOccurrence], bool]:
            rows = connection.execute(HELD_BY, {"runner": self._runner.id})
            dead = dead_among(self._runner, connection, [row[0] for row in rows if row[0] != HANDED_BACK]) | {HANDED_BACK}
            held: list[HeldOccurrence] = []
            failed = False
            for runner, crashes, begun, *row in rows:
                if runner not in dead:
                    continue
                crashes += bool(begun) and runner != HANDED_BACK  # what waited for its turn is not at fault
                if crashes < _MOST_CRASHES:
                    held.append(_held(row))
                    connection.execute(HOLD, {"id": row[0], "runner": self._runner.id, "crashes": crashes})
                else:
                    failed = True
                    note_end(connection, self._notifier, "id", row[0], "failed", now, "the server was cut off during it, twice")
                    if row[2] is not None:
                        interrupt(connection, row[2], now)
            return held, failed

        held, failed = await self._database.write(take)
        if failed:
            self._notifier.announced()
        return held

    async def found(self, held: HeldOccurrence, turn: str, material: str, watch: str) -> bool:
        """Note what a watch found, and the turn that it is for. False: another process works on it."""
        values: dict[str, SqlValue] = {"id": held.id, "ref": turn, "material": json_column(material), "runner": self._runner.id}
        return await self._saw(FOUND, values, held, watch)

    async def end(self, held: HeldOccurrence, state: Ending, error: str | None = None, *, watch: str | None = None) -> None:
        """End what this process works on. `watch`: what the watch saw."""
        now = self._now()

        def write(connection: Transaction) -> None:
            note_end(connection, self._notifier, "id", held.id, state, now, error)
            if watch is not None:
                connection.execute(SAW, {"id": held.schedule.id, "watch": json_column(watch)})

        await self._database.write(write)
        if state == "failed":
            self._notifier.announced()

    async def hand_back(self, held: HeldOccurrence) -> None:
        """Leave it to another process: this one stops."""
        await self._database.execute(GIVE_BACK, {"id": held.id, "runner": self._runner.id, "no_runner": HANDED_BACK})

    async def leave(self, held: HeldOccurrence) -> None:
        """Work on it no more: the job that was started ends it, in whichever process."""
        await self._database.execute(LEAVE, {"id": held.id, "runner": self._runner.id})

    async def untold(self) -> Sequence[Schedule]:
        """The schedules whose failures are to be told."""
        return [decode_schedule(row) for row in await self._database.select(UNTOLD)]

    async def told(self, schedule: Schedule, events: Sequence[OutboundEvent]) -> None:
        """Enqueue what tells the person, once."""
        drafts = [prepare_event(event, self._now()) for event in events]

        def write(connection: Transaction) -> None:
            if connection.execute(TOLD, {"id": schedule.id}):
                add_events(connection, drafts, self._notifier)

        await self._database.write(write)
        if drafts:
            self._notifier.announced()

    async def rezone(self, zones: str, next_at: Callable[[Schedule], datetime | None]) -> int:
        """Compute again the next instants that an older version of the time zones gave. Returns how many moved."""

        def write(connection: Transaction) -> tuple[int, int]:
            moved, rows = 0, connection.execute(STALE, {"zones": zones, "most": _MOST_REZONED})
            for row in rows:
                schedule = decode_schedule(row)
                at = next_at(schedule)
                moved += at != schedule.next_at
                connection.execute(REZONE, {"id": schedule.id, "zones": zones, "next_at": optional(to_micros, at)})
            return moved, len(rows)

        moved, looked_at = await self._database.write(write)
        while looked_at == _MOST_REZONED:  # in slices, so that other writes wait for none of them long
            more, looked_at = await self._database.write(write)
            moved += more
        return moved

    async def counts(self) -> Mapping[str, int]:
        """How many are kept, by state."""
        return dict(await self._database.select(COUNTS))

    async def purge(self, before: datetime) -> int:
        """Remove what ended before this time. Returns how many occurrences were removed."""
        values: dict[str, SqlValue] = {"before": to_micros(before)}
        gone = len(await self._database.execute(PURGE, values))
        await self._database.execute(PURGE_SCHEDULES, values)
        return gone

    async def _saw(self, statement: str, values: dict[str, SqlValue], held: HeldOccurrence, watch: str) -> bool:
        def write(connection: Transaction) -> bool:
            if not connection.execute(statement, values):
                return False
            connection.execute(SAW, {"id": held.schedule.id, "watch": json_column(watch)})
            return True

        return await self._database.write(write)

    def _begin(
        self, connection: Transaction, schedule: Schedule, plan: Plan, now: int, watch: str | None, zones: str
    ) -> list[HeldOccurrence]:
        """Store what is done about the rule's due instants."""
        begun = plan.begun
        for instant, state, error in plan.earlier:
            ended = new_occurrence(schedule.id, to_micros(instant), state, ended=now, error=json_column(error))
            connection.execute(ADD_OCCURRENCE, ended)
        new = begun is not None and self._add(connection, schedule, plan, begun, now)
        values: dict[str, SqlValue] = {
            "id": schedule.id,
            "next_at": optional(to_micros, plan.next_at),
            "last": to_micros(schedule.last or schedule.created) if begun is None else to_micros(begun.instant),
            "zones": zones,
            "over": int(plan.next_at is None and plan.again is None),
            "now": now,
        }
        connection.execute(ADVANCE, values)
        if begun is not None and new and begun.ended == "failed":
            connection.execute(FAIL, {"id": schedule.id})
        return [self._hold(connection, schedule, begun, watch)] if begun is not None and new and begun.held else []

    def _add(self, connection: Transaction, schedule: Schedule, plan: Plan, begun: Begun, now: int) -> bool:
        """Store the occurrence with what comes of it. False: the instant was claimed before (the clock went back)."""
        added = new_occurrence(schedule.id, to_micros(begun.instant), begun.ended or "claimed") | self._columns(begun, now)
        if not connection.execute(ADD_OCCURRENCE, added):
            return False
        add_events(connection, [prepare_event(event, now) for event in plan.events], self._notifier)
        self._repeat(connection, schedule.id, plan.again, to_micros(begun.instant), 1)
        return True

    def _begin_extra(self, connection: Transaction, due: Due, plan: Plan, now: int, watch: str | None, root: int) -> list[HeldOccurrence]:
        begun, schedule = plan.begun, due.schedule
        if begun is None or due.extra is None:
            return []
        values: dict[str, SqlValue] = {
            "schedule": schedule.id,
            "instant": to_micros(due.extra),
            "state": begun.ended or "claimed",
            **self._columns(begun, now),
        }
        connection.execute(CLAIM_WAITING, values)
        add_events(connection, [prepare_event(event, now) for event in plan.events], self._notifier)
        self._repeat(connection, schedule.id, plan.again, root, due.round + 1)
        if begun.ended == "failed":
            connection.execute(FAIL, {"id": schedule.id})
        connection.execute(NOTHING_WAITS, {"id": schedule.id, "now": now})
        return [self._hold(connection, schedule, begun, watch)] if begun.held else []

    def _columns(self, begun: Begun, now: int) -> dict[str, SqlValue]:
        return {
            "started": now,
            "ended": None if begun.ended is None else now,
            "ref": begun.ref,
            "runner": self._runner.id if begun.held else None,
            "error": optional(json_column, begun.error),
        }

    def _repeat(self, connection: Transaction, schedule: str, again: datetime | None, root: int, round: int) -> None:
        if again is not None:
            connection.execute(ADD_OCCURRENCE, new_occurrence(schedule, to_micros(again), "waiting", root=root, round=round))

    def _hold(self, connection: Transaction, schedule: Schedule, begun: Begun, watch: str | None) -> HeldOccurrence:
        self._notifier.announce(connection)  # other processes look after it
        id = str(new_occurrence(schedule.id, to_micros(begun.instant), "")["id"])
        return HeldOccurrence(
            schedule=schedule,
            id=id,
            instant=begun.instant,
            ref=begun.ref,
            error=begun.error,
            material=None,
            watch=optional(unescape, watch),
        )

    def _now(self) -> int:
        return to_micros(self._clock())


def _held(row: Sequence[object]) -> HeldOccurrence:
    """Of the columns of `HELD_BY` behind the runner and its crashes."""
    columns: SqlRow = tuple(row)
    id, instant, ref, error, material, *schedule, watch = columns
    return HeldOccurrence(
        schedule=decode_schedule(tuple(schedule)),
        id=id,
        instant=from_micros(instant),
        ref=ref,
        error=optional(unescape, error),
        material=optional(unescape, material),
        watch=optional(unescape, watch),
    )
