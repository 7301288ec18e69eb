"""The line of a session over all processes on a store: one turn at a time, in the order in which they came.

Within a process its lanes keep that order. Here, a turn that finds a turn of another process in its session becomes a row "waiting" behind it,
and begins when nothing is ahead. A row counts as long as its process lives and renews the lease.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from assistant.contracts.errors import SessionBusy, StoreUnavailable
from assistant.contracts.util import Clock, backoff, new_id
from assistant.store.codec import to_micros
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.processes import Notifier, Runner, dead_among

OPEN_TURNS = """
    SELECT NULL, id, NULL, NULL, NULL, NULL FROM sessions WHERE owner = :owner AND key = :key
    UNION ALL SELECT id, session_id, state, runner, lease, started FROM turns
    WHERE ended IS NULL AND session_id = (SELECT id FROM sessions WHERE owner = :owner AND key = :key)"""
"""The session, then its open turns. No row: there is no such session. As a join, it takes SQLite six times as long in a transaction behind others."""
WAIT = """
    INSERT INTO turns (id, session_id, state, runner, started, lease) VALUES (:turn, :id, 'waiting', :runner, :started, :lease)"""
LEAVE = "DELETE FROM turns WHERE id = :turn AND state = 'waiting'"
RENEW = "UPDATE turns SET lease = :lease WHERE id = :turn AND runner = :runner AND ended IS NULL"
RESUMED = """
    SELECT turn FROM inbox WHERE state = 'taken' AND turn IS NOT NULL UNION ALL SELECT turn FROM job_nodes WHERE state = 'running'
    UNION ALL SELECT ref FROM occurrences WHERE state = 'claimed' AND ref IS NOT NULL
    UNION ALL SELECT turn FROM continuations WHERE state = 'taken' UNION ALL SELECT turn FROM tasks WHERE ended IS NULL"""
"""The turns that are not settled when they are cut off: they are resumed."""
RESUMED_LATER = f"SELECT 1 FROM ({RESUMED}) AS resumed WHERE turn = :turn"  # noqa: S608 - a statement of ours

LEASE: Final = 15_000_000
"""Microseconds for which a turn keeps its place after the last sign of its process."""
_RENEW_SECONDS: Final = 4.0
_LONGEST_WAIT: Final = 1.0
"""Seconds until a waiting turn looks again without a notification: its predecessor's process may have died."""

T = TypeVar("T")
log = logging.getLogger(__name__)
Interrupt = Callable[[Transaction, str, int], None]
InLine = Callable[[Transaction, int | None], T]
"""Work in a session, whose row it gets; None: there is no such session."""


def _in_line(row: SqlRow) -> tuple[int, str]:
    return row[5], row[0]


