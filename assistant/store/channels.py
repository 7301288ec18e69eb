"""What channels need kept: pairings (senders who asked for access with a code, or whom the owner approved), the states of running channels, and the
notes of their adapters."""

from collections.abc import Sequence
from datetime import datetime

from assistant.contracts.channels import ChannelStatus
from assistant.contracts.inbox import Pairing, Sender
from assistant.contracts.notes import MOST_NOTES, check_note
from assistant.contracts.util import Clock, utc_now
from assistant.store.codec import from_micros, json_column, json_key, optional, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.processes import Runner, dead_among

_PAIRING = "SELECT channel, sender_id, sender_name, chat_id, code, created, expires FROM pairings"
FORGET_EXPIRED = "DELETE FROM pairings WHERE expires <= :now"
PAIRING = f"{_PAIRING} WHERE channel = :channel AND sender_id = :sender_id"
PAIRING_BY_CODE = f"{_PAIRING} WHERE UPPER(code) = :code AND expires > :now"
OPEN_PAIRINGS = "SELECT COUNT(*) FROM pairings WHERE channel = :channel AND code IS NOT NULL"
ADD_PAIRING = """
    INSERT INTO pairings (channel, sender_id, sender_name, chat_id, code, created, expires)
    VALUES (:channel, :sender_id, :sender_name, :chat_id, :code, :created, :expires)"""
APPROVE = "UPDATE pairings SET code = NULL, expires = NULL WHERE channel = :channel AND sender_id = :sender_id"
PAIRED = "SELECT 1 FROM pairings WHERE channel = :channel AND sender_id = :sender_id AND code IS NULL"
PAIRINGS = f"{_PAIRING} WHERE expires IS NULL OR expires > :now ORDER BY created DESC, channel, sender_id"
LET_IN = """
    INSERT INTO pairings (channel, sender_id, sender_name, chat_id, created) VALUES (:channel, :sender_id, :sender_name, :chat_id, :created)
    ON CONFLICT (channel, sender_id) DO UPDATE SET code = NULL, expires = NULL"""
REVOKE = "DELETE FROM pairings WHERE channel = :channel AND sender_id = :sender_id RETURNING sender_id"


class PairingStore:
    """Open and approved pairings. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def request(self, pairing: Pairing, *, most_open: int) -> Pairing | None:
        """Open a pairing, or return the sender's. None: the channel has `most_open` open ones, or the code is in use (try another)."""
        now = to_micros(self._clock())
        values = _values(pairing)
        channel, sender_id = values["channel"], values["sender_id"]

        def ask(connection: Transaction) -> SqlRow | None:
            connection.execute(FORGET_EXPIRED, {"now": now})
            found = connection.execute(PAIRING, {"channel": channel, "sender_id": sender_id})
            if found:
                return found[0]
            many = connection.execute(OPEN_PAIRINGS, {"channel": channel})[0][0] >= most_open
            code = pairing.code
            if many or (code is not None and connection.execute(PAIRING_BY_CODE, {"code": json_column(code.upper()), "now": now})):
                return None
            connection.execute(ADD_PAIRING, values)
            return tuple(values.values())

        return optional(_pairing, await self._database.write(ask))

    async def approve(self, code: str, now: datetime) -> Pairing | None:
        """Approve the open pairing with this code (case-insensitive). None: there is none, or it has expired."""
        return await self._database.write(lambda connection: approve_code(connection, code, now))

    async def paired(self, channel: str, sender_id: str) -> bool:
        return bool(await self._database.select(PAIRED, {"channel": json_column(channel), "sender_id": json_column(sender_id)}))

    async def list(self, now: datetime) -> Sequence[Pairing]:
        """Open pairings that have not expired, and approved ones, the latest first."""
        return [_pairing(row) for row in await self._database.select(PAIRINGS, {"now": to_micros(now)})]

    async def revoke(self, channel: str, sender_id: str) -> bool:
        """Remove the sender's pairing, open or approved. Returns False if there is none."""
        return bool(await self._database.execute(REVOKE, {"channel": json_column(channel), "sender_id": json_column(sender_id)}))


def approve_code(connection: Transaction, code: str, now: datetime) -> Pairing | None:
    """Approve the open pairing with this code; see `PairingStore.approve`."""
    found = connection.execute(PAIRING_BY_CODE, {"code": json_column(code.upper()), "now": to_micros(now)})
    if not found:
        return None
    who: dict[str, SqlValue] = {"channel": found[0][0], "sender_id": found[0][1]}
    connection.execute(APPROVE, who)
    return _pairing(connection.execute(PAIRING, who)[0])


def let_in(connection: Transaction, pairing: Pairing) -> None:
    """Add an approved pairing, or approve the sender's."""
    connection.execute(LET_IN, _values(pairing))


