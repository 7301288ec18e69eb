"""Continuations: turns that sessions owe a person's press, or the end of a background task."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from assistant.contracts.continuations import Continuation, TakenContinuation
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.util import Clock, derived_id, utc_now
from assistant.store.approval_rows import settle_with_turn
from assistant.store.codec import decode_continuation, encode_json, json_column, json_key, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.outbox_rows import add_events, prepare_event
from assistant.store.processes import Notifier, Runner, dead_among
from assistant.store.sessions import interrupt

ADD = """
    INSERT INTO continuations (id, owner, session, state, turn, at, ended, runner, crashes, payload)
    VALUES (:id, :owner, :session, 'waiting', :turn, :at, NULL, NULL, 0, :payload) ON CONFLICT (id) DO NOTHING RETURNING id"""
WAITING = "SELECT owner, session FROM continuations WHERE state = 'waiting' GROUP BY owner, session ORDER BY MIN(at)"
IS_TAKEN = "SELECT 1 FROM continuations WHERE owner = :owner AND session = :session AND state = 'taken'"
FIRST = "SELECT id FROM continuations WHERE owner = :owner AND session = :session AND state = 'waiting' ORDER BY at, id LIMIT 1"
_ROW: Final = "turn, owner, session, payload"
TAKE = f"UPDATE continuations SET state = 'taken', runner = :runner WHERE id = :id AND state = 'waiting' RETURNING {_ROW}"  # noqa: S608 - columns of ours
TAKEN_BY_OTHERS = f"""
    SELECT runner, crashes, {_ROW} FROM continuations WHERE state = 'taken' AND (runner IS NULL OR runner <> :runner)
    ORDER BY at, id"""  # noqa: S608 - as above
TAKE_OVER = "UPDATE continuations SET runner = :runner, crashes = :crashes WHERE turn = :turn AND state = 'taken'"
HAND_BACK = "UPDATE continuations SET runner = NULL WHERE turn = :turn AND state = 'taken' AND runner = :runner"
PURGE = "DELETE FROM continuations WHERE ended < :before RETURNING id"
OPEN = f"SELECT {_ROW} FROM continuations WHERE state IN ('waiting', 'taken')"  # noqa: S608 - as above
REWRITE = "UPDATE continuations SET owner = :owner, session = :session, payload = :payload WHERE id = :id"

_MOST_CRASHES: Final = 2
Notice = Callable[[TakenContinuation], Sequence[OutboundEvent]]


def add_continuation(connection: Transaction, notifier: Notifier, continuation: Continuation, at: datetime) -> bool:
    """Store it, in the transaction of its cause; then call `notifier.announced` behind the commit. False: it is stored already.
    Raises InvalidRequest where an id is too long to be stored."""
    id, owner, session = json_key(continuation.id, continuation.owner, continuation.session)
    values: dict[str, SqlValue] = {"id": id, "owner": owner, "session": session, "turn": derived_id("turn", continuation.id)}
    added = connection.execute(ADD, {**values, "at": to_micros(at), "payload": encode_json(continuation)})
    if added:
        notifier.announce(connection)
    return bool(added)


class ContinuationStore:
    """Each write is one transaction, durable when the call returns. Every method may raise StoreUnavailable.

    `SessionStore.end_turn(inbound=True)` settles the continuation of a turn.
    """

    def __init__(self, database: Database, runner: Runner, notifier: Notifier, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._notifier = notifier
        self._clock = clock

    async def add(self, continuation: Continuation) -> bool:
        """`add_continuation`, in a transaction of its own."""
        added = await self._database.write(lambda connection: add_continuation(connection, self._notifier, continuation, self._clock()))
        self._notifier.announced()
        return added

    async def waiting(self) -> Sequence[tuple[str, str]]:
        """(owner, session) of the sessions with something that waits, the longest waiting first."""
        return [(unescape(owner), unescape(session)) for owner, session in await self._database.select(WAITING)]

    async def take(self, owner: str, session: str) -> TakenContinuation | None:
        """Take what has waited longest in a session. None: nothing waits, or one is under way."""
        of: dict[str, SqlValue] = {"owner": json_column(owner), "session": json_column(session)}

        def take_first(connection: Transaction) -> list[SqlRow]:
            if connection.execute(IS_TAKEN, of):
                return []
            first = connection.execute(FIRST, of)
            return connection.execute(TAKE, {"id": first[0][0], "runner": self._runner.id}) if first else []

        rows = await self._database.write(take_first)
        return _taken(*rows[0]) if rows else None

    async def recover(self, notice: Notice) -> tuple[Sequence[TakenContinuation], int]:
        """(What dead processes had taken, or handed back; how many were given up.) One whose second process died is settled, its turn as
        "interrupted", and `notice` of it (pure) is enqueued. One that was handed back does not count as a crash."""
        now = to_micros(self._clock())

        def take_over(connection: Transaction) -> tuple[list[TakenContinuation], int]:
            rows = connection.execute(TAKEN_BY_OTHERS, {"runner": self._runner.id})
            dead = dead_among(self._runner, connection, [runner for runner, *_ in rows])
            left = [(_taken(*row), crashes + (runner is not None)) for runner, crashes, *row in rows if runner is None or runner in dead]
            again = [each for each in left if each[1] < _MOST_CRASHES]
            for taken, crashes in left:
                turn = taken.turn_id
                if crashes < _MOST_CRASHES:
                    connection.execute(TAKE_OVER, {"turn": turn, "runner": self._runner.id, "crashes": crashes})
                    continue
                settle_with_turn(connection, turn, now)
                interrupt(connection, turn, now)
                add_events(connection, [prepare_event(event, now) for event in notice(taken)], self._notifier)
            return [taken for taken, _ in again], len(left) - len(again)

        again, given_up = await self._database.write(take_over)
        if given_up:
            self._notifier.announced()
        return again, given_up

    async def hand_back(self, turn_id: str) -> None:
        """Give up a turn because this process stops: the next process to look runs it again."""
        await self._database.execute(HAND_BACK, {"turn": json_column(turn_id), "runner": self._runner.id})

    async def purge(self, before: datetime) -> int:
        """Remove what ended before this time; returns how many."""
        return len(await self._database.execute(PURGE, {"before": to_micros(before)}))


def rewrite_continuations(connection: Transaction, change: Callable[[Continuation], Continuation]) -> None:
    """Change what waits or runs, as when its space or its chat gets another name."""
    for turn, owner, session, payload in connection.execute(OPEN):
        continuation = _taken(turn, owner, session, payload).continuation
        changed = change(continuation)
        if changed != continuation:
            id, owner, session = json_key(changed.id, changed.owner, changed.session)
            connection.execute(REWRITE, {"id": id, "owner": owner, "session": session, "payload": encode_json(changed)})


def _taken(turn: str, owner: str, session: str, payload: str) -> TakenContinuation:
    continuation = replace(decode_continuation(payload), owner=unescape(owner), session=unescape(session))
    return TakenContinuation(turn_id=unescape(turn), continuation=continuation)
