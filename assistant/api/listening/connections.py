"""Connections that do not hurry: uvicorn's protocol with the limits that it lacks."""

import asyncio
import logging
import re
import sys
from collections.abc import Callable
from typing import Any, Final, cast

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from assistant.api.listening.handshake import accepted_key, socket_scope
from assistant.api.listening.refusal import refusal
from assistant.api.listening.sockets import Socket
from assistant.api.middleware.body_clock import LINGER_SECONDS
from assistant.api.settings import ApiSettings
from assistant.contracts.errors import InvalidRequest, NanobotError, RequestTimeout, RequestTooLarge, ServerOverloaded

log = logging.getLogger(__name__)

MAX_HEAD_BYTES: Final = 64 * 1024
"""Of the request line and the headers together, and of the trailers of a chunked body."""
_UPGRADE: Final = re.compile(rb"(?<=\r\n)upgrade(?=[ \t]*:)", re.IGNORECASE)
_OTHER_UPGRADE: Final = re.compile(rb"(?<=\r\n)upgrade(?=[ \t]*:(?![ \t]*websocket[ \t]*\r\n)[^\r]*\r\n)", re.IGNORECASE)


class Connection(HttpToolsProtocol):
    """One connection. Closed, with an answer where one can still be read, when
    - more connections are open than `max_connections`: 503;
    - the head of a request takes longer than `timeouts.headers`: 408, or nothing if none of it came;
    - the head, or the trailers of a body, are larger than 64 KiB: 413;
    - what comes is not HTTP: 400;
    - an answer waits and nothing of it is read for `timeouts.unread`.

    Trailers are never taken for headers: those were checked when the request began. Of the wishes to change the protocol, that of a GET for a
    WebSocket is heard, and the connection becomes a `Socket`; no other is.
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
        self._trailer_bytes = 0
        self._in_head = False
        self._refused = False
        self._upgrade_at: int | None = None
        """Where in what was read last the request for a WebSocket ended."""

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
        if b"pgrade" in data and not self._in_body:
            parser: Any = self.parser
            is_get = parser.get_method() == b"GET" if self._in_head else data.startswith(b"GET ")
            data = _without_upgrade(data, _OTHER_UPGRADE if is_get else _UPGRADE)
        super().data_received(data)
        if self._upgrade_at is not None:
            self._become_socket(data[self._upgrade_at :])
            return
        idle = self.cycle is None or self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison] - None until the first request
        if self._refused or self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_head_too_large())
        elif idle and self._head_timer is None and self.timeout_keep_alive_task is None:
            self._await_head()  # bytes that begin no request, such as empty lines: they stopped the timer of idle connections

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

    def handle_websocket_upgrade(self) -> None:
        """Called while the parser's exception is handled, which alone says where the request ended."""
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
        if self._unread_timer is not None:  # the last answer is still being read, or that timer ends the connection
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        elif self.transport.get_write_buffer_size():
            self.transport.abort()  # an answer that nobody reads would hold a connection open that only waits to be closed
        else:
            super().timeout_keep_alive_handler()

    @property
    def _in_body(self) -> bool:
        """Whether the next byte belongs to a request's body, and not to a head."""
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
        if self.transport.get_write_buffer_size() < before:  # a large answer takes its time, but it is being read
            self._await_reading()
            return
        self._unread_timer = None
        log.warning("api.unread")
        self.transport.abort()

    def _become_socket(self, rest: bytes) -> None:
        """Hand the connection over, and let go of it. A request before, that still waits for its answer, has a right to it: then nothing comes
        of this one."""
        answering: Any = self.cycle
        try:
            if answering is not None and not answering.response_complete:
                raise InvalidRequest("Ask for a WebSocket on a connection of its own.")
            accept = accepted_key(self.headers)
            scope = socket_scope(dict(self.scope), self.url)
        except InvalidRequest as error:
            self._refuse(error)
            return
        self._stop_unread_timer()
        self.connections.discard(self)
        self.parser = None  # pyright: ignore[reportAttributeAccessIssue] - it knows this protocol, which would stay in memory as long as it
        Socket(self.transport, accept, cast("ASGIApp", self.app), self._settings, self.server_state, self._on_lost).open(scope, rest)

    def _refuse(self, error: NanobotError) -> None:
        """Answer without the application, and close, once the peer does or a moment later: what it still sends is thrown away until then, since
        closing over unread bytes would reset the connection under the answer. While another request is being answered nothing is written:
        that answer is the last one. A request that breaks in the middle of its body gets this answer in place of its own, unless that has begun.
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
            answering.disconnected = True  # for the application the client is gone: what it says is dropped
            answering.message_event.set()
        self.transport.write(refusal(error))
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


def _without_upgrade(data: bytes, unheard: re.Pattern[bytes]) -> bytes:
    """The first head in `data`, or what there is of it, without its `unheard` Upgrade fields, as a server may ignore them (RFC 9110, 7.8).
    The parser can't: it takes the body of such a request (Java's HTTP client sends them, for HTTP/2) for the other protocol.
    """
    end = data.find(b"\r\n\r\n")
    end = len(data) if end < 0 else end + len(b"\r\n")
    return unheard.sub(b"ignored", data[:end]) + data[end:]
