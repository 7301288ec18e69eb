"""HTTP under discord.py that tells waits and doubtful outcomes apart."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import discord
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, Ratelimit, Route
from yarl import URL

from assistant.contracts.channels import ChannelFailed
from assistant.contracts.proxies import ProxyRoute, UnusableProxy, route_to
from assistant.contracts.redaction import Redactor
from channels.discord.settings import DiscordSettings

# What discord.py logs below a warning holds what people wrote; and voice, of which it warns, is not used.
logging.getLogger("discord").setLevel(logging.WARNING)
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

CONNECTION_ERRORS: Final = (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError)
"""What a call by discord.py raises."""
UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError)
"""Raised by discord.py for a payload that is not as documented."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=5, sock_read=20)
_TIMEOUT_OF_FILES: Final = aiohttp.ClientTimeout(total=55, sock_connect=5, sock_read=50)
_LONGEST_SLEEP: Final = 1.0
"""Seconds that discord.py may sleep for a rate limit; for a longer one it raises RateLimited, and the outbox waits."""
_UNTOLD: Final = timedelta(seconds=2)
_MOST_REFUSALS, _REFUSALS_WINDOW = 1000, 600.0


class Doubtful(discord.DiscordException):
    """The last of several tries surely failed, but an earlier one was answered by an error of the server's: that one may have arrived."""


class _Request:
    """A request, with all of discord.py's own repeats of it."""

    server_error = False


class Refusals:
    """Counts answers of 401, 403 and 429: 10,000 in ten minutes bring a ban of an hour, so requests stop long before that.
    https://discord.com/developers/docs/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans"""

    def __init__(self, token: str) -> None:
        self.redact = Redactor([token])
        """For what Discord says."""
        self._since, self._count = time.monotonic(), 0
        self.whole_until = 0.0
        """Until when (time.monotonic) Discord wants no request at all of this bot."""
        self.ahead = timedelta()
        """How far Discord's clock is ahead of ours, where that is more than its answers' dates (whole seconds) can't tell."""

    @property
    def wait(self) -> float:
        """Seconds for which nothing may be asked."""
        left = self._since + _REFUSALS_WINDOW - time.monotonic()
        return left if self._count >= _MOST_REFUSALS and left > 0 else 0.0

    async def note(self, _session: aiohttp.ClientSession, context: SimpleNamespace, answered: aiohttp.TraceRequestEndParams) -> None:
        response, now = answered.response, time.monotonic()
        asked = context.trace_request_ctx
        if isinstance(asked, _Request):
            asked.server_error |= response.status >= 500
        with contextlib.suppress(ValueError, TypeError):
            ahead = parsedate_to_datetime(response.headers.get("Date", "")) - datetime.now(UTC)
            self.ahead = ahead if abs(ahead) > _UNTOLD else timedelta()
        if response.status not in (401, 403, 429):
            return
        if now - self._since > _REFUSALS_WINDOW:
            self._since, self._count = now, 0
        self._count += 1
        if response.headers.get("X-RateLimit-Scope") == "global" or "X-RateLimit-Global" in response.headers:
            self.whole_until = now + seconds_in(response.headers.get("Retry-After"), 1.0)


def seconds_in(header: str | None, default: float) -> float:
    """What a Retry-After says; `default` where it says nothing that is a time to wait."""
    try:
        seconds = float(header or "")
    except ValueError:
        return default
    return seconds if 0 <= seconds < math.inf else default


class Bucket(Ratelimit):
    """A rate limit that raises RateLimited at once when it is used up. discord.py's own holds the last request, though it was answered, until
    the limit is over."""

    __slots__ = ()

    async def acquire(self) -> None:
        if self.is_expired():
            self.reset()
        if self.remaining <= 0 and self.expires is not None:
            left = self.expires - asyncio.get_running_loop().time()
            if left > _LONGEST_SLEEP:
                raise discord.RateLimited(left)
            await asyncio.sleep(max(left, 0))
            self.reset()
        if self.expires is None:
            self.remaining = max(self.remaining, 1)  # nothing is known of the limit yet: Discord's answer will tell
        self._last_request = asyncio.get_running_loop().time()
        self.remaining -= 1
        self.outgoing += 1

    async def __aexit__(self, *_: object) -> None:
        self.outgoing -= 1


def route_of(settings: DiscordSettings, url: str | None = None) -> ProxyRoute:
    """The way to Discord (one for REST and the gateway), or to this URL. Raises ChannelFailed if the proxy can't be used."""
    try:
        return route_to(url or settings.api_base or Route.BASE, settings.proxy)
    except UnusableProxy as error:
        raise ChannelFailed(f"{error} It is for channels.discord.", fatal=True) from None


class DiscordHttp(HTTPClient):
    """discord.py's HTTP client with `Bucket` and `Refusals`. Also raises Doubtful."""

    def __init__(self, settings: DiscordSettings, refusals: Refusals) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(refusals.note)
        route = route_of(settings)
        super().__init__(asyncio.get_running_loop(), connector=route.connector(limit=0), proxy=route.http, http_trace=trace)
        self.max_ratelimit_timeout = _LONGEST_SLEEP
        self._refusals = refusals
        self._api_base = settings.api_base

    async def request(
        self, route: Route, *, files: Sequence[discord.File] | None = None, form: Iterable[dict[str, Any]] | None = None, **kwargs: Any
    ) -> Any:
        if wait := self._refusals.wait:
            raise discord.RateLimited(wait)
        if self._api_base is not None:
            route.url = self._api_base.rstrip("/") + route.url.removeprefix(Route.BASE)
        kwargs.setdefault("timeout", _TIMEOUT_OF_FILES if files else _TIMEOUT)
        asked = _Request()
        try:
            return await super().request(route, files=files, form=form, trace_request_ctx=asked, **kwargs)
        except (discord.RateLimited, aiohttp.ClientError, OSError) as error:
            if asked.server_error:
                raise Doubtful from error
            raise

    async def ws_connect(self, url: str, *, compress: int = 0) -> aiohttp.ClientWebSocketResponse:
        asked = URL(url)
        if self._api_base is not None and asked.host == DiscordWebSocket.DEFAULT_GATEWAY.host:
            base = URL(self._api_base)
            url = str(base.with_scheme("wss" if base.scheme == "https" else "ws").with_path("/gateway").with_query(asked.query))
        return await super().ws_connect(url, compress=compress)

    def get_ratelimit(self, key: str) -> Ratelimit:
        if key not in self._buckets:
            self._buckets[key] = Bucket(self.max_ratelimit_timeout)
            self._try_clear_expired_ratelimits()
        return super().get_ratelimit(key)
