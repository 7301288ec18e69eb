"""WebSockets on the server's port, with limits that uvicorn's protocols lack: on slow readers, floods, and small frames."""

import asyncio
import binascii
import logging
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha1
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Message, Scope
from uvicorn.server import ServerState

from assistant.api.settings import ApiSettings
from assistant.contracts.errors import InvalidRequest

if TYPE_CHECKING:
    from assistant.api.server.frames import FrameCodec

log = logging.getLogger(__name__)

LEAVE: Final = "websocket.leave"
"""An event in addition to ASGI's: the server shuts down. The application may finish what runs, then closes with 1001."""
MAX_UNREAD: Final = 4 * 1024 * 1024
"""Bytes that may wait for a peer that makes the server send (pongs, above all) and does not read."""
_SLICE: Final = 2 * 1024
_FRAMES: Final = 128
"""Frames decoded at a time, so that a flood of small ones blocks the event loop for a few milliseconds at most."""
_WAITING: Final = 8
"""Messages that may wait for the application; reading pauses until it takes one."""
_CLOSE_SECONDS: Final = 10.0
"""For the peer to read the close frame and answer it."""


class PeerGone(OSError):
    """The connection is closed. An OSError, as ASGI requires of `send`."""


class WebSocket(asyncio.Protocol):
    """One WebSocket as an ASGI connection; if the application sends an HTTP response instead of accepting, the peer gets that.

    Closed when
    - a message is larger than `sockets.messageBytes`: 1009; or the peer breaks the protocol: 1002, 1007;
    - nothing is received from one ping to the next: 1011;
    - the peer reads none of what it was sent for `timeouts.unread`: 1013. Until then `send` waits.
    """

    __slots__ = (
        "_accept_key", "_app", "_beat", "_closed", "_codec", "_end_timer", "_heard", "_held", "_leaving", "_loop", "_messages", "_refusal",
        "_settings", "_state", "_unread_timer", "_wake", "_writable", "transport",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport, accept_key: str, app: ASGIApp, settings: ApiSettings, state: ServerState) -> None:
        self.transport = transport
        self._accept_key = accept_key
        self._app = app
        self._settings = settings
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._codec: FrameCodec | None = None
        """None until the application accepts."""
        self._held = b""
        """Received and not decoded yet; while it is not empty, reading is paused."""
        self._messages: list[Message] = [{"type": "websocket.connect"}]
        self._closed: int | None = None
        """The close code, once either side has closed."""
        self._refusal: Message | None = None
        self._wake: asyncio.Future[None] | None = None
        self._writable: asyncio.Event | None = None
        """Set when `send` may write again; None: it may."""
        self._heard = True
        self._leaving = False
        self._beat: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None

    def open(self, scope: Scope, early: bytes) -> None:
        """Take over the connection. `early`: bytes received after the handshake."""
        self.transport.set_protocol(self)
        self._state.connections.add(self)  # pyright: ignore[reportArgumentType] - it has all that the server uses of connections
        task = self._loop.create_task(self._run(scope))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)
        if early:
            self.data_received(early)

    def shutdown(self) -> None:
        """Tell the application, once, to finish and close."""
        if not self._leaving:
            self._leaving = True
            self._deliver({"type": LEAVE})

    async def receive(self) -> Message:
        while not self._messages:
            if self._closed is not None:
                return {"type": "websocket.disconnect", "code": self._closed}
            self._wake = self._loop.create_future()
            await self._wake
        if self._held and len(self._messages) == _WAITING:
            self._loop.call_soon(self._decode)
        return self._messages.pop(0)

    async def send(self, message: Message) -> None:
        """Returns when the transport has accepted it, which a slow reader delays. Raises PeerGone."""
        while self._writable is not None and self._closed is None:
            await self._writable.wait()
        if self._closed is not None:
            raise PeerGone
        match message["type"]:
            case "websocket.accept":
                self._accept(message)
            case "websocket.send" if self._codec is not None:
                self._codec.send(message["text"] if message.get("bytes") is None else message["bytes"])
                self._flush()
            case "websocket.close" if self._codec is not None:
                self._close(message.get("code", 1000), message.get("reason") or "")
            case "websocket.http.response.start" if self._codec is None:
                self._refusal = message
            case "websocket.http.response.body" if self._refusal is not None:  # in one piece
                head = response_head(self._refusal["status"], [("connection", "close"), *_headers(self._refusal)])
                self.transport.write(head + message["body"])
                self._note_closed(1006)
                self.transport.close()
            case other:
                raise RuntimeError(f"a WebSocket can't send {other} now")

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._held = self._held + data if self._held else data
        self._decode()

    def eof_received(self) -> bool:
        self._note_closed(1006)
        self._end()
        return False

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()
        self._await_reading()

    def resume_writing(self) -> None:
        _cancel(self._unread_timer)
        self._unread_timer = None
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._beat)
        _cancel(self._end_timer)
        self._held = b""
        self._note_closed(1006)
        self.resume_writing()
        self._state.connections.discard(self)  # pyright: ignore[reportArgumentType]

    async def _run(self, scope: Scope) -> None:
        code = 1011
        try:
            await self._app(scope, self.receive, self.send)
            code = 1000
        except PeerGone:
            return
        finally:
            if self._codec is not None:
                self._close(code, "")
            else:
                self.transport.close()

    def _accept(self, message: Message) -> None:
        from assistant.api.server.frames import FrameCodec  # noqa: PLC0415 - the library takes longer to load than a request; see `preload`

        headers = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", self._accept_key), *_headers(message)]
        self.transport.write(response_head(101, headers))
        self._codec = FrameCodec(self._settings.sockets.message_bytes)
        self._beat = self._loop.call_later(self._settings.sockets.ping_seconds, self._on_beat)
        self._decode()

    def _decode(self) -> None:
        """Decode received bytes in slices, while the application keeps up."""
        codec, position, count = self._codec, 0, 0
        while codec is not None and position < len(self._held) and count < _FRAMES and len(self._messages) < _WAITING:
            more, messages = codec.decode(self._held[position : position + _SLICE])
            position += _SLICE
            count += more
            for message in messages if self._closed is None else ():
                self._deliver(message)
            self._flush()
        self._held = self._held[position:]
        if self.transport.is_closing():
            return
        if not self._held:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
            if count >= _FRAMES:
                self._loop.call_soon(self._decode)

    def _deliver(self, message: Message) -> None:
        self._messages.append(message)
        self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _flush(self) -> None:
        """Write the codec's output, and end the connection after its last."""
        if self._codec is None or self.transport.is_closing():
            return
        data, last = self._codec.data_to_send()
        if data:
            self.transport.write(data)
        if self._codec.closed_with is not None:
            self._note_closed(self._codec.closed_with)
        if last:
            self._held = b""
            self._end()
            self.transport.close()
        elif self.transport.get_write_buffer_size() > MAX_UNREAD and self._closed is None:
            self._give_up()

    def _close(self, code: int, reason: str) -> None:
        """Send a close frame, and wait for the peer's for a while."""
        if self._codec is None or self._codec.closing or self.transport.is_closing():
            return
        self._codec.close(code, reason)
        self._flush()
        self._note_closed(code)
        self._end()
        self._decode()

    def _end(self) -> None:
        """Abort the connection in `_CLOSE_SECONDS`."""
        _cancel(self._beat)
        if self._end_timer is None:
            self._end_timer = self._loop.call_later(_CLOSE_SECONDS, self.transport.abort)

    def _note_closed(self, code: int) -> None:
        if self._closed is None:
            self._closed = code
            self._messages.clear()
            self._wake_up()
            if self._writable is not None:
                self._writable.set()

    def _on_beat(self) -> None:
        if not self._heard and not self._held:
            self._close(1011, "no answer to a ping")
            return
        self._beat = self._loop.call_later(self._settings.sockets.ping_seconds, self._on_beat)
        if self._codec is not None and self._writable is None:
            self._heard = False
            self._codec.ping()
            self._flush()

    def _await_reading(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        self._unread_timer = self._loop.call_later(self._settings.timeouts.unread, self._on_unread, waiting)

    def _on_unread(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._await_reading()
        else:
            self._give_up()

    def _give_up(self) -> None:
        if self.transport.is_closing():
            self.transport.abort()
            return
        log.warning("api.unread")
        self._close(1013, "what was sent is not read")


def preload() -> None:
    """Import what the first WebSocket needs. Blocks."""
    import_module("assistant.api.server.frames")


def _headers(message: Message) -> Iterable[tuple[str, str]]:
    return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ()))


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


