"""Supabase access tokens: verified with the project's secret or its published keys, or by asking Supabase."""

import asyncio
import logging
import re
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import aiohttp
import jwt
import orjson

from assistant.access.principals import Principal, bearer, digest_of
from assistant.contracts.access import SCOPES, Scope
from assistant.contracts.errors import AccessUnavailable, Unauthenticated

log = logging.getLogger(__name__)

FETCH_SECONDS: Final = 5.0
_OLD_SECONDS: Final = 600.0
"""After that a set is fetched again, so that a key that was taken out of it is not trusted for ever."""
_TOO_OLD_SECONDS: Final = 3600.0
"""Where it can't be fetched again, it is trusted for so long."""
_UNKNOWN_SECONDS: Final = 30.0
"""A token with an unknown key's id makes us ask, at most this often."""
_RETRY_SECONDS: Final = 5.0


async def fetch(url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and body. Raises AccessUnavailable. Redirects are not followed: the headers hold secrets."""
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, headers=headers, allow_redirects=False) as response:
            body = b""
            async for piece in response.content.iter_chunked(65_536):
                body += piece
                if len(body) > 256 * 1024:
                    raise AccessUnavailable
            return response.status, body
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        log.warning("access.not_asked error=%s", type(error).__qualname__)
        raise AccessUnavailable from error


class KeySet:
    """The keys at an address, by their ids."""

    def __init__(self, url: str, headers: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._headers = headers
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._asked = float("-inf")
        self._pause = 0.0
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """None: there is no such key. Raises AccessUnavailable where that can't be known."""
        if self._is_due(key_id) or (key_id not in self._keys and self._lock.locked()):  # what is being fetched now may hold it
            async with self._lock:
                if self._is_due(key_id):
                    await self._renew()
        key = self._keys.get(key_id)
        if self._clock() - self._fetched > _TOO_OLD_SECONDS or (key is None and self._asked > self._fetched):
            raise AccessUnavailable(retry_after=_RETRY_SECONDS)
        return key

    def _is_due(self, key_id: str) -> bool:
        now = self._clock()
        wanted = key_id not in self._keys or now - self._fetched > _OLD_SECONDS
        return wanted and now - self._asked >= self._pause

    async def _renew(self) -> None:
        self._asked, self._pause = self._clock(), _RETRY_SECONDS
        try:
            status, body = await fetch(self._url, self._headers)
            if status != 200:
                raise AccessUnavailable
            self._keys = _read_keys(body)
        except AccessUnavailable:
            log.warning("access.keys_not_fetched known=%d", len(self._keys))
            return
        self._fetched, self._pause = self._clock(), _UNKNOWN_SECONDS


def _read_keys(body: bytes) -> dict[str, jwt.PyJWK]:
    """The keys of a set that can be used here; others are left out. Raises AccessUnavailable for what is no set."""
    try:
        listed = cast("list[object]", orjson.loads(body)["keys"])[:100]
    except (ValueError, KeyError, TypeError) as error:
        raise AccessUnavailable from error
    found: dict[str, jwt.PyJWK] = {}
    for entry in listed:
        if isinstance(entry, dict) and isinstance(key_id := cast("dict[str, Any]", entry).get("kid"), str):
            key = _usable(cast("dict[str, Any]", entry))
            if key is not None:
                found[key_id] = key
    return found


def _usable(entry: dict[str, Any]) -> jwt.PyJWK | None:
    match entry.get("kty"), entry.get("crv"):
        case "EC", "P-256":
            algorithm = "ES256"
        case "RSA", None:
            algorithm = "RS256"
        case _:
            return None
    if entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return key if getattr(key.key, "key_size", 0) >= (2048 if algorithm == "RS256" else 256) else None


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

    Only ES256 and RS256 are checked here, each with a key of its own kind. HS256 is the project's to check: its /auth/v1/user decides, and is
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

    def _checked(self, token: bytes, key: jwt.PyJWK) -> tuple[str, float]:
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],  # what the token says of it is never believed
                audience=_AUDIENCE,
                issuer=self._issuer,
                options={"require": ["exp", "sub", "iss", "aud"], "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _not_valid() from None
        return self._user(claims)

    async def _vouched_for(self, token: bytes, claims: Mapping[str, Any]) -> tuple[str, float]:
        """The user of a token that the project accepts, and its end. Tokens that are visibly wrong are refused without a call."""
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
