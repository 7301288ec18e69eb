"""Sessions that other assistants held, with the times of their messages: added once, however often they are imported."""

from collections.abc import Sequence
from datetime import datetime

from assistant.contracts.messages import Document, Image, Message, UserMessage
from assistant.contracts.own_words import sources
from assistant.contracts.records import record
from assistant.contracts.util import derived_id
from assistant.store.codec import encode_message, encode_provenances, identity, to_micros
from assistant.store.database import Database, SqlRow, SqlValue, Transaction

SESSION = "SELECT id, messages FROM sessions WHERE owner = :owner AND key = :key"
KNOWN = "SELECT turn_id FROM messages WHERE session_id = :id"
WENT_ON = "SELECT 1 FROM turns WHERE session_id = :id LIMIT 1"
ADD_SESSION = """
    INSERT INTO sessions (owner, key, created, updated, messages, context_from, prompt_tokens, completion_tokens, cached_tokens, read)
    VALUES (:owner, :key, :created, :updated, 0, 1, 0, 0, 0, 0) RETURNING id, messages"""
GROW = """
    UPDATE sessions SET messages = messages + :count, read = read | :read, revision = revision + 1,
        updated = CASE WHEN updated > :updated THEN updated ELSE :updated END
    WHERE id = :id"""
ADD_MESSAGE = "INSERT INTO messages (session_id, seq, turn_id, at, role, payload) VALUES (:id, :seq, :turn, :at, :role, :payload)"
USE_ATTACHMENT = "UPDATE attachments SET used = 1 WHERE id = :attachment AND owner = :owner AND session = :key"
NOTHING_TO_LEARN = """
    INSERT INTO memory_learned (session_id, seq, claim) SELECT id, messages, 0 FROM sessions WHERE id = :id
    ON CONFLICT (session_id) DO UPDATE SET seq = excluded.seq"""
"""What was said elsewhere is history that can be searched; what is remembered of it, the person decides."""


@record
class ImportedMessage:
    mark: str
    """Of its place in the source (`mark_of`)."""
    at: datetime
    message: Message
    attachments: tuple[str, ...] = ()
    """Those that its session holds from now on, beside those of its parts."""


def mark_of(source: str, session: str, message: str) -> str:
    """By which a message is known again; it stands where others have their turn's id."""
    return derived_id("turn", "imported", source, session, message)


class ImportedSessions:
    """Raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, owner: str, key: str) -> frozenset[str]:
        """The marks of a session's messages; of one that there is not, none."""
        stored_owner, stored_key = identity(owner, key)

        def read(connection: Transaction) -> list[SqlRow]:
            found = connection.execute(SESSION, {"owner": stored_owner, "key": stored_key})
            return connection.execute(KNOWN, {"id": found[0][0]}) if found else []

        return frozenset(turn for (turn,) in await self._database.read(read))

    async def add(self, owner: str, key: str, messages: Sequence[ImportedMessage]) -> int:
        """Add those that are not there yet, in one transaction; returns how many. None are added to a session that went on here."""
        stored_owner, stored_key = identity(owner, key)
        rows = [(each, encode_message(each.message)) for each in messages]

        def write(connection: Transaction) -> int:
            place: dict[str, SqlValue] = {"owner": stored_owner, "key": stored_key}
            found = connection.execute(SESSION, place)
            known = {turn for (turn,) in connection.execute(KNOWN, {"id": found[0][0]})} if found else set[str]()
            new = [(each, payload) for each, payload in rows if each.mark not in known]
            if not new or (found and connection.execute(WENT_ON, {"id": found[0][0]})):
                return 0
            times = [to_micros(each.at) for each, _ in new]
            if not found:
                found = connection.execute(ADD_SESSION, {**place, "created": min(times), "updated": max(times)})
            row, last = found[0]
            for (each, payload), at, seq in zip(new, times, range(last + 1, last + 1 + len(new)), strict=True):
                values: dict[str, SqlValue] = {"id": row, "seq": seq, "turn": each.mark, "at": at, "role": each.message.role}
                connection.execute(ADD_MESSAGE, {**values, "payload": payload})
                for attachment in (*each.attachments, *_held(each.message)):
                    connection.execute(USE_ATTACHMENT, {**place, "attachment": attachment})
            read = encode_provenances(sources([each.message for each, _ in new]))
            connection.execute(GROW, {"id": row, "count": len(new), "read": read, "updated": max(times)})
            connection.execute(NOTHING_TO_LEARN, {"id": row})
            return len(new)

        return await self._database.write(write)


def _held(message: Message) -> Sequence[str]:
    parts = message.parts if isinstance(message, UserMessage) else ()
    return [part.attachment_id.partition("/")[0] for part in parts if isinstance(part, Image | Document)]
