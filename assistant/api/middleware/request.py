"""What the middleware knows of a request, its id, and the headers of every answer."""

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.access.principals import Principal
from assistant.contracts.access import UNLIMITED, Admission, LimitStatus, Measure
from assistant.contracts.errors import NanobotError
from assistant.contracts.util import new_id

_REQUEST_ID = "nanobot.request_id"
_PRINCIPAL = "nanobot.principal"
_ADMISSION = "nanobot.admission"
_STANDING = "nanobot.standing"
_CUT_OFF = "nanobot.cut_off"
_ORIGIN = "nanobot.origin"


def header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header (its name in lower case); the first one if it was sent twice. None: it was not sent."""
    for key, value in scope["headers"]:
        if key == name:
            return value
    return None


def headers_named(scope: Scope, name: bytes) -> list[bytes]:
    """The values of a header (its name in lower case), as often as it was sent."""
    return [value for key, value in scope["headers"] if key == name]


def request_id(scope: Scope) -> str:
    return scope[_REQUEST_ID]


def set_request_id(scope: Scope, value: str) -> None:
    scope[_REQUEST_ID] = value


def principal(scope: Scope) -> Principal:
    """Who asks. Only behind the Door, and not on the paths that it leaves open."""
    return scope[_PRINCIPAL]


def known_principal(scope: Scope) -> Principal | None:
    """Who asks; None where that was not asked."""
    return scope.get(_PRINCIPAL)


def set_principal(scope: Scope, value: Principal) -> None:
    scope[_PRINCIPAL] = value


def admission(scope: Scope) -> Admission:
    """What this request counts as: reserve what a model may take, and say what it took."""
    return scope.get(_ADMISSION, UNLIMITED)


def set_admission(scope: Scope, value: Admission) -> None:
    scope[_ADMISSION] = value


def standing(scope: Scope) -> LimitStatus:
    """How whoever asks stands with their limits, also where they were not let in."""
    return scope.get(_STANDING) or admission(scope).standing


def set_standing(scope: Scope, value: LimitStatus) -> None:
    """Of somebody who is not let in."""
    scope[_STANDING] = value


def cut_off(scope: Scope) -> NanobotError | None:
    """Why this request was cancelled, where that has a reason of its own; None: the server ends."""
    return scope.get(_CUT_OFF)


def set_cut_off(scope: Scope, why: NanobotError) -> None:
    """To be said before its task is cancelled."""
    scope[_CUT_OFF] = why


def cors_origin(scope: Scope) -> bytes | None:
    """The origin of the web page that sent this, where it may read the answer. Known behind the Guard."""
    return scope.get(_ORIGIN)


def set_cors_origin(scope: Scope, origin: bytes) -> None:
    scope[_ORIGIN] = origin


Headers = list[tuple[bytes, bytes]]

_EXPOSED: Final = b", ".join([
    b"x-request-id", b"openai-processing-ms", b"retry-after", b"retry-after-ms", b"x-should-retry", b"idempotency-replayed",
    *[b"x-ratelimit-%b-%b" % (what, of) for of in (b"requests", b"tokens") for what in (b"limit", b"remaining", b"reset")],
])  # fmt: skip
_METHODS: Final = b"GET, POST, DELETE, HEAD, OPTIONS"
_PREFLIGHT_SECONDS: Final = b"600"
_TOKENS: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~, ")
"""What names of headers are made of (RFC 9110), and what separates them."""


def more_headers(scope: Scope) -> Headers:
    """Called when the answer begins: by then it is known who asked."""
    now = standing(scope)
    headers = _measured(b"requests", now.requests) + _measured(b"tokens", now.tokens)
    if (origin := cors_origin(scope)) is not None:
        headers += _readable_by(origin, scope)
    return headers


def _measured(what: bytes, measure: Measure | None) -> Headers:
    if measure is None:
        return []
    return [
        (b"x-ratelimit-limit-" + what, b"%d" % measure.limit),
        (b"x-ratelimit-remaining-" + what, b"%d" % measure.remaining),
        (b"x-ratelimit-reset-" + what, _duration(measure.reset)),
    ]


def _duration(seconds: float) -> bytes:
    """As OpenAI writes it: "120ms", "8.64s", "1m0s"."""
    if seconds < 1:
        return b"%dms" % round(seconds * 1000)
    minutes, rest = divmod(round(seconds, 3), 60)
    shown = f"{rest:.3f}".rstrip("0").rstrip(".")
    return (f"{int(minutes)}m{shown}s" if minutes else f"{shown}s").encode()


def _readable_by(origin: bytes, scope: Scope) -> Headers:
    headers = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
    if scope.get("method") != "OPTIONS" or header(scope, b"access-control-request-method") is None:
        return [*headers, (b"access-control-expose-headers", _EXPOSED)]
    headers += [(b"access-control-allow-methods", _METHODS), (b"access-control-max-age", _PREFLIGHT_SECONDS)]
    wanted = header(scope, b"access-control-request-headers") or b""
    if wanted and _TOKENS.issuperset(wanted):  # whatever an allowed page sends is checked as anybody's is
        headers.append((b"access-control-allow-headers", wanted))
    if header(scope, b"access-control-request-private-network") == b"true":
        headers.append((b"access-control-allow-private-network", b"true"))
    return headers


class RequestIdMiddleware:
    """Gives each request an id of the server's own, and each answer the headers `x-request-id` and `openai-processing-ms`, and those that its
    sender's limits and origin ask for.

    The time is that until the answer begins; an accepted socket has none. The id is in the log lines of the request, and never one that a
    client chose.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        identity = new_id("req")
        set_request_id(scope, identity)

        async def send_signed(message: Message) -> None:
            if message["type"] == "websocket.accept":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identity.encode())]
            elif message["type"] in ("http.response.start", "websocket.http.response.start"):
                took = int((time.perf_counter() - began) * 1000)
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", identity.encode()),
                    (b"openai-processing-ms", b"%d" % took),
                    *more_headers(scope),
                ]
            await send(message)

        await self.app(scope, receive, send_signed)


class HeadAsGet:
    """Lets the routes answer HEAD as GET. The server leaves the body out, by the method that it received itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "HEAD":
            scope = {**scope, "method": "GET"}
        await self.app(scope, receive, send)
