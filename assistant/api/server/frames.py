"""WebSocket frames to messages and back, by the parser of the `websockets` library without extensions."""

import logging
from typing import Final

from starlette.types import Message
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

_SILENT: Final = logging.Logger("websockets", logging.CRITICAL)
"""The library's own logger would write messages to the log."""


class FrameCodec:
    """The server's side of one connection, without I/O.

    A message is assembled in one buffer, however many fragments it has, up to `message_bytes`. Errors end the connection with a close frame:
    1009 a message too large, 1007 text that is not UTF-8, 1002 anything else.
    """

    __slots__ = ("_conn", "_fragments", "_is_text")

    def __init__(self, message_bytes: int) -> None:
        self._conn = ServerProtocol(state=State.OPEN, max_size=message_bytes, logger=_SILENT)
        self._fragments: bytearray | None = None
        self._is_text = False

    @property
    def closing(self) -> bool:
        """Whether a close frame was sent."""
        return self._conn.state is not State.OPEN

    @property
    def closed_with(self) -> int | None:
        """The close code, once the peer sent a close frame or broke the protocol; None before."""
        conn = self._conn
        if conn.close_rcvd is not None:
            return conn.close_rcvd.code
        if conn.parser_exc is not None:
            return conn.close_sent.code if conn.close_sent is not None else CloseCode.ABNORMAL_CLOSURE
        return None

    def decode(self, data: bytes) -> tuple[int, list[Message]]:
        """How many frames `data` completed, and the ASGI events of the messages they completed. Bytes after the end are ignored."""
        self._conn.receive_data(data)
        frames = [event for event in self._conn.events_received() if isinstance(event, Frame)]
        messages: list[Message] = []
        for frame in frames:
            message = self._on_frame(frame) if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) else None
            if message is not None and self.closed_with is None:
                messages.append(message)
        return len(frames), messages

    def send(self, data: bytes | str) -> None:
        if isinstance(data, str):
            self._conn.send_text(data.encode())
        else:
            self._conn.send_binary(data)

    def ping(self) -> None:
        self._conn.send_ping(b"")

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, once."""
        if not self.closing:
            self._conn.send_close(code, reason)

    def data_to_send(self) -> tuple[bytes, bool]:
        """The bytes to write now, and whether the connection ends after them."""
        writes = self._conn.data_to_send()
        return b"".join(writes), b"" in writes

    def _on_frame(self, frame: Frame) -> Message | None:
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                return self._message(bytes(frame.data))
            self._fragments = bytearray()
        if self._fragments is None:
            return None
        self._fragments += frame.data
        if not frame.fin:
            return None
        whole, self._fragments = bytes(self._fragments), None
        return self._message(whole)

    def _message(self, data: bytes) -> Message | None:
        if not self._is_text:
            return {"type": "websocket.receive", "bytes": data}
        try:
            return {"type": "websocket.receive", "text": data.decode()}
        except UnicodeDecodeError as error:
            if not self.closing:
                self._conn.fail(CloseCode.INVALID_DATA, "text must be UTF-8")
                self._conn.parser_exc = error
            return None
