"""A wire between a client and the server that breaks at a message."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Literal

_MESSAGE = re.compile(rb"<message\b(?:(?!</message>).)*<body>.*?</message>", re.DOTALL)
_PING = re.compile(rb"<iq\b(?:(?!</iq>).)*urn:xmpp:ping.*?</iq>", re.DOTALL)
_ID = re.compile(rb"\bid=[\"']([^\"']+)")


class BreakingWire:
    """`next`: what the next message with words meets. lose: the server takes it, and the connection breaks where it says so. hold: it never
    arrives."""

    def __init__(self, server: int) -> None:
        self.port = 0
        self.next: Literal["lose", "hold", ""] = ""
        self._server = server
        self._open: set[asyncio.StreamWriter] = set()
        self._losing: dict[asyncio.StreamWriter, set[bytes]] = {}
        """The ids of what went up from the message on: one of them in an answer says that the server took it."""

    def drop(self) -> None:
        for each in self._open:
            each.transport.abort()
        self._open.clear()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server)
        self._open.add(far_writer)
        with suppress(ConnectionError):
            await asyncio.gather(self._up(reader, far_writer, writer), self._down(far_reader, writer))
        for each in (writer, far_writer):
            self._open.discard(each)
            each.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter, near: asyncio.StreamWriter) -> None:
        held = False
        while data := await reader.read(1 << 16):
            if self.next and (found := _MESSAGE.search(data)):
                if self.next == "hold":
                    data = data[: found.start()] + data[found.end() :]
                    held = True
                else:
                    self._losing[near] = set(_ID.findall(data, found.start()))
                self.next = ""
            elif near in self._losing:
                self._losing[near].update(_ID.findall(data))
            if held and (found := _PING.search(data)):  # what asks whether it came
                data, held = data[: found.start()] + data[found.end() :], False
            far.write(data)
        far.close()

    async def _down(self, far: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        kept = b""
        while data := await far.read(1 << 16):
            if near not in self._losing:
                near.write(data)
                continue
            kept += data  # others write, too: a presence, say, tells nothing about the message
            if self._losing[near].intersection(_ID.findall(kept)):
                near.transport.abort()
                return
        near.close()


@asynccontextmanager
async def breaking_wire(server: int) -> AsyncGenerator[BreakingWire]:
    wire = BreakingWire(server)
    listening = await asyncio.start_server(wire.connected, "127.0.0.1", 0)
    wire.port = listening.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        listening.close()
        wire.drop()
        await asyncio.sleep(0)
