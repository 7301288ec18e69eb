"""HTTP connections: uvicorn's protocol with more limits and timers."""

import asyncio
import logging
import re
import sys
from typing import Any, Final, cast

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from assistant.api.middleware.errors import LINGER_SECONDS, error_headers, error_json
from assistant.api.server.websockets import WebSocket, accept_key, response_head, websocket_scope
from assistant.api.settings import ApiSettings
from assistant.contracts.errors import InvalidRequest, NanobotError, RequestTimeout, RequestTooLarge, ServerOverloaded
from assistant.contracts.util import new_id

log = logging.getLogger(__name__)

MAX_HEAD_BYTES: Final = 64 * 1024
"""Of the request line and the headers together, and of the trailers of a chunked body."""
_UPGRADE: Final = re.compile(rb"(?<=\r\n)upgrade(?=[ \t]*:)", re.IGNORECASE)
_OTHER_UPGRADE: Final = re.compile(rb"(?<=\r\n)upgrade(?=[ \t]*:(?![ \t]*websocket[ \t]*\r\n)[^\r]*\r\n)", re.IGNORECASE)


class HttpConnection(HttpToolsProtocol):
    """One connection. Closed, with an answer where one can still be read, when
    - more connections are open than `max_connections`: 503;
    - the head of a request takes longer than `timeouts.headers`: 408, or no answer if none of it came;
    - the head, or the trailers of a body, are larger than 64 KiB: 413;
    - the bytes are not HTTP: 400;
    - an answer waits and none of it is read for `timeouts.unread`.

    Trailers are never merged into the headers, which were checked when the request began. The only upgrade is a GET for a WebSocket, which
    passes the connection to a `WebSocket`; other Upgrade headers are ignored.
    """

    def __init__(
        self,
        settings: ApiSettings,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._settings = settings
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._trailer_bytes = 0
        self._in_head = False
        self._refused = False
        self._upgrade_at: int | None = None
        """The offset in the last read where the request for a WebSocket ended."""

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

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if b"pgrade" in data and not self._in_body:
            parser: Any = self.parser
            is_get = parser.get_method() == b"GET" if self._in_head else data.startswith(b"GET ")
            data = _without_upgrade(data, _OTHER_UPGRADE if is_get else _UPGRADE)
        super().data_received(data)
        if self._upgrade_at is not None:
            self._upgrade(data[self._upgrade_at :])
            return
        if self._refused or self.transport.is_closing():
            return
        idle = self.cycle is None or self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison] - None until the first request
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_head_too_large())
        elif idle and self._head_timer is None and self.timeout_keep_alive_task is None:
            self._await_head()  # bytes that begin no request, such as empty lines, stopped the idle timer

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._trailer_bytes = 0
        if self._head_timer is None:
            self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)
            return
        self._trailer_bytes += len(name) + len(value) + len(": \r\n")
        if self._trailer_bytes > MAX_HEAD_BYTES:
            raise ValueError("the trailers are too large")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._stop_head_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        super().on_message_complete()

    def _should_upgrade_to_ws(self) -> bool:
        return True

    def handle_websocket_upgrade(self) -> None:
        """Called while the parser's exception is handled, which holds where the request ended."""
        ended = sys.exception()
        self._upgrade_at = ended.args[0] if ended is not None else 0

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        self._stop_unread_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        too_large = self._trailer_bytes > MAX_HEAD_BYTES
        self._refuse(_head_too_large() if too_large else InvalidRequest("This is not a valid HTTP request."))

    def timeout_keep_alive_handler(self) -> None:
        if self._unread_timer is not None:  # the client still reads the last answer, or that timer ends the connection
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        elif self.transport.get_write_buffer_size():
            self.transport.abort()  # closing would wait for the unread rest of an answer
        else:
            super().timeout_keep_alive_handler()

    @property
    def _in_body(self) -> bool:
        """Whether the next byte belongs to a request's body."""
        running: Any = self.cycle
        return not self._in_head and running is not None and running.more_body

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self._settings.timeouts.headers, self._on_late_head)

    def _on_late_head(self) -> None:
        self._head_timer = None
        if self._in_head or self._head_bytes:
            self._refuse(RequestTimeout("The request's headers did not arrive in time."))
        else:
            self.transport.close()

    def _await_reading(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        self._unread_timer = self.loop.call_later(self._settings.timeouts.unread, self._on_unread, waiting)

    def _on_unread(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:  # a large answer, read slowly
            self._await_reading()
            return
        self._unread_timer = None
        log.warning("api.unread")
        self.transport.abort()

    def _upgrade(self, rest: bytes) -> None:
        """Pass the connection to a `WebSocket`. Refused while an earlier request on it waits for its answer."""
        answering: Any = self.cycle
        try:
            if answering is not None and not answering.response_complete:
                raise InvalidRequest("Ask for a WebSocket on a connection of its own.")
            key = accept_key(self.headers)
            scope = websocket_scope(dict(self.scope), self.url)
        except InvalidRequest as error:
            self._refuse(error)
            return
        self._stop_unread_timer()
        self.connections.discard(self)
        self.parser = None  # pyright: ignore[reportAttributeAccessIssue] - a cycle with this protocol, which would stay in memory
        WebSocket(self.transport, key, cast("ASGIApp", self.app), self._settings, self.server_state).open(scope, rest)

    def _refuse(self, error: NanobotError) -> None:
        """Answer without the application, then close once the peer does or `LINGER_SECONDS` later. Until then its bytes are discarded:
        closing over unread bytes would reset the connection under the answer.

        While another request is being answered nothing is written: that answer is the last one. A request that breaks in the middle of its
        body gets this answer in place of its own, unless its own has begun.
        """
        self._stop_head_timer()
        self._refused = True
        answering: Any = self.cycle
        if answering is not None and not answering.response_complete:
            if not answering.more_body:
                answering.keep_alive = False
                return
            if answering.response_started or self.pipeline:
                self.transport.close()
                return
            answering.disconnected = True  # to the application the client is gone: its answer is dropped
            answering.message_event.set()
        self.transport.write(_error_response(error))
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


def _head_too_large() -> RequestTooLarge:
    return RequestTooLarge(f"The request's headers are larger than {MAX_HEAD_BYTES // 1024} KiB.")


def _error_response(error: NanobotError) -> bytes:
    """A whole answer, after which the connection is closed."""
    body = error_json(error)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": new_id("req"),
        "openai-processing-ms": "0",
        **error_headers(error),
    }
    return response_head(error.status, headers.items()) + body


def _without_upgrade(data: bytes, ignored: re.Pattern[bytes]) -> bytes:
    """The first head in `data`, or its beginning, without its `ignored` Upgrade headers, as RFC 9110 (7.8) allows.

    The parser would treat the body as the other protocol; Java's HTTP client sends such a header, for HTTP/2, with every request.
    """
    end = data.find(b"\r\n\r\n")
    end = len(data) if end < 0 else end + len(b"\r\n")
    return ignored.sub(b"ignored", data[:end]) + data[end:]
