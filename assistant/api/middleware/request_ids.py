"""An id for every request and its time on every answer."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.api.middleware.answer_headers import more_headers
from assistant.api.middleware.scope import set_request_id
from assistant.contracts.ids import new_id


class RequestIds:
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
