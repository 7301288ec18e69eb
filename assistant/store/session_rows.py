"""Sessions as rows: how they are listed, found and removed."""

from assistant.contracts.messages import Usage
from assistant.contracts.sessions import Session
from assistant.store.approval_rows import remove_with_session
from assistant.store.codec import decode_provenances, escape, from_micros, unescape
from assistant.store.database import SqlRow, Transaction

_SESSION = (
    "SELECT id, owner, key, created, updated, messages, prompt_tokens, completion_tokens, cached_tokens, read, context_from FROM sessions"
)
SESSION = f"{_SESSION} WHERE owner = :owner AND key = :key"
SESSION_BY_KEY = f"{_SESSION} WHERE key = :key ORDER BY updated DESC, id DESC LIMIT 1"
MESSAGES = "SELECT seq, turn_id, at, payload FROM messages WHERE session_id = :id AND seq > :after ORDER BY seq LIMIT :limit"
MESSAGES_BEFORE = """
    SELECT seq, turn_id, at, payload FROM messages WHERE session_id = :id AND seq < :before AND seq > :after ORDER BY seq DESC LIMIT :limit"""
REMOVE_SESSION = "DELETE FROM sessions WHERE id = :id"
STALE_ONCE = """
    SELECT id, owner, key FROM sessions WHERE substr(key, 1, 5) = 'once:' AND updated < :before
        AND NOT EXISTS (SELECT 1 FROM turns WHERE turns.session_id = sessions.id AND turns.state = 'running')
    LIMIT :limit"""
REMOVE_USED_ATTACHMENTS = "DELETE FROM attachments WHERE owner = :owner AND session = :key AND used = 1 RETURNING digest"

_OWNED = "owner = :owner"
_EARLIER = "(updated, id) < (SELECT updated, id FROM sessions WHERE key = :before{owned} ORDER BY updated, id LIMIT 1)"


def sessions_of(*, everybody: bool, before: bool) -> str:
    """The statement that lists sessions, the latest first. `before`: those after the one with the key `:before`."""
    conditions = ["substr(key, 1, 5) <> 'once:'", *([] if everybody else [_OWNED])]
    if before:
        conditions.append(_EARLIER.format(owned="" if everybody else f" AND {_OWNED}"))
    return f"{_SESSION} WHERE {' AND '.join(conditions)} ORDER BY updated DESC, id DESC LIMIT :limit"


def find_session(connection: Transaction, owner: str | None, key: str) -> list[SqlRow]:
    """The session; with owner None the one of that key that was used last."""
    if owner is None:
        return connection.execute(SESSION_BY_KEY, {"key": escape(key)})
    return connection.execute(SESSION, {"owner": escape(owner), "key": escape(key)})


def session_of(row: SqlRow) -> Session:
    _, owner, key, created, updated, messages, prompt, completion, cached, read, context_from = row
    return Session(
        owner=unescape(owner),
        key=unescape(key),
        created=from_micros(created),
        updated=from_micros(updated),
        messages=messages,
        usage=Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached),
        read=decode_provenances(read),
        context_from=context_from,
    )


def remove_session(connection: Transaction, row: SqlRow, at: int) -> list[str]:
    """Remove the session of a row (id, owner, key, …); returns the digests of its attachments."""
    session, owner, key = row[:3]
    digests = connection.execute(REMOVE_USED_ATTACHMENTS, {"owner": owner, "key": key})
    remove_with_session(connection, owner, key, at)
    connection.execute(REMOVE_SESSION, {"id": session})
    return [digest for (digest,) in digests]
