"""A WebSocket on the server's port, with everything that bounds it."""

import asyncio
import logging
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Message, Scope
from uvicorn.server import ServerState

from assistant.api.listening.refusal import head, phrase
from assistant.api.settings import ApiSettings

if TYPE_CHECKING:
    from assistant.api.listening.frames import Frames

log = logging.getLogger(__name__)

LEAVE: Final = "websocket.leave"
"""Told to the application, beside what ASGI knows, when the server is about to end: what runs may still be said, then it closes with 1001."""
MAX_UNREAD: Final = 4 * 1024 * 1024
"""Bytes that may wait for a reader who makes the server say more without reading what it said (pongs, above all)."""
_SLICE: Final = 2 * 1024
_FRAMES: Final = 128
"""Taken in at a time, so that a flood of the smallest frames holds up the rest of the process for a millisecond or two."""
_WAITING: Final = 8
"""Messages that the application has not asked for yet; nothing more is read until it does."""
_GOODBYE: Final = 10.0
"""Seconds that the other side has to take the close frame and answer it."""


class PeerGone(OSError):
    """There is nobody to send to any more. An OSError, as ASGI wants it."""


class Socket(asyncio.Protocol):
    """One WebSocket, as ASGI tells it to the application; refused with an HTTP answer where the application sends one instead of accepting.

    It is closed when
    - a message is larger than `sockets.messageBytes`: 1009; or what comes is against the protocol: 1002, 1007;
    - nothing is heard of the other side from one ping to the next: 1011;
    - something waits to be sent, and nothing of it is read for `timeouts.unread`: 1013. Until then the application waits, and nobody else.
    """

    __slots__ = (
        "_accept_key", "_app", "_beat", "_closed", "_end_timer", "_frames", "_heard", "_held", "_leaving", "_loop", "_messages", "_on_lost",
        "_refusal", "_settings", "_state", "_unread_timer", "_wake", "_writable", "transport",
    )  # fmt: skip

    def __init__(
        self,
        transport: asyncio.Transport,
        accept_key: str,
        app: ASGIApp,
        settings: ApiSettings,
        state: ServerState,
        on_lost: Callable[[], None],
    ) -> None:
        """`on_lost`: called when the connection is gone, after it left `state.connections`."""
        self.transport = transport
        self._accept_key = accept_key
        self._app = app
        self._settings = settings
        self._state = state
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._frames: Frames | None = None
        """None until the application accepts."""
        self._held = b""
        """Read, and not looked at yet; while there is any, nothing more is read."""
        self._messages: list[Message] = [{"type": "websocket.connect"}]
        self._closed: int | None = None
        """The code, once the other side is gone or was told to go."""
        self._refusal: Message | None = None
        self._wake: asyncio.Future[None] | None = None
        self._writable: asyncio.Event | None = None
        """What whoever sends waits for; None: it need not wait."""
        self._heard = True
        self._leaving = False
        self._beat: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None

    def open(self, scope: Scope, early: bytes) -> None:
        """Take over the connection. `early`: what came behind the handshake; a peer that waits for the answer sends none."""
        self.transport.set_protocol(self)
        self._state.connections.add(self)  # pyright: ignore[reportArgumentType] - it has all that the server asks of connections
        task = self._loop.create_task(self._run(scope))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)
        if early:
            self.data_received(early)

    def shutdown(self) -> None:
        """The server takes nothing new: the application ends what it is about, and closes."""
        if not self._leaving:
            self._leaving = True
            self._tell({"type": LEAVE})

    async def receive(self) -> Message:
        while not self._messages:
            if self._closed is not None:
                return {"type": "websocket.disconnect", "code": self._closed}
            self._wake = self._loop.create_future()
            await self._wake
        if self._held and len(self._messages) == _WAITING:
            self._loop.call_soon(self._take_in)
        return self._messages.pop(0)

    async def send(self, message: Message) -> None:
        """Returns when the connection took it, which a slow reader delays. Raises PeerGone."""
        while self._writable is not None and self._closed is None:
            await self._writable.wait()
        if self._closed is not None:
            raise PeerGone
        match message["type"]:
            case "websocket.accept":
                self._accept(message)
            case "websocket.send" if self._frames is not None:
                self._frames.say(message["text"] if message.get("bytes") is None else message["bytes"])
                self._flush()
            case "websocket.close" if self._frames is not None:
                self._close(message.get("code", 1000), message.get("reason") or "")
            case "websocket.http.response.start" if self._frames is None:
                self._refusal = message
            case "websocket.http.response.body" if self._refusal is not None:  # in one piece
                self._refuse(self._refusal, message["body"])
            case other:
                raise RuntimeError(f"a socket can't send {other} now")

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._held = self._held + data if self._held else data
        self._take_in()

    def eof_received(self) -> bool:
        self._note_closed(1006)
        self._end()
        return False

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()
        self._await_reading()

    def resume_writing(self) -> None:
        _stop(self._unread_timer)
        self._unread_timer = None
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def connection_lost(self, exc: Exception | None) -> None:
        _stop(self._beat)
        _stop(self._end_timer)
        self._held = b""
        self._note_closed(1006)
        self.resume_writing()
        self._state.connections.discard(self)  # pyright: ignore[reportArgumentType]
        self._on_lost()

    async def _run(self, scope: Scope) -> None:
        code = 1011
        try:
            await self._app(scope, self.receive, self.send)
            code = 1000
        except PeerGone:
            return
        finally:
            if self._frames is not None:
                self._close(code, "")
            else:
                self.transport.close()

    def _accept(self, message: Message) -> None:
        from assistant.api.listening.frames import Frames  # noqa: PLC0415 - the library takes longer to load than a request; `preload` has

        headers = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", self._accept_key), *_headers(message)]
        self.transport.write(head(phrase(101), headers))
        self._frames = Frames(self._settings.sockets.message_bytes)
        self._beat = self._loop.call_later(self._settings.sockets.ping_seconds, self._on_beat)
        self._take_in()

    def _refuse(self, start: Message, body: bytes) -> None:
        self.transport.write(head(phrase(start["status"]), [("connection", "close"), *_headers(start)]) + body)
        self._note_closed(1006)
        self.transport.close()

    def _take_in(self) -> None:
        """Look at what was read, a slice at a time, as long as the application keeps up."""
        frames, position, count = self._frames, 0, 0
        while frames is not None and position < len(self._held) and count < _FRAMES and len(self._messages) < _WAITING:
            more, messages = frames.take_in(self._held[position : position + _SLICE])
            position += _SLICE
            count += more
            for message in messages if self._closed is None else ():
                self._tell(message)
            self._flush()
        self._held = self._held[position:]
        if self.transport.is_closing():
            return
        if not self._held:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
            if count >= _FRAMES:
                self._loop.call_soon(self._take_in)

    def _tell(self, message: Message) -> None:
        self._messages.append(message)
        self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _flush(self) -> None:
        """Write what the frames have to say; they end the connection where the other side has said goodbye, or broke the rules."""
        if self._frames is None or self.transport.is_closing():
            return
        data, last = self._frames.to_send()
        if data:
            self.transport.write(data)
        if self._frames.closed_with is not None:
            self._note_closed(self._frames.closed_with)
        if last:
            self._held = b""
            self._end()
            self.transport.close()
        elif self.transport.get_write_buffer_size() > MAX_UNREAD and self._closed is None:
            self._give_up()

    def _close(self, code: int, reason: str) -> None:
        """Say goodbye, and wait a while for the other side to do so."""
        if self._frames is None or self._frames.closing or self.transport.is_closing():
            return
        self._frames.close(code, reason)
        self._flush()
        self._note_closed(code)
        self._end()
        self._take_in()

    def _end(self) -> None:
        """From now on the connection does not last much longer, whatever the other side does."""
        _stop(self._beat)
        if self._end_timer is None:
            self._end_timer = self._loop.call_later(_GOODBYE, self.transport.abort)

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
        if self._frames is not None and self._writable is None:
            self._heard = False
            self._frames.ping()
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
    """Load what the first socket needs, before it comes. Blocks."""
    import_module("assistant.api.listening.frames")


def _headers(message: Message) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ())]


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
