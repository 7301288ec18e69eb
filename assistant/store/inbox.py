"""The inbox: messages from channels, and the turns that answer them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import Accepted, InboundMessage, Recovered, Role, SessionRef, Taken
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.util import Clock, new_id, utc_now
from assistant.store.codec import decode_inbound, encode_json, json_column, json_key, optional, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.moves import move_chat
from assistant.store.outbox_rows import add_events, prepare_event
from assistant.store.processes import Notifier, Runner, dead_among
from assistant.store.sessions import SETTLE_INBOX, interrupt

ACCEPT = """
    INSERT INTO inbox (id, channel, external_id, owner, session, role, state, at, ended, crashes, payload)
    VALUES (:id, :channel, :external_id, :owner, :session, :role, :state, :at, :ended, 0, :payload)
    ON CONFLICT (channel, external_id) DO NOTHING RETURNING id"""
ACCEPTED_BEFORE = "SELECT id FROM inbox WHERE channel = :channel AND external_id = :external_id"
NOTE_CHAT = """
    INSERT INTO chats (channel, chat_id, external_id, at, identity) VALUES (:channel, :chat_id, :external_id, :at, :identity)
    ON CONFLICT (channel, chat_id) DO UPDATE SET external_id = excluded.external_id, at = excluded.at, identity = excluded.identity"""
CHAT = "SELECT 1 FROM chats WHERE channel = :channel AND chat_id = :chat_id"
STILL_THEIRS = """ AND NOT EXISTS (SELECT 1 FROM identities WHERE identity = :lane AND person <> :owner) AND (
    EXISTS (SELECT 1 FROM identities WHERE identity = :lane) OR EXISTS (SELECT 1 FROM sessions WHERE key = :lane AND owner = :owner)
    ) AND NOT EXISTS (
    SELECT 1 FROM sessions AS other WHERE other.key = :lane AND other.owner <> :owner AND other.updated >
        COALESCE((SELECT updated FROM sessions WHERE key = :lane AND owner = :owner), 0))"""
"""A chat is separated from a person with the identity that writes there."""
LAST_SEEN = "SELECT chat_id, external_id FROM chats WHERE channel = :channel AND at >= :since"
TAKERS = "SELECT DISTINCT runner FROM inbox WHERE owner = :owner AND session = :session AND state = 'taken'"
IN_LINE = """
    SELECT seq, LENGTH(payload) FROM inbox WHERE owner = :owner AND session = :session AND state = 'waiting' ORDER BY seq LIMIT :most"""
TAKE = """
    UPDATE inbox SET state = 'taken', turn = :turn, runner = :runner
    WHERE owner = :owner AND session = :session AND state = 'waiting' AND seq <= :last RETURNING seq, role, payload"""
WAITING = "SELECT owner, session FROM inbox WHERE state = 'waiting' GROUP BY owner, session ORDER BY MIN(seq)"
TAKEN_BY_OTHERS = """
    SELECT turn, runner, crashes, preview, owner, session, role, payload FROM inbox
    WHERE state = 'taken' AND (runner IS NULL OR runner <> :runner) ORDER BY seq"""
TAKE_OVER = "UPDATE inbox SET runner = :runner, crashes = :crashes WHERE turn = :turn AND state = 'taken'"
HAND_BACK = "UPDATE inbox SET runner = NULL WHERE turn = :turn AND state = 'taken' AND runner = :runner"
NOTE_PREVIEW = "UPDATE inbox SET preview = :preview WHERE turn = :turn AND state = 'taken'"
PURGE = "DELETE FROM inbox WHERE ended < :before RETURNING seq"

_MOST_CRASHES = 2
_MOST_TAKEN = 100
_MOST_TAKEN_CHARS = 100_000
"""The most stored characters that one turn takes, unless its first message alone has more: a flood becomes several turns."""


class TurnLeft(Exception):
    """A process that is gone left a turn of this session, which comes first: take it over by `InboxStore.recover`."""


class InboxStore:
    """The inbox. Each write is one transaction, durable when the call returns. Every method may raise StoreUnavailable.

    `SessionStore.end_turn(inbound=True)` settles the messages of a turn.
    """

    def __init__(self, database: Database, runner: Runner, notifier: Notifier, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._runner = runner
        self._notifier = notifier
        self._clock = clock

    async def accept(
        self, message: InboundMessage, place: SessionRef, *, answered: bool = False, outbound: Sequence[OutboundEvent] = ()
    ) -> Accepted:
        """Store a message, once by (channel, external_id), and enqueue `outbound` with it. `answered`: it needs no turn (a command)."""
        now = self._now()
        channel, external_id = json_key(message.address.channel, message.external_id)
        owner, session = json_key(place.owner, place.session)
        _, chat_id = json_key(message.address.channel, message.address.chat_id)
        values: dict[str, SqlValue] = {
            "id": new_id("inb"),
            "channel": channel,
            "external_id": external_id,
            "owner": owner,
            "session": session,
            "role": place.role,
            "state": "answered" if answered else "waiting",
            "at": now,
            "ended": now if answered else None,
            "payload": encode_json(message),
        }
        sender = json_column(f"{message.address.channel}:{message.sender.id}") if message.private and message.trusted else None
        chat: dict[str, SqlValue] = {"channel": channel, "chat_id": chat_id, "external_id": external_id, "at": now, "identity": sender}
        drafts = [prepare_event(event, now) for event in outbound]

        def add(connection: Transaction) -> Accepted:
            if not connection.execute(ACCEPT, values):
                before = connection.execute(ACCEPTED_BEFORE, {"channel": channel, "external_id": external_id})
                return Accepted(id=before[0][0], new=False)
            connection.execute(NOTE_CHAT, chat)
            add_events(connection, drafts, self._notifier)
            return Accepted(id=str(values["id"]), new=True)

        accepted = await self._database.write(add)
        if drafts:
            self._notifier.announced()
        return accepted

    async def take(self, owner: str, session: str) -> Taken | None:
        """Take a session's waiting messages for one turn, the oldest first, at most 100 (`Taken.more`). None: none waits, or a living process has
        a turn of the session. Raises TurnLeft."""
        turn = new_id("turn")
        of: dict[str, SqlValue] = {"owner": json_column(owner), "session": json_column(session)}

        def take_some(connection: Transaction) -> tuple[list[SqlRow], bool] | None:
            takers = {runner for (runner,) in connection.execute(TAKERS, of)}
            if takers:
                alive = takers - {None} - dead_among(self._runner, connection, takers)
                return ([], False) if alive else None
            waiting = connection.execute(IN_LINE, {**of, "most": _MOST_TAKEN + 1})
            if not waiting:
                return [], False
            together = accumulate(size for _, size in waiting[:_MOST_TAKEN])
            some = max(1, sum(chars <= _MOST_TAKEN_CHARS for chars in together))
            values: dict[str, SqlValue] = {**of, "turn": turn, "runner": self._runner.id, "last": waiting[some - 1][0]}
            return sorted(connection.execute(TAKE, values)), some < len(waiting)

        taken = await self._database.write(take_some)
        if taken is None:
            raise TurnLeft
        rows, more = taken
        if not rows:
            return None
        return _taken(turn, owner, session, [(role, payload) for _, role, payload in rows], None, more=more)

    async def waiting(self) -> Sequence[tuple[str, str]]:
        """(owner, key) of the sessions with waiting messages, the longest waiting first."""
        rows = await self._database.select(WAITING)
        return [(unescape(owner), unescape(session)) for owner, session in rows]

    async def recover(self, notice: Callable[[Taken], OutboundEvent]) -> Recovered:
        """Take over the turns of dead processes. A turn whose second process died is set aside and settled as "interrupted", and `notice` of it
        (pure) is enqueued for its sender, in one transaction. A turn that was handed back does not count as a crash."""
        now = self._now()

        def take_over(connection: Transaction) -> tuple[list[Taken], int]:
            again: list[Taken] = []
            left = _left_by_the_dead(connection, self._runner)
            for taken, crashes in left:
                if crashes < _MOST_CRASHES:
                    connection.execute(TAKE_OVER, {"turn": taken.turn_id, "runner": self._runner.id, "crashes": crashes})
                    again.append(taken)
                else:
                    connection.execute(SETTLE_INBOX, {"turn": taken.turn_id, "state": "aside", "at": now})
                    interrupt(connection, taken.turn_id, now)
                    add_events(connection, [prepare_event(notice(taken), now)], self._notifier)
            return again, len(left) - len(again)

        again, set_aside = await self._database.write(take_over)
        if set_aside:
            self._notifier.announced()
        return Recovered(again=tuple(again), set_aside=set_aside)

    async def hand_back(self, turn_id: str) -> None:
        """Give up a turn because this process stops: the next process to start runs it again."""
        await self._database.execute(HAND_BACK, {"turn": json_column(turn_id), "runner": self._runner.id})

    async def note_preview(self, turn_id: str, message_id: str) -> None:
        await self._database.execute(NOTE_PREVIEW, {"turn": json_column(turn_id), "preview": json_column(message_id)})

    async def wrote(self, address: Address, *, owner: str | None = None) -> bool:
        """See `KnownChats`."""
        values: dict[str, SqlValue] = {"channel": json_column(address.channel), "chat_id": json_column(address.chat_id)}
        if owner is None:
            return bool(await self._database.select(CHAT, values))
        values |= {"owner": json_column(owner), "lane": json_column(address.lane)}
        return bool(await self._database.select(CHAT + STILL_THEIRS, values))

    async def last_seen(self, channel: str) -> Mapping[str, str]:
        """chat_id → external_id of its last accepted message, for the chats of the last 30 days."""
        since = to_micros(self._clock() - timedelta(days=30))
        rows = await self._database.select(LAST_SEEN, {"channel": json_column(channel), "since": since})
        return {unescape(chat_id): unescape(external_id) for chat_id, external_id in rows}

    async def moved(self, channel: str, chat_id: str, now: str) -> None:
        """See `ChannelLink.moved`; in one transaction."""

        def move(connection: Transaction) -> None:
            move_chat(connection, channel, chat_id, now)
            self._notifier.announce(connection)

        await self._database.write(move)
        self._notifier.announced()

    async def purge(self, before: datetime) -> int:
        """Remove what was answered or set aside before this time and is older than 48 h (repeats are recognised until then). Returns how many."""
        before = min(before, self._clock() - timedelta(hours=48))
        return len(await self._database.execute(PURGE, {"before": to_micros(before)}))

    def _now(self) -> int:
        return to_micros(self._clock())


def _left_by_the_dead(connection: Transaction, runner: Runner) -> list[tuple[Taken, int]]:
    """The turns that dead processes had, or that were handed back, the one with the oldest message first; each with how many processes died
    with it, the last one included."""
    turns: dict[str, list[SqlRow]] = {}
    for row in connection.execute(TAKEN_BY_OTHERS, {"runner": runner.id}):
        turns.setdefault(row[0], []).append(row)
    dead = dead_among(runner, connection, [rows[0][1] for rows in turns.values()])
    left: list[tuple[Taken, int]] = []
    for rows in turns.values():
        turn, taker, crashes, preview, owner, session, *_ = rows[0]
        if taker is None or taker in dead:
            taken = _taken(turn, unescape(owner), unescape(session), [(role, payload) for *_, role, payload in rows], preview)
            left.append((taken, crashes + (taker is not None)))
    return left


def _taken(turn: str, owner: str, session: str, said: Sequence[tuple[str, str]], preview: str | None, *, more: bool = False) -> Taken:
    """`said`: (role, payload) of each message."""
    # In a group several people may have written: the turn has the rights that all of them have.
    role: Role = "owner" if all(each == "owner" for each, _ in said) else "user"
    messages = tuple([decode_inbound(payload) for _, payload in said])
    place = SessionRef(owner=owner, session=session, role=role)
    return Taken(turn_id=turn, place=place, messages=messages, preview=optional(unescape, preview), more=more)
