"""Authentication and limits, before the body is read."""

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.access.authenticator import Authenticator
from assistant.access.principals import Principal
from assistant.api.middleware.guard import Network, client_address, is_passed_on
from assistant.api.middleware.request import cut_off, headers_named, set_admission, set_cut_off, set_principal, set_standing
from assistant.contracts.access import UNLIMITED, Admission, NotAdmitted
from assistant.contracts.errors import Unauthenticated

_OPEN_PATHS = frozenset({"/health", "/ready"})
_OWN_SECRETS = "/hooks/"
"""What stands below has a secret of its own for each path."""
_IN_ADDRESS: Final = ("api_key", "token")
"""How the key is called in a socket's address, since a browser can't give a socket headers."""
_LONGEST_ADDRESS: Final = 8192


class AuthMiddleware:
    """Asks the doorkeeper who asks and whether there is room, on every path but the two that tell whether the server is well and those of hooks,
    which ask for their own secrets, and for every method but OPTIONS.

    The decision is made on the path that the routes will see. A path that does not exist needs the key as well. An answer whose key stops
    holding meanwhile is cut off within a second: with 401, or where it has begun, with an error event.

    A socket's key may stand in its address, which nothing behind the Door sees any more. One that may not in is accepted and closed with 1008:
    a browser tells a page nothing of an answer that does not accept. Each message of a socket is admitted where it is read.
    """

    def __init__(self, app: ASGIApp, keeper: Authenticator, proxies: Sequence[Network] = ()) -> None:
        """`proxies`: those whose word on a client's address is taken."""
        self.app = app
        self.keeper = keeper
        self.proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http" or _is_open(scope["path"]) or scope.get("method") == "OPTIONS":
            await self.app(scope, receive, send)
            return
        who = await self._identify(scope, headers_named(scope, b"authorization"))
        set_principal(scope, who)
        try:
            admission = await self.keeper.admit(who)
        except NotAdmitted as refused:
            set_standing(scope, refused.standing)
            raise
        set_admission(scope, admission)
        if who.may_end or admission is not UNLIMITED:
            await self._let_in(who, admission, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = headers_named(scope, b"authorization") or _from_address(scope)
        scope["query_string"] = b""
        try:
            who = await self._identify(scope, given)
        except Unauthenticated:
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1008, "reason": f"{'Invalid' if given else 'Missing'} authentication"})
            return
        set_principal(scope, who)
        if who.may_end:
            await self._let_in(who, UNLIMITED, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _identify(self, scope: Scope, given: list[bytes]) -> Principal:
        if len(given) > 1:
            raise Unauthenticated("Send one Authorization header.")
        address, passed_on = client_address(scope, self.proxies), is_passed_on(scope, self.proxies)
        return await self.keeper.identify(address, given[0] if given else None, passed_on=passed_on)

    async def _let_in(self, who: Principal, admission: Admission, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()

        def cut() -> None:
            if task is not None:
                set_cut_off(scope, Unauthenticated("This API key or token does not hold any more."))
                task.cancel()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                await admission.end()  # before the last byte: whoever reads it may ask again at once
            await send(message)

        forget = self.keeper.watch(who, cut)
        try:
            await self.app(scope, receive, send_counted)
        except asyncio.CancelledError:
            if (why := cut_off(scope)) is None:
                raise
            raise why from None
        finally:
            forget()
            if task is not None and cut_off(scope) is not None:
                task.uncancel()
            await admission.end()


def _is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(_OWN_SECRETS)


def _from_address(scope: Scope) -> list[bytes]:
    """The key of a socket's address, as a header would give it."""
    query = scope["query_string"].decode("latin-1")
    if len(query) > _LONGEST_ADDRESS:
        return []
    return [f"Bearer {value}".encode() for name, value in parse_qsl(query) if name in _IN_ADDRESS][:1]
