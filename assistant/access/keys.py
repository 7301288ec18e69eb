"""The simplest ways of telling who asks: everyone who can reach the server, or everyone who has its key."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from assistant.access.principals import OWNER, Access, Principal
from assistant.contracts.errors import Unauthenticated

_SCHEME = b"bearer "


def bearer(authorization: bytes | None) -> bytes | None:
    """The secret that was shown; None: there is none, or it is not shown as a bearer's."""
    if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return authorization[len(_SCHEME) :].strip(b" \t") or None


@dataclass(frozen=True, slots=True)
class OpenAccess:
    """No key is set: whoever reaches the server is its owner. For a server that only its own machine reaches."""

    async def identify(self, authorization: bytes | None) -> Principal:
        return OWNER


@dataclass(frozen=True, slots=True)
class SharedKeys:
    """Each of these makes its bearer the owner. Compared by hash, so that neither length nor beginning shows in the time taken, and any bytes
    compare. `otherwise`: who is asked about any other."""

    digests: tuple[bytes, ...]
    otherwise: Access | None = None

    async def identify(self, authorization: bytes | None) -> Principal:
        secret = bearer(authorization)
        if secret is None:
            raise Unauthenticated
        given = sha256(secret).digest()
        if any(hmac.compare_digest(given, digest) for digest in self.digests):
            return OWNER
        if self.otherwise is None:
            raise Unauthenticated("This API key is not valid.")
        return await self.otherwise.identify(authorization)


def shared_keys(keys: Sequence[str], otherwise: Access | None = None) -> SharedKeys:
    """A key of other than ASCII characters is expected as UTF-8. Raises ValueError for an empty one: no secret must never come to mean an
    open door."""
    if not all(key.strip() for key in keys):
        raise ValueError("an API key must not be empty")
    return SharedKeys(tuple(sha256(key.strip().encode()).digest() for key in keys), otherwise)


def access_by_key(key: str | None) -> Access:
    """`key`: the one key, or None for open access. Raises ValueError for an empty key."""
    return OpenAccess() if key is None else shared_keys([key])
