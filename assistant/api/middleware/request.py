"""The state of a request that the middleware shares, its id, and the headers of every answer."""

import re
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.access.principals import Principal
from assistant.contracts.access import UNLIMITED, Admission, LimitStatus, Measure
from assistant.contracts.errors import NanobotError
from assistant.contracts.metrics import REQUEST_SECONDS, REQUESTS, Metrics
from assistant.contracts.util import new_id

STATE: Final = "nanobot.request"
"""The key of the RequestState in the ASGI scope."""


@dataclass(slots=True, kw_only=True)
class RequestState:
    """What the middleware finds out about a request or a socket. RequestIdMiddleware makes it; the others fill it in."""

    id: str
    principal: Principal | None = None
    """The caller; None on paths that need no key."""
    admission: Admission = UNLIMITED
    """The request as the rate limits count it: reserve what a model may take, report what it took."""
    refused: LimitStatus | None = None
    """The caller's limits, where they refused this request."""
    cut_off: NanobotError | None = None
    """Why the request's task was cancelled; None: the server is shutting down."""
    started: bool = False
    """Whether the answer has begun, or the socket is accepted."""
    unlisted_host: bool = False
    """Whether the Host is none of the server's names: then the request needs a right key, on every path."""
    cors_origin: bytes | None = None
    """The origin of the web page that sent the request, if it may read the answer."""


def state_of(scope: Scope) -> RequestState:
    return scope[STATE]


def principal(scope: Scope) -> Principal:
    """The caller. Only behind AuthMiddleware, on paths that need a key."""
    return scope[STATE].principal


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first value of a header (its name in lower case); None: it was not sent."""
    for key, value in scope["headers"]:
        if key == name:
            return value
    return None


def headers_named(scope: Scope, name: bytes) -> list[bytes]:
    """All values of a header (its name in lower case)."""
    return [value for key, value in scope["headers"] if key == name]


def announced_length(scope: Scope) -> int | None:
    """The Content-Length, if it was sent."""
    value = header(scope, b"content-length")
    return int(value) if value is not None and value.isdigit() else None


Headers = list[tuple[bytes, bytes]]

_EXPOSED: Final = b", ".join([
    b"x-request-id", b"openai-processing-ms", b"retry-after", b"retry-after-ms", b"x-should-retry", b"idempotency-replayed", b"x-nanobot-notice",
    *[b"x-ratelimit-%b-%b" % (what, of) for of in (b"requests", b"tokens") for what in (b"limit", b"remaining", b"reset")],
])  # fmt: skip
_TOKENS: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~, ")
"""What names of headers are made of (RFC 9110), and what separates them."""


def _measured(what: bytes, measure: Measure | None) -> Headers:
    if measure is None:
        return []
    return [
        (b"x-ratelimit-limit-" + what, b"%d" % measure.limit),
        (b"x-ratelimit-remaining-" + what, b"%d" % measure.remaining),
        (b"x-ratelimit-reset-" + what, _duration(measure.reset)),
    ]


def _duration(seconds: float) -> bytes:
    """In OpenAI's format: "120ms", "8.64s", "1m0s"."""
    if seconds < 1:
        return b"%dms" % round(seconds * 1000)
    minutes, rest = divmod(round(seconds, 3), 60)
    shown = f"{rest:.3f}".rstrip("0").rstrip(".")
    return (f"{int(minutes)}m{shown}s" if minutes else f"{shown}s").encode()


def _readable_by(origin: bytes, scope: Scope) -> Headers:
    headers = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
    if scope.get("method") != "OPTIONS" or header(scope, b"access-control-request-method") is None:
        return [*headers, (b"access-control-expose-headers", _EXPOSED)]
    headers += [(b"access-control-allow-methods", b"GET, POST, DELETE, HEAD, OPTIONS"), (b"access-control-max-age", b"600")]
    wanted = header(scope, b"access-control-request-headers") or b""
    if wanted and _TOKENS.issuperset(wanted):  # its values are checked as those of any request
        headers.append((b"access-control-allow-headers", wanted))
    if header(scope, b"access-control-request-private-network") == b"true":
        headers.append((b"access-control-allow-private-network", b"true"))
    return headers


_METHODS: Final = frozenset({"GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"})
_SLASHES: Final = re.compile(rb"/{2,}")


def _with_plain_path(scope: Scope) -> Scope:
    """The scope without empty steps in its path and without a slash at its end, as base URLs with one too many make them. Slashes within an id,
    which are encoded, stay."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    plain = _SLASHES.sub(b"/", raw).rstrip(b"/") or b"/"
    return {**scope, "path": unquote(plain.decode("latin-1")), "raw_path": plain}


class RequestIdMiddleware:
    """Tidies the path, makes the RequestState, with an id of the server's own, and gives each answer `x-request-id`, `openai-processing-ms`
    (until the answer begins; not for sockets), the caller's rate limits and the CORS headers.

    The id is in the log lines of the request, and never chosen by a client. Sends to a client that is gone raise ClientDisconnect.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.perf_counter(), 0
        path: str = scope["path"]
        if "//" in path or (len(path) > 1 and path.endswith("/")):
            scope = _with_plain_path(scope)
        state = scope[STATE] = RequestState(id=new_id("req"))

        async def send_signed(message: Message) -> None:
            nonlocal status
            if state.started:
                pass
            elif message["type"] == "websocket.accept":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", state.id.encode())]
            elif message["type"] in ("http.response.start", "websocket.http.response.start"):
                took, status = int((time.perf_counter() - began) * 1000), message["status"]
                headers = [*message["headers"], (b"x-request-id", state.id.encode()), (b"openai-processing-ms", b"%d" % took)]
                if state.refused is not None or state.admission is not UNLIMITED:
                    limits = state.refused or state.admission.standing
                    headers += _measured(b"requests", limits.requests) + _measured(b"tokens", limits.tokens)
                if state.cors_origin is not None:
                    headers += _readable_by(state.cors_origin, scope)
                message["headers"] = headers
            state.started = True
            try:
                await send(message)
            except OSError:  # how ASGI reports that the client is gone
                raise ClientDisconnect from None

        await self.app(scope, receive, send_signed)
        if scope["type"] == "http":
            route = scope.get("route")
            path = "other" if route is None else route.path
            self.metrics.add(REQUESTS, scope["method"] if scope["method"] in _METHODS else "other", path, str(status))
            self.metrics.took(REQUEST_SECONDS, time.perf_counter() - began, path)


class HeadAsGet:
    """Lets the routes answer HEAD as GET. The server leaves the body out, by the method that it received."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope.get("method") == "HEAD":
            scope = {**scope, "method": "GET"}
        return self.app(scope, receive, send)
