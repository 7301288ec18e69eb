"""The keys that a platform signs its calls with (a JWK set), fetched when they are first needed and again when an unknown one turns up."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import jwt

from assistant.contracts.records import record
from channels.kit.http import PlatformError, Unanswered, Unreached
from channels.kit.values import objects_at, text_at

LEEWAY: Final = 300
"""Seconds that clocks may differ."""
_HOLD: Final = 24 * 3600.0
_ASK_AGAIN: Final = 60.0
"""Seconds between two looks for a key that is not known."""
_FAILED_SECONDS: Final = 2.0
"""Seconds after a look that failed in which none is made."""


@record
class SigningKey:
    key: jwt.PyJWK
    about: Mapping[str, Any]
    """As the set has it."""


class SigningKeys:
    def __init__(self, fetch: Callable[[], Awaitable[Any]]) -> None:
        """`fetch`: the JWK set; may raise PlatformError, which every method here raises then."""
        self._fetch = fetch
        self._keys: dict[str, SigningKey] = {}
        self._asked = self._failed = -math.inf
        self._lock = asyncio.Lock()

    async def claims(
        self, authorization: str, *, audience: str | Sequence[str], issuer: str
    ) -> tuple[Mapping[str, Any], SigningKey] | None:
        """The claims of the bearer token in this header, and its key. None: it is no valid token of this issuer for this audience."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        try:
            kid = text_at(jwt.get_unverified_header(token), "kid")
        except (jwt.PyJWTError, ValueError):
            return None
        found = await self._key(kid)
        if found is None:
            return None
        try:
            claims = jwt.decode(
                token,
                found.key.key,
                algorithms=["RS256"],
                audience=audience,
                issuer=issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError:
            return None
        return claims, found

    async def _key(self, kid: str) -> SigningKey | None:
        """The key of this id; None: the platform has none. One that is known is there at once, whatever others look for: anyone may name one that
        is not. Raises PlatformError."""
        if not self._may_ask(kid):
            return self._keys.get(kid)
        async with self._lock:
            if self._may_ask(kid):
                if time.monotonic() - self._failed < _FAILED_SECONDS:
                    raise Unreached("the keys could not be fetched a moment ago")
                try:
                    self._keys = _read(await self._fetch())
                except PlatformError:
                    self._failed = time.monotonic()
                    raise
                self._asked = time.monotonic()
        return self._keys.get(kid)

    def _may_ask(self, kid: str) -> bool:
        age = time.monotonic() - self._asked
        return age > _HOLD or (kid not in self._keys and age > _ASK_AGAIN)


def _read(found: Any) -> dict[str, SigningKey]:
    """Raises Unanswered where there are none: those that are known stay."""
    keys: dict[str, SigningKey] = {}
    for each in objects_at(found, "keys"):
        try:
            keys[text_at(each, "kid")] = SigningKey(key=jwt.PyJWK.from_dict(each, algorithm="RS256"), about=each)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            continue
    if not keys:
        raise Unanswered("the answer holds no keys")
    return keys
