"""Pages and feeds from the network, for watches: small, by GET, and never from a private address that the person did not name."""

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from assistant.contracts.proxies import UnusableProxy, route_to

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver, ResolveResult

_MOST_BYTES: Final = 2_000_000
_MOST_REDIRECTS: Final = 5
_SECONDS: Final = 30
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class PageRefused(Exception):
    """It can't be fetched or read, in words for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    data: bytes
    media_type: str
    charset: str
    validators: dict[str, str]
    """`etag` and `modified`, as far as the server gave them."""


class PageSource:
    """Fetches by HTTP, through the proxy that the environment names."""

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent

    async def fetch(self, url: str, *, etag: str | None, modified: str | None, private: bool) -> Page | None:
        """None: not modified since. `private`: an address of a private network may be asked, where `url` itself names its host; redirects to
        other private hosts are refused. Raises PageRefused."""
        import aiohttp  # noqa: PLC0415 - only where something is watched

        asked = {"If-None-Match": etag, "If-Modified-Since": modified, "User-Agent": self._user_agent}
        headers = {name: value for name, value in asked.items() if value}
        allowed = urlsplit(url).hostname if private else None
        try:
            async with asyncio.timeout(_SECONDS):
                for _ in range(_MOST_REDIRECTS + 1):
                    answer = await _get(url, headers, allowed)
                    if not isinstance(answer, str):
                        return answer
                    url = urljoin(url, answer)
        except TimeoutError:
            raise PageRefused(f"it did not answer within {_SECONDS} seconds") from None
        except (aiohttp.ClientError, OSError, UnusableProxy, ValueError) as error:
            if isinstance(error, aiohttp.ClientConnectorError) and str(error.os_error) == _PRIVATE:
                raise PageRefused(_PRIVATE) from None
            raise PageRefused(f"it does not answer ({type(error).__name__})") from None
        raise PageRefused("it redirects too often")


async def _get(url: str, headers: dict[str, str], allowed: str | None) -> Page | str | None:
    """The page, None where it was not modified, or the address that it redirects to."""
    import aiohttp  # noqa: PLC0415 - only where something is watched

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PageRefused("only http:// and https:// addresses can be watched")
    _check_literal(parts.hostname, allowed)
    route = route_to(url)
    connector = route.connector(resolver=_guard(allowed), force_close=True) if route.url is None else route.connector(force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(url, headers=headers, proxy=route.http, allow_redirects=False) as response,
    ):
        if response.status == 304:
            return None
        if response.status in _REDIRECTS and "Location" in response.headers:
            return response.headers["Location"]
        if not response.ok:
            raise PageRefused(f"it answers {response.status}")
        data = bytearray()
        async for block in response.content.iter_chunked(1 << 16):
            data += block
            if len(data) > _MOST_BYTES:
                raise PageRefused("it has more than 2 MB")
        named = {"etag": response.headers.get("ETag"), "modified": response.headers.get("Last-Modified")}
        return Page(
            data=bytes(data),
            media_type=response.content_type,
            charset=response.charset or "utf-8",
            validators={name: value for name, value in named.items() if value},
        )


def _check_literal(host: str, allowed: str | None) -> None:
    """Raises PageRefused for a private address that stands in the URL itself."""
    try:
        address = ip_address(host)
    except ValueError:
        return
    if not _is_public(str(address)) and host != allowed:
        raise PageRefused(_PRIVATE)


_PRIVATE: Final = "it is on a private network; there, only the person who runs the server watches addresses, and names them"


def _is_public(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return found.is_global and not found.is_multicast and (mapped is None or mapped.is_global)


def _guard(allowed: str | None) -> "AbstractResolver":
    """Resolves names, and refuses private addresses where the connection is made: what was checked is what is asked."""
    from aiohttp.resolver import ThreadedResolver  # noqa: PLC0415 - only where something is watched

    class Guard(ThreadedResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> "list[ResolveResult]":
            found = await super().resolve(host, port, family)
            if host != allowed and not all(_is_public(each["host"]) for each in found):
                raise OSError(_PRIVATE)
            return found

    return Guard()
