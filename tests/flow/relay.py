"""A wire that breaks: between a client and the server, on loopback."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Relay:
    """Passes bytes on, but breaks off as many connections as `cuts` says: at the first byte of the answer, or when `cut` is called.
    The server is not told: it answers into the void."""

    def __init__(self, port: int) -> None:
        self.port = port
        """Of the server; may be changed."""
        self.cuts = 0
        self.swap: tuple[bytes, bytes] = (b"", b"")
        """What goes to the server in place of what."""
        self.url = ""
        """Up to `/v1`."""
        self.near: list[Near] = []
        self.transports: set[asyncio.BaseTransport] = set()

    @property
    def requests(self) -> list[bytes]:
        """What came on each connection."""
        return [bytes(near.said) for near in self.near]

    def cut(self) -> None:
        for near in self.near:
            if near.doomed:
                near.transport.abort()


class Near(asyncio.Protocol):
    """The client's side."""

    transport: asyncio.Transport
    far: asyncio.Transport | None = None

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.said = bytearray()
        self.heard = bytearray()
        """What the server answered."""
        self.doomed = relay.cuts > 0
        relay.cuts = max(0, relay.cuts - 1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.relay.near.append(self)
        self.relay.transports.add(transport)
        self.connecting = asyncio.create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        self.said += data
        data = data.replace(*self.relay.swap) if self.relay.swap[0] else data
        if self.far is not None:
            self.far.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.far is not None and not self.doomed:
            self.far.close()

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Far(self), "127.0.0.1", self.relay.port)
        except OSError:
            self.transport.abort()


class _Far(asyncio.Protocol):
    """The server's side."""

    def __init__(self, near: Near) -> None:
        self.near = near

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.near.far = transport
        self.near.relay.transports.add(transport)
        transport.write(bytes(self.near.said))

    def data_received(self, data: bytes) -> None:
        self.near.heard += data
        if self.near.doomed:
            self.near.transport.abort()
        else:
            self.near.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.near.transport.close()


@asynccontextmanager
async def relaying(port: int) -> AsyncGenerator[Relay]:
    relay = Relay(port)
    server = await asyncio.get_running_loop().create_server(lambda: Near(relay), "127.0.0.1", 0)
    relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield relay
    finally:
        server.close()
        for transport in relay.transports:
            if isinstance(transport, asyncio.Transport) and not transport.is_closing():
                transport.abort()
        await asyncio.sleep(0)
