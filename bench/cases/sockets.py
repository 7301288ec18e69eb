"""WebSockets: the cost of idle ones, and how clients that request much and read nothing slow down others."""

import asyncio
import resource
from collections.abc import Iterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from bench.figures import Effort, Figure, Say, at_most
from bench.load import Load, apply_load
from bench.rig import Rig, running_rig
from tests.process_usage import resident_mib

_IDLE = 2_000
_STALLED = 20
_WRONG = '{"type": "' + "x" * 400 + '"}'
_MANY = 40_000
"""Invalid frames of the client: enough that their errors overflow both buffers."""
_GIVEN_UP_AFTER = 35.0
"""Seconds; the server waits 30."""
_AT_ONCE = 100


def measure_sockets(effort: Effort, say: Say) -> Iterator[Figure]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * _IDLE)), hard))
    with running_rig() as rig:
        yield asyncio.run(_idle(rig, say))
    with running_rig() as rig:
        yield asyncio.run(_stalled(rig, effort, say))


async def _idle(rig: Rig, say: Say) -> Figure:
    """Each has sent one message first: what a socket holds after that counts."""
    pid = rig.server.process.pid
    async with AsyncExitStack() as stack:
        say("sockets: warming up")
        apply_load(Load(url=rig.api, connections=32, requests=500))
        async with AsyncExitStack() as first:
            await _open(rig, _AT_ONCE, first)
        before = resident_mib(pid)
        say(f"sockets: {_IDLE:,} idle ones")
        await _open(rig, _IDLE, stack)
        after = resident_mib(pid)
    note = f"{before:.0f} → {after:.0f} MiB"
    return Figure(
        name=f"an idle WebSocket, of {_IDLE:,}", unit="KiB RSS", samples=((after - before) * 1024 / _IDLE,), target=at_most(20), note=note
    )


async def _stalled(rig: Rig, effort: Effort, say: Say) -> Figure:
    load = Load(url=rig.api, connections=16, requests=effort.requests(2_000, least=500), warm_up=200)
    say("sockets: p99 without them")
    before = [(await asyncio.to_thread(apply_load, load)).latency(99) for _ in range(effort.runs)]
    async with AsyncExitStack() as stack:
        say(f"sockets: {_STALLED} that read nothing")
        sockets = await _open(rig, _STALLED, stack)
        for socket in sockets:
            socket.transport.pause_reading()
        await asyncio.gather(*[_fill(socket) for socket in sockets])
        after = [(await asyncio.to_thread(apply_load, load)).latency(99) for _ in range(effort.runs)]
        say("sockets: until the server gives them up")
        await asyncio.sleep(_GIVEN_UP_AFTER)
        wrong = _STALLED - rig.server.log.read_text().count("api.unread")
    calm = sorted(before)[len(before) // 2]
    return Figure(
        name=f"p99 beside {_STALLED} WebSockets that read nothing",
        unit="× the p99 without",
        samples=tuple(value / calm for value in after),
        target=at_most(2),
        errors=wrong,
        note=f"{calm:.1f} ms without; {_STALLED - wrong} given up by the server",
    )


async def _fill(socket: ClientConnection) -> None:
    """Make the server send more than is read, until it stops reading, too."""
    try:
        async with asyncio.timeout(10):
            for _ in range(_MANY):
                await socket.send(_WRONG)
    except TimeoutError:
        return


async def _open(rig: Rig, count: int, stack: AsyncExitStack) -> list[ClientConnection]:
    """Open this many sockets, each with a browser's headers and a pong received."""
    address = urlsplit(rig.server.url)
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

    async def one() -> ClientConnection:
        socket = await stack.enter_async_context(
            connect(
                f"ws://{address.netloc}/chat",
                proxy=None,
                ping_interval=None,
                close_timeout=1,
                max_queue=1,
                origin=Origin(f"http://{address.netloc}"),
                user_agent_header=agent,
                additional_headers={"Accept-Language": "en-US,en;q=0.9", "Cache-Control": "no-cache", "Pragma": "no-cache"},
            )
        )
        await socket.send('{"type": "ping"}')
        await socket.recv()
        return socket

    opened: list[ClientConnection] = []
    for _ in range(count // _AT_ONCE or 1):
        opened += await asyncio.gather(*[one() for _ in range(min(count, _AT_ONCE))])
    return opened
