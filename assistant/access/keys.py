"""The two simplest ways of telling who asks: everyone who can reach the server, or everyone who has its one key."""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from assistant.access.principals import OWNER, Access, Principal
from assistant.contracts.errors import Unauthenticated

_SCHEME = b"bearer "


@dataclass(frozen=True, slots=True)
class OpenAccess:
    """No key is set: whoever reaches the server is its owner. For a server that only its own machine reaches."""

    def identify(self, authorization: bytes | None) -> Principal:
        return OWNER


@dataclass(frozen=True, slots=True)
class SharedKey:
    """One key for all. Compared by hash, so that neither its length nor its beginning shows in the time taken, and any bytes compare."""

    digest: bytes

    def identify(self, authorization: bytes | None) -> Principal:
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise Unauthenticated
        given = sha256(authorization[len(_SCHEME) :].strip(b" \t")).digest()
        if not hmac.compare_digest(given, self.digest):
            raise Unauthenticated("This API key is not valid.")
        return OWNER


def access_by_key(key: str | None) -> Access:
    """`key`: the one key, or None for open access. A key of other than ASCII characters is expected as UTF-8.

    Raises ValueError for an empty key: no secret must never come to mean an open door.
    """
    if key is None:
        return OpenAccess()
    if not key.strip():
        raise ValueError("an API key must not be empty")
    return SharedKey(sha256(key.strip().encode()).digest())
