"""Makes what was said findable, outside of turns: a pass over the messages that are not indexed yet, in small transactions.

A turn's end only notes its session. The pass runs when no turn has ended for a while; nothing is polled. A search first indexes what its owner
still has waiting. Two processes on a store index nothing twice: how far a session is, is read and written in the transaction that indexes.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from assistant.contracts.errors import NanobotError
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import json_column, to_micros
from assistant.store.database import Database, Transaction
from assistant.store.search import MAKE_SPACE, ORPHANS, add_entry, remove_entries, words_of

log = logging.getLogger(__name__)

QUIET_SECONDS: Final = 3.0
_LONGEST_WAIT: Final = 60.0
"""After so long the pass runs even if turns go on ending."""
BATCH: Final = 8
"""Messages in one transaction of the pass: turns that end meanwhile wait some milliseconds for it at most."""
_CATCH_UP: Final = 24
_REST: Final = 4.0
"""The pass rests this many times as long as a batch took."""
MOST_NOTED: Final = 4_000
"""Sessions to remember by name; where more wait, a look at the whole store finds them."""
_MOST_BEFORE_SEARCH: Final = 50
"""Batches."""
_MARGIN: Final = 600_000_000
"""Microseconds that the clocks of processes may differ by."""

_WAITING = """
    FROM sessions AS s LEFT JOIN search_marks AS m ON m.session_id = s.id LEFT JOIN search_spaces AS p ON p.id = m.space
    WHERE substr(s.key, 1, 5) <> 'once:' AND s.messages > 0 AND (p.owner IS NULL OR p.owner <> s.owner OR m.seq < s.messages)"""
WAITING_SESSIONS = f"SELECT s.id {_WAITING} AND s.id > :behind ORDER BY s.id LIMIT 500"
WAITING_MESSAGES = f"SELECT coalesce(sum(s.messages - coalesce(m.seq, 0)), 0) {_WAITING}"
WAITING_OF = f"SELECT s.id {_WAITING} AND s.owner = :owner AND s.updated >= :since ORDER BY s.updated DESC LIMIT 200"
SEEN = "SELECT seen FROM search_spaces WHERE owner = :owner AND kind = 'message'"
SEE = "UPDATE search_spaces SET seen = :now WHERE owner = :owner AND kind = 'message' AND seen < :now"
SESSION = """
    SELECT s.owner, s.messages, m.seq, p.owner FROM sessions AS s LEFT JOIN search_marks AS m ON m.session_id = s.id
    LEFT JOIN search_spaces AS p ON p.id = m.space WHERE s.id = :session AND substr(s.key, 1, 5) <> 'once:'"""
NEXT = "SELECT seq, at, role, payload FROM messages WHERE session_id = :session AND seq > :behind ORDER BY seq LIMIT :limit"
MARK = """
    INSERT INTO search_marks (session_id, space, seq) VALUES (:session, :space, :seq)
    ON CONFLICT (session_id) DO UPDATE SET space = excluded.space, seq = excluded.seq"""
LET_GO = "UPDATE search_entries SET session_id = NULL WHERE session_id = :session"
RENAME_SPACE = """
    UPDATE search_spaces SET owner = :owner WHERE owner = :old
        AND NOT EXISTS (SELECT 1 FROM search_spaces AS other WHERE other.owner = :owner AND other.kind = search_spaces.kind)"""
LOOK_AGAIN = "UPDATE search_spaces SET seen = 0 WHERE owner = :owner"


def owner_moved(connection: Transaction, old: str, owner: str) -> None:
    """In the transaction that gives the sessions of an owner to another: what was said moves with them. Both as stored."""
    connection.execute(RENAME_SPACE, {"old": old, "owner": owner})
    connection.execute(LOOK_AGAIN, {"owner": owner})


class HistoryIndex:
    """Indexes messages. `touch` costs nothing; `start` begins the pass over what an older store holds; `close` ends it."""

    def __init__(self, database: Database, *, clock: Clock = utc_now, quiet: float = QUIET_SECONDS, most: int = MOST_NOTED) -> None:
        self._database = database
        self._clock = clock
        self._quiet = quiet
        self._most = most
        self._noted: set[int] = set()
        self._more = False
        """Whether others than those noted wait, too."""
        self._timer: asyncio.TimerHandle | None = None
        self._last = self._first = 0.0
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.indexed: Callable[[], None] | None = None
        """Called when a pass has ended."""

    def touch(self, session: int) -> None:
        """A session, by its row, has new messages; 0: none has."""
        if not session:
            return
        if len(self._noted) < self._most:
            self._noted.add(session)
        else:
            self._more = True
        self._last = asyncio.get_running_loop().time()
        if self._timer is None and self._task is None and not self._closed:
            self._first = self._last
            self._arm(self._quiet)

    def start(self) -> None:
        """Index in the background what is not indexed yet: all of an older store, what a dead process left."""
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._run(everything=True))

    async def close(self) -> None:
        """What is not indexed yet is found by the next start, or the next search. Safe to call twice."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def catch_up(self, owner: str) -> None:
        """Index what this owner still has waiting, as far as a search may wait for it. Raises StoreUnavailable."""
        stored = json_column(owner)
        now = to_micros(self._clock())
        seen, waiting = await self._database.read(lambda connection: _waiting_of(connection, stored))
        batches = 0
        for session in waiting:
            while batches < _MOST_BEFORE_SEARCH and await self._database.write(
                lambda connection, row=session: index_some(connection, row, _CATCH_UP)
            ):
                batches += 1
        if batches < _MOST_BEFORE_SEARCH and len(waiting) < 200 and now - seen > 2 * _MARGIN:
            await self._database.write(lambda connection: connection.execute(SEE, {"owner": stored, "now": now - _MARGIN}))

    async def finish(self) -> None:
        """Index all that waits, at once: for the command line and tests."""
        behind = 0
        while sessions := await self._database.select(WAITING_SESSIONS, {"behind": behind}):
            await self._database.write(lambda connection, rows=sessions: [_index_all(connection, row) for (row,) in rows])
            behind = sessions[-1][0]
        while await self._database.write(sweep_some):
            pass

    def _arm(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        still = self._quiet - (now - self._last)
        if still > 0 and now - self._first < _LONGEST_WAIT:
            self._arm(still)
        else:
            self._task = asyncio.create_task(self._run(everything=False))

    async def _run(self, *, everything: bool) -> None:
        whole = everything or self._more
        try:
            if whole:
                self._noted.clear()
                self._more = False
                await self._index_everything()
            while self._noted:
                await self._index_session(self._noted.pop())
            while await self._paced(sweep_some):
                pass
            if self.indexed is not None:
                self.indexed()
        except NanobotError as error:
            log.warning("search.not_indexed reason=%s", error.code)  # the next turn's end tries again, and so does a search
            self._more = self._more or whole
        finally:
            self._task = None
            if (self._noted or self._more) and not self._closed and self._timer is None:
                self._first = self._last
                self._arm(self._quiet)

    async def _index_everything(self) -> None:
        messages = int((await self._database.select(WAITING_MESSAGES))[0][0])
        if messages:
            log.info("search.indexing messages=%d", messages)
        behind = done = told = 0
        while sessions := await self._database.select(WAITING_SESSIONS, {"behind": behind}):
            for (session,) in sessions:
                done += await self._index_session(session)
                if done - told >= 20_000:
                    told = done
                    log.info("search.indexing done=%d of=%d", done, messages)
            behind = sessions[-1][0]
        if messages:
            log.info("search.indexed messages=%d", done)

    async def _index_session(self, session: int) -> int:
        done = 0
        while found := await self._paced(lambda connection: index_some(connection, session)):
            done += found
        return done

    async def _paced(self, job: Callable[[Transaction], int]) -> int:
        loop = asyncio.get_running_loop()
        began = loop.time()
        found = await self._database.write(job)
        if found:
            await asyncio.sleep(_REST * (loop.time() - began))
        return found


def index_some(connection: Transaction, session: int, most: int = BATCH) -> int:
    """Index the next messages of a session; returns how many were looked at, 0 when none wait."""
    found = connection.execute(SESSION, {"session": session})
    if not found:
        return 0
    owner, messages, mark, marked_owner = found[0]
    if mark is not None and marked_owner != owner:
        connection.execute(LET_GO, {"session": session})
        mark = 0
    behind = mark or 0
    if mark is not None and behind >= messages:
        return 0
    rows = connection.execute(NEXT, {"session": session, "behind": behind, "limit": most})
    space = connection.execute(MAKE_SPACE, {"owner": owner, "kind": "message"})[0][0]
    for seq, at, role, payload in rows:
        words = words_of(role, payload)
        if words.strip():
            add_entry(connection, space, {"ref": None, "session": session, "seq": seq, "at": at, "text": None}, words)
    last = rows[-1][0] if rows else messages
    connection.execute(MARK, {"session": session, "space": space, "seq": last})
    return len(rows)


def _index_all(connection: Transaction, session: int) -> None:
    while index_some(connection, session, _CATCH_UP):
        pass


def sweep_some(connection: Transaction) -> int:
    """Remove the next entries of deleted sessions; returns how many there were."""
    rows = connection.execute(ORPHANS, {"limit": BATCH})
    remove_entries(connection, rows)
    return len(rows)


def _waiting_of(connection: Transaction, owner: str) -> tuple[int, list[int]]:
    found = connection.execute(SEEN, {"owner": owner})
    seen = int(found[0][0]) if found else 0
    return seen, [row for (row,) in connection.execute(WAITING_OF, {"owner": owner, "since": seen})]
