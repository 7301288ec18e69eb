"""A stand-in for a model's server, OpenAI's wire and a little of Anthropic's, that answers in microseconds and fails on demand.

    async with ModelServer() as server:              in a test: server.url, server.configure(mode="429"), server.bodies, server.stats
    python -m tests.doubles.model_server --port 9999        beside a benchmark: GET /ctl?mode=…&latency_ms=…, /stats, /reset, /last?n=1

The last user message may hold a marker: `CALLTOOL <name> <json>` (one tool call, then "done"), `CALLTOOLS [[name, args], …]` (one a round,
then "done"), `CALLALL [[name, args], …]` (all at once, then "done"), `ECHO <text>` (each one, a line each). Otherwise the answer is
"tok0 tok1 …" in `chunks` pieces, or `text`.
"""

import argparse
import asyncio
import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, replace
from types import TracebackType
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from tests.doubles import model_script as script
from tests.doubles.model_faults import FAULTS, Control, Stats, broken, error_body
from tests.doubles.model_texts import answer_texts

_USAGE = re.compile(rb'"(?:prompt|input)_tokens": ?(\d+)(?:, ?"(?:completion|output)_tokens": ?(\d+))?')
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class ModelServer:
    """The server and what it saw. One is enough for many providers at once."""

    def __init__(self, *, port: int = 0, host: str = "127.0.0.1") -> None:
        self.control = Control()
        self.stats = Stats()
        self.bodies: deque[bytes] = deque(maxlen=self.control.keep)
        self.heads: deque[str] = deque(maxlen=self.control.keep)
        self.replies: deque[bytes] = deque()
        """Raw responses for the next requests, before anything else; one that says "Connection: close" is followed by the end."""
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Transport] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._failures_left = 0
        self._changed = asyncio.Event()
        self._released: asyncio.Event | None = None
        self.held_after = self._passing = 0
        self.configure()

    async def __aenter__(self) -> "ModelServer":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self._host, self._port, backlog=4096)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.drop_connections()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        """What a provider's `apiBase` is set to."""
        return f"http://{self._host}:{self._port}/v1"

    def configure(self, **changes: str | float) -> None:
        """Change some fields of `control`; a name that is not one of them is a TypeError."""
        self.control = replace(self.control, **changes)  # pyright: ignore[reportArgumentType]
        self._failures_left = self.control.fail_first
        if self.bodies.maxlen != self.control.keep:
            self.bodies = deque(self.bodies, maxlen=self.control.keep)
        saying = script.tokens(self.control.chunks, self.control.text)
        self._whole = {wire: script.whole(saying, wire) for wire in ("openai", "anthropic")}
        self._events = {wire: script.stream(saying, wire) for wire in ("openai", "anthropic")}
        self._streamed = {wire: script.SSE_HEAD + b"".join(events) + script.LAST_CHUNK for wire, events in self._events.items()}

    def hold(self, *, after: int = 0, passing: int = 0) -> None:
        """From now on, say so many pieces of an answer that comes in pieces (`chunk_delay_ms`), and nothing of others, until `go_on`; the next
        `passing` requests are answered at once."""
        self._released, self.held_after, self._passing = asyncio.Event(), after, passing

    def go_on(self) -> None:
        if self._released is not None:
            self._released.set()
            self._released = None

    def holding(self) -> asyncio.Event | None:
        """What the next request waits for."""
        if self._released is not None and self._passing:
            self._passing -= 1
            return None
        return self._released

    def reset(self) -> None:
        """Forget what was seen, and hold nothing."""
        self.go_on()
        self.stats = Stats(connections=self.stats.connections, inflight=self.stats.inflight)
        self.bodies.clear()
        self.heads.clear()

    def drop_connections(self) -> None:
        """Close every connection now, as a server does with idle ones."""
        for transport in list(self._open):
            transport.abort()

    def opened(self, transport: asyncio.Transport) -> None:
        self._open.add(transport)
        self.stats.connections += 1
        self._changed.set()

    def lost(self, transport: asyncio.Transport) -> None:
        self._open.discard(transport)
        self.stats.connections -= 1
        self._changed.set()

    def began(self) -> None:
        self.stats.inflight += 1
        self.stats.max_inflight = max(self.stats.max_inflight, self.stats.inflight)
        self._changed.set()

    def ended(self) -> None:
        self.stats.inflight -= 1
        self._changed.set()

    async def until(self, holds: Callable[[Stats], bool]) -> None:
        """Return when `holds` of the statistics; looked at whenever a connection or a slow request comes or goes."""
        while not holds(self.stats):
            self._changed.clear()
            await self._changed.wait()

    def received(self, head: str, body: bytes, streams: bool) -> None:
        stats = self.stats
        stats.requests += 1
        stats.stream += streams
        stats.bytes_in += len(body)
        stats.last_bytes = len(body)
        self.bodies.append(body)
        self.heads.append(head)

    def billed(self, answer: bytes) -> bytes:
        """Count the tokens that an answer says it took; returns it."""
        for prompt, completion in _USAGE.findall(answer):
            self.stats.prompt_tokens += int(prompt)
            self.stats.completion_tokens += int(completion or 0)
        return answer

    def next_mode(self) -> str:
        """The mode of the next request, counting `fail_first` down."""
        if not self.control.fail_first or self.control.mode == "ok":
            return self.control.mode
        self._failures_left -= 1
        return self.control.mode if self._failures_left >= 0 else "ok"

    def answer(self, body: bytes, streams: bool, wire: script.Wire) -> bytes:
        saying = script.asked_for(body, self.stats.requests)
        if saying is None:
            return self._streamed[wire] if streams else self._whole[wire]
        if not streams:
            return script.whole(saying, wire)
        return script.SSE_HEAD + b"".join(script.stream(saying, wire)) + script.LAST_CHUNK

    def events(self, wire: script.Wire) -> tuple[bytes, ...]:
        return self._events[wire]

    def steer(self, path: str, query: dict[str, str]) -> tuple[str, bytes]:
        """The control surface: status and body."""
        if path == "/ctl":
            try:
                self.configure(**{name: Control.parse(name, value) for name, value in query.items() if name in Control.__slots__})
            except ValueError as error:
                return "400 Bad Request", error_body(str(error), "invalid_request_error")
            return "200 OK", json.dumps(asdict(self.control)).encode()
        if path == "/stats":
            return "200 OK", json.dumps(asdict(self.stats)).encode()
        if path == "/reset":
            self.reset()
            return "200 OK", json.dumps(asdict(self.stats)).encode()
        if path == "/last":
            nth = int(query.get("n", 1))
            return "200 OK", self.bodies[-nth] if len(self.bodies) >= nth else b"null"
        if path.endswith("/models"):
            model = {"id": script.MODEL, "object": "model", "type": "model", "created": 0, "owned_by": "fake"}
            return "200 OK", json.dumps({"object": "list", "data": [model]}).encode()
        return "404 Not Found", error_body("not found", "invalid_request_error")


