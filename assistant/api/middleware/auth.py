"""Authentication and rate limits, before the body is read."""

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.access.authenticator import Authenticator, counted_as, is_loopback
from assistant.access.principals import Principal
from assistant.api.middleware.guard import Network, client_of
from assistant.api.middleware.request import header, headers_named, state_of
from assistant.api.page import PAGE_FOLDER, PAGE_PATHS
from assistant.contracts.access import UNLIMITED, Admission, NotAdmitted
from assistant.contracts.errors import ForbiddenOrigin, MisdirectedHost, Unauthenticated

LOGIN: Final = "/v1/login"
_OPEN_PATHS = frozenset({"/", "/health", "/ready", LOGIN, *PAGE_PATHS})
_METRICS = "/metrics"
"""Open to this machine."""
_OPEN_BELOW = ("/hooks/", "/channels/", PAGE_FOLDER)
"""Hooks and channels check secrets of their own; the page's files hold none."""
COOKIE: Final = "nanobot"
"""The cookie of a browser that is logged in."""
_READS: Final = frozenset({"GET", "HEAD"})
_OTHER_HEADERS: Final = (b"x-api-key", b"api-key")
"""For the key, where there is no Authorization: Anthropic's name of it, and Azure's."""
_IN_ADDRESS: Final = ("api_key", "token")
"""Query parameters for a socket's key, since a browser can't set a socket's headers."""
_LONGEST_ADDRESS: Final = 8192


class AuthMiddleware:
    """Authenticates and admits every request but OPTIONS, the page's files, /health, /ready, /v1/login, hooks and this machine's to
    /metrics; unknown paths need the key as well. Where the Host is none of the server's names, all of them need it, and without a right one the
    answer is MisdirectedHost, whatever is wrong. A browser that is logged in is known by its cookie, where no key is sent.

    A request whose key expires or is revoked meanwhile is cut off within a second: with 401, or by an error event once the answer has begun.
    A socket's key may be in its address, which is then removed from the scope. An unauthenticated socket is accepted and closed with 1008,
    because a browser shows a page nothing of a refused handshake. Each message of a socket is admitted where it is read.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator, proxies: Sequence[Network] = ()) -> None:
        """`proxies`: those whose X-Forwarded-For is trusted."""
        self.app = app
        self.authenticator = authenticator
        self.proxies = tuple(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        path: str = scope["path"]
        state = state_of(scope)
        is_open = path in _OPEN_PATHS or path.startswith(_OPEN_BELOW) or scope["method"] == "OPTIONS"
        is_open = is_open or (path == _METRICS and self._is_here(scope))
        if is_open and not state.unlisted_host:
            await self.app(scope, receive, send)
            return
        given = headers_named(scope, b"authorization") or _from_other_header(scope)
        cookies: list[bytes] = [] if given else [value for name, value in scope["headers"] if name == b"cookie"]
        browser = await self._browser(scope, cookies) if cookies else None
        who = state.principal = browser or await self._identify(scope, given)
        try:
            admission = state.admission = await self.authenticator.admit(who)
        except NotAdmitted as refused:
            state.refused = refused.standing
            raise
        if who.may_end or admission is not UNLIMITED:
            await self._watched(who, admission, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _browser(self, scope: Scope, cookies: list[bytes]) -> Principal | None:
        """The browser whose cookie this request has, the only credential that browsers send by themselves: what changes something must come from
        our own page. Raises ForbiddenOrigin."""
        state, secret = state_of(scope), _from_cookies(cookies)
        if secret is None or state.unlisted_host or state.cors_origin is not None:
            return None
        who = await self.authenticator.identify_browser(client_of(scope, self.proxies)[0], secret)
        if who is None or scope["method"] in _READS or header(scope, b"origin") is not None:  # HostGuard has checked it
            return who
        if header(scope, b"sec-fetch-site") != b"same-origin":
            raise ForbiddenOrigin("A browser that is logged in changes things from its own page only: the request names no origin.")
        return who

    def _is_here(self, scope: Scope) -> bool:
        """Whether the caller is surely this machine."""
        address, passed_on = client_of(scope, self.proxies)
        return is_loopback(address) and not passed_on

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = headers_named(scope, b"authorization") or _from_other_header(scope) or _from_address(scope)
        scope["query_string"] = b""
        try:
            who = await self._identify(scope, given)
        except Unauthenticated:
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1008, "reason": f"{'Invalid' if given else 'Missing'} authentication"})
            return
        state_of(scope).principal = who
        if who.may_end:
            await self._watched(who, UNLIMITED, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _identify(self, scope: Scope, given: list[bytes]) -> Principal:
        if len(given) > 1:
            raise Unauthenticated("Send the key once, in one header.")
        address, passed_on = client_of(scope, self.proxies)
        if state_of(scope).unlisted_host:
            return await self._identify_by_key(address, given)
        return await self.authenticator.identify(address, given[0] if given else None, passed_on=passed_on)

    async def _identify_by_key(self, address: str, given: list[bytes]) -> Principal:
        """The principal of a request to a name that is not listed. Wrong keys are counted apart: a page that guesses must not block its user."""
        if not given or not await self.authenticator.needs_key():
            raise MisdirectedHost
        try:
            return await self.authenticator.identify(f"{counted_as(address)} by another name", given[0])
        except Unauthenticated:
            raise MisdirectedHost from None

    async def _watched(self, who: Principal, admission: Admission, scope: Scope, receive: Receive, send: Send) -> None:
        """Cancel the request if its key ends first, and end its admission with its answer."""
        state, task = state_of(scope), asyncio.current_task()

        def cut() -> None:
            if task is not None:
                state.cut_off = Unauthenticated("This API key or token does not hold any more.")
                task.cancel()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                await admission.end()  # before the last byte: a client that has read it may send the next request at once
            await send(message)

        forget = self.authenticator.watch(who, cut)
        try:
            await self.app(scope, receive, send_counted)
        except asyncio.CancelledError:
            if state.cut_off is None:
                raise
            raise state.cut_off from None
        finally:
            forget()
            if task is not None and state.cut_off is not None:
                task.uncancel()
            await admission.end()


def _from_other_header(scope: Scope) -> list[bytes]:
    """The key in the first of the other headers that is there, as an Authorization header would hold it."""
    found: dict[bytes, list[bytes]] = {}
    for name, key in scope["headers"]:
        if name in _OTHER_HEADERS and key.strip():
            found.setdefault(name, []).append(b"Bearer " + key.strip())
    for name in _OTHER_HEADERS:
        if name in found:
            return found[name]
    return []


def _from_cookies(cookies: list[bytes]) -> bytes | None:
    """The secret in the browser's cookie. None: there is none, or there are several, and one of them may be another site's."""
    name = COOKIE.encode()
    pairs = [pair.strip().partition(b"=") for value in cookies for pair in value.split(b";")]
    found = [value for key, _, value in pairs if key == name]
    return found[0] if len(found) == 1 else None


def _from_address(scope: Scope) -> list[bytes]:
    """The key in a socket's address, as an Authorization header would hold it."""
    query = scope["query_string"].decode("latin-1")
    if len(query) > _LONGEST_ADDRESS:
        return []
    return [f"Bearer {value}".encode() for name, value in parse_qsl(query) if name in _IN_ADDRESS][:1]
