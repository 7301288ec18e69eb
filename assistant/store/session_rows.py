"""Sessions as rows: how they are listed, found and removed."""

from assistant.contracts.messages import AssistantMessage, Message, Usage
from assistant.contracts.sessions import Session
from assistant.store.approval_rows import remove_with_session
from assistant.store.codec import decode_message, decode_provenances, escape, from_micros, unescape
from assistant.store.database import SqlRow, SqlValue, Transaction
from assistant.store.titles import TITLE

_SESSION = f"""
    SELECT id, owner, key, created, updated, messages, prompt_tokens, completion_tokens, cached_tokens, read, context_from, {TITLE},
        EXISTS (SELECT 1 FROM turns WHERE turns.session_id = sessions.id AND turns.ended IS NULL)
    FROM sessions"""  # noqa: S608 - columns of this store
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
SINCE_USER = """
    SELECT role, payload FROM messages WHERE session_id = :id AND seq >= (SELECT context_from FROM sessions WHERE id = :id)
    ORDER BY seq DESC LIMIT 200"""
"""A step has 128 calls at most where a client says so, and few otherwise."""

_OWNED = "owner = :owner"
_EARLIER = "(updated, id) < (SELECT updated, id FROM sessions WHERE key = :before{owned} ORDER BY updated, id LIMIT 1)"


def sessions_of(*, everybody: bool, before: bool, among: int | None = None) -> str:
    """The statement that lists sessions, the latest first. `before`: those after the one with the key `:before`. `among`: those whose title is like
    `:words`, or whose keys are `:key0` to so many."""
    conditions = ["substr(key, 1, 5) <> 'once:'", *([] if everybody else [_OWNED])]
    if among is not None:
        keys = ", ".join([f":key{number}" for number in range(among)])
        conditions.append(f"(lower({TITLE}) LIKE lower(:words) ESCAPE '!'" + (f" OR key IN ({keys}))" if keys else ")"))
    if before:
        conditions.append(_EARLIER.format(owned="" if everybody else f" AND {_OWNED}"))
    return f"{_SESSION} WHERE {' AND '.join(conditions)} ORDER BY updated DESC, id DESC LIMIT :limit"


def find_session(connection: Transaction, owner: str | None, key: str) -> list[SqlRow]:
    """The session; with owner None the one of that key that was used last."""
    if owner is None:
        return connection.execute(SESSION_BY_KEY, {"key": escape(key)})
    return connection.execute(SESSION, {"owner": escape(owner), "key": escape(key)})


def messages_of(connection: Transaction, owner: str | None, key: str, *, after: int, before: int | None, limit: int) -> list[SqlRow]:
    """Messages of a session by seq: the first ones after `after`, or the last ones before `before`."""
    found = find_session(connection, owner, key)
    values: dict[str, SqlValue] = {"id": found[0][0] if found else 0, "after": after, "limit": limit}
    if not found or before is None:
        return connection.execute(MESSAGES, values) if found else []
    return connection.execute(MESSAGES_BEFORE, {**values, "before": before})[::-1]


def session_of(row: SqlRow) -> Session:
    _, owner, key, created, updated, messages, prompt, completion, cached, read, context_from, title, running = row
    return Session(
        owner=unescape(owner),
        key=unescape(key),
        created=from_micros(created),
        updated=from_micros(updated),
        messages=messages,
        usage=Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached),
        read=decode_provenances(read),
        context_from=context_from,
        title=unescape(title),
        running=bool(running),
    )


def remove_session(connection: Transaction, row: SqlRow, at: int) -> list[str]:
    """Remove the session of a row (id, owner, key, …); returns the digests of its attachments."""
    session, owner, key = row[:3]
    digests = connection.execute(REMOVE_USED_ATTACHMENTS, {"owner": owner, "key": key})
    remove_with_session(connection, owner, key, at)
    connection.execute(REMOVE_SESSION, {"id": session})
    return [digest for (digest,) in digests]


def since_user(connection: Transaction, session: int) -> list[Message]:
    """What the model sees of a session behind its last user message, in order: the last step alone, unless a turn was cut off behind it."""
    found: list[Message] = []
    for role, payload in connection.execute(SINCE_USER, {"id": session}):
        if role == "user":
            break
        found.append(step := decode_message(payload))
        if isinstance(step, AssistantMessage) and step.cut_off is None and (len(found) == 1 or found[0].role == "tool"):
            break
    return found[::-1]
