"""Schedules: made, listed, changed, ended; and what a person says of an occurrence. What happens when one is due: `assistant.store.occurrences`."""

from collections.abc import Callable, Sequence
from datetime import datetime

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.schedules import NewSchedule, Occurrence, Schedule, ScheduleConflict, ScheduleNotFound, ScheduleState
from assistant.contracts.util import Clock, derived_id, new_id, utc_now
from assistant.store.codec import decode_new_schedule, encode_json, from_micros, json_column, json_key, optional, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.processes import Notifier

SCHEDULE_COLUMNS = "id, state, created, next_at, failures, last, payload"
_SCHEDULE = f"SELECT {SCHEDULE_COLUMNS} FROM schedules"  # noqa: S608 - columns of this file, here and below
ADD = """
    INSERT INTO schedules (id, owner, state, created, next_at, zones, failures, untold, payload)
    VALUES (:id, :owner, 'active', :at, :next_at, :zones, 0, 0, :payload) ON CONFLICT (id) DO NOTHING RETURNING id"""
ACTIVE = "SELECT COUNT(*) FROM schedules WHERE owner = :owner AND state = 'active'"
SCHEDULE = f"{_SCHEDULE} WHERE id = :id"
OWNED = f"{_SCHEDULE} WHERE id = :id AND owner = :owner"
UPDATE = """
    UPDATE schedules SET state = :state, next_at = :next_at, zones = :zones, failures = :failures, ended = :ended, payload = :payload
    WHERE id = :id"""
OCCURRENCE_COLUMNS = "schedule, instant, id, state, started, ended, ref, root, round, error"
_OCCURRENCE = f"SELECT {OCCURRENCE_COLUMNS} FROM occurrences"  # noqa: S608
OCCURRENCE = f"{_OCCURRENCE} WHERE id = :id"
OCCURRENCES = f"{_OCCURRENCE} WHERE schedule = :id AND instant < :before ORDER BY instant DESC LIMIT :limit"
LATEST = """
    SELECT o.schedule, o.instant, o.id, o.state, o.started, o.ended, o.ref, o.root, o.round, o.error, s.payload
    FROM schedules s JOIN occurrences o ON o.schedule = s.id
    WHERE s.owner = :owner AND o.state = 'delivered' ORDER BY o.ended DESC LIMIT :limit"""
ADD_OCCURRENCE = """
    INSERT INTO occurrences (schedule, instant, id, state, started, ended, ref, runner, crashes, root, round, error)
    VALUES (:schedule, :instant, :id, :state, :started, :ended, :ref, :runner, 0, :root, :round, :error)
    ON CONFLICT (schedule, instant) DO NOTHING RETURNING instant"""
SKIP_WAITING = "UPDATE occurrences SET state = 'skipped', ended = :at, error = :error WHERE schedule = :id AND state = 'waiting'"
SKIP_REPEATS = f"{SKIP_WAITING} AND root = :root"
AGAIN = "DELETE FROM occurrences WHERE schedule = :id AND instant = :instant AND state = 'skipped' AND root = :root"
SAY_DONE = "UPDATE occurrences SET state = 'done', ended = COALESCE(ended, :at), runner = NULL WHERE id = :id"
NOTHING_WAITS = """
    UPDATE schedules SET state = 'done', ended = :now WHERE id = :id AND state = 'active' AND next_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM occurrences WHERE schedule = :id AND state = 'waiting')"""
REVIVE = "UPDATE schedules SET state = 'active', ended = NULL WHERE id = :id AND state = 'done'"
_FAR = 1 << 62
_LOOKED_AT = 50


def schedules_of(*, everybody: bool, state: bool, before: bool) -> str:
    """The statement that lists schedules, the newest first. `before`: those older than the one with the id `:before`."""
    conditions = {
        "owner = :owner": not everybody,
        "state = :state": state,
        "(created, id) < (SELECT created, id FROM schedules WHERE id = :before)": before,
    }
    asked = " AND ".join([condition for condition, wanted in conditions.items() if wanted])
    return f"{_SCHEDULE}{' WHERE ' * bool(asked)}{asked} ORDER BY created DESC, id DESC LIMIT :limit"


