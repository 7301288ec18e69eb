"""HTTP to a provider: where a model is, and a client that turns every failure into one of our errors.

Decisions. aiohttp is imported by the first request, in a thread: it costs 0.1 to 0.3 s, which the start of the server does not wait for. No
redirects: a key must not follow one. No `trust_env` of aiohttp, which would read ~/.netrc on the event loop: the proxy is looked up once, by
`contracts.proxies`. Repeating a request is safe: a completion changes nothing at the provider.
"""

import asyncio
import io
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import orjson

from assistant.contracts.errors import ProviderFailed, ProviderTimeout
from assistant.contracts.models import EmitText, ModelInfo
from assistant.contracts.proxies import UnusableProxy, route_to
from assistant.contracts.util import replace_surrogates
from assistant.providers.failures import Peer, Redactor, refusal
from assistant.providers.messages import IncomingAnswer
from assistant.providers.presets import LOOPBACK, KnownModel, known_model, preset_of
from assistant.providers.settings import ProviderSettings
from assistant.providers.sse import BOM, EventParser, EventTooLong, is_event_stream, tells_its_kind
from assistant.providers.transcript_rules import RulesOf

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

log = logging.getLogger(__name__)

_LARGEST_ANSWER: Final = 32 * 1024 * 1024
_LARGEST_ERROR: Final = 64 * 1024
_LARGE_BODY: Final = 1024 * 1024
"""Bytes above which a body is written piece by piece (aiohttp writes bytes in one go, on the loop)."""


class ProviderEndpoint:
    """A model at a provider: its address, headers, settings and the facts about it. Fixed once made."""

    def __init__(self, *, provider: str, model: str, settings: ProviderSettings, key: str = "") -> None:
        """`key`: already resolved; empty where none is needed."""
        preset, known = preset_of(provider), known_model(model)
        base = (settings.api_base or preset.base_url).rstrip("/")
        extra = {name: header.get_secret_value() for name, header in settings.extra_headers.items()}
        self.wire = preset.wire
        if self.wire == "anthropic":
            self.base, self.models_path = base.removesuffix("/v1"), "/v1/models"
            own = {"anthropic-version": "2023-06-01", **({"x-api-key": key} if key else {})}
        else:
            self.base, self.models_path = base, "/models"
            own = {"Authorization": f"Bearer {key}"} if key else {}
        self.headers: Mapping[str, str] = {"Content-Type": "application/json", "User-Agent": "nanobot", **own, **extra}
        self.settings = settings
        self.max_tokens_field = preset.max_tokens_field
        self.samples = known is None or known.samples
        self.max_output = (known or KnownModel("", 0)).max_output
        self.takes_effort = known is not None and known.effort
        context = (known or preset).context_tokens
        if preset.port:  # a local server rarely runs a model at the whole length that it was trained for
            context = min(context, preset.context_tokens)
        self.info = ModelInfo(
            id=model,
            provider=provider,
            context_tokens=settings.context_tokens or context,
            vision=settings.vision if settings.vision is not None else (known.vision if known else preset.vision),
            logprobs=preset.wire == "openai" and (known is None or known.samples),
        )
        origin = "/".join(base.split("/")[:3])
        self.rules = RulesOf(wire=self.wire, provider=provider, origin=origin, model=model)
        self.peer = Peer(
            provider=provider,
            model=model,
            origin=origin,
            key_source=f"{preset.key_variable} or providers.{provider}.apiKey" if preset.key_variable else f"providers.{provider}.apiKey",
            redact=Redactor([key, *extra.values()]),
        )


