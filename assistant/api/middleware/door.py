"""Nobody gets in without being known, nor beyond their limits; and nobody stays whose key was taken back."""

import asyncio
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.access.doorkeeper import Doorkeeper
from assistant.access.principals import Principal
from assistant.api.middleware.addresses import Network, client_address
from assistant.api.middleware.scope import cut_off, headers_named, set_admission, set_cut_off, set_principal
from assistant.contracts.access import UNLIMITED, Admission
from assistant.contracts.errors import Unauthenticated

_OPEN_PATHS = frozenset({"/health", "/ready"})
_OWN_SECRETS = "/hooks/"
"""What stands below has a secret of its own for each path."""


class Door:
    """Asks the doorkeeper who asks and whether there is room, on every path but the two that tell whether the server is well and those of hooks,
    which ask for their own secrets, and for every method but OPTIONS.

    The decision is made on the path that the routes will see. A path that does not exist needs the key as well. An answer whose key stops
    holding meanwhile is cut off within a second: with 401, or where it has begun, with an error event.
    """

    def __init__(self, app: ASGIApp, keeper: Doorkeeper, proxies: Sequence[Network] = ()) -> None:
        """`proxies`: those whose word on a client's address is taken."""
        self.app = app
        self.keeper = keeper
        self.proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or _is_open(scope["path"]) or scope.get("method") == "OPTIONS":
            await self.app(scope, receive, send)
            return
        values = headers_named(scope, b"authorization")
        if len(values) > 1:
            raise Unauthenticated("Send one Authorization header.")
        who = await self.keeper.identify(client_address(scope, self.proxies), values[0] if values else None)
        set_principal(scope, who)
        admission = await self.keeper.admit(who)
        set_admission(scope, admission)
        if who.credential is None and admission is UNLIMITED:
            await self.app(scope, receive, send)
        else:
            await self._let_in(who, admission, scope, receive, send)

    async def _let_in(self, who: Principal, admission: Admission, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()

        def cut() -> None:
            if task is not None:
                set_cut_off(scope, Unauthenticated("This API key does not hold any more."))
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
