"""Headers that an answer gets for who asked: how they stand with their limits, and whether their page may read it."""

from typing import Final

from starlette.types import Scope

from assistant.api.middleware.scope import cors_origin, header, standing
from assistant.contracts.access import Measure

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
