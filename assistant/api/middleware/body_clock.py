"""Bodies that stop coming, and bodies that nobody will read."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.api.middleware.scope import header
from assistant.contracts.errors import RequestTimeout

LINGER_SECONDS = 2.0


class BodyClock:
    """Raises RequestTimeout into whoever waits for a body of which nothing came for `timeout` seconds.

    An answer to a request whose body has not been read to its end is sent at once and whole; then what still comes is thrown away for a moment,
    and the connection is closed. Closing it with bytes unread would reset it, and the sender would lose the answer that says why.
    """

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self.app = app
        self.timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(scope):
            await self.app(scope, receive, send)
            return
        body = _Body(receive, send, self.timeout)
        await self.app(scope, body.receive, body.send)


class _Body:
    __slots__ = ("_pass_on", "_take", "_timeout", "read")

    def __init__(self, take: Receive, pass_on: Send, timeout: float) -> None:
        self._take = take
        self._pass_on = pass_on
        self._timeout = timeout
        self.read = False

    async def receive(self) -> Message:
        if self.read:  # what follows a body is the end of the connection, which may take its time
            return await self._take()
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._take()
        except TimeoutError:
            raise RequestTimeout(f"The request's body stopped coming: nothing arrived for {self._timeout:g} seconds.") from None
        self.read = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if self.read:
            await self._pass_on(message)
        elif message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
            await self._pass_on(message)
        elif message.get("more_body", False):
            await self._pass_on(message)
        else:
            await self._pass_on({**message, "more_body": True})
            await self._drop_the_rest()
            await self._pass_on({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drop_the_rest(self) -> None:
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.read:
                    self.read = not (await self._take()).get("more_body", False)
        except TimeoutError:
            return


def has_body(scope: Scope) -> bool:
    """Whether a body was announced."""
    return header(scope, b"content-length") not in (None, b"0") or header(scope, b"transfer-encoding") is not None
