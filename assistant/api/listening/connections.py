"""Connections that do not hurry: uvicorn's protocol with the limits that it lacks."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from assistant.api.middleware.body_clock import LINGER_SECONDS
from assistant.api.middleware.errors import error_headers, error_json
from assistant.api.settings import ApiSettings
from assistant.contracts.errors import InvalidRequest, NanobotError, RequestTimeout, RequestTooLarge, ServerOverloaded
from assistant.contracts.ids import new_id

log = logging.getLogger(__name__)

MAX_HEAD_BYTES: Final = 64 * 1024
"""Of the request line and the headers together, and of the trailers of a chunked body."""


class Connection(HttpToolsProtocol):
    """One connection. Closed, with an answer where one can still be read, when
    - more connections are open than `max_connections`: 503;
    - the head of a request takes longer than `timeouts.headers`: 408, or nothing if none of it came;
    - the head is larger than 64 KiB: 413;
    - an answer waits and is not read for `timeouts.unread`.
    """

    def __init__(
        self, settings: ApiSettings, config: Config, state: ServerState, loop: asyncio.AbstractEventLoop, on_lost: Callable[[], None]
    ) -> None:
        """`on_lost`: called when the connection is gone, after it left `state.connections`."""
        super().__init__(config=config, server_state=state, app_state={}, _loop=loop)
        self._settings = settings
        self._on_lost = on_lost
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = False
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        if len(self.connections) > self._settings.max_connections:
            self._refuse(ServerOverloaded())
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        super().data_received(data)
        idle = self.cycle is None or self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison] - None until the first request
        if self._refused or self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(RequestTooLarge(f"The request's headers are larger than {MAX_HEAD_BYTES // 1024} KiB."))
        elif idle and self._head_timer is None and self.timeout_keep_alive_task is None:
            self._await_head()  # bytes that begin no request, such as empty lines: they stopped the timer of idle connections

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        if self._head_timer is None:
            self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if not self._in_head and sum([len(n) + len(v) for n, v in self.headers]) > MAX_HEAD_BYTES:
            raise ValueError("the trailers are too large")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._stop_head_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self.loop.call_later(self._settings.timeouts.unread, self._on_unread)

    def resume_writing(self) -> None:
        self._stop_unread_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidRequest("This is not a valid HTTP request."))

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # an answer that nobody reads would hold a connection open that only waits to be closed
        else:
            super().timeout_keep_alive_handler()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self._settings.timeouts.headers, self._on_late_head)

    def _on_late_head(self) -> None:
        self._head_timer = None
        if self._in_head or self._head_bytes:
            self._refuse(RequestTimeout("The request's headers did not arrive in time."))
        else:
            self.transport.close()

    def _on_unread(self) -> None:
        log.warning("api.unread")
        self.transport.abort()

    def _refuse(self, error: NanobotError) -> None:
        """Answer without the application, and close, once the peer does or a moment later: what it still sends is thrown away until then, since
        closing over unread bytes would reset the connection under the answer. While another request is being answered nothing is written:
        that answer is the last one, or, if it is its own request that is broken, there is none.
        """
        self._stop_head_timer()
        self._refused = True
        answering: Any = self.cycle
        if answering is not None and not answering.response_complete:
            if answering.more_body:
                self.transport.close()
            else:
                answering.keep_alive = False
            return
        body = error_json(error)
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
            "x-request-id": new_id("req"),
            "openai-processing-ms": "0",
            **error_headers(error),
        }
        lines = [f"HTTP/1.1 {error.status} ", *[f"{name}: {value}" for name, value in headers.items()], "", ""]
        self.transport.write("\r\n".join(lines).encode() + body)
        self.transport.write_eof()
        self._head_timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
