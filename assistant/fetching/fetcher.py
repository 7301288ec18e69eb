"""The one way to the web: GET, from the public internet or a host that the configuration names; each hop is looked up once, checked, and connected
to at the address that was checked."""

import asyncio
import os
import re
import socket
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from assistant.contracts.proxies import ProxyRoute, UnusableProxy, route_to
from assistant.contracts.records import record
from assistant.contracts.secrets import NAMED, Secrets
from assistant.contracts.urls import PageRefused, WebUrl, parse_url
from assistant.contracts.web import NO_HEADERS
from assistant.fetching.hosts import AllowedHosts, HostLimits, Resolver, SystemResolver, check_addresses
from assistant.fetching.settings import ENVIRONMENT, WebSettings

if TYPE_CHECKING:
    import ssl

    from aiohttp import ClientResponse, TCPConnector
    from aiohttp.abc import AbstractResolver

MOST_BYTES: Final = 5_000_000
SECONDS: Final = 20
_MOST_HOPS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_FIXED: Final = {
    "Accept": "text/html,application/xhtml+xml,application/pdf,text/*;q=0.9,application/json;q=0.9,*/*;q=0.5",
    "Accept-Language": "en,*;q=0.5",
    "Accept-Encoding": "gzip, deflate",
}
_HARMLESS: Final = frozenset({"accept", "accept-language", "if-none-match", "if-modified-since"})
"""What another origin may be told, too."""
_TITLE: Final = re.compile(r"<title[^>]{0,200}>([^<]{1,300})", re.IGNORECASE)
BOM: Final = b"\xef\xbb\xbf"
_IN_USE: Final = re.compile(
    r"utf-(?:8|16(?:[bl]e)?)|iso-8859-\d\d?|windows-125\d|cp125\d|koi8-[ru]|shift_jis|euc-(?:jp|kr)|gb2312|gbk|gb18030|big5", re.IGNORECASE
)
"""Encodings that a header may name."""
_ERROR_BYTES: Final = 65_536


@record
class Fetched:
    url: WebUrl
    """Where it was, behind redirects."""
    not_modified: bool
    """The server's answer to `If-None-Match` and `If-Modified-Since`; then there is no data."""
    media_type: str
    charset: str
    """As the server names it; empty: it does not."""
    data: bytes
    etag: str
    modified: str

    @property
    def encoding(self) -> str:
        """Of the header, where it is one in use; empty: the bytes tell."""
        named = "utf-8" if self.data.startswith(BOM) else self.charset.replace("utf8", "utf-8")
        return {"iso-8859-1": "cp1252"}.get(named, named) if _IN_USE.fullmatch(named) else ""

    def text(self) -> str:
        """By that encoding, else as UTF-8, else as Windows-1252."""
        data = self.data.removeprefix(BOM)
        for encoding in (self.encoding or "utf-8", "utf-8"):
            with suppress(UnicodeDecodeError):
                return data.decode(encoding)
        return data.decode("cp1252", "replace")