def _values(pairing: Pairing) -> dict[str, SqlValue]:
    """In the order of `PAIRING`."""
    channel, sender_id = json_key(pairing.channel, pairing.sender.id)
    return {
        "channel": channel,
        "sender_id": sender_id,
        "sender_name": json_column(pairing.sender.name),
        "chat_id": json_column(pairing.chat_id),
        "code": optional(json_column, pairing.code),
        "created": to_micros(pairing.created),
        "expires": optional(to_micros, pairing.expires_at),
    }


def _pairing(row: SqlRow) -> Pairing:
    channel, sender_id, sender_name, chat_id, code, created, expires = row
    return Pairing(
        channel=unescape(channel),
        sender=Sender(id=unescape(sender_id), name=unescape(sender_name)),
        chat_id=unescape(chat_id),
        code=optional(unescape, code),
        created=from_micros(created),
        expires_at=optional(from_micros, expires),
    )


NOTE_STATE = """
    INSERT INTO channel_states (runner, name, state, detail, since) VALUES (:runner, :name, :state, :detail, :since)
    ON CONFLICT (runner, name) DO UPDATE SET state = excluded.state, detail = excluded.detail, since = excluded.since"""
STATES = "SELECT name, state, detail, since FROM channel_states ORDER BY name, since DESC"
STATING = "SELECT DISTINCT runner FROM channel_states"
FORGET_STATES = "DELETE FROM channel_states WHERE runner = :runner"


class StoredChannelStates:
    """Implements ChannelStates. Each call removes the states of dead processes."""

    def __init__(self, database: Database, runner: Runner) -> None:
        self._database = database
        self._runner = runner

    async def note(self, status: ChannelStatus) -> None:
        values: dict[str, SqlValue] = {
            "runner": self._runner.id,
            "name": json_column(status.name),
            "state": status.state,
            "detail": json_column(status.detail),
            "since": to_micros(status.since),
        }

        def write(connection: Transaction) -> None:
            self._forget_the_dead(connection)
            connection.execute(NOTE_STATE, values)

        await self._database.write(write)

    async def list(self) -> Sequence[ChannelStatus]:
        def read(connection: Transaction) -> list[SqlRow]:
            self._forget_the_dead(connection)
            return connection.execute(STATES)

        # A write, because `is_dead` needs the writer.
        rows = await self._database.write(read)
        return [
            ChannelStatus(name=unescape(name), state=state, detail=unescape(detail), since=from_micros(since))
            for name, state, detail, since in rows
        ]

    def _forget_the_dead(self, connection: Transaction) -> None:
        for runner in dead_among(self._runner, connection, [runner for (runner,) in connection.execute(STATING)]):
            connection.execute(FORGET_STATES, {"runner": runner})


NOTE = "SELECT value FROM channel_notes WHERE channel = :channel AND key = :key"
KEEP_NOTE = """
    INSERT INTO channel_notes (channel, key, value, at) VALUES (:channel, :key, :value, :at)
    ON CONFLICT (channel, key) DO UPDATE SET value = excluded.value, at = excluded.at"""
DROP_NOTE = "DELETE FROM channel_notes WHERE channel = :channel AND key = :key"
DROP_OLD_NOTES = """
    DELETE FROM channel_notes WHERE channel = :channel AND at <= (
        SELECT at FROM channel_notes WHERE channel = :channel ORDER BY at DESC LIMIT 1 OFFSET :most)"""


class StoredChannelNotes:
    """Implements ChannelNotes for one channel."""

    def __init__(self, database: Database, channel: str, *, clock: Clock = utc_now, most: int = MOST_NOTES) -> None:
        self._database = database
        self._channel = json_column(channel)
        self._clock = clock
        self._spare = max(1, most // 100)
        """How many are added between two looks at how many there are."""
        self._most = most - self._spare
        self._added = 0

    async def get(self, key: str) -> str | None:
        rows = await self._database.select(NOTE, self._named(key))
        return unescape(rows[0][0]) if rows else None

    async def keep(self, key: str, value: str) -> None:
        check_note(key, value)
        values = {**self._named(key), "value": json_column(value), "at": to_micros(self._clock())}
        looks = self._added % self._spare == 0
        self._added += 1

        def write(connection: Transaction) -> None:
            connection.execute(KEEP_NOTE, values)
            if looks:
                connection.execute(DROP_OLD_NOTES, {"channel": self._channel, "most": self._most})

        await self._database.write(write)

    async def drop(self, key: str) -> None:
        await self._database.execute(DROP_NOTE, self._named(key))

    def _named(self, key: str) -> dict[str, SqlValue]:
        return {"channel": self._channel, "key": json_column(key)}
