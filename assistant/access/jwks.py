"""The public keys that a project signs its tokens with: fetched, kept, and fetched again when they rotate."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import aiohttp
import jwt
import orjson

from assistant.contracts.errors import AccessUnavailable

log = logging.getLogger(__name__)

FETCH_SECONDS: Final = 5.0
_MOST_BYTES: Final = 256 * 1024
_MOST_KEYS: Final = 100
_OLD_SECONDS: Final = 600.0
"""After that a set is fetched again, so that a key that was taken out of it is not trusted for ever."""
_TOO_OLD_SECONDS: Final = 3600.0
"""Where it can't be fetched again, it is trusted for so long."""
_UNKNOWN_SECONDS: Final = 30.0
"""A token with an unknown key's id makes us ask, at most this often."""
_RETRY_SECONDS: Final = 5.0
_LEAST_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key, and the one algorithm that it may be used with: what the token says of that is never believed."""

    algorithm: str
    key: Any


async def fetch(url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and body. Raises AccessUnavailable. Redirects are not followed: the headers hold secrets."""
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            body = b""
            async for piece in response.content.iter_chunked(65_536):
                body += piece
                if len(body) > _MOST_BYTES:
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
        self._keys: dict[str, PublicKey] = {}
        self._fetched = self._asked = float("-inf")
        self._pause = 0.0
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> PublicKey | None:
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
            self._keys = _read(body)
        except AccessUnavailable:
            log.warning("access.keys_not_fetched known=%d", len(self._keys))
            return
        self._fetched, self._pause = self._clock(), _UNKNOWN_SECONDS


def _read(body: bytes) -> dict[str, PublicKey]:
    """The keys of a set that can be used here; others are left out. Raises AccessUnavailable for what is no set."""
    try:
        listed = cast("list[object]", orjson.loads(body)["keys"])[:_MOST_KEYS]
    except (ValueError, KeyError, TypeError) as error:
        raise AccessUnavailable from error
    found: dict[str, PublicKey] = {}
    for entry in listed:
        if isinstance(entry, dict) and isinstance(key_id := cast("dict[str, Any]", entry).get("kid"), str):
            key = _usable(cast("dict[str, Any]", entry))
            if key is not None:
                found[key_id] = key
    return found


def _usable(entry: dict[str, Any]) -> PublicKey | None:
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
        key = jwt.PyJWK(entry, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return PublicKey(algorithm, key) if getattr(key, "key_size", 0) >= (_LEAST_RSA_BITS if algorithm == "RS256" else 256) else None
