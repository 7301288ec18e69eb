"""Sessions, their messages and turns."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple, TypeVar

from assistant.contracts.causes import Payer
from assistant.contracts.messages import AssistantMessage, Message, ToolMessage, Usage, UserMessage
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.own_words import sources
from assistant.contracts.records import record
from assistant.contracts.sessions import CachedUpTo, History, NewTurn, Session, StoredMessage, TurnState, accepted
from assistant.contracts.util import Clock, new_id, utc_now
from assistant.store.approval_rows import settle_with_turn, start_over_in
from assistant.store.audit import add_deeds, prepare_deeds, read_by
from assistant.store.codec import (
    decode_cut,
    decode_message,
    encode_message,
    encode_provenances,
    escape,
    from_micros,
    identity,
    json_column,
    optional,
    to_micros,
)
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.history import HistoryIndex
from assistant.store.line import LEAVE, RESUMED, SessionLine
from assistant.store.occurrence_rows import end_with_turn
from assistant.store.outbox_rows import add_events, prepare_event
from assistant.store.processes import Notifier, Runner, dead_among
from assistant.store.session_rows import STALE_ONCE, find_session, messages_of, remove_session, session_of, sessions_of, since_user
from assistant.store.taking_back import take_back
from assistant.store.titles import LONGEST_TITLE, SET_OPENING, SET_TITLE, one_line, opening_of

TOUCH_SESSION = """
    UPDATE sessions SET messages = messages + :count, updated = :at, read = read | :read WHERE id = :id
    RETURNING id, messages, context_from, revision"""
ADD_SESSION = """
    INSERT INTO sessions (owner, key, created, updated, messages, context_from, prompt_tokens, completion_tokens, cached_tokens, read,
        opening)
    VALUES (:owner, :key, :at, :at, :seq, 1, 0, 0, 0, :read, :opening) RETURNING id, messages, context_from, revision"""
ADD_MESSAGE = "INSERT INTO messages (session_id, seq, turn_id, at, role, payload) VALUES (:id, :seq, :turn, :at, :role, :payload)"
ADD_TURN = "INSERT INTO turns (id, session_id, state, runner, started, lease) VALUES (:turn, :id, 'running', :runner, :at, :lease)"
HISTORY = "SELECT payload FROM messages WHERE session_id = :id AND seq >= :start AND seq < :end ORDER BY seq"
RUNNING_TURN = "SELECT session_id FROM turns WHERE id = :turn AND state = 'running' AND runner = :runner"
TURNS_OF_OTHERS = f"""
    SELECT id, runner, state FROM turns WHERE ended IS NULL AND runner <> :runner AND id NOT IN ({RESUMED})
    ORDER BY started, id"""  # noqa: S608 - a statement of ours
_END = "UPDATE turns SET state = :state, ended = :at, error = :error WHERE id = :turn AND state = 'running'"
_AWAITED = "EXISTS (SELECT 1 FROM turns AS other WHERE other.session_id = turns.session_id AND other.ended IS NULL AND other.id <> :turn)"
END_TURN = f"{_END} AND runner = :runner RETURNING session_id, {_AWAITED}"
"""Tells, too, whether another turn of the session waits, or runs."""
INTERRUPT_TURN = f"{_END} RETURNING session_id"
OF_ANOTHER = "SELECT 1 FROM turns WHERE id = :turn AND ended IS NULL AND runner <> :runner"
RESUME_TURN = "UPDATE turns SET runner = :runner, lease = :lease WHERE id = :turn AND state = 'running' RETURNING session_id"
SESSION_OF_ROW = "SELECT messages, context_from, revision FROM sessions WHERE id = :id"
CUT_AT = "SELECT seq, results_from, text, tokens, made_by, at FROM summaries WHERE session_id = :id AND seq = :seq"
GROW_SESSION = """
    UPDATE sessions SET messages = messages + :count, updated = :at, prompt_tokens = prompt_tokens + :prompt,
        completion_tokens = completion_tokens + :completion, cached_tokens = cached_tokens + :cached, read = read | :read
    WHERE id = :id RETURNING messages"""
USE_ATTACHMENT = "UPDATE attachments SET used = 1 WHERE id = :attachment AND owner = :owner AND session = :key"
SETTLE_INBOX = "UPDATE inbox SET state = :state, ended = :at, runner = NULL WHERE turn = :turn AND state = 'taken'"
PULSE = "INSERT INTO pulse (id, at) VALUES (1, :at) ON CONFLICT (id) DO UPDATE SET at = excluded.at"


@record
class PreparedStep:
    """What a turn adds to its session in one transaction."""

    turn: str
    at: int
    rows: tuple[tuple[str, str], ...]
    """(role, payload)"""
    usage: Usage
    read: int
    """Whose words it brings, as stored."""
    deeds: Sequence[dict[str, SqlValue]]
    """For the journal."""

    def append(self, connection: Transaction, session_id: int) -> int:
        """Add the messages to the session; returns the seq of its last one."""
        values: dict[str, SqlValue] = {
            "id": session_id,
            "count": len(self.rows),
            "at": self.at,
            "prompt": self.usage.prompt_tokens,
            "completion": self.usage.completion_tokens,
            "cached": self.usage.cached_tokens,
            "read": self.read,
        }
        last: int = connection.execute(GROW_SESSION, values)[0][0]
        for seq, (role, payload) in enumerate(self.rows, last - len(self.rows) + 1):
            message: dict[str, SqlValue] = {"seq": seq, "turn": self.turn, "role": role, "payload": payload}
            connection.execute(ADD_MESSAGE, {**message, "id": session_id, "at": self.at})
        if self.deeds:
            add_deeds(connection, session_id, self.deeds)
        return last


def prepare_step(turn: str, at: int, messages: Sequence[AssistantMessage | ToolMessage], payer: Payer | None = None) -> PreparedStep:
    """`at`: microseconds, for all of them. `payer`: of its turn, for the journal."""
    usage = Usage.total([message.usage for message in messages if message.role == "assistant"])
    rows = tuple([(message.role, encode_message(message)) for message in messages])
    if not any(message.role == "tool" for message in messages):
        return PreparedStep(turn=turn, at=at, rows=rows, usage=usage, read=0, deeds=())
    read, deeds = encode_provenances(sources(messages)), prepare_deeds(turn, at, messages, payer)
    return PreparedStep(turn=turn, at=at, rows=rows, usage=usage, read=read, deeds=deeds)


def interrupt(connection: Transaction, turn: str, at: int) -> None:
    """Settle a turn as "interrupted" if it still runs, and append a message with cut_off="interrupted"."""
    ended = connection.execute(INTERRUPT_TURN, {"turn": turn, "state": "interrupted", "at": at, "error": None})
    if ended:
        mark = AssistantMessage(id=new_id("msg"), cut_off="interrupted")
        prepare_step(turn, at, [mark]).append(connection, ended[0][0])


S = TypeVar("S")
T = TypeVar("T")
Said = tuple[UserMessage | ToolMessage, ...]
_MANY_ROWS = 64
Settle = Callable[[Transaction, str, str], object]
Collect = Callable[[Sequence[str]], Awaitable[int]]


class Sessions:
    """Implements SessionStore. `collect`: removes the files of a removed session's attachments, by digest."""

    def __init__(self, database: Database, runner: Runner, notifier: Notifier, *, collect: Collect, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._notifier = notifier
        self._collect = collect
        self._clock = clock
        self.line = SessionLine(database, runner, notifier, interrupt=interrupt, clock=clock)
        self.history = HistoryIndex(database, clock=clock)
        self.settles: Settle = lambda connection, turn, state: None
        """Called in the transaction that ends a turn (`inbound`): with its id and state."""

    async def begin_turn(self, turn: NewTurn, known: CachedUpTo | None) -> History:
        owner, key = identity(turn.owner, turn.session)
        parts = turn.message.parts if turn.message else ()
        plain = not (turn.history or turn.results or turn.read) and all(
            part.kind == "text" and not (part.quoted or part.provenance or part.author) for part in parts
        )
        values: dict[str, SqlValue] = {
            "owner": owner,
            "key": key,
            "turn": turn.id,
            "at": self._now(),
            "read": 0 if plain else read_by(turn),
            "runner": self._runner.id,
            "lease": self.line.hold(turn.id),
        }
        asked = () if turn.message is None else (turn.message,)
        attachments = [attachment for message in asked for attachment in _attachments(message)]
        earlier = await _each(encode_message, turn.history)
        earlier_attachments = [attachment for message in turn.history for attachment in _attachments(message)]

        def begin(connection: Transaction, session: int | None) -> HistoryRows:
            said: Said = asked
            used = attachments
            if turn.results:
                before = _behind_user(turn.history) if session is None else since_user(connection, session)
                said = (*accepted(turn, before), *asked)
            if session is not None:
                found = connection.execute(TOUCH_SESSION, {**values, "id": session, "count": len(said)})
            else:
                opening = opening_of((*turn.history, *said))
                found = connection.execute(ADD_SESSION, {**values, "seq": len(turn.history) + len(said), "opening": opening})
                used = earlier_attachments + attachments
                for place, (message, payload) in enumerate(zip(turn.history, earlier, strict=True), 1):
                    connection.execute(ADD_MESSAGE, {**values, "id": found[0][0], "seq": place, "role": message.role, "payload": payload})
            row, last, context_from, revision = found[0]
            first = last - len(said) + 1
            if first == 1 and session is not None:  # all that was said before was taken back
                connection.execute(SET_OPENING, {"id": row, "opening": opening_of(said)})
            for seq, message in enumerate(said, first):
                added: dict[str, SqlValue] = {"id": row, "seq": seq, "role": message.role, "payload": encode_message(message)}
                connection.execute(ADD_MESSAGE, {**values, **added})
            connection.execute(ADD_TURN, {**values, "id": row})
            for attachment in used:
                connection.execute(USE_ATTACHMENT, {**values, "attachment": attachment})
            return read_history(connection, row, first, context_from, revision, known, said)

        return await decode_history(await self.line.first(owner, key, turn.id, begin))

    async def resume_turn(self, turn_id: str, known: CachedUpTo | None) -> History | None:
        lease = self.line.hold(turn_id)

        def resume(connection: Transaction) -> HistoryRows | None:
            running = connection.execute(RESUME_TURN, {"turn": turn_id, "runner": self._runner.id, "lease": lease})
            if not running:
                return None
            row: int = running[0][0]
            last, context_from, revision = connection.execute(SESSION_OF_ROW, {"id": row})[0]
            return read_history(connection, row, last + 1, context_from, revision, known)

        rows = await self._database.write(resume)
        return None if rows is None else await decode_history(rows)

    async def append_step(self, turn_id: str, messages: Sequence[AssistantMessage | ToolMessage], payer: Payer | None = None) -> int:
        added = prepare_step(turn_id, self._now(), messages, payer)

        def append(connection: Transaction) -> int:
            running = connection.execute(RUNNING_TURN, {"turn": turn_id, "runner": self._runner.id})
            return added.append(connection, running[0][0]) if running else 0

        return await self._database.write(append)

    async def end_turn(
        self,
        turn_id: str,
        state: TurnState,
        messages: Sequence[AssistantMessage | ToolMessage],
        *,
        payer: Payer | None = None,
        error: str | None = None,
        outbound: Sequence[OutboundEvent] = (),
        inbound: bool = False,
    ) -> int:
        now = self._now()
        last_step = prepare_step(turn_id, now, messages, payer)
        values: dict[str, SqlValue] = {"turn": turn_id, "state": state, "at": now, "error": error, "runner": self._runner.id}
        drafts = [prepare_event(event, now) for event in outbound]

        def end(connection: Transaction) -> tuple[int, bool, int]:
            ended = connection.execute(END_TURN, values)
            if not ended:
                connection.execute(LEAVE, values)
                if connection.execute(OF_ANOTHER, values):
                    return 0, False, 0  # a process that seemed dead: what it answers is the other one's to answer
            if inbound:
                connection.execute(SETTLE_INBOX, {"turn": turn_id, "state": "answered", "at": now})
                settle_with_turn(connection, turn_id, now)
                self.settles(connection, turn_id, state)
                end_with_turn(connection, self._notifier, turn_id, [str(each.values["id"]) for each in drafts], now, error)
            add_events(connection, drafts, self._notifier)
            if not ended:
                return 0, False, 0
            session, awaited = ended[0]
            if awaited:
                self._notifier.announce(connection)
            return last_step.append(connection, session), bool(awaited), session

        try:
            seq, awaited, session = await self._database.write(end)
        finally:
            self.line.held.discard(turn_id)
        if drafts or awaited or (inbound and error):
            self._notifier.announced()
        self.history.touch(session)
        return seq

    async def recover(self) -> int:
        now = self._now()

        def settle(connection: Transaction) -> int:
            running = connection.execute(TURNS_OF_OTHERS, {"runner": self._runner.id})
            dead = dead_among(self._runner, connection, [runner for _, runner, _ in running])
            orphans = [(turn, state) for turn, runner, state in running if runner in dead]
            for turn, state in orphans:
                if state == "waiting":
                    connection.execute(LEAVE, {"turn": turn})
                else:
                    interrupt(connection, turn, now)
            return sum(state == "running" for _, state in orphans)

        return await self._database.write(settle)

    async def list(
        self, owner: str | None, *, limit: int = 50, before: str | None = None, words: str = "", among: Sequence[str] = ()
    ) -> Sequence[Session]:
        values: dict[str, SqlValue] = {"owner": optional(escape, owner), "limit": limit}
        if words:
            values["words"] = f"%{json_column(words).replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
            values |= {f"key{number}": escape(key) for number, key in enumerate(among)}
        wanted = sessions_of(everybody=owner is None, before=before is not None, among=len(among) if words else None)
        if before is not None:
            values["before"] = escape(before)
        return [session_of(row) for row in await self._database.select(wanted, values)]

    async def get(self, owner: str | None, key: str) -> Session | None:
        rows = await self._database.read(lambda connection: find_session(connection, owner, key))
        return session_of(rows[0]) if rows else None

    async def messages(
        self, owner: str | None, key: str, *, after: int = 0, before: int | None = None, limit: int = 1000
    ) -> Sequence[StoredMessage]:
        def decoded(row: SqlRow) -> StoredMessage:
            seq, turn, at, payload = row
            return StoredMessage(seq=seq, turn_id=turn, at=from_micros(at), message=decode_message(payload))

        rows = await self._database.read(lambda connection: messages_of(connection, owner, key, after=after, before=before, limit=limit))
        return await _each(decoded, rows)

    async def rename(self, owner: str, key: str, title: str) -> bool:
        called = json_column(one_line(title, LONGEST_TITLE)) or None
        return bool(await self._database.execute(SET_TITLE, {"owner": escape(owner), "key": escape(key), "title": called}))

    async def start_over(self, owner: str, key: str) -> bool:
        return await self._database.write(lambda connection: start_over_in(connection, escape(owner), escape(key)))

    async def delete(self, owner: str | None, key: str) -> bool:
        def remove(connection: Transaction, _: int | None = None) -> Sequence[str] | None:
            found = find_session(connection, owner, key)
            return remove_session(connection, found[0], self._now()) if found else None

        digests = await (self._database.write(remove) if owner is None else self.line.last(*identity(owner, key), remove))
        if digests:
            await self._collect(digests)
        return digests is not None

    async def take_back(self, owner: str, key: str, seq: int) -> int | None:
        def take(connection: Transaction, session: int | None) -> tuple[int, list[str]] | None:
            return None if session is None else take_back(connection, session, seq, self._now())

        taken = await self.line.only(*identity(owner, key), take)
        if taken and taken[1]:
            await self._collect(taken[1])
        return taken and taken[0]

    async def purge(self, before: datetime) -> int:
        def remove(connection: Transaction) -> tuple[int, list[str]]:
            stale = connection.execute(STALE_ONCE, {"before": to_micros(before), "limit": _MANY_ROWS})
            return len(stale), [digest for row in stale for digest in remove_session(connection, row, self._now())]

        purged = 0
        while True:
            removed, digests = await self._database.write(remove)
            purged += removed
            if digests:
                await self._collect(digests)
            if removed < _MANY_ROWS:
                return purged

    async def check(self) -> None:
        await self._database.execute(PULSE, {"at": self._now()})

    async def close(self) -> None:
        await self.line.close()

    def _now(self) -> int:
        return to_micros(self._clock())


def _attachments(message: Message) -> list[str]:
    held = [part.heard if part.kind == "text" else part.attachment_id for part in message.parts] if message.role == "user" else []
    return [attachment for attachment in held if attachment]


def _behind_user(history: Sequence[Message]) -> list[Message]:
    return list(takewhile(lambda message: message.role != "user", reversed(history)))[::-1]


class HistoryRows(NamedTuple):
    """A history whose messages are still encoded."""

    history: History
    payloads: list[SqlRow]


def read_history(
    connection: Transaction, row: int, seq: int, context_from: int, revision: int, known: CachedUpTo | None, said: Said = ()
) -> HistoryRows:
    """The messages before `seq`, without those that the caller knows; all of them where they are shown otherwise since."""
    fresh = known is None or (known.row, known.revision) != (row, revision) or not context_from <= known.seq < seq
    start = context_from if known is None or fresh else known.seq + 1
    payloads = connection.execute(HISTORY, {"id": row, "start": start, "end": seq}) if start < seq else []
    found = connection.execute(CUT_AT, {"id": row, "seq": context_from}) if fresh and revision else []
    cut = decode_cut(found[0]) if found else None
    history = History(row=row, fresh=fresh, context_from=context_from, messages=(), seq=seq, said=said, revision=revision, cut=cut)
    return HistoryRows(history, payloads)


async def _each(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """The result for each; a long list is done in a thread."""
    return list(map(work, items)) if len(items) < _MANY_ROWS else await asyncio.to_thread(list[T], map(work, items))


async def decode_history(rows: HistoryRows) -> History:
    if not rows.payloads:
        return rows.history
    messages = await _each(decode_message, [payload for (payload,) in rows.payloads])
    return replace(rows.history, messages=tuple(messages))
