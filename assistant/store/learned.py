"""How far sessions were searched for memories, and whose may be."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from assistant.contracts.memory import Memory, Statement
from assistant.contracts.messages import UserMessage
from assistant.contracts.records import record
from assistant.contracts.sessions import ONCE
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import decode_message, from_micros, json_column, to_micros, unescape
from assistant.store.database import Database, SqlValue, Transaction
from assistant.store.memories import add, memory
from assistant.store.processes import Notifier

WAITING = """
    SELECT s.owner, s.key, s.updated, s.id FROM sessions AS s LEFT JOIN memory_learned AS m ON m.session_id = s.id
    WHERE s.messages > coalesce(m.seq, 0) AND substr(s.key, 1, 5) <> :once AND s.updated > :since
        AND (s.updated < :before OR (s.updated = :before AND s.id < :row))
    ORDER BY s.updated DESC, s.id DESC LIMIT :limit"""
CLAIM = """
    INSERT INTO memory_learned (session_id, seq, claim) SELECT id, 0, CAST(:until AS BIGINT) FROM sessions WHERE owner = :owner AND key = :key
    ON CONFLICT (session_id) DO UPDATE SET claim = excluded.claim WHERE memory_learned.claim < :now
    RETURNING session_id, seq"""
SAID = """
    SELECT seq, at, payload FROM messages WHERE session_id = :session AND seq > :after AND seq <= :most AND role = 'user' ORDER BY seq LIMIT :limit"""
LAST = "SELECT messages FROM sessions WHERE id = :session"
LOOKED_AT = "UPDATE memory_learned SET seq = :seq, claim = 0 WHERE session_id = :session AND claim = :until"
LET_GO = "UPDATE memory_learned SET claim = 0 WHERE session_id = :session AND claim = :until"
SWITCH = "INSERT INTO memory_owners (owner, learn) VALUES (:owner, :learn) ON CONFLICT (owner) DO UPDATE SET learn = excluded.learn"
SWITCHED = "SELECT learn FROM memory_owners WHERE owner = :owner"
LOOKED_AT_ALL = """
    INSERT INTO memory_learned (session_id, seq, claim) SELECT id, messages, 0 FROM sessions WHERE CAST(:all AS INTEGER) = 1 OR owner = :owner
    ON CONFLICT (session_id) DO UPDATE SET seq = excluded.seq"""
SERVER: Final = ""
_MESSAGES: Final = 200
"""Looked at in one call."""
_CLAIM: Final = timedelta(minutes=3)
_EVER: Final = 2**62
_LEFT: Final = timedelta(days=14)
"""How old a session may be that a dead process left unsearched."""


@record
class Unlearned:
    """The messages of a session that were not searched yet, claimed by this process."""

    row: int
    until: int
    seq: int
    """Of the last message."""
    said: tuple[tuple[int, datetime, UserMessage], ...]
    """(seq, when, what a person sent)"""
    more: bool


class LeftSession(NamedTuple):
    """A session with messages that were not searched."""

    owner: str
    session: str
    updated: datetime
    """When it was used last."""
    row: int


class LearnedStore:
    """Raises StoreUnavailable."""

    def __init__(self, database: Database, notifier: Notifier, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._notifier = notifier
        self._clock = clock

    async def left(self, limit: int = 200, *, since: datetime | None = None, behind: LeftSession | None = None) -> Sequence[LeftSession]:
        """Sessions with messages that were not searched, the latest first: those behind the last one of a page, used after `since` (None: in the
        last two weeks)."""
        values: dict[str, SqlValue] = {
            "since": to_micros(since or self._clock() - _LEFT),
            "before": _EVER if behind is None else to_micros(behind.updated),
            "row": 0 if behind is None else behind.row,
        }
        rows = await self._database.select(WAITING, {**values, "limit": limit, "once": ONCE})
        return [LeftSession(unescape(owner), unescape(key), from_micros(updated), row) for owner, key, updated, row in rows]

    async def claim(self, owner: str, session: str, *, up_to: int | None = None) -> Unlearned | None:
        """What of a session is to be searched now (up to message `up_to`); None: nothing, or another process does it."""
        now = self._clock()
        values: dict[str, SqlValue] = {
            "owner": json_column(owner),
            "key": json_column(session),
            "now": to_micros(now),
            "until": to_micros(now + _CLAIM),
        }

        def take(connection: Transaction) -> Unlearned | None:
            found = connection.execute(CLAIM, values)
            if not found:
                return None
            row, after = found[0]
            last: int = connection.execute(LAST, {"session": row})[0][0]
            most = last if up_to is None else min(up_to, last)
            said = connection.execute(SAID, {"session": row, "after": after, "most": most, "limit": _MESSAGES})
            messages = [(seq, from_micros(at), decode_message(payload)) for seq, at, payload in said]
            more = len(said) == _MESSAGES
            return Unlearned(
                row=row,
                until=int(str(values["until"])),
                seq=said[-1][0] if more else max(most, after),
                said=tuple((seq, at, message) for seq, at, message in messages if isinstance(message, UserMessage)),
                more=more,
            )

        return await self._database.write(take)

    async def looked_at(self, owner: str, found: Unlearned, statements: Sequence[tuple[Statement, datetime]]) -> Sequence[Memory]:
        """Keep what was found in a session, and that it was searched, in one transaction; (statement, when it was said). What was forgotten is left
        out, and nothing is kept where the claim ran out."""

        def keep(connection: Transaction) -> list[Memory]:
            if not connection.execute(f"{LOOKED_AT} RETURNING seq", {"session": found.row, "until": found.until, "seq": found.seq}):
                return []
            rows = [add(connection, owner, statement, to_micros(at), explicit=False) for statement, at in statements]
            self._notifier.announce(connection)
            return [memory(row) for row in rows if row is not None]

        kept = await self._database.write(keep)
        if kept:
            self._notifier.announced()
        return kept

    async def let_go(self, found: Unlearned) -> None:
        """Give a claim back: it is searched another time."""
        await self._database.execute(LET_GO, {"session": found.row, "until": found.until})

    async def learns(self, owner: str) -> bool:
        """Whether this owner's sessions are searched: unless they switched it off."""
        rows = await self._database.select(SWITCHED, {"owner": json_column(owner)})
        return not rows or bool(rows[0][0])

    async def switch(self, owner: str, *, learn: bool) -> None:
        """Search an owner's sessions from now on, or no more; `SERVER`: all of them. What was said while it was off is never searched."""
        values: dict[str, SqlValue] = {"owner": json_column(owner), "learn": int(learn)}

        def change(connection: Transaction) -> None:
            before = connection.execute(SWITCHED, values)
            if learn and (before == [(0,)] or (owner == SERVER and not before)):
                connection.execute(LOOKED_AT_ALL, {**values, "all": int(owner == SERVER)})
            if before != [(int(learn),)]:
                connection.execute(SWITCH, values)

        await self._database.write(change)
