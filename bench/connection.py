"""One keep-alive connection of the load generator: the next request goes out from the callback that saw the last answer end.

No tasks, futures or timers a request: the generator shares the machine's cores with what it measures.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final, cast

_CONTENT: Final = re.compile(rb'"content": ?"((?:[^"\\]|\\.)*)"')
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CHUNKED: Final = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
_CLOSES: Final = re.compile(rb"(?i)\r\nconnection: *close")
_DONE: Final = b"data: [DONE]\n\n"


class Round:
    """The requests of one measurement, handed out in order, and their results. Times are seconds."""

    def __init__(self, requests: Sequence[bytes], *, expect: bytes, stream: bool) -> None:
        """`expect`: the answer's text, encoded as JSON; every answer is compared with it."""
        self.latencies: list[float | None] = [None] * len(requests)
        """By index; None: no right answer came."""
        self.firsts: list[float | None] = [None] * len(requests)
        """Until the first event of a stream."""
        self.errors: Counter[str] = Counter()
        self.done = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._expect = expect
        self._stream = stream
        self._next = 0
        self._missing = len(requests)

    def take(self) -> int | None:
        """The index of the next request; None: all are handed out."""
        if self._next == len(self._requests):
            return None
        self._next += 1
        return self._next - 1

    def request(self, index: int) -> bytes:
        return self._requests[index]

    def settle(self, index: int, began: float, first: float, ended: float, status: int, payload: bytes) -> None:
        """Record the answer to the request `index`."""
        problem = self._problem(status, payload)
        if problem:
            self.errors[problem] += 1
        else:
            self.latencies[index] = ended - began
            self.firsts[index] = first - began
        self._count()

    def fail(self, problem: str) -> None:
        """A request that got no answer."""
        self.errors[problem] += 1
        self._count()

    def _count(self) -> None:
        self._missing -= 1
        if not self._missing and not self.done.done():
            self.done.set_result(None)

    def _problem(self, status: int, payload: bytes) -> str:
        if status != 200:
            return f"HTTP {status}"
        if self._stream and not payload.endswith(_DONE):
            return "no [DONE]"
        if b"".join(_CONTENT.findall(payload)) != self._expect:
            return "wrong content"
        return ""


class Connection(asyncio.Protocol):
    """Sends and receives, one request at a time, until the round has none left."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._index: int | None = None
        self._buffer = bytearray()
        self._chunks: list[bytes] = []
        self._clear()
        self.lost = asyncio.get_running_loop().create_future()
        """Set when the connection is closed; True: requests were left."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its base class

    def connection_lost(self, exc: Exception | None) -> None:
        interrupted = self._index is not None
        if interrupted:
            self._round.fail("connection lost")
        if not self.lost.done():
            self.lost.set_result(interrupted or self._closes)

    def begin(self) -> None:
        """Send the next request, or close where there is none."""
        self._index = self._round.take()
        if self._index is None:
            self._transport.close()
            return
        self._clear()
        request = self._round.request(self._index)
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._status or self._read_head():
            payload = self._payload()
            if payload is not None:
                self._end(payload)

    def _clear(self) -> None:
        self._buffer.clear()
        self._chunks.clear()
        self._status = 0
        self._length: int | None = None
        self._at = 0
        self._first = 0.0
        self._closes = False

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._status = int(self._buffer[9:12])
        self._at = end + 4
        self._closes = _CLOSES.search(self._buffer, 0, end) is not None
        if not _CHUNKED.search(self._buffer, 0, end):
            length = _LENGTH.search(self._buffer, 0, end + 2)
            self._length = int(length[1]) if length else 0
        return True

    def _payload(self) -> bytes | None:
        """The answer's body once it is whole."""
        buffer = self._buffer
        if not self._first and len(buffer) > self._at:
            self._first = time.perf_counter()
        if self._length is not None:
            return bytes(buffer[self._at :]) if len(buffer) >= self._at + self._length else None
        while True:
            line = buffer.find(b"\r\n", self._at)
            if line < 0:
                return None
            start = line + 2
            end = start + int(buffer[self._at : line], 16)
            if len(buffer) < end + 2:
                return None
            self._at = end + 2
            if end == start:
                return b"".join(self._chunks)
            self._chunks.append(bytes(buffer[start:end]))

    def _end(self, payload: bytes) -> None:
        assert self._index is not None
        ended = time.perf_counter()
        self._round.settle(self._index, self._began, self._first or ended, ended, self._status, payload)
        self._index = None
        if self._closes:
            self._transport.close()
        else:
            self.begin()
