"""The way out of a command's network: an HTTP proxy for the hosts that it named, and no others. Addresses are checked and connected to as checked."""

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from assistant.contracts.errors import ToolFailed
from assistant.contracts.secrets import NAMED, Secrets
from assistant.contracts.urls import is_public

_BRIDGE: Final = Path(__file__).with_name("bridge.py")
_PATIENCE: Final = 10.0
_HEAD_BYTES: Final = 64 * 1024
_BLOCK: Final = 64 * 1024
_HELD_BYTES: Final = 8 * 1024**2
"""Of an answer to a request with a secret in it, which is held until the secret is taken out of it."""
_PORTS: Final = frozenset({80, 443})
_HOPS: Final = frozenset({"connection", "proxy-connection", "proxy-authorization", "keep-alive", "host", "te", "upgrade"})


class _Refused(Exception):
    """The answer of the proxy."""

    def __init__(self, status: str, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True, slots=True)
class ServedHosts:
    """The proxy of one command."""

    server: asyncio.Server
    connections: "set[asyncio.Task[None]]"

    def close(self) -> None:
        """No connection outlives the command."""
        self.server.close()
        for each in self.connections:
            each.cancel()


class HostProxy:
    """`private`: hosts that may have addresses which are not public."""

    def __init__(self, private: Sequence[str], secrets: Secrets) -> None:
        self._private = frozenset(map(normal_host, private))
        self._secrets = secrets

    async def serve(self, listening: socket.socket, hosts: Sequence[str]) -> ServedHosts:
        """Serve a command that named these hosts: "example.org", "example.org:8080", "*.example.org"."""
        named = frozenset(map(normal_host, hosts))
        connections: set[asyncio.Task[None]] = set()

        async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if task := asyncio.current_task():
                connections.add(task)
                task.add_done_callback(connections.discard)
            try:
                await self._answer(reader, writer, named)
            except _Refused as refusal:
                words = f"{refusal}\n".encode()
                head = f"HTTP/1.1 {refusal.status}\r\nContent-Type: text/plain\r\nContent-Length: {len(words)}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + words)
            except (OSError, EOFError, asyncio.LimitOverrunError):
                pass
            finally:
                with suppress(OSError):
                    writer.close()
                    await writer.wait_closed()

        return ServedHosts(await asyncio.start_server(serve_one, sock=listening, limit=_HEAD_BYTES), connections)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, named: frozenset[str]) -> None:
        async with asyncio.timeout(_PATIENCE):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head[:-4].split("\r\n")
        try:
            method, target, version = line.split(" ")
            url = urlsplit(f"//{target}" if method == "CONNECT" else target)
            host, port = normal_host(url.hostname or ""), url.port or (443 if method == "CONNECT" else 80)
        except ValueError:
            raise _Refused("400 Bad Request", "This is no request to a proxy.") from None
        if not host or not version.startswith("HTTP/1.") or (method != "CONNECT" and url.scheme != "http"):
            raise _Refused("400 Bad Request", "This proxy takes CONNECT, and http:// URLs.")
        if not _is_named(host, port, named):
            raise _Refused("403 Forbidden", f"{host}:{port} is not one of the hosts that this command named.")
        async with self._connected(host, port) as (upstream, sink):
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await _both_ways(reader, writer, upstream, sink)
            else:
                await self._forward(method, url, fields, reader, writer, upstream, sink)

    async def _forward(
        self,
        method: str,
        url: SplitResult,
        fields: Sequence[str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
    ) -> None:
        """A plain request. `{{secret:NAME}}` in its line and fields is filled in, and taken out of the answer again."""
        kept = [each for each in fields if each.partition(":")[0].strip().lower() not in _HOPS]
        path = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
        request = f"{method} {path}\r\n" + "\r\n".join(kept)
        secret = NAMED.search(request) is not None
        if secret:
            try:
                request = self._secrets.fill(request, normal_host(url.hostname or ""))
            except ToolFailed as error:
                raise _Refused("403 Forbidden", str(error)) from None
            request = "\r\n".join(each for each in request.split("\r\n") if not each.lower().startswith("accept-encoding:"))
        first, _, rest = request.partition("\r\n")
        version = "1.0" if secret else "1.1"  # an answer to 1.0 ends with the connection, without chunks
        lines = [
            f"{first} HTTP/{version}",
            f"Host: {url.netloc.rpartition('@')[2]}",
            *([rest] if rest else []),
            "Connection: close",
            "",
            "",
        ]
        sink.write("\r\n".join(lines).encode("latin-1"))
        if not secret:
            await _both_ways(reader, writer, upstream, sink)
            return
        sending = asyncio.create_task(_pour(reader, sink))
        try:
            answer = await _held(upstream)
        finally:
            sending.cancel()
        head, _, body = self._secrets.hide(answer.decode("latin-1")).partition("\r\n\r\n")
        lines = [each for each in head.split("\r\n") if not each.lower().startswith(("content-length:", "connection:"))]
        writer.write("\r\n".join([*lines, "Connection: close", "", body]).encode("latin-1"))

    @asynccontextmanager
    async def _connected(self, host: str, port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection to an address of the host that was checked. Raises _Refused."""
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
                addresses = [str(each[4][0]) for each in found]
                if host not in self._private and not all(map(is_public, addresses)):
                    raise _Refused("403 Forbidden", f"{host} has a private address. The owner may allow it: sandbox.hosts.")
                reader, writer = await asyncio.open_connection(addresses[0], port)
        except (OSError, TimeoutError, UnicodeError):
            raise _Refused("502 Bad Gateway", f"{host}:{port} was not reached.") from None
        try:
            yield reader, writer
        finally:
            writer.close()


def normal_host(host: str) -> str:
    """As it is compared: lower case, without the dot at the end, in ASCII."""
    name = host.strip().rstrip(".").lower()
    try:
        return name.encode("idna").decode() if not name.isascii() else name
    except UnicodeError:
        return name


def _is_named(host: str, port: int, named: frozenset[str]) -> bool:
    if f"{host}:{port}" in named:
        return True
    above = host.partition(".")[2]
    return port in _PORTS and (host in named or (above and f"*.{above}" in named) is True)


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_BLOCK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _both_ways(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: asyncio.StreamReader, sink: asyncio.StreamWriter
) -> None:
    """Until the far side has said all."""
    up = asyncio.create_task(_pour(reader, sink))
    try:
        await _pour(upstream, writer)
    finally:
        up.cancel()


async def _held(upstream: asyncio.StreamReader) -> bytes:
    held = bytearray()
    while data := await upstream.read(_BLOCK):
        held += data
        if len(held) > _HELD_BYTES:
            raise _Refused("502 Bad Gateway", "The answer to a request with a secret is too long.")
    return bytes(held)


async def listen_inside(pid: int, port: int) -> socket.socket:
    """A listening socket in the network of a process. Raises ToolFailed."""
    here, there = socket.socketpair()
    with here, there:
        helper = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_BRIDGE), str(pid), str(port), str(there.fileno())), pass_fds=[there.fileno()], env={}
        )
        there.close()
        try:
            async with asyncio.timeout(_PATIENCE):
                code = await helper.wait()
        except TimeoutError:
            helper.kill()
            code = -1
        if code != 0:
            raise ToolFailed("Not run: the command's network could not be made. Run it without hosts.")
        _, descriptors, _, _ = socket.recv_fds(here, 1, 1)
    listening = socket.socket(fileno=descriptors[0])
    listening.setblocking(False)
    return listening
