"""Requests /health repeatedly while something else runs: `python -m bench.pinger URL FILE`, until its standard input ends.

A process of its own with one keep-alive connection, so that neither the uploader nor the load generator delays it. Into the file it writes JSON:
pairs (when the request was sent, how long its answer took), both in seconds, the first by the clock that `time.monotonic` reads everywhere
on the machine.
"""

import json
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_INTERVAL = 0.005
_TIMEOUT = 60.0
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


@dataclass(slots=True)
class Pings:
    """What the pinger saw, filled when it has stopped."""

    samples: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def longest(self, begin: float, end: float) -> float:
        """The longest wait, in milliseconds, of a request that was under way between two readings of `time.monotonic`."""
        waits = [took for sent, took in self.samples if sent <= end and sent + took >= begin]
        return 1000 * max(waits, default=float("nan"))


@contextmanager
def pinging(url: str) -> Generator[Pings]:
    """Ping while the block runs. The samples are complete after it."""
    pings = Pings()
    with tempfile.NamedTemporaryFile(prefix="nanobot-bench-") as file:
        process = subprocess.Popen([sys.executable, "-m", "bench.pinger", url, file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            if process.stdout.readline() != b"pinging\n":
                raise RuntimeError("the pinger did not start")
            yield pings
            process.communicate(timeout=_TIMEOUT)
        finally:
            process.kill()
            process.wait()
        pings.samples = [(sent, took) for sent, took in json.loads(file.read())]


def ping(url: str) -> list[tuple[float, float]]:
    """Ping until standard input ends."""
    target = urlsplit(url)
    request = f"GET /health HTTP/1.1\r\nHost: {target.netloc}\r\n\r\n".encode()
    samples: list[tuple[float, float]] = []
    with socket.create_connection((target.hostname or "", target.port or 80), _TIMEOUT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sys.stdout.write("pinging\n")
        sys.stdout.flush()
        while not select.select([sys.stdin], [], [], _INTERVAL)[0]:
            sent = time.monotonic()
            connection.sendall(request)
            _receive(connection)
            samples.append((sent, time.monotonic() - sent))
    return samples


def _receive(connection: socket.socket) -> None:
    data = b""
    while True:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("the server closed the connection")
        data += more
        end = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, end + 2) if end >= 0 else None
        if length and len(data) >= end + 4 + int(length[1]):
            if not data.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(f"/health said {data[:40]!r}")
            return


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(ping(sys.argv[1])), encoding="utf-8")
