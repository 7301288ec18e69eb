"""Session ids that clients choose, and the keys that the server stores them under."""

from functools import cache

from assistant.contracts.errors import InvalidRequest, SessionNotFound
from assistant.contracts.sessions import ONCE
from channels.catalog import OWN, installed_names

DEFAULT = "default"
MAX_LENGTH = 256
_PREFIX = "api:"
_RESERVED = (
    _PREFIX, "slack:", "matrix:", "email:", "websocket:",
    "cli:", "cron:", "heartbeat:", "subagent:", "workflow:", "job:", "agent:", "system:", ONCE, *(f"{name}:" for name in OWN),
)  # fmt: skip
"""Prefixes of session keys that a client may not use, besides those of channels of installed packages: an id must never look like a key."""


@cache
def _installed() -> frozenset[str]:
    return frozenset(f"{name}:" for name in installed_names())


def _is_reserved(identity: str) -> bool:
    prefix, colon, _ = identity.lower().partition(":")
    return identity.lower().startswith(_RESERVED) or (bool(colon) and prefix + colon in _installed())


def session_key(session_id: str | None, *, param: str = "session_id") -> str:
    """The key of the session of a request. Raises InvalidRequest for an id that is empty, too long, unprintable or reserved."""
    identity = DEFAULT if session_id is None else checked(session_id, param)
    if _is_reserved(identity):
        prefix = identity.partition(":")[0]
        raise InvalidRequest(f"'{param}' must not begin with '{prefix}:', which is reserved.", param=param)
    return _PREFIX + identity


def checked(identity: str, param: str) -> str:
    """The id, unchanged. Raises InvalidRequest where it is empty, too long or unprintable."""
    if not 1 <= len(identity) <= MAX_LENGTH or not identity.isprintable():
        raise InvalidRequest(f"'{param}' must be 1 to {MAX_LENGTH} printable characters.", param=param)
    return identity


def known_key(session_id: str) -> str:
    """The key of a session by its listed id: an id of the API, or the key of a session of another front end (telegram:42).

    Raises SessionNotFound for an invalid id.
    """
    if not 1 <= len(session_id) <= 2 * MAX_LENGTH or not session_id.isprintable():
        raise SessionNotFound
    return session_id if _is_reserved(session_id) else _PREFIX + session_id


def listed_id(key: str) -> str:
    """A session's id in lists: the client's own, or the key of a session of another front end."""
    return key.removeprefix(_PREFIX)
