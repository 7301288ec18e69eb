"""HTTP to a platform: every failure says whether the platform may have carried out the request.

Unreached    there was no connection: it did not
Unanswered   the request was sent, and no readable answer came: it may have
Answered     the platform answered with an error
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import orjson
from yarl import URL

from assistant.contracts.channels import ChannelFailed, SendLater, SendRefused
from assistant.contracts.proxies import ProxyRoute, UnusableProxy, route_to
from assistant.contracts.records import record
from assistant.contracts.redaction import Redactor
from channels.kit.answers import seconds_until, words_in
from channels.kit.files import too_large
from channels.kit.hosts import is_at, same_server
from channels.kit.values import loads, value_at

_CONNECT_SECONDS: Final = 5.0
_POOL_SECONDS: Final = 5.0
"""How long a request waits for a free connection."""
_KEEP_SECONDS: Final = 15.0
"""Idle connections are closed before the platform closes them: a request on a connection that closes is unanswered."""
_MOST_BYTES: Final = 16_000_000
"""Of an answer that is no file."""
_LONG: Final = 1 << 20
"""Bytes of JSON from which it is read in a thread."""
_MOST_WORDS: Final = 2000
"""Characters of what an error says."""
_CHUNK: Final = 1 << 20
_FILE_SECONDS: Final = 110.0
_GONE: Final = frozenset({401, 403, 404, 410})
_LEADS_ON: Final = frozenset({301, 302, 303, 307, 308})
_Headers = Mapping[str, str]


class PlatformError(Exception):
    """A request failed. Base class, never raised itself. The words hold no secret and no message."""


class Unreached(PlatformError):
    """There was no connection: the request was not carried out."""


class Unanswered(PlatformError):
    """The request was sent, at least in part, without a readable answer: it may have been carried out."""


class Answered(PlatformError):
    """The platform answered, and not with success. `code`: the platform's own, where its answer has one; empty: unknown."""

    def __init__(
        self,
        status: int,
        words: str,
        *,
        code: str = "",
        retry_after: float | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`body`: the JSON of the answer; None: it is none. `headers`: by lower-case name."""
        self.words = words[:_MOST_WORDS]
        super().__init__(self.words)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.body = body
        self.headers = headers or {}

    def at(self, *path: str | int) -> Any:
        """A value of the answer's JSON; None: it is not there."""
        return value_at(self.body, *path)


@record
class PlatformAnswer:
    """A successful answer. `headers`: by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises Unanswered where it is none: something between answered in the platform's place."""
        try:
            return loads(self.body)
        except ValueError:
            raise Unanswered("the answer is not JSON") from None


class PlatformHttp:
    """Requests to one platform. Created without I/O; a session for each way (direct, proxy) is opened by its first request."""

    def __init__(
        self,
        channel: str,
        *,
        version: str,
        proxy: str | None = None,
        secrets: Sequence[str] = (),
        bearer: str = "",
        headers: Mapping[str, str] | None = None,
        seconds: float = 20.0,
        base: str = "",
    ) -> None:
        """`base`: in front of URLs that begin with a slash. `headers`: of every request to `base`, and of no other; so is `bearer`, a token.
        `secrets`: they are in no error's words. `seconds`: for an answer. Raises ChannelFailed if the proxy can't be used."""
        self._channel = channel
        self._proxy = proxy
        self.base = base.rstrip("/")
        self.headers = {**(headers or {}), **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
        self._agent = {"User-Agent": f"nanobot/{version}"}
        self._seconds = seconds
        self.redact = Redactor([*secrets, *filter(None, [bearer])])
        self._sessions: dict[ProxyRoute, aiohttp.ClientSession] = {}
        self._closed = False
        self._base_way: tuple[aiohttp.ClientSession, str | None] | None = None
        """Of `base`, from its first request on."""
        if self.base:
            self.route(self.base)

    async def call(
        self,
        method: str,
        url: str,
        *,
        json: object = None,
        form: aiohttp.FormData | Mapping[str, str] | None = None,
        data: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> PlatformAnswer:
        """Send one request, once; redirects are not followed. Raises PlatformError."""
        body: Any = orjson.dumps(json) if json is not None else BytesIO(data) if data is not None else form
        kind = {"Content-Type": "application/json"} if json is not None else {}
        answer = await self._request(method, url, body, params, {**kind, **(headers or {})}, seconds or self._seconds)
        if 200 <= answer.status < 300:
            return answer
        raise self._answered(answer)

    async def json(self, method: str, url: str, **more: Any) -> Any:
        """`call`, and the JSON of its answer; null for an empty one. Raises PlatformError."""
        answer = await self.call(method, url, **more)
        if len(answer.body) > _LONG:
            return await asyncio.to_thread(answer.json)
        return answer.json() if answer.body.strip() else None

    async def download(
        self, url: str, into: Path, most_bytes: int, *, hosts: Sequence[str] = (), headers: _Headers | None = None, redirects: int = 0
    ) -> None:
        """Write a file, from `base` or `hosts` (see `is_at`) only. `headers`: not of what `redirects` (at most so many) lead to. Raises SendRefused
        (too large, gone, elsewhere) or SendLater, with words for people: a fetch may be repeated."""
        try:
            async with asyncio.timeout(_FILE_SECONDS):
                while url := await self._download(url, into, most_bytes, hosts, headers or {}, may_lead_on=redirects > 0):
                    redirects, headers = redirects - 1, {}
        except ValueError:
            raise SendRefused("not_fetched", "The file's address can't be read, so it was not fetched.") from None
        except (aiohttp.ClientError, TimeoutError, OSError, Unreached):
            raise SendLater("network", "The file could not be fetched: the connection broke.", counts=False) from None

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        quiet: float,
    ) -> AsyncGenerator[aiohttp.StreamReader]:
        """An answer that goes on (see `stream_lines`). `quiet`: seconds without a byte after which it is broken. Raises PlatformError, also while it
        is read."""
        url = self.base + url if url.startswith("/") else url
        session, proxy = self._way(url)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=quiet)
        sent = {**self._agent, **self._own(url), **(headers or {})} | ({"Content-Type": "application/json"} if json is not None else {})
        body = orjson.dumps(json) if json is not None else None
        try:
            async with session.request(
                method, url, data=body, params=params, headers=sent, proxy=proxy, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise self._answered(
                        PlatformAnswer(status=response.status, headers=_lower(response.headers), body=await _read(response))
                    )
                yield response.content
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreached(type(error).__name__) from None

    async def socket(
        self, url: str, *, headers: Mapping[str, str] | None = None, heartbeat: float = 30.0
    ) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket. Raises PlatformError."""
        session, proxy = self._way(url)
        try:
            return await session.ws_connect(
                url,
                headers={**self._agent, **self._own(url), **(headers or {})},
                heartbeat=heartbeat,
                proxy=proxy,
                max_msg_size=_MOST_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=2.0),  # pyright: ignore[reportCallIssue] - an attrs class without types
            )
        except aiohttp.WSServerHandshakeError as error:
            raise Answered(error.status, f"status {error.status}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreached(type(error).__name__) from None

    async def close(self) -> None:
        """Safe to call twice."""
        self._closed = True
        self._base_way = None
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def _request(
        self, method: str, url: str, body: Any, params: Mapping[str, str] | None, headers: Mapping[str, str], seconds: float
    ) -> PlatformAnswer:
        url = self.base + url if url.startswith("/") else url
        session, proxy = self._way(url)
        connect = _CONNECT_SECONDS + min(_POOL_SECONDS, seconds)
        timeout = aiohttp.ClientTimeout(total=connect + 3 * seconds, connect=connect, sock_connect=_CONNECT_SECONDS, sock_read=seconds)
        sent = {**self._agent, **self._own(url), **headers}
        try:
            async with session.request(
                method, url, data=body, params=params, headers=sent, proxy=proxy, timeout=timeout, allow_redirects=False
            ) as response:
                return PlatformAnswer(status=response.status, headers=_lower(response.headers), body=await _read(response))
        except aiohttp.ClientHttpProxyError as error:
            raise Unreached(f"the proxy answered with {error.status}") from None
        except aiohttp.ClientProxyConnectionError:
            raise Unreached("the proxy takes no connection") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise Unreached(type(error).__name__) from None  # its message may hold the URL with a secret
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unanswered(type(error).__name__) from None

    async def _download(self, url: str, into: Path, most_bytes: int, hosts: Sequence[str], headers: _Headers, *, may_lead_on: bool) -> str:
        """Returns where the answer leads to; empty: the file is written."""
        url = self.base + url if url.startswith("/") else url
        if not is_at(url, [*hosts, self.base]):
            raise SendRefused("not_fetched", "The file is at an address that is not the platform's, so it was not fetched.")
        session, proxy = self._way(url)
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=self._seconds)
        sent = {**self._agent, **self._own(url), **headers}
        async with session.get(URL(url, encoded=True), headers=sent, proxy=proxy, timeout=timeout, allow_redirects=False) as response:
            if response.status in _LEADS_ON and may_lead_on and (place := response.headers.get("Location")):
                return str(response.url.join(URL(place, encoded=True)))
            if response.status in _GONE:
                raise SendRefused("gone", "The file is no longer there.")
            if response.status != 200:
                raise SendLater("server_error", f"The file server answered with {response.status}.")
            if (response.content_length or 0) > most_bytes:
                raise too_large(most_bytes)
            size = 0
            with await asyncio.to_thread(into.open, "wb") as file:
                async for chunk in response.content.iter_chunked(_CHUNK):
                    size += len(chunk)
                    if size > most_bytes:
                        raise too_large(most_bytes)
                    await asyncio.to_thread(file.write, chunk)
        return ""

    def _own(self, url: str) -> Mapping[str, str]:
        """The headers with credentials, for the platform's own host only."""
        return self.headers if self.headers and self.base and same_server(url, self.base) else {}

    def _way(self, url: str) -> tuple[aiohttp.ClientSession, str | None]:
        """The session for this URL, and its proxy where aiohttp wants it named. Raises Unreached after `close`, ChannelFailed for a bad proxy."""
        own = bool(self.base) and url.startswith(f"{self.base}/")
        if own and self._base_way is not None:
            return self._base_way
        if self._closed:
            raise Unreached("closed")
        route = self.route(url)
        if route not in self._sessions:
            connector = route.connector(limit=100, keepalive_timeout=_KEEP_SECONDS)
            session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
            session._retry_connection = False  # pyright: ignore[reportPrivateUsage] - else a PUT whose answer is lost is sent twice
            self._sessions[route] = session
        way = self._sessions[route], route.http
        if own:
            self._base_way = way
        return way

    def route(self, url: str) -> ProxyRoute:
        """The way to this address. Raises ChannelFailed if the proxy can't be used."""
        try:
            return route_to(url, self._proxy)
        except UnusableProxy as error:
            raise ChannelFailed(f"{error} It is for channels.{self._channel}.", fatal=True) from None

    def _answered(self, answer: PlatformAnswer) -> Answered:
        try:
            body: object = loads(answer.body)
        except ValueError:
            body = None
        wait = seconds_until(answer.headers.get("retry-after"), datetime.now(UTC))
        said = words_in(body).encode("utf-8", "replace").decode().replace("\x00", "").strip()
        words = self.redact(said or f"status {answer.status}")
        return Answered(answer.status, words, retry_after=wait, body=body, headers=answer.headers)


class Readable(Protocol):
    """What bytes come from: an answer that goes on, a socket."""

    async def read(self, n: int = -1) -> bytes: ...


async def stream_lines(stream: Readable, most: int) -> AsyncGenerator[bytes]:
    """The lines of a stream, without their ends; one that is longer than `most` bytes is skipped."""
    kept, size, skip = list[bytes](), 0, False
    while data := await stream.read(1 << 16):
        first, *rest = data.split(b"\n")
        kept.append(first)
        size += len(first)
        for line in rest:
            if not skip and size <= most:
                yield b"".join(kept)
            kept, size, skip = [line], len(line), False
        if size > most:
            kept, skip = [], True


def multipart(fields: Mapping[str, Any], files: Sequence[tuple[str, str, str, bytes]]) -> aiohttp.FormData:
    """A form with files: (field, name, media type, content) each. Fields that are no text are sent as JSON."""
    form = aiohttp.FormData(quote_fields=False)
    for name, value in fields.items():
        form.add_field(name, value if isinstance(value, str) else orjson.dumps(value).decode())
    for field, name, media_type, content in files:
        quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")  # as browsers write it
        form.add_field(field, BytesIO(content), filename=quoted, content_type=media_type)
    return form


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Raises Unanswered if it is longer than any answer is."""
    answer = bytearray()
    async for piece in response.content.iter_any():
        answer += piece
        if len(answer) > _MOST_BYTES:
            raise Unanswered("too long an answer")
    return bytes(answer)
