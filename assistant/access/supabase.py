"""Users of a Supabase project, by the tokens that it gives them: checked here against the project's public keys, or, where a token is signed
with the secret that only the project has, by asking it."""

import asyncio
import re
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import jwt
import orjson

from assistant.access.jwks import KeySet, PublicKey, fetch
from assistant.access.keys import bearer
from assistant.access.principals import Principal
from assistant.access.stored_keys import digest_of
from assistant.contracts.access import SCOPES, Scope
from assistant.contracts.errors import AccessUnavailable, Unauthenticated

_FORM: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LONGEST: Final = 8_192
_AUDIENCE: Final = "authenticated"
_USER: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ASKED_SECONDS: Final = 60.0
_MOST_ASKED: Final = 4_096
_AT_ONCE: Final = 16
_SCOPES: Final[frozenset[Scope]] = frozenset(SCOPES) - {"admin"}


class Supabase:
    """Implements Access: the user `<sub>` of the project is the principal `supabase:<sub>`, with every scope but `admin`.

    Only ES256 and RS256 are checked here, each with a key of its own kind. HS256 is the project's to check: it is asked at /auth/v1/user, and
    believed for a minute at most, never past the token's end. Every other algorithm, `none` above all, is refused unread.
    """

    def __init__(
        self, url: str, key: str, *, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`key`: the project's publishable key. `clock`: seconds since 1970."""
        base = url.rstrip("/")
        self._issuer = f"{base}/auth/v1"
        self._headers = {"apikey": key}
        self._keys = KeySet(f"{self._issuer}/.well-known/jwks.json", self._headers, clock=monotonic)
        self._clock = clock
        self._asked: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._asking = asyncio.Semaphore(_AT_ONCE)

    async def identify(self, authorization: bytes | None) -> Principal:
        token = bearer(authorization)
        if token is None:
            raise Unauthenticated
        if len(token) > _LONGEST or not _FORM.fullmatch(token):
            raise _not_valid()
        head, claims, _ = token.split(b".")
        header = _read(head)
        match header.get("alg"), header.get("kid"):
            case "ES256" | "RS256", str(key_id):
                key = await self._keys.find(key_id)
                if key is None:
                    raise _not_valid()
                user, until = self._checked(token, key)
            case "HS256", _:
                user, until = await self._vouched_for(token, _read(claims))
            case _:
                raise _not_valid()
        return Principal(id=f"supabase:{user}", scopes=_SCOPES, until=until)

    def _checked(self, token: bytes, key: PublicKey) -> tuple[str, float]:
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=_AUDIENCE,
                issuer=self._issuer,
                options={"require": ["exp", "sub", "iss", "aud"], "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _not_valid() from None
        return self._user(claims)

    async def _vouched_for(self, token: bytes, claims: Mapping[str, Any]) -> tuple[str, float]:
        """The user of a token that the project says is good, and its end. Nothing that can be seen to be wrong is asked about."""
        user, end = self._user(claims)
        audience = claims.get("aud")
        if claims.get("iss") != self._issuer or (audience != _AUDIENCE and not (isinstance(audience, list) and _AUDIENCE in audience)):
            raise _not_valid()
        digest = digest_of(token)
        known = self._asked.get(digest)
        if known is not None and self._clock() < known[0]:
            return known[1], end
        self._asked.pop(digest, None)
        async with self._asking:
            status, body = await fetch(f"{self._issuer}/user", {**self._headers, "Authorization": f"Bearer {token.decode()}"})
        if status in (400, 401, 403, 404):
            raise _not_valid()
        if status != 200:
            raise AccessUnavailable
        if _object(body).get("id") != user:
            raise _not_valid()
        self._asked[digest] = (min(self._clock() + _ASKED_SECONDS, end), user)
        if len(self._asked) > _MOST_ASKED:
            self._asked.popitem(last=False)
        return user, end

    def _user(self, claims: Mapping[str, Any]) -> tuple[str, float]:
        """Whose token it is, and until when. Raises Unauthenticated where it has ended."""
        user, end = claims.get("sub"), claims.get("exp")
        if not isinstance(user, str) or not _USER.fullmatch(user):
            raise _not_valid()
        if isinstance(end, bool) or not isinstance(end, int | float):
            raise _not_valid()
        if not self._clock() < end:
            raise Unauthenticated("This token has expired.")
        return user, float(end)


def _not_valid() -> Unauthenticated:
    return Unauthenticated("This token is not valid.")


def _read(piece: bytes) -> Mapping[str, Any]:
    """A piece of a token, unchecked. Raises Unauthenticated where it is no JSON object."""
    try:
        return _object(urlsafe_b64decode(piece + b"=" * (-len(piece) % 4)))
    except ValueError:
        raise _not_valid() from None


def _object(body: bytes) -> Mapping[str, Any]:
    """Raises Unauthenticated where it is no JSON object."""
    try:
        found: object = orjson.loads(body)
    except ValueError:
        raise _not_valid() from None
    if not isinstance(found, dict):
        raise _not_valid()
    return cast("Mapping[str, Any]", found)
