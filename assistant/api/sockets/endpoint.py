"""The WebSockets, by path."""

import asyncio
from typing import Final

from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from assistant.access.principals import Principal
from assistant.api.middleware.request import principal
from assistant.api.server.websockets import LEAVE
from assistant.api.sockets.conversation import SocketConversation
from assistant.api.sockets.questions import SocketServices
from assistant.contracts.access import Scope as AccessScope
from assistant.contracts.errors import NotFound

_PATHS: Final[dict[str, AccessScope]] = {"/chat": "chat", "/predict": "workflows"}
"""The scope that each needs."""


class SocketRoute(BaseRoute):
    """Every WebSocket: /chat and /predict are conversations in the same frames. Elsewhere the handshake is answered with 404, and with 403 for a
    key without the scope."""

    def __init__(self, services: SocketServices) -> None:
        self.services = services

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["type"] == "websocket" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = _PATHS.get(scope["path"])
        if needed is None:
            raise NotFound("There is no WebSocket at this path: /chat and /predict are.")
        who = principal(scope)
        who.require(needed)
        await converse(self.services, who, receive, send)


async def converse(services: SocketServices, who: Principal, receive: Receive, send: Send) -> None:
    """One socket, from its handshake to its end, and to the end of a turn that it leaves. Raises ClientDisconnect, or what ended it."""
    await receive()
    await send({"type": "websocket.accept"})
    try:
        async with asyncio.TaskGroup() as group:
            conversation = SocketConversation(services, who, send, group)
            try:
                while not conversation.gone and (message := await receive())["type"] != "websocket.disconnect":
                    if message["type"] == LEAVE:
                        await conversation.leave()
                    else:
                        await conversation.hear(message)
            finally:
                conversation.end()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