class SafeFetcher:
    """Fetches. Keeps no cookies, follows five redirects, reads 5 MB (unpacked), ends after 20 s."""

    def __init__(
        self,
        settings: WebSettings,
        secrets: Secrets,
        user_agent: str,
        *,
        resolver: Resolver | None = None,
        tls: "ssl.SSLContext | None" = None,
        limits: HostLimits | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """`resolver`: the machine's own by default. `tls`: trusts the machine's authorities by default. `seconds`: all in all."""
        self._settings = settings
        self._secrets = secrets
        self._headers = {**_FIXED, "User-Agent": user_agent}
        self._resolver = resolver or SystemResolver()
        self._tls = tls
        self._seconds = seconds
        self._limits = limits or HostLimits()

    async def get(
        self, url: str, *, headers: Mapping[str, str] = NO_HEADERS, may_be_private: bool = False, most_bytes: int = MOST_BYTES
    ) -> Fetched:
        """`headers`: also to the origin of `url` alone, but for those that tell nothing of the caller; `{{secret:NAME}}` in them is filled in.
        `may_be_private`: the person named `url` themselves, and may: its host is as if it were in `web.allow`. Raises PageRefused, and ToolFailed
        for a secret."""
        import aiohttp  # noqa: PLC0415 - only where something is fetched

        asked = parse_url(url)
        allowed = AllowedHosts(self._settings.allow, asked if may_be_private else None)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(asked, dict(headers), allowed, most_bytes)
        except TimeoutError:
            raise PageRefused(f"it did not answer within {self._seconds:g} seconds") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise PageRefused(f"its certificate can't be trusted ({error.certificate_error.__class__.__name__})") from None
        except aiohttp.ClientSSLError:
            raise PageRefused("no encrypted connection to it can be made") from None
        except aiohttp.ClientConnectorError as error:
            why = os.strerror(error.os_error.errno) if error.os_error.errno else "none of its addresses answers"
            raise PageRefused(f"there is no connection to it ({why})") from None
        except (aiohttp.ClientError, OSError, UnusableProxy, ValueError) as error:
            raise PageRefused(f"its answer broke off or is malformed ({type(error).__name__})") from None

    async def _follow(self, url: WebUrl, headers: dict[str, str], allowed: AllowedHosts, most_bytes: int) -> Fetched:
        hop, sent = url, headers
        for _ in range(_MOST_HOPS + 1):
            answer = await self._ask(hop, sent, allowed, most_bytes, first=hop.host == url.host)
            if isinstance(answer, Fetched):
                return answer
            if hop.scheme == "https" and answer.scheme == "http":
                raise PageRefused(f"it redirects from https to http, which is not followed; if it must be, fetch {answer} itself")
            if answer.origin != hop.origin:
                sent = {name: value for name, value in sent.items() if name.lower() in _HARMLESS}
            hop = answer
        raise PageRefused("it redirects too often")

    async def _ask(
        self, url: WebUrl, headers: Mapping[str, str], allowed: AllowedHosts, most_bytes: int, *, first: bool
    ) -> Fetched | WebUrl:
        """What is there, or where it leads to. `first`: the host is the one that was asked for; only then it may be private."""
        import aiohttp  # noqa: PLC0415 - as above
        from yarl import URL  # noqa: PLC0415 - comes with aiohttp

        route = self._route(url)
        # from parts: no second parser reads it
        path, _, query = url.target.partition("?")
        built = URL.build(scheme=url.scheme, host=url.host, port=url.port, path=path, query_string=query, encoded=True)
        async with self._limits.place(url.host):
            connector = await self._connector(url, route, allowed, first=first)
            async with (
                aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as session,
                session.get(
                    built,
                    headers={**self._headers, **self._filled(headers, url, allowed)},
                    proxy=route.http,
                    allow_redirects=False,
                ) as response,
            ):
                if response.status in _REDIRECTS and (location := response.headers.get("Location")):
                    return url.join(location)
                return await _read(response, url, most_bytes)

    def _filled(self, headers: Mapping[str, str], url: WebUrl, allowed: AllowedHosts) -> dict[str, str]:
        if any(map(NAMED.search, headers.values())) and url.scheme != "https" and not allowed.allows(url):
            raise PageRefused("a secret is sent by https only, or to a host that web.allow names")
        return {name: self._secrets.fill(value, url.authority) for name, value in headers.items()}

    def _route(self, url: WebUrl) -> ProxyRoute:
        proxy = self._settings.proxy
        return ProxyRoute() if proxy is None else route_to(str(url), None if proxy == ENVIRONMENT else proxy)

    async def _connector(self, url: WebUrl, route: ProxyRoute, allowed: AllowedHosts, *, first: bool) -> "TCPConnector":
        """Connects to the addresses that were checked and no others; behind a proxy, which looks names up itself, to the proxy."""
        options: dict[str, Any] = {"force_close": True, **({"ssl": self._tls} if self._tls else {})}
        addresses = [url.host] if url.is_literal else []
        if not addresses:
            try:
                addresses = list(await self._resolver.resolve(url.host, url.port))
            except OSError:
                if route.url is None:
                    raise PageRefused("there is no such host") from None
        if not first and allowed.allows(url):
            raise PageRefused(f"it redirects to a host that is reached only where it is asked for; if it must be, fetch {url} itself")
        if not allowed.allows(url):
            check_addresses(addresses)
        allowed.check_port(url)
        if route.url is not None:
            return route.connector(**options)
        return route.connector(resolver=_pinned(addresses), use_dns_cache=False, **options)


async def _read(response: "ClientResponse", url: WebUrl, most_bytes: int) -> Fetched:
    if not response.ok:
        begin = (await response.content.read(_ERROR_BYTES)).decode("utf-8", "replace") if "html" in response.content_type else ""
        from html import unescape  # noqa: PLC0415 - as above
        from http import HTTPStatus  # noqa: PLC0415 - as above

        title = _TITLE.search(begin)
        known = response.status in HTTPStatus._value2member_map_
        phrase = f" {HTTPStatus(response.status).phrase}" if known else ""
        said = f": {' '.join(unescape(title[1]).split())}" if title else ""
        raise PageRefused(f"it answers {response.status}{phrase}{said}")
    data = bytearray()
    if response.status != 304:
        async for block in response.content.iter_chunked(1 << 16):
            data += block
            if len(data) > most_bytes:
                raise PageRefused(f"it has more than {most_bytes / 1e6:g} MB")
    return Fetched(
        url=url,
        not_modified=response.status == 304,
        media_type=response.content_type.lower(),
        charset=(response.charset or "").lower(),
        data=bytes(data),
        etag=response.headers.get("ETag", ""),
        modified=response.headers.get("Last-Modified", ""),
    )


def _pinned(addresses: Collection[str]) -> "AbstractResolver":
    """Gives the connector these addresses, whatever it asks for."""
    from aiohttp.abc import AbstractResolver, ResolveResult  # noqa: PLC0415 - as above

    class Pinned(AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
            return [
                ResolveResult(
                    hostname=host,
                    host=each,
                    port=port,
                    family=socket.AF_INET6 if ":" in each else socket.AF_INET,
                    proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
                for each in addresses
            ]

        async def close(self) -> None:
            """Nothing to close."""

    return Pinned()
