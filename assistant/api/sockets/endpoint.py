"""The sockets that there are, by path."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.access.principals import Principal
from assistant.api.middleware.request import principal
from assistant.api.server.websockets import LEAVE
from assistant.api.sockets.conversation import SocketConversation
from assistant.api.sockets.questions import SocketServices
from assistant.contracts.access import Scope as AccessScope
from assistant.contracts.errors import NotFound

_PATHS: Final[dict[str, AccessScope]] = {"/chat": "chat", "/predict": "workflows"}
"""What a key must open for each."""


class Sockets:
    """Stands before the routes: a WebSocket to /chat or /predict is a conversation, in the same frames; to anywhere else it is 404, before it is
    accepted, as 403 is for a key without the scope."""

    def __init__(self, app: ASGIApp, chat: SocketServices) -> None:
        self.app = app
        self.chat = chat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        needed = _PATHS.get(scope["path"])
        if needed is None:
            raise NotFound("There is no WebSocket at this path: /chat and /predict are.")
        who = principal(scope)
        who.require(needed)
        await converse(self.chat, who, receive, send)


async def converse(door: SocketServices, who: Principal, receive: Receive, send: Send) -> None:
    """One socket, from its handshake to its end, and that of the turn that it leaves. Raises ClientDisconnect, or what ended it."""
    await receive()
    await send({"type": "websocket.accept"})
    try:
        async with asyncio.TaskGroup() as group:
            conversation = SocketConversation(door, who, send, group)
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