class ScheduleStore:
    """Schedules in a Database. Every write is one transaction, durable when the call returns. `owner` None means any owner's. Every method may
    raise StoreUnavailable, and those with an id ScheduleNotFound."""

    def __init__(self, database: Database, notifier: Notifier, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._notifier = notifier
        self._clock = clock

    async def add(self, new: NewSchedule, next_at: datetime, zones: str, *, most: int) -> Schedule:
        """Store an active schedule, once by (turn_id, place), and notify. `zones`: the version of the time zones that gave `next_at`. Raises
        InvalidRequest where the owner has `most` active ones."""
        turn = new.turn_id
        (owner,) = json_key(new.owner)
        values: dict[str, SqlValue] = {
            "id": new_id("sch") if turn is None else derived_id("sch", turn, str(new.place)),
            "owner": owner,
            "at": self._now(),
            "next_at": to_micros(next_at),
            "zones": zones,
            "payload": encode_json(new),
        }

        def insert(connection: Transaction) -> SqlRow:
            known = connection.execute(SCHEDULE, {"id": values["id"]})
            if not known:
                if connection.execute(ACTIVE, {"owner": owner})[0][0] >= most:
                    raise InvalidRequest(f"There are {most} active schedules already: cancel some first.")
                connection.execute(ADD, values)
                self._notifier.announce(connection)
                known = connection.execute(SCHEDULE, {"id": values["id"]})
            return known[0]

        return decode_schedule(await self._write_and_notify(insert))

    async def list(
        self, owner: str | None, *, state: ScheduleState | None = None, limit: int = 50, before: str | None = None
    ) -> Sequence[Schedule]:
        """The newest first. `before`: the id of the last schedule of the previous page."""
        asked: dict[str, str | None] = {"owner": owner, "state": state, "before": before}
        values: dict[str, SqlValue] = {name: json_column(value) for name, value in asked.items() if value is not None}
        wanted = schedules_of(everybody=owner is None, state=state is not None, before=before is not None)
        return [decode_schedule(row) for row in await self._database.select(wanted, {**values, "limit": limit})]

    async def get(self, owner: str | None, schedule_id: str) -> Schedule:
        return decode_schedule(await self._database.read(lambda connection: _find(connection, owner, schedule_id)))

    async def update(self, owner: str | None, schedule_id: str, zones: str, change: Callable[[Schedule], Schedule]) -> Schedule:
        """Replace the schedule by what `change` (pure) makes of it. One that is then cancelled takes its waiting occurrences with it."""
        now = self._now()

        def write(connection: Transaction) -> SqlRow:
            row = _find(connection, owner, schedule_id)
            wanted = change(decode_schedule(row))
            over = wanted.state in ("done", "cancelled")
            values: dict[str, SqlValue] = {
                "id": row[0],
                "state": wanted.state,
                "next_at": optional(to_micros, wanted.next_at),
                "zones": zones,
                "failures": wanted.failures,
                "ended": now if over else None,
                "payload": encode_json(wanted.new),
            }
            connection.execute(UPDATE, values)
            if wanted.state == "cancelled":
                connection.execute(SKIP_WAITING, {"id": row[0], "at": now, "error": "the schedule was cancelled"})
            self._notifier.announce(connection)
            return _find(connection, owner, schedule_id)

        return decode_schedule(await self._write_and_notify(write))

    async def run(self, owner: str | None, schedule_id: str) -> Occurrence:
        """Add an occurrence that is due now. Raises ScheduleConflict for a schedule that was cancelled."""
        now = self._now()

        def add(connection: Transaction) -> SqlRow:
            schedule = decode_schedule(_find(connection, owner, schedule_id))
            if schedule.state == "cancelled":
                raise ScheduleConflict("The schedule was cancelled: make a new one.")
            return self._add_extra(connection, schedule.id, now, None)

        return decode_occurrence(await self._write_and_notify(add))

    async def occurrences(
        self, owner: str | None, schedule_id: str, *, limit: int = 50, before: datetime | None = None
    ) -> Sequence[Occurrence]:
        """The latest instant first."""

        def read(connection: Transaction) -> list[SqlRow]:
            schedule: str = _find(connection, owner, schedule_id)[0]
            until = _FAR if before is None else to_micros(before)
            return connection.execute(OCCURRENCES, {"id": schedule, "before": until, "limit": limit})

        return [decode_occurrence(row) for row in await self._database.read(read)]

    async def occurrence(self, owner: str | None, occurrence_id: str) -> Occurrence:
        return decode_occurrence(await self._database.read(lambda connection: _find_occurrence(connection, owner, occurrence_id)))

    async def latest(self, owner: str) -> Occurrence | None:
        """The reminder that was delivered last and is not done, among the latest deliveries."""
        rows = await self._database.select(LATEST, {"owner": json_column(owner), "limit": _LOOKED_AT})
        return next((decode_occurrence(row[:-1]) for row in rows if decode_new_schedule(row[-1]).kind == "reminder"), None)

    async def done(self, owner: str | None, occurrence_id: str) -> Occurrence:
        """Note that the person says that it is done: it does not come again. Repeatable. Raises ScheduleConflict for one that did not happen."""
        now = self._now()

        def say(connection: Transaction) -> SqlRow:
            row = _find_occurrence(connection, owner, occurrence_id)
            if row[3] not in ("claimed", "delivered", "done"):
                raise ScheduleConflict(f"It can't be done: it is {row[3]}.")
            connection.execute(SAY_DONE, {"id": row[2], "at": now})
            connection.execute(SKIP_REPEATS, {"id": row[0], "root": root_of(row), "at": now, "error": "it was done before"})
            connection.execute(NOTHING_WAITS, {"id": row[0], "now": now})
            return _find_occurrence(connection, owner, occurrence_id)

        return decode_occurrence(await self._database.write(say))

    async def snooze(self, owner: str | None, occurrence_id: str, until: datetime) -> Occurrence:
        """Add an occurrence at `until`, in place of those that wait to repeat this one. Raises ScheduleConflict for one that is done or has not
        happened, InvalidRequest for a time that has passed."""
        now, instant = self._now(), to_micros(until)
        if instant <= now:
            raise InvalidRequest("The time has passed: name a later one.")

        def add(connection: Transaction) -> SqlRow:
            row = _find_occurrence(connection, owner, occurrence_id)
            if row[3] in ("done", "waiting", "skipped"):
                raise ScheduleConflict(f"It can't be put off: it is {row[3]}.")
            root = root_of(row)
            connection.execute(SKIP_REPEATS, {"id": row[0], "root": root, "at": now, "error": "it was put off again"})
            connection.execute(AGAIN, {"id": row[0], "instant": instant, "root": root})
            return self._add_extra(connection, row[0], instant, root)

        return decode_occurrence(await self._write_and_notify(add))

    def _add_extra(self, connection: Transaction, schedule: str, instant: int, root: int | None) -> SqlRow:
        connection.execute(REVIVE, {"id": schedule})
        added = new_occurrence(schedule, instant, "waiting", root=root)
        connection.execute(ADD_OCCURRENCE, added)
        self._notifier.announce(connection)
        return connection.execute(OCCURRENCE, {"id": added["id"]})[0]

    async def _write_and_notify(self, job: Callable[[Transaction], SqlRow]) -> SqlRow:
        row = await self._database.write(job)
        self._notifier.announced()
        return row

    def _now(self) -> int:
        return to_micros(self._clock())


def new_occurrence(schedule: str, instant: int, state: str, *, root: int | None = None, **more: SqlValue) -> dict[str, SqlValue]:
    """The parameters of `ADD_OCCURRENCE`; its id follows from the schedule and the instant."""
    blank: dict[str, SqlValue] = {"started": None, "ended": None, "ref": None, "runner": None, "round": 0, "error": None}
    known: dict[str, SqlValue] = {
        "schedule": schedule,
        "instant": instant,
        "id": occurrence_id(schedule, instant),
        "state": state,
        "root": root,
    }
    return blank | known | more


def occurrence_id(schedule: str, instant: int) -> str:
    """`instant`: microseconds, as stored."""
    return derived_id("occ", schedule, str(instant))


def root_of(row: SqlRow) -> int:
    """The instant that an occurrence (`OCCURRENCE_COLUMNS`) repeats; its own, where it is the first."""
    return row[1] if row[7] is None else row[7]


def _find(connection: Transaction, owner: str | None, schedule_id: str) -> SqlRow:
    values: dict[str, SqlValue] = {"id": json_column(schedule_id)}
    rows = connection.execute(SCHEDULE, values) if owner is None else connection.execute(OWNED, values | {"owner": json_column(owner)})
    if not rows:
        raise ScheduleNotFound
    return rows[0]


def _find_occurrence(connection: Transaction, owner: str | None, occurrence_id: str) -> SqlRow:
    rows = connection.execute(OCCURRENCE, {"id": json_column(occurrence_id)})
    if not rows:
        raise ScheduleNotFound("There is no such occurrence.")
    _find(connection, owner, rows[0][0])
    return rows[0]


def decode_schedule(row: SqlRow) -> Schedule:
    """Of `SCHEDULE_COLUMNS`."""
    schedule, state, created, next_at, failures, last, payload = row
    return Schedule(
        id=schedule,
        new=decode_new_schedule(payload),
        state=state,
        created=from_micros(created),
        next_at=optional(from_micros, next_at),
        failures=failures,
        last=optional(from_micros, last),
    )


def decode_occurrence(row: SqlRow) -> Occurrence:
    """Of `OCCURRENCE_COLUMNS`."""
    schedule, instant, id, state, started, ended, ref, root, _, error = row
    return Occurrence(
        id=id,
        schedule=schedule,
        instant=from_micros(instant),
        state=state,
        started=optional(from_micros, started),
        ended=optional(from_micros, ended),
        ref=ref,
        root=optional(from_micros, root),
        error=optional(unescape, error),
    )
