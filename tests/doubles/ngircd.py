"""A real IRC server as a process of the tests (ngircd, https://ngircd.barton.de), a person on it, and a proxy that fails as it is told."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any, Final, Self

from assistant.testing.platform import Failure
from channels.irc.lines import IrcLine, parsed
from tests.doubles.irc_server import IrcFaults
from tests.doubles.live_server import free_port
from tests.doubles.programs import running_program

PROGRAM: Final = which("ngircd") or which("ngircd", path="/usr/sbin:/usr/local/sbin") or ""
MISSING: Final = "ngircd is not installed"
_CONFIG: Final = """
[Global]
Name = irc.test
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = hello
[Limits]
MaxConnectionsIP = 0
MaxPenaltyTime = 0
[Options]
DNS = no
Ident = no
PAM = no
SyslogFacility = local0
"""


@contextmanager
def ngircd(folder: Path) -> Generator[int]:
    """Its port, on loopback."""
    port, config = free_port(), folder / "ngircd.conf"
    config.write_text(_CONFIG.format(port=port))
    with running_program([PROGRAM, "-n", "-f", str(config)], port, folder / "output"):
        yield port


class Person:
    """Another client, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def enter(cls, port: int, nick: str, *rooms: str) -> Self:
        person = cls(*await asyncio.open_connection("127.0.0.1", port))
        person.put(f"NICK {nick}")
        person.put(f"USER {nick} 0 * :{nick}")
        await person.until("376", "422")
        for room in rooms:
            person.put(f"JOIN {room}")
            await person.until("366")
        return person

    def put(self, line: str) -> None:
        self._writer.write(line.encode() + b"\r\n")

    async def until(self, *commands: str) -> IrcLine:
        async with asyncio.timeout(30):
            while True:
                data = await self._reader.readline()
                if not data:
                    raise ConnectionError("ngircd ended the connection")
                line = parsed(data)
                if line is not None and line.command == "PING":
                    self.put(f"PONG :{line.at(0)}")
                if line is not None and line.command in commands:
                    return line

    async def leave(self) -> None:
        """Until the server has ended the connection: the nick is free then."""
        self.put("QUIT")
        async with asyncio.timeout(30):
            while await self._reader.read(65_536):
                pass
        self._writer.close()


class IrcProxy(IrcFaults):
    """Between the assistant and ngircd: every line passes, but for faults."""

    def __init__(self, behind: int) -> None:
        super().__init__()
        self._lines = []
        self._behind = behind
        self.port = 0
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

    def fail(self, how: Failure) -> None:
        super().fail(how)
        if how == "unauthorized":
            self.drop()

    def drop(self) -> None:
        for writer in list(self._clients):
            writer.transport.abort()

    def raw(self, line: bytes) -> None:
        for writer in self._clients:
            writer.write(line + b"\r\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.always == "unauthorized":
            writer.write(b":irc.test 464 * :Password incorrect\r\n")
            writer.close()
            return
        self._clients.add(writer)
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._behind)
        back = asyncio.create_task(_pass(from_server, writer))
        try:
            while data := await reader.readline():
                line = parsed(data)
                if line is None or self._passes(line, writer):
                    to_server.write(data)
                elif line.command == "PING" and not self.faults and self._cut:
                    back.cancel()
                    await asyncio.wait([back])  # of a connection one can read at a time
                    to_server.write(data)
                    while (answer := await from_server.readline()) and b" PONG " not in answer:  # it has taken what came before
                        pass
                    break
        except ConnectionError:
            pass
        finally:
            back.cancel()
            self._clients.discard(writer)
            writer.transport.abort()
            to_server.close()

    _cut = False

    def _passes(self, line: IrcLine, writer: asyncio.StreamWriter) -> bool:
        if line.command == "PRIVMSG":
            answer = self.said("nanobot", line.at(0), line.at(1))
            if answer:
                writer.write(f":irc.test {answer}\r\n".encode())
            return answer is None
        if line.command == "PING":
            how = self.pinged()
            self._cut = how == "cut"
            return how == "answer"
        return True


async def _pass(reader: asyncio.StreamReader, writer: Any) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()
