"""Sessions, their messages and turns. The contract is `assistant.contracts.sessions.SessionStore`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from assistant.contracts.clock import Clock, utc_now
from assistant.contracts.messages import AssistantMessage, Message, ToolMessage, Usage
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.sessions import History, Known, NewTurn, Session, StoredMessage, TurnState
from assistant.store import inbox_statements as inbox
from assistant.store import outgoing
from assistant.store import statements as sql
from assistant.store.bell import StoreBell
from assistant.store.codec import decode, encode, escape, identity, unescape
from assistant.store.connection import Connection, Row, Value
from assistant.store.database import Database
from assistant.store.runners import Runner
from assistant.store.steps import interrupt, step
from assistant.store.times import from_micros, to_micros

_MANY_ROWS = 64
Collect = Callable[[Sequence[str]], Awaitable[int]]


class Sessions:
    """Implements SessionStore on a Database. `collect`: removes the files of attachments that went with a session, by digest."""

    def __init__(self, database: Database, runner: Runner, bell: StoreBell, *, collect: Collect, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._bell = bell
        self._collect = collect
        self._clock = clock

    async def begin_turn(self, turn: NewTurn, known: Known | None) -> History:
        owner, key = identity(turn.owner, turn.session)
        values: dict[str, Value] = {
            "owner": owner,
            "key": key,
            "turn": turn.id,
            "at": self._now(),
            "runner": self._runner.id,
            "role": "user",
            "payload": encode(turn.message),
            "seq": len(turn.history) + 1,
        }
        attachments = _attachments(turn.message)
        earlier = await _encoded(turn.history)
        earlier_attachments = [attachment for message in turn.history for attachment in _attachments(message)]

        def begin(connection: Connection) -> _Rows:
            found = connection.execute(sql.TOUCH_SESSION, values)
            used = attachments
            if not found:
                found = connection.execute(sql.ADD_SESSION, values)
                used = earlier_attachments + attachments
                for place, (role, payload) in enumerate(earlier, 1):
                    connection.execute(sql.ADD_MESSAGE, {**values, "id": found[0][0], "seq": place, "role": role, "payload": payload})
            row, seq, context_from = found[0]
            connection.execute(sql.ADD_MESSAGE, {**values, "id": row, "seq": seq})
            connection.execute(sql.ADD_TURN, {**values, "id": row})
            for attachment in used:
                connection.execute(sql.USE_ATTACHMENT, {**values, "attachment": attachment})
            return _history(connection, row, seq, context_from, known)

        return await _decoded(await self._database.write(begin))

    async def resume_turn(self, turn_id: str, known: Known | None) -> History | None:
        def resume(connection: Connection) -> _Rows | None:
            running = connection.execute(sql.RESUME_TURN, {"turn": turn_id, "runner": self._runner.id})
            if not running:
                return None
            row: int = running[0][0]
            last, context_from = connection.execute(sql.SESSION_OF_ROW, {"id": row})[0]
            return _history(connection, row, last + 1, context_from, known)

        rows = await self._database.write(resume)
        return await _decoded(rows) if rows is not None else None

    async def append_step(self, turn_id: str, messages: Sequence[AssistantMessage | ToolMessage]) -> int:
        added = step(turn_id, self._now(), messages)

        def append(connection: Connection) -> int:
            running = connection.execute(sql.RUNNING_TURN, {"turn": turn_id})
            return added.append(connection, running[0][0]) if running else 0

        return await self._database.write(append)

    async def end_turn(
        self,
        turn_id: str,
        state: TurnState,
        messages: Sequence[AssistantMessage | ToolMessage],
        *,
        error: str | None = None,
        context_from: int | None = None,
        outbound: Sequence[OutboundEvent] = (),
        inbound: bool = False,
    ) -> int:
        now = self._now()
        last_step = step(turn_id, now, messages, context_from)
        values: dict[str, Value] = {"turn": turn_id, "state": state, "at": now, "error": error}
        drafts = [outgoing.draft(event, now) for event in outbound]

        def end(connection: Connection) -> int:
            if inbound:
                connection.execute(inbox.SETTLE, {"turn": turn_id, "state": "answered", "at": now})
            outgoing.add(connection, drafts, self._bell)
            ended = connection.execute(sql.END_TURN, values)
            return last_step.append(connection, ended[0][0]) if ended else 0

        seq = await self._database.write(end)
        if drafts:
            self._bell.announced()
        return seq

    async def recover(self) -> int:
        now = self._now()

        def settle(connection: Connection) -> int:
            running = connection.execute(sql.TURNS_OF_OTHERS, {"runner": self._runner.id})
            dead = {runner for runner in {row[1] for row in running} if self._runner.is_dead(connection, runner)}
            orphans = [turn for turn, runner in running if runner in dead]
            for turn in orphans:
                interrupt(connection, turn, now)
            return len(orphans)

        return await self._database.write(settle)

    async def list(self, owner: str | None, *, limit: int = 50, before: str | None = None) -> Sequence[Session]:
        values: dict[str, Value] = {"owner": None if owner is None else escape(owner), "limit": limit}
        wanted = sql.sessions_of(everybody=owner is None, before=before is not None)
        if before is not None:
            values["before"] = escape(before)
        rows = await self._database.read(lambda connection: connection.execute(wanted, values))
        return [_session(row) for row in rows]

    async def get(self, owner: str | None, key: str) -> Session | None:
        rows = await self._database.read(lambda connection: _find(connection, owner, key))
        return _session(rows[0]) if rows else None

    async def messages(self, owner: str | None, key: str, *, after: int = 0, limit: int = 1000) -> Sequence[StoredMessage]:
        def read(connection: Connection) -> list[Row]:
            found = _find(connection, owner, key)
            return connection.execute(sql.MESSAGES, {"id": found[0][0], "after": after, "limit": limit}) if found else []

        def decoded(rows: list[Row]) -> Sequence[StoredMessage]:
            return [StoredMessage(seq=seq, turn_id=turn, at=from_micros(at), message=decode(payload)) for seq, turn, at, payload in rows]

        rows = await self._database.read(read)
        return decoded(rows) if len(rows) < _MANY_ROWS else await asyncio.to_thread(decoded, rows)

    async def start_over(self, owner: str, key: str) -> bool:
        values: dict[str, Value] = {"owner": escape(owner), "key": escape(key)}
        return bool(await self._database.write(lambda connection: connection.execute(sql.START_OVER, values)))

    async def delete(self, owner: str | None, key: str) -> bool:
        def remove(connection: Connection) -> Sequence[str] | None:
            found = _find(connection, owner, key)
            return _remove(connection, found[0]) if found else None

        digests = await self._database.write(remove)
        if digests:
            await self._collect(digests)
        return digests is not None

    async def purge(self, before: datetime) -> int:
        wanted: dict[str, Value] = {"before": to_micros(before), "limit": _MANY_ROWS}

        def remove(connection: Connection) -> tuple[int, list[str]]:
            stale = connection.execute(sql.STALE_ONCE, wanted)
            return len(stale), [digest for row in stale for digest in _remove(connection, row)]

        purged = 0
        while True:
            removed, digests = await self._database.write(remove)
            purged += removed
            if digests:
                await self._collect(digests)
            if removed < _MANY_ROWS:
                return purged

    async def check(self) -> None:
        now = self._now()
        await self._database.write(lambda connection: connection.execute(sql.PULSE, {"at": now}))

    def _now(self) -> int:
        return to_micros(self._clock())


def _find(connection: Connection, owner: str | None, key: str) -> list[Row]:
    """The session; of everybody's (owner None) by that key, the one used last."""
    if owner is None:
        return connection.execute(sql.SESSION_BY_KEY, {"key": escape(key)})
    return connection.execute(sql.SESSION, {"owner": escape(owner), "key": escape(key)})


