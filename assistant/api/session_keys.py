"""Which session a client means: the ids that it may choose, and the keys that the server keeps them by."""

from assistant.contracts.errors import InvalidRequest, SessionNotFound
from assistant.contracts.sessions import ONCE

DEFAULT = "default"
MAX_LENGTH = 256
_PREFIX = "api:"
_RESERVED = (
    _PREFIX, "telegram:", "discord:", "webhook:", "apprise:", "slack:", "matrix:", "email:", "websocket:", "cli:",
    "cron:", "heartbeat:", "subagent:", "workflow:", "job:", "agent:", "system:", ONCE,
)  # fmt: skip
"""What keys of sessions begin with that are not a client's to name, so that an id and a key can't be mistaken for each other."""


def session_key(session_id: str | None, *, param: str = "session_id") -> str:
    """The key of the session of a request. Raises InvalidRequest for an id that is empty, too long, unprintable or reserved."""
    identity = DEFAULT if session_id is None else checked(session_id, param)
    if identity.lower().startswith(_RESERVED):
        prefix = identity.partition(":")[0]
        raise InvalidRequest(f"'{param}' must not begin with '{prefix}:', which is reserved.", param=param)
    return _PREFIX + identity


def checked(identity: str, param: str) -> str:
    """An id as it came, once it is known to be fit for one."""
    if not 1 <= len(identity) <= MAX_LENGTH or not identity.isprintable():
        raise InvalidRequest(f"'{param}' must be 1 to {MAX_LENGTH} printable characters.", param=param)
    return identity


def known_key(session_id: str) -> str:
    """The key of a session as it is listed: one made here by its id, one made elsewhere (telegram:42) by its key.

    Raises SessionNotFound for what can't be either.
    """
    if not 1 <= len(session_id) <= 2 * MAX_LENGTH or not session_id.isprintable():
        raise SessionNotFound
    return session_id if session_id.lower().startswith(_RESERVED) else _PREFIX + session_id


def listed_id(key: str) -> str:
    """How a session is called in lists: what the client called it, or its key if it came from elsewhere."""
    return key.removeprefix(_PREFIX)