class SessionLine:
    """This process's places in the lines of sessions. `interrupt`: settles the running turn of a process that is gone."""

    def __init__(self, database: Database, runner: Runner, notifier: Notifier, *, interrupt: Interrupt, clock: Clock) -> None:
        self._database = database
        self._runner = runner
        self._notifier = notifier
        self._interrupt = interrupt
        self._clock = clock
        self.held: set[str] = set()
        """The turns of this process that are under way."""
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._freed: asyncio.Event | None = None

    def hold(self, turn: str) -> int:
        """Renew the lease of a turn from now on, as long as it is in `held`; returns the first one, for its row."""
        self.held.add(turn)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_RENEW_SECONDS, self._renew_later)
        return to_micros(self._clock()) + LEASE

    async def first(self, owner: str, key: str, turn: str, work: InLine[T]) -> T:
        """Run `work` in a write once no turn is ahead in the session (`owner`, `key` as stored).

        Cancelling it may leave a row "waiting": `LEAVE` removes it."""

        def attempt(connection: Transaction) -> tuple[T] | None:
            rows = connection.execute(OPEN_TURNS, {"owner": owner, "key": key})
            session: int | None = rows[0][1] if rows else None
            alone = len(rows) < 2 or self._is_first(connection, sorted(rows[1:], key=_in_line), turn)
            return (work(connection, session),) if alone else None

        tries = 0
        while (done := await self._database.write(attempt)) is None:
            tries += 1
            freed = self._listen()
            with suppress(TimeoutError):
                async with asyncio.timeout(backoff(tries, first=0.05, longest=_LONGEST_WAIT)):
                    await freed.wait()
        return done[0]

    async def only(self, owner: str, key: str, work: InLine[T]) -> T:
        """Run `work` in a write while nothing runs or waits in the session. Raises SessionBusy where something does, in any process."""

        def attempt(connection: Transaction) -> T:
            rows = connection.execute(OPEN_TURNS, {"owner": owner, "key": key})
            if len(rows) > 1 and not self._is_first(connection, sorted(rows[1:], key=_in_line), new_id("turn")):
                raise SessionBusy("A turn runs in this session: stop it, or wait for its answer.", retry_after=1)
            return work(connection, rows[0][1] if rows else None)

        return await self._database.write(attempt)

    async def last(self, owner: str, key: str, work: InLine[T]) -> T:
        """Run `work` in a write behind all turns that run or wait in the session. One that is cancelled meanwhile leaves its place at once."""
        place = new_id("turn")
        self.hold(place)
        try:
            return await self.first(owner, key, place, work)
        except BaseException:
            with suppress(StoreUnavailable):  # then its lease ends
                await self._database.execute(LEAVE, {"turn": place})
            raise
        finally:
            self.held.discard(place)

    def settled(self, connection: Transaction, turn: str, state: str, now: int) -> bool:
        """Settle an open turn whose process is gone, or has given no sign for too long. False: it is resumed."""
        if state == "waiting":
            connection.execute(LEAVE, {"turn": turn})
        elif connection.execute(RESUMED_LATER, {"turn": turn}):
            return False
        else:
            self._interrupt(connection, turn, now)
        return True

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._renewing is not None:
            await asyncio.wait([self._renewing])

    def _is_first(self, connection: Transaction, rows: list[SqlRow], turn: str) -> bool:
        """Whether nothing is ahead of a turn; removes what dead processes left, and gives the turn its place if it has none."""
        now = to_micros(self._clock())
        waits = any(id == turn for id, *_ in rows)
        dead = dead_among(self._runner, connection, [runner for _, _, _, runner, *_ in rows])
        ahead = False
        for id, _, state, runner, lease, _ in rows:
            if id == turn:
                break
            own = runner == self._runner.id
            gone = id not in self.held if own else runner in dead or (lease is not None and lease < now)
            if not (gone and self.settled(connection, id, state, now)):
                ahead = ahead or not own
        if waits and not ahead:
            connection.execute(LEAVE, {"turn": turn})
        elif not waits and ahead:
            _, session, *_, last = rows[-1]
            place: dict[str, SqlValue] = {"turn": turn, "id": session, "started": max(now, last + 1), "lease": now + LEASE}
            connection.execute(WAIT, {**place, "runner": self._runner.id})
        return not ahead

    def _listen(self) -> asyncio.Event:
        """Set when a turn of another process may have ended."""
        if self._freed is None:
            self._notifier.listen(self._heard)
        if self._freed is None or self._freed.is_set():
            self._freed = asyncio.Event()
        return self._freed

    def _heard(self) -> None:
        if self._freed is not None:
            self._freed.set()

    def _renew_later(self) -> None:
        self._timer = None
        if self.held:
            self._timer = asyncio.get_running_loop().call_later(_RENEW_SECONDS, self._renew_later)
            if self._renewing is None or self._renewing.done():
                self._renewing = asyncio.create_task(self.renew())

    async def renew(self) -> None:
        """Extend the leases of the turns under way; done by itself every few seconds."""
        lease, held = to_micros(self._clock()) + LEASE, tuple(self.held)

        def renew(connection: Transaction) -> None:
            for turn in held:
                connection.execute(RENEW, {"turn": turn, "lease": lease, "runner": self._runner.id})

        try:
            await self._database.write(renew)
        except StoreUnavailable as error:  # it is tried again before the lease ends
            log.warning("line.not_renewed turns=%d code=%s", len(held), error.code)
