"""The statements of sessions and turns, in the SQL that SQLite and PostgreSQL share."""

TOUCH_SESSION = """
    UPDATE sessions SET messages = messages + 1, updated = :at WHERE owner = :owner AND key = :key
    RETURNING id, messages, context_from"""

ADD_SESSION = """
    INSERT INTO sessions (owner, key, created, updated, messages, context_from, prompt_tokens, completion_tokens, cached_tokens)
    VALUES (:owner, :key, :at, :at, :seq, 1, 0, 0, 0) RETURNING id, messages, context_from"""

ADD_MESSAGE = """
    INSERT INTO messages (session_id, seq, turn_id, at, role, payload) VALUES (:id, :seq, :turn, :at, :role, :payload)"""

ADD_TURN = """
    INSERT INTO turns (id, session_id, state, runner, started) VALUES (:turn, :id, 'running', :runner, :at)"""

HISTORY = """
    SELECT payload FROM messages WHERE session_id = :id AND seq >= :start AND seq < :end ORDER BY seq"""

RUNNING_TURN = """
    SELECT session_id FROM turns WHERE id = :turn AND state = 'running'"""

TURNS_OF_OTHERS = """
    SELECT id, runner FROM turns WHERE state = 'running' AND runner <> :runner
        AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.turn = turns.id AND inbox.state = 'taken')
        AND NOT EXISTS (SELECT 1 FROM job_nodes WHERE job_nodes.turn = turns.id AND job_nodes.state = 'running')
    ORDER BY started, id"""

END_TURN = """
    UPDATE turns SET state = :state, ended = :at, error = :error WHERE id = :turn AND state = 'running' RETURNING session_id"""

RESUME_TURN = """
    UPDATE turns SET runner = :runner WHERE id = :turn AND state = 'running' RETURNING session_id"""

SESSION_OF_ROW = """
    SELECT messages, context_from FROM sessions WHERE id = :id"""

START_OVER = """
    UPDATE sessions SET context_from = messages + 1 WHERE owner = :owner AND key = :key RETURNING id"""

GROW_SESSION = """
    UPDATE sessions SET messages = messages + :count, updated = :at, prompt_tokens = prompt_tokens + :prompt,
        completion_tokens = completion_tokens + :completion, cached_tokens = cached_tokens + :cached,
        context_from = CASE WHEN :context_from > context_from THEN :context_from ELSE context_from END
    WHERE id = :id RETURNING messages"""

_SESSION = """
    SELECT id, owner, key, created, updated, messages, prompt_tokens, completion_tokens, cached_tokens FROM sessions"""

SESSION = f"{_SESSION} WHERE owner = :owner AND key = :key"

SESSION_BY_KEY = f"{_SESSION} WHERE key = :key ORDER BY updated DESC, id DESC LIMIT 1"

MESSAGES = """
    SELECT seq, turn_id, at, payload FROM messages WHERE session_id = :id AND seq > :after ORDER BY seq LIMIT :limit"""

REMOVE_SESSION = """
    DELETE FROM sessions WHERE id = :id"""

STALE_ONCE = """
    SELECT id, owner, key FROM sessions WHERE substr(key, 1, 5) = 'once:' AND updated < :before
        AND NOT EXISTS (SELECT 1 FROM turns WHERE turns.session_id = sessions.id AND turns.state = 'running')
    LIMIT :limit"""

REMOVE_USED_ATTACHMENTS = """
    DELETE FROM attachments WHERE owner = :owner AND session = :key AND used = 1 RETURNING digest"""

USE_ATTACHMENT = """
    UPDATE attachments SET used = 1 WHERE id = :attachment AND owner = :owner AND session = :key"""

PULSE = """
    INSERT INTO pulse (id, at) VALUES (1, :at) ON CONFLICT (id) DO UPDATE SET at = excluded.at"""

_OWNED = "owner = :owner"
_EARLIER = "(updated, id) < (SELECT updated, id FROM sessions WHERE key = :before{owned} ORDER BY updated, id LIMIT 1)"


def sessions_of(*, everybody: bool, before: bool) -> str:
    """The statement that lists sessions, the latest first; `before`: those after the one by the key `:before`."""
    conditions = ["substr(key, 1, 5) <> 'once:'", *([] if everybody else [_OWNED])]
    if before:
        conditions.append(_EARLIER.format(owned="" if everybody else f" AND {_OWNED}"))
    return f"{_SESSION} WHERE {' AND '.join(conditions)} ORDER BY updated DESC, id DESC LIMIT :limit"
