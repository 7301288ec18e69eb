"""A real MQTT broker as a process of the tests (mosquitto, https://mosquitto.org), and a proxy before it that fails as it is told."""

import asyncio
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Final, Self

from assistant.testing.platform import Failure, Seen
from tests.doubles.live_server import free_port
from tests.doubles.programs import running_program

PROGRAM: Final = which("mosquitto") or which("mosquitto", path="/usr/sbin:/usr/local/sbin") or ""
MISSING: Final = "mosquitto is not installed"
_CONNECT, _PUBLISH, _PUBACK, _SUBACK = 1, 3, 4, 9
_CODES: Final[dict[Failure, int]] = {"refuse": 0x87, "limit": 0x97, "server_error": 0x80}
"""https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html, 3.4.2.1"""


@contextmanager
def mosquitto(folder: Path, settings: str = "allow_anonymous true") -> Generator[int]:
    """Its port, on loopback."""
    port, config = free_port(), folder / "mosquitto.conf"
    config.write_text(f"user root\nlistener {port} 127.0.0.1\nmax_queued_messages 0\nset_tcp_nodelay true\n{settings}\n")
    with running_program([PROGRAM, "-c", str(config)], port, folder / "output"):
        yield port


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """(its kind, its content, all of it). Raises IncompleteReadError."""
    head = await reader.readexactly(1)
    size, shift = 0, 0
    while True:
        byte = await reader.readexactly(1)
        head += byte
        size |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            break
    content = await reader.readexactly(size)
    return head[0] >> 4, content, head + content


class MqttProxy:
    """Between the assistant and the broker: every packet passes, but for faults. It keeps what the broker acknowledged."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self.port = 0
        self.seen: list[Seen] = []
        self.acknowledged = 0
        """By the assistant."""
        self.subscribed = False
        self.connects: list[bytes] = []
        """The content of each CONNECT packet."""
        self.faults: deque[Failure] = deque()
        self.locked = False
        self._clients: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await self._server.wait_closed()

    def drop(self) -> None:
        for writer in list(self._clients):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._behind)
        passing: dict[bytes, tuple[Seen, bool]] = {}
        back = asyncio.create_task(self._back(from_broker, writer, passing))
        try:
            while True:
                kind, content, whole = await _packet(reader)
                if kind == _CONNECT and self.locked:
                    writer.write(bytes([0x20, 3, 0, 0x87, 0]))
                    await writer.drain()
                    return
                self.connects += [content] if kind == _CONNECT else []
                self.acknowledged += kind == _PUBACK
                if kind != _PUBLISH or self._passes(content, writer, passing):
                    to_broker.write(whole)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            back.cancel()
            self._clients.discard(writer)
            writer.close()
            to_broker.close()

    def _passes(self, content: bytes, writer: asyncio.StreamWriter, passing: dict[bytes, tuple[Seen, bool]]) -> bool:
        size = int.from_bytes(content[:2], "big")
        topic, id, rest = content[2 : 2 + size].decode(), content[2 + size : 4 + size], content[4 + size :]
        how = self.faults.popleft() if self.faults else None
        if how in _CODES:
            writer.write(b"\x40\x03" + id + bytes([_CODES[how]]))
        elif how != "hold":
            text = rest[1 + rest[0] :].decode()
            passing[id] = Seen(id="", text=text, chat_id=topic), how == "lose"
        return how is None or how == "lose"

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: dict[bytes, tuple[Seen, bool]]) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, content, whole = await _packet(reader)
                self.subscribed |= kind == _SUBACK
                if kind == _PUBACK:
                    seen, lost = passing.pop(content[:2])
                    self.seen.append(seen)
                    if lost:
                        break
                writer.write(whole)
        writer.transport.abort()
