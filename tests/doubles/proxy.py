"""A small proxy on loopback: HTTP (CONNECT, and requests in absolute form) and SOCKS5, each with or without a login.

    async with ProxyServer(to=server_port) as proxy:      every host leads to this port of loopback
        proxy.http, proxy.socks                           its URLs, with the login where it wants one
        proxy.asked                                       "CONNECT api.example.org:443", "GET http://…", "SOCKS api.example.org:443"

RFC 9110, 9.3.6; RFC 1928; RFC 1929. A wrong login is answered as the RFCs say, and told in `refused`.
"""

import asyncio
import base64
import contextlib
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

_NAME, _IPV4, _IPV6 = 3, 1, 4
_HOP: Final = (b"proxy-authorization", b"proxy-connection")


class ProxyServer:
    def __init__(self, *, to: int, login: tuple[str, str] | None = None, refuses: bool = False) -> None:
        """`to`: the port of loopback that every host leads to. `refuses`: every connection is refused, by the proxy."""
        self._to = to
        self._login = login
        self._refuses = refuses
        self.asked: list[str] = []
        self.refused = 0
        self._pipes: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    @property
    def http(self) -> str:
        return f"http://{self._at}"

    @property
    def socks(self) -> str:
        return f"socks5://{self._at}"

    @property
    def _at(self) -> str:
        return f"{':'.join(self._login)}@127.0.0.1:{self._port}" if self._login else f"127.0.0.1:{self._port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readexactly(1)
            await (self._socks(reader, writer) if first == b"\x05" else self._http(first, reader, writer))
        writer.close()

    async def _http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (first + await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n").split(b"\r\n")
        method, target, version = head[0].split(b" ")
        wanted = b"Basic " + base64.b64encode(":".join(self._login).encode()) if self._login else None
        given = next((line.partition(b":")[2].strip() for line in head if line.lower().startswith(_HOP[0])), None)
        if wanted is not None and given != wanted:
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
            return await writer.drain()
        self.asked.append(f"{method.decode()} {target.decode()}")
        if self._refuses:
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            return await writer.drain()
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            return await self._join(reader, writer, b"")
        parts = urlsplit(target.decode())
        line = b" ".join([method, f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}".encode(), version])
        kept = [each for each in head[1:] if not each.lower().startswith(_HOP)]
        return await self._join(reader, writer, b"\r\n".join([line, *kept, b"", b""]))

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        offered = await reader.readexactly((await reader.readexactly(1))[0])
        method = 2 if self._login else 0
        writer.write(bytes([5, method if method in offered else 0xFF]))
        if method not in offered:
            self.refused += 1
            return
        if self._login:
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            right = (user.decode(), password.decode()) == self._login
            writer.write(bytes([1, 0 if right else 1]))
            if not right:
                self.refused += 1
                return
        _, _, _, kind = await reader.readexactly(4)
        size = (await reader.readexactly(1))[0] if kind == _NAME else {_IPV4: 4, _IPV6: 16}[kind]
        host = (await reader.readexactly(size)).decode("latin-1")
        port = int.from_bytes(await reader.readexactly(2))
        self.asked.append(f"SOCKS {host}:{port}")
        writer.write(bytes([5, 5 if self._refuses else 0, 0, 1, 0, 0, 0, 0, 0, 0]))
        if not self._refuses:
            await self._join(reader, writer, b"")

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes) -> None:
        """Pass bytes both ways until one side ends."""
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        far_writer.write(first)
        pipes = [asyncio.create_task(_pump(reader, far_writer)), asyncio.create_task(_pump(far_reader, writer))]
        self._pipes |= set(pipes)
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        far_writer.close()
        writer.close()
        await asyncio.gather(*pipes, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