_PROTOCOL: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Appended to every key before it is hashed, by RFC 6455."""


def accept_key(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """The value of `Sec-WebSocket-Accept`. Raises InvalidRequest for a request that is no handshake."""
    if [value for name, value in headers if name == b"sec-websocket-version"] != [b"13"]:
        raise InvalidRequest("Send 'Sec-WebSocket-Version: 13': no other version is supported.", param="Sec-WebSocket-Version")
    keys = [value for name, value in headers if name == b"sec-websocket-key"]
    try:
        valid = len(keys) == 1 and len(b64decode(keys[0], validate=True)) == 16
    except binascii.Error:
        valid = False
    if not valid:
        raise InvalidRequest("'Sec-WebSocket-Key' must be sent once, and be the base64 of 16 bytes.", param="Sec-WebSocket-Key")
    return b64encode(sha1(keys[0] + _PROTOCOL, usedforsecurity=False).digest()).decode()


def websocket_scope(http: Scope, url: bytes) -> Scope:
    """The ASGI scope of the WebSocket that the request `http` asks for. Raises InvalidRequest for a malformed address."""
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise InvalidRequest("This is not a valid HTTP request.") from None
    return {
        "type": "websocket",
        "asgi": http["asgi"],
        "http_version": http["http_version"],
        "scheme": "wss" if http["scheme"] == "https" else "ws",
        "path": unquote(parsed.path.decode("latin-1")),
        "raw_path": parsed.path,
        "query_string": parsed.query or b"",
        "root_path": "",
        "headers": http["headers"],
        "client": http["client"],
        "server": http["server"],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }


def response_head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """The status line and headers of an answer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return "\r\n".join([f"HTTP/1.1 {status} {phrase}", *[f"{name}: {value}" for name, value in headers], "", ""]).encode("latin-1")
