"""The load generator, run as a process of its own: `python -m bench.load URL --connections 64 --requests 5000 [--stream]`.

URL is a chat endpoint's base ("http://127.0.0.1:8900/v1"). All connections are open before the clock starts; each is used for one request
after the other. Every answer is checked: status, text, and the end of a stream.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

import orjson
import uvloop

from bench.connection import Connection, Round
from bench.measured import Measured

Sessions = Literal["distinct", "worker", "same"]
"""A new session each request, one for each connection's share of the requests, or one for all."""

STAND_IN_TEXT = "".join(f"tok{i} " for i in range(20))
"""What the stand-in model says unless told otherwise."""

_AT_ONCE = 100
"""Connections opened side by side, so that no listen queue overflows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One run: what is sent, how often, over how many connections."""

    url: str
    connections: int
    requests: int
    stream: bool = False
    sessions: Sessions = "distinct"
    name: str = ""
    """Prefix of the sessions' names; random if empty. A run with the name of an earlier one continues its sessions."""
    warm_up: int = 0
    """Warm-up requests, not counted."""
    expect: str = STAND_IN_TEXT
    timeout: float = 120.0
    """Seconds for the whole run; requests unanswered by then are errors."""


def apply_load(load: Load) -> Measured:
    """Run the generator as a child process; returns when it is done."""
    command = [sys.executable, "-m", "bench.load", load.url]
    for name, value in asdict(load).items():
        if name not in {"url", "stream"}:
            command.append(f"--{name.replace('_', '-')}={value}")
    if load.stream:
        command.append("--stream")
    with tempfile.NamedTemporaryFile(prefix="nanobot-bench-") as measured:
        command.append(f"--json={measured.name}")
        result = subprocess.run(command, capture_output=True, timeout=2 * load.timeout + 30, check=False)
        if result.returncode:
            raise RuntimeError(f"the load generator failed: {result.stderr.decode(errors='replace')}")
        return Measured(**orjson.loads(measured.read()))


def build_requests(load: Load, count: int) -> list[bytes]:
    """The bytes of `count` requests, made before the clock starts."""
    target = urlsplit(load.url)
    name = load.name or uuid.uuid4().hex[:12]
    requests: list[bytes] = []
    for index in range(count):
        session = {"distinct": f"{name}-{index}", "worker": f"{name}-w{index % load.connections}", "same": name}[load.sessions]
        body: dict[str, object] = {"messages": [{"role": "user", "content": f"hello number {index}"}], "session_id": session}
        if load.stream:
            body["stream"] = True
        data = orjson.dumps(body)
        head = (
            f"POST {target.path}/chat/completions HTTP/1.1\r\nHost: {target.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        requests.append(head.encode() + data)
    return requests


async def run(load: Load) -> Measured:
    """Apply the load from this process."""
    if load.warm_up:
        await _round(load, load.warm_up)
    return await _round(load, load.requests)


async def _round(load: Load, count: int) -> Measured:
    loop = asyncio.get_running_loop()
    target = urlsplit(load.url)
    expect = orjson.dumps(load.expect)[1:-1]
    round_ = Round(build_requests(load, count), expect=expect, stream=load.stream)

    async def connect() -> Connection:
        _, connection = await loop.create_connection(lambda: Connection(round_), target.hostname or "", target.port or 80)
        return connection

    async def keep_going(connection: Connection) -> None:
        connection.begin()
        while await connection.lost and not round_.done.done():
            connection = await connect()
            connection.begin()

    connections: list[Connection] = []
    while len(connections) < load.connections:
        connections += await asyncio.gather(*(connect() for _ in range(min(_AT_ONCE, load.connections - len(connections)))))
    began = time.perf_counter()
    workers = [loop.create_task(keep_going(connection)) for connection in connections]
    await asyncio.wait([round_.done], timeout=load.timeout)
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.cancel()
    ended = await asyncio.gather(*workers, return_exceptions=True)
    for problem in (result for result in ended if isinstance(result, OSError)):
        round_.errors[f"reconnect: {problem.strerror}"] += 1
    answered = sum(latency is not None for latency in round_.latencies)
    unanswered = count - answered - sum(round_.errors.values())
    if unanswered > 0:
        round_.errors["no answer in time"] += unanswered
    return Measured(
        seconds=seconds, latencies=_milliseconds(round_.latencies), firsts=_milliseconds(round_.firsts), errors=dict(round_.errors)
    )


def _milliseconds(seconds: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else round(value * 1000, 4) for value in seconds]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description="Load for a chat endpoint.")
    parser.add_argument("url", help="http://127.0.0.1:8900/v1")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--sessions", choices=get_args(Sessions), default="distinct")
    parser.add_argument("--name", default="", help="what the sessions' names begin with")
    parser.add_argument("--warm-up", type=int, default=0)
    parser.add_argument("--expect", default=STAND_IN_TEXT)
    parser.add_argument("--timeout", type=float, default=120.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there instead of a summary here")
    given = vars(parser.parse_args())
    file: Path | None = given.pop("json")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            measured = runner.run(run(Load(**given)))
        except OSError as error:
            sys.exit(f"{given['url']}: {error.strerror or error}")
    if file:
        file.write_bytes(orjson.dumps(asdict(measured)))
        return
    print(
        f"{measured.rate:.0f} requests/s, latency p50 {measured.latency(50):.2f} p95 {measured.latency(95):.2f} "
        f"p99 {measured.latency(99):.2f} max {measured.latency(100):.2f} ms, first byte p50 {measured.first(50):.2f} ms, "
        f"errors {dict(measured.errors) or 'none'}"
    )


if __name__ == "__main__":
    main()