class _Connection(asyncio.Protocol):
    """One connection: requests one after the other, each answered before the next is read."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._busy: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self._server.opened(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.lost(self._transport)
        if self._busy:
            self._busy.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        while self._busy is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._buffer, 0, end)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < size:
                return
            head, body = bytes(self._buffer[:end]).decode("latin-1"), bytes(self._buffer[end + 4 : size])
            del self._buffer[:size]
            self._handle(head, body)

    def _handle(self, head: str, body: bytes) -> None:
        url = urlsplit(head.split(" ", 2)[1])
        server = self._server
        if url.path.endswith(("/chat/completions", "/messages")):
            wire: script.Wire = "anthropic" if url.path.endswith("/messages") else "openai"
            streams = b'"stream":true' in body or b'"stream": true' in body
            server.received(head, body, streams)
            control, mode, held = server.control, server.next_mode(), server.holding()
            if server.replies:
                raw = server.replies.popleft()
                self._transport.write(server.billed(raw))
                if b"connection: close" in raw[:400].lower():
                    self._transport.close()
            elif mode == "ok" and not control.latency_ms and not control.chunk_delay_ms and held is None:
                self._transport.write(server.billed(server.answer(body, streams, wire)))
            else:
                self._busy = asyncio.get_running_loop().create_task(self._slowly(mode, body, streams, wire, held))
                server.tasks.add(self._busy)
                self._busy.add_done_callback(self._done)
            return
        if url.path.endswith(("/completions", "/embeddings")) and server.control.mode not in FAULTS:
            server.received(head, body, streams=False)
            self._transport.write(server.billed(server.replies.popleft() if server.replies else answer_texts(url.path, body)))
            return
        if url.path.endswith(("/models", "/completions", "/embeddings")) and server.control.mode in FAULTS:
            self._fault(server.control.mode)
            return
        status, answer = server.steer(url.path, dict(parse_qsl(url.query)))
        self._transport.write(script.head(status, len(answer)) + answer)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._server.tasks.discard(task)
        self._busy = None
        if not self._transport.is_closing():
            self._next()

    def _fault(self, mode: str) -> None:
        status, kind, body = FAULTS[mode]
        extra = f"Retry-After: {self._server.control.retry_after}\r\n" if self._server.control.retry_after else ""
        extra = "Location: /elsewhere\r\n" if mode == "redirect" else extra
        self._transport.write(script.head(status, len(body), kind=kind, extra=extra) + body)

    async def _slowly(self, mode: str, body: bytes, streams: bool, wire: script.Wire, held: asyncio.Event | None) -> None:
        server = self._server
        server.began()
        try:
            await asyncio.sleep(server.control.latency_ms / 1000)
            if mode in FAULTS:
                self._fault(mode)
            elif mode == "hang":
                await asyncio.get_running_loop().create_future()
            elif mode == "empty":
                nothing = script.Saying(pieces=("",))
                events = script.SSE_HEAD + b"".join(script.stream(nothing, wire)) + script.LAST_CHUNK
                self._transport.write(events if streams else script.whole(nothing, wire))
            elif mode == "ok" and streams and server.control.chunk_delay_ms:
                await self._drip(wire, held)
            elif mode == "ok":
                if held is not None:
                    await held.wait()
                self._transport.write(server.billed(server.answer(body, streams, wire)))
            else:
                self._break(mode, wire)
        finally:
            server.ended()

    async def _drip(self, wire: script.Wire, held: asyncio.Event | None) -> None:
        self._transport.write(script.SSE_HEAD)
        for number, event in enumerate(self._server.events(wire)):
            if held is not None and number == self._server.held_after:
                await held.wait()
            self._transport.write(self._server.billed(event))
            await asyncio.sleep(self._server.control.chunk_delay_ms / 1000)
        self._transport.write(script.LAST_CHUNK)

    def _break(self, mode: str, wire: script.Wire) -> None:
        self._transport.write(broken(mode, self._server.events(wire)[: 4 if wire == "anthropic" else 2]))
        if mode in {"drop", "precut", "midcut"}:
            self._transport.close()


async def _serve(port: int, latency_ms: float) -> None:
    async with ModelServer(port=port) as server:
        server.configure(latency_ms=latency_ms)
        print(f"model server on {server.url}", flush=True)
        await asyncio.get_running_loop().create_future()


def main() -> None:
    """Serve until interrupted; on uvloop where it is installed."""
    parser = argparse.ArgumentParser(description="A stand-in for a model's server.")
    parser.add_argument("--port", type=int, default=9999)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    given = parser.parse_args()
    try:
        from uvloop import new_event_loop
    except ImportError:
        new_event_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(given.port, given.latency_ms))


if __name__ == "__main__":
    main()
