"""A restored store is frozen until its owner resumes it: what waits in it may have been done since the backup was made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from assistant.contracts.records import record
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import from_micros, json_column, to_micros
from assistant.store.database import Database, SqlValue, Transaction
from assistant.store.jobs import cancel_job
from assistant.store.occurrence_rows import end_lost
from assistant.store.processes import Notifier
from assistant.store.schedules import NOTHING_WAITS

FREEZE: Final = "SELECT id, made, at FROM freezes ORDER BY at DESC LIMIT 1"
ADD_FREEZE: Final = "INSERT INTO freezes (id, made, at) VALUES (:id, :made, :at)"
THAW: Final = "DELETE FROM freezes RETURNING id"
_WAITING: Final = {
    "deliveries": "outbox WHERE state IN ('queued', 'sending') AND created <= :made",
    "messages to answer": "inbox WHERE state IN ('waiting', 'taken') AND at <= :made",
    "turns to run": "continuations WHERE state IN ('waiting', 'taken') AND at <= :made",
    "tasks": "tasks WHERE state IN ('waiting', 'running') AND created <= :made",
    "jobs": "jobs WHERE ended IS NULL AND created <= :made",
    "occurrences of schedules": "occurrences WHERE state = 'claimed' OR (state = 'waiting' AND instant <= :now)",
    "schedules that became due": "schedules WHERE state = 'active' AND next_at <= :now",
}
"""What may be done a second time."""
COUNT_WAITING: Final = "SELECT " + ", ".join([f"(SELECT COUNT(*) FROM {rows})" for rows in _WAITING.values()])  # noqa: S608 - rows of this file
CANCEL_DELIVERIES: Final = """
    UPDATE outbox SET state = 'cancelled', ended = :now, runner = NULL, lease = NULL, fence = fence + 1
    WHERE state IN ('queued', 'sending') AND created <= :made RETURNING id, state"""
SET_ASIDE: Final = """
    UPDATE inbox SET state = 'aside', ended = :now, runner = NULL WHERE state IN ('waiting', 'taken') AND at <= :made RETURNING seq"""
END_CONTINUATIONS: Final = """
    UPDATE continuations SET state = 'done', ended = :now, runner = NULL WHERE state IN ('waiting', 'taken') AND at <= :made RETURNING id"""
STOP_TASKS: Final = """
    UPDATE tasks SET state = 'stopped', handover = 'dismissed', ended = :now, runner = NULL
    WHERE state IN ('waiting', 'running') AND created <= :made RETURNING id"""
OPEN_JOBS: Final = "SELECT id FROM jobs WHERE ended IS NULL AND created <= :made"
SKIP_OCCURRENCES: Final = """
    UPDATE occurrences SET state = 'skipped', ended = :now, runner = NULL, error = :why
    WHERE state = 'claimed' OR (state = 'waiting' AND instant <= :now) RETURNING schedule"""
_WHY: Final = "it waited in a backup that was restored, and its owner cancelled what waited"


@record
class Freeze:
    """That the store was restored, and nothing that waits is started."""

    id: str
    made: datetime
    """When the backup was made."""
    at: datetime
    """When it was restored."""

    @property
    def words(self) -> str:
        return (
            f"frozen: restored from a backup of {self.made:%Y-%m-%d %H:%M} UTC; nothing is sent, and no schedule, task or channel runs, "
            "until `nanobot resume`"
        )


class FreezeStore:
    """Every method may raise StoreUnavailable."""

    def __init__(self, database: Database, notifier: Notifier, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._notifier = notifier
        self._clock = clock

    async def get(self) -> Freeze | None:
        """None: the store is not frozen."""
        rows = await self._database.select(FREEZE)
        return Freeze(id=rows[0][0], made=from_micros(rows[0][1]), at=from_micros(rows[0][2])) if rows else None

    async def waiting(self, freeze: Freeze) -> Mapping[str, int]:
        """How much of each kind waits since before the backup; only what there is."""
        (counts,) = await self._database.select(COUNT_WAITING, self._times(freeze))
        return {kind: count for kind, count in zip(_WAITING, counts, strict=True) if count}

    async def cancel_waiting(self, freeze: Freeze) -> None:
        """End all that waited when the backup was made, but for schedules' rules (`StoredSchedules.skip_due`)."""
        values = self._times(freeze)
        made = {"made": values["made"]}
        now = to_micros(self._clock())

        def end(connection: Transaction) -> None:
            end_lost(connection, self._notifier, connection.execute(CANCEL_DELIVERIES, values), now)
            for statement in (SET_ASIDE, END_CONTINUATIONS, STOP_TASKS):
                connection.execute(statement, values)
            for (job,) in connection.execute(OPEN_JOBS, made):
                cancel_job(connection, self._notifier, job, now)
            for (schedule,) in connection.execute(SKIP_OCCURRENCES, {"now": now, "why": json_column(_WHY)}):
                connection.execute(NOTHING_WAITS, {"id": schedule, "now": now})

        await self._database.write(end)

    async def thaw(self) -> bool:
        """Let everything begin, in every process on the store. False: it was not frozen."""

        def delete(connection: Transaction) -> bool:
            self._notifier.announce(connection)
            return bool(connection.execute(THAW))

        thawed = await self._database.write(delete)
        self._notifier.announced()
        return thawed

    def _times(self, freeze: Freeze) -> dict[str, SqlValue]:
        return {"made": to_micros(freeze.made), "now": to_micros(self._clock())}
