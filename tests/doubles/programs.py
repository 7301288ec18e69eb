"""Servers of others as processes of the tests' own, on loopback."""

import socket
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_program(argv: Sequence[str], port: int, log: Path, *, within: float = 60, cwd: Path | None = None) -> Generator[None]:
    """From when it takes connections at `port`. What it prints is added to `log`. Raises AssertionError with the log where it does not start."""
    with log.open("ab") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, cwd=cwd)
    try:
        deadline = time.monotonic() + within
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{argv[0]} did not start: {log.read_text(errors='replace')}")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
    except OSError:
        return False
    return True
