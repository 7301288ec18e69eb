"""How a request says that it may come again, or that it has."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from starlette.types import Scope

from assistant.api.middleware.scope import headers_named
from assistant.contracts.errors import InvalidRequest

LONGEST_KEY: Final = 255
_KEPT: Final = timedelta(hours=24)
_TRIED_AGAIN_WITHIN: Final = timedelta(minutes=15)
_KEY = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_TRY = re.compile(rb"[0-9]{1,9}")
_HARMLESS = frozenset({"/v1/embeddings", "/v1/completions", "/v1/files"})
"""Done twice, these do nothing that was not wanted."""
_SAME_BY_KEY = _HARMLESS | {"/v1/deliveries"}
"""Done twice under one key, these do nothing twice: the delivery's id is derived from the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`key`: the client's own, or None where the request is known by what it holds."""

    by: Literal["key", "first_try", "later_try"]
    key: str | None
    keep: timedelta
    anew: bool
    """Whether it may simply be done again if the server died over it."""


def asked(scope: Scope) -> Asked | None:
    """None: it is a request like any other, and to be passed on as it is. Raises InvalidRequest for a key that can't be one."""
    key: bytes | None = None
    tries: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"idempotency-key":
            key = value
        elif name == b"x-stainless-retry-count":
            tries = value
    if key is not None:
        return Asked(by="key", key=_checked(scope, key), keep=_KEPT, anew=scope["path"] in _SAME_BY_KEY)
    if tries is None or not _TRY.fullmatch(tries) or scope["path"] in _HARMLESS:
        return None
    return Asked(by="later_try" if int(tries) else "first_try", key=None, keep=_TRIED_AGAIN_WITHIN, anew=False)


def idempotency_key(scope: Scope) -> str | None:
    """The header's value. Raises InvalidRequest for one that can't be one."""
    values = headers_named(scope, b"idempotency-key")
    return _checked(scope, values[0]) if values else None


def _checked(scope: Scope, key: bytes) -> str:
    key = key.strip(b" \t")
    if len(headers_named(scope, b"idempotency-key")) > 1 or len(key) > LONGEST_KEY or not _KEY.fullmatch(key):
        raise InvalidRequest(
            f"Idempotency-Key must be one value of 1 to {LONGEST_KEY} printable ASCII characters.", param="Idempotency-Key"
        )
    return key.decode("ascii")
