"""The HTTP connection to a provider: one session, kept alive, whose every failure comes out as one of our errors.

Decisions. No redirects: a key must not follow one. No `trust_env` of aiohttp, which would read ~/.netrc on the event loop: the proxy is looked
up once, here, and loopback never goes through one. A repeat of a request is safe here: a completion changes nothing at the provider.
"""

import io
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from yarl import URL

from assistant.contracts.errors import ProviderFailed, ProviderTimeout
from assistant.providers.failures import Peer, refusal
from assistant.providers.local import LOOPBACK
from assistant.providers.sse import EventParser, EventTooLong
from assistant.providers.target import Endpoint

log = logging.getLogger(__name__)

_LARGEST_ANSWER = 32 * 1024 * 1024
_LARGEST_ERROR = 64 * 1024
_LARGE_BODY = 1024 * 1024
"""Bytes above which a body is written piece by piece (aiohttp writes bytes in one go, on the loop)."""


class Upstream:
    """Requests to a provider. Raises ProviderFailed, its subclasses and ContextLengthExceeded, and nothing of aiohttp's."""

    def __init__(self, endpoint: Endpoint, peer: Peer) -> None:
        self._endpoint = endpoint
        self._peer = peer
        self._urls: dict[str, URL] = {}
        self._session: aiohttp.ClientSession | None = None
        self._proxy: str | None = None
        self._closed = False
        self._answered = False

    @asynccontextmanager
    async def request(self, method: str, path: str, body: bytes | None = None) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The response, once its status is 200. Leaving the block early closes the connection; so does cancellation."""
        with _translated(self._peer, self._endpoint.idle_timeout):
            response = await self._send(method, path, body)
            try:
                if response.status != 200:
                    log.info("provider.refused provider=%s status=%d", self._peer.provider, response.status)
                    raise refusal(self._peer, response.status, response.headers, await _read(response, _LARGEST_ERROR, cut=True))
                yield response
            finally:
                response.release()

    async def get(self, path: str) -> dict[str, Any]:
        """The JSON at `path`."""
        async with self.request("GET", path) as response:
            return await self.json(response)

    async def json(self, response: aiohttp.ClientResponse) -> dict[str, Any]:
        """The body as JSON; an answer of another kind is named by its content type, never quoted."""
        body = await _read(response, _LARGEST_ANSWER)
        try:
            value: object = orjson.loads(body)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise ProviderFailed(self._not_json(response.content_type, len(body)))
        return cast(dict[str, Any], value)

    async def events(self, response: aiohttp.ClientResponse) -> AsyncIterator[list[dict[str, Any] | None]]:
        """The events of a stream, those of each network read together; None stands for "[DONE]"."""
        parser = EventParser()
        async for chunk in response.content.iter_any():
            if found := parser.feed(chunk):
                yield [self._event(data) for data in found]
        if found := parser.close():
            yield [self._event(data) for data in found]

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _event(self, data: bytes) -> dict[str, Any] | None:
        if data == b"[DONE]":
            return None
        try:
            value: object = orjson.loads(data)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise ProviderFailed(f"{self._peer.provider} sent an event that is not a JSON object ({len(data)} bytes).")
        return cast(dict[str, Any], value)

    def _not_json(self, kind: str, size: int) -> str:
        hint = f" Check providers.{self._peer.provider}.apiBase." if kind.startswith("text/html") else ""
        return f"{self._peer.provider} answered with {size} bytes of {kind} that are not a JSON object.{hint}"

    async def _send(self, method: str, path: str, body: bytes | None) -> aiohttp.ClientResponse:
        session = self._session or self._open()
        url = self._urls.get(path) or self._urls.setdefault(path, self._url(path))
        for repeats_left in (1, 0):
            try:
                response = await session.request(method, url, data=_payload(body), proxy=self._proxy, allow_redirects=False)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError):
                # Where there was an answer before, this may have been its connection, kept alive, which the provider closed while it was idle
                # and before it saw the request: ask again, on another one.
                if not (self._answered and repeats_left):
                    raise
            else:
                self._answered = True
                return response
        raise AssertionError("the last attempt returns or raises")

    def _url(self, path: str) -> URL:
        return URL(self._endpoint.base.rstrip("/") + path).update_query(self._endpoint.query)

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ProviderFailed(f"The connection to {self._peer.provider} was closed.", retryable=False)
        endpoint = self._endpoint
        self._proxy = _proxy_for(URL(endpoint.base), endpoint.proxy)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
            headers={"Content-Type": "application/json", "User-Agent": "nanobot", **endpoint.headers},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=endpoint.connect_timeout, sock_read=endpoint.idle_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    return io.BytesIO(body) if body is not None and len(body) > _LARGE_BODY else body


async def _read(response: aiohttp.ClientResponse, limit: int, *, cut: bool = False) -> bytes:
    """The body. One longer than `limit` is cut there, or refused."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            if cut:
                break
            raise ProviderFailed(f"The provider's answer is larger than {limit // 1_048_576} MiB.", retryable=False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _proxy_for(url: URL, configured: str | None) -> str | None:
    host = url.host or ""
    if host in LOOPBACK:
        return None
    if configured:
        return configured
    if proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not proxy.startswith(("http://", "https://")):
        raise ProviderFailed("Only http:// proxies are supported: set providers.<name>.proxy, or NO_PROXY.", retryable=False)
    return proxy


@contextmanager
def _translated(peer: Peer, idle_timeout: float) -> Generator[None]:
    who, where = peer.provider, peer.origin
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise ProviderTimeout(f"{who} did not take a connection in time at {where}.") from error
    except TimeoutError as error:
        raise ProviderTimeout(f"{who} sent nothing for {idle_timeout:g} seconds.") from error
    except aiohttp.ClientConnectorError as error:
        hint = " Is it running?" if URL(where).host in LOOPBACK else ""
        raise ProviderFailed(f"{who} can't be reached at {where}: {peer.redact(_reason(error.os_error))}.{hint}") from error
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError) as error:
        raise ProviderFailed(f"{who} closed the connection before its answer was whole.") from error
    except EventTooLong as error:
        raise ProviderFailed(f"{who} sent an event that is larger than the limit.", retryable=False) from error
    except aiohttp.ClientError as error:
        raise ProviderFailed(f"{who} at {where} does not speak HTTP as expected: {type(error).__name__}.") from error


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