def _session(row: Row) -> Session:
    _, owner, key, created, updated, messages, prompt, completion, cached = row
    return Session(
        owner=unescape(owner),
        key=unescape(key),
        created=from_micros(created),
        updated=from_micros(updated),
        messages=messages,
        usage=Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached),
    )


def _remove(connection: Connection, row: Row) -> list[str]:
    """Remove a session, of which the row holds id, owner and key; returns the digests of the attachments that went with it."""
    session, owner, key = row[:3]
    digests = connection.execute(sql.REMOVE_USED_ATTACHMENTS, {"owner": owner, "key": key})
    connection.execute(sql.REMOVE_SESSION, {"id": session})
    return [digest for (digest,) in digests]


def _attachments(message: Message) -> list[str]:
    return [part.attachment_id for part in message.parts if part.kind != "text"] if message.role == "user" else []


class _Rows(NamedTuple):
    """A history whose messages are still encoded."""

    row: int
    seq: int
    context_from: int
    fresh: bool
    payloads: list[Row]


def _history(connection: Connection, row: int, seq: int, context_from: int, known: Known | None) -> _Rows:
    """What is before `seq` in a session's row, from what is known on."""
    # Where the conversation was started over behind what is known, nothing of that is to be seen any more.
    fresh = known is None or known.row != row or not context_from <= known.seq < seq
    start = context_from if known is None or fresh else known.seq + 1
    payloads = connection.execute(sql.HISTORY, {"id": row, "start": start, "end": seq}) if start < seq else []
    return _Rows(row, seq, context_from, fresh, payloads)


async def _encoded(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """(role, payload) of each; many of them in a thread, as below."""

    def encoded() -> list[tuple[str, str]]:
        return [(message.role, encode(message)) for message in messages]

    return encoded() if len(messages) < _MANY_ROWS else await asyncio.to_thread(encoded)


async def _decoded(rows: _Rows) -> History:
    """A long history is decoded in a thread, so that other turns go on meanwhile."""

    def decoded() -> tuple[Message, ...]:
        return tuple([decode(payload) for (payload,) in rows.payloads])

    messages = decoded() if len(rows.payloads) < _MANY_ROWS else await asyncio.to_thread(decoded)
    return History(row=rows.row, fresh=rows.fresh, context_from=rows.context_from, messages=messages, seq=rows.seq)