class HttpClient:
    """One kept-alive session with a provider, opened by the first request. Raises ProviderFailed, its subclasses and ContextLengthExceeded, and
    none of aiohttp's errors."""

    def __init__(self, endpoint: ProviderEndpoint) -> None:
        self._endpoint = endpoint
        self._peer = endpoint.peer
        self._urls: dict[str, URL] = {}
        self._session: aiohttp.ClientSession | None = None
        self._errors: tuple[type[Exception], ...] = ()
        self._stale: tuple[type[Exception], ...] = ()
        self._proxy: str | None = None
        self._closed = False
        self._answered = False

    @asynccontextmanager
    async def request(
        self, method: str, path: str, body: bytes | None = None, *, content_type: str = ""
    ) -> AsyncGenerator["aiohttp.ClientResponse"]:
        """The response, once its status is 200. Leaving the block early closes the connection; so does cancellation. `content_type`: of a body that
        is not JSON."""
        session = self._session or await self._open()
        url = self._urls.get(path) or self._url(path)
        large = body is not None and len(body) > _LARGE_BODY
        send = partial(session.request, method, url, proxy=self._proxy, allow_redirects=False)
        if content_type:
            send = partial(send, headers={"Content-Type": content_type})
        try:
            try:
                response = await send(data=io.BytesIO(body or b"") if large else body)
            except self._stale:
                # Where there was an answer before, this may have been its connection, kept alive, which the provider closed while it was idle
                # and before it saw the request: ask again, on another one.
                if not self._answered:
                    raise
                response = await send(data=io.BytesIO(body or b"") if large else body)
            self._answered = True
            try:
                if response.status != 200:
                    log.info("provider.refused provider=%s status=%d", self._peer.provider, response.status)
                    raise refusal(self._peer, response.status, response.headers, await _read(response, _LARGEST_ERROR, cut=True))
                yield response
            finally:
                response.release()
        except self._errors as error:
            raise _failure(error, self._peer, self._endpoint.settings.idle_timeout) from error

    async def post(self, path: str, body: bytes, answer: IncomingAnswer, emit: EmitText | None) -> None:
        """Send a request and fill its answer. Words and thoughts go to `emit`, where there is one, as they come."""

        async with self.request("POST", path, body) as response:
            first = await response.content.readany()
            if not first.startswith((b"{", b"data:")):
                first = await _more_of(first, response)
            if first.startswith(b"{") or not is_event_stream(first, response.content_type):
                answer.take_whole(self._object(first + await _read(response, _LARGEST_ANSWER), response.content_type))
            else:
                async for batch in self._events(response, first):
                    for event in batch:
                        answer.take(event)
                        if emit is not None:
                            _pass_on(answer, emit)
                    if answer.done:
                        break
            if emit is not None:
                answer.spoken.end()
                _pass_on(answer, emit)

    async def get(self, path: str) -> dict[str, Any]:
        """The JSON object at `path`."""
        async with self.request("GET", path) as response:
            return await self.json(response)

    async def json(self, response: "aiohttp.ClientResponse") -> dict[str, Any]:
        """The body as a JSON object; one of another kind is named by its content type, never quoted."""
        return self._object(await _read(response, _LARGEST_ANSWER), response.content_type)

    async def close(self) -> None:
        """Close the session. Safe to call twice."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _object(self, body: bytes, kind: str) -> dict[str, Any]:
        """The JSON object that a body is, be it within a list. Raises ProviderFailed."""
        value = _json_object(body)
        if value is None:
            who = self._peer.provider
            hint = f" Check providers.{who}.apiBase." if kind.startswith("text/html") else ""
            raise ProviderFailed(f"{who} answered with {len(body)} bytes of {kind} that are not a JSON object.{hint}")
        return value

    async def _events(self, response: "aiohttp.ClientResponse", first: bytes) -> AsyncIterator[list[dict[str, Any] | None]]:
        """The events of a stream, those of each network read together; None is "[DONE]"."""
        parser = EventParser()
        if found := parser.feed(first):
            yield self._read_events(found)
        async for chunk in response.content.iter_any():
            if found := parser.feed(chunk):
                yield self._read_events(found)
        if found := parser.close():
            yield self._read_events(found)

    def _read_events(self, found: list[bytes]) -> list[dict[str, Any] | None]:
        """Empty events, and those that hold null, say nothing."""
        stripped = [data for each in found if (data := each.strip()) not in {b"", b"null", b"{}"}]
        return [None if data == b"[DONE]" else self._event(data) for data in stripped]

    def _event(self, data: bytes) -> dict[str, Any]:
        value = _json_object(data)
        if value is None:
            raise ProviderFailed(f"{self._peer.provider} sent an event that is not a JSON object ({len(data)} bytes).")
        return value

    def _url(self, path: str) -> "URL":
        from yarl import URL  # noqa: PLC0415 - comes with aiohttp

        return self._urls.setdefault(path, URL(self._endpoint.base + path).update_query(self._endpoint.settings.extra_query))

    async def _open(self) -> "aiohttp.ClientSession":
        await asyncio.to_thread(preload)
        import aiohttp  # noqa: PLC0415 - already imported, by the thread

        if self._closed:
            raise ProviderFailed(f"The connection to {self._peer.provider} was closed.", retryable=False)
        if self._session is None:
            settings = self._endpoint.settings
            self._stale = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError)
            self._errors = (aiohttp.ClientError, TimeoutError, ConnectionResetError, EventTooLong)
            try:
                route = route_to(self._endpoint.base, settings.proxy)
            except UnusableProxy as error:
                who = self._peer.provider
                raise ProviderFailed(f"{error} It is for {who}: set providers.{who}.proxy, or NO_PROXY.", retryable=False) from None
            self._proxy = route.http
            self._session = aiohttp.ClientSession(
                connector=route.connector(limit=0, ttl_dns_cache=60),
                headers=self._endpoint.headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout, sock_read=settings.idle_timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


class HttpWire:
    """A model behind an HTTP API: what every wire shares."""

    def __init__(self, endpoint: ProviderEndpoint) -> None:
        self.info = endpoint.info
        self._endpoint = endpoint
        self._http = HttpClient(endpoint)

    async def probe(self) -> None:
        await self._http.get(self._endpoint.models_path)

    async def close(self) -> None:
        await self._http.close()


def preload() -> None:
    """Import aiohttp. Blocks for 0.1 to 0.3 s: for a thread."""
    import_module("aiohttp")


def _json_object(data: bytes) -> dict[str, Any] | None:
    """The object that the data is, or the first of a list (so Gemini sends errors)."""
    data = data.removeprefix(BOM)
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _loosely(data)
    if isinstance(value, list) and value:
        value = cast("list[object]", value)[0]
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _loosely(data: bytes) -> object:
    """JSON as some servers write it, who cut a text between two tokens: with half a character, as bytes or as an escape; with NaN, or bare controls
    within a text. What is no character becomes U+FFFD. None: it is no JSON at all."""
    try:
        value: object = json.loads(data.decode("utf-8", "replace"), strict=False, parse_constant=lambda _: None)
        return orjson.loads(replace_surrogates(json.dumps(value, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return None


def _pass_on(answer: IncomingAnswer, emit: EmitText) -> None:
    for text, thought in answer.spoken.fresh():
        emit(text, reasoning=thought)


async def _more_of(first: bytes, response: "aiohttp.ClientResponse") -> bytes:
    """What comes first, up to what tells what follows."""
    while not tells_its_kind(first) and len(first) <= _LARGEST_ERROR and (more := await response.content.readany()):
        first += more
    return first


async def _read(response: "aiohttp.ClientResponse", limit: int, *, cut: bool = False) -> bytes:
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


def _failure(error: Exception, peer: Peer, idle_timeout: float) -> ProviderFailed:
    """What an error of aiohttp's, a timeout or a stream that is too long means."""
    import aiohttp  # noqa: PLC0415 - as in `_open`

    who, where = peer.provider, peer.origin
    match error:
        case aiohttp.ConnectionTimeoutError():
            return ProviderTimeout(f"{who} did not take a connection in time at {where}.")
        case TimeoutError():
            return ProviderTimeout(f"{who} sent nothing for {idle_timeout:g} seconds.")
        case aiohttp.ClientHttpProxyError():
            return ProviderFailed(f"{who} can't be reached at {where}: the proxy answered with {error.status}.")
        case aiohttp.ClientConnectorError():
            hint = " Is it running?" if urlsplit(where).hostname in LOOPBACK else ""
            reason = peer.redact(error.os_error.strerror or type(error.os_error).__name__)
            return ProviderFailed(f"{who} can't be reached at {where}: {reason}.{hint}")
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionResetError():
            return ProviderFailed(f"{who} closed the connection before its answer was whole.")
        case EventTooLong():
            return ProviderFailed(f"{who} sent an event that is larger than the limit.", retryable=False)
        case _:
            return ProviderFailed(f"{who} at {where} does not speak HTTP as expected: {type(error).__name__}.")
