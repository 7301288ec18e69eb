"""The real server as a process of its own: for tests that come through the front door, and for benchmarks.

with live_server(tmp_path, config=offline()) as server:
    requests.get(f"{server.url}/health")
"""

import atexit
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import assistant
from tests.doubles.forked import ForkedProcess

Config = Mapping[str, object]

_ROOT = Path(assistant.__file__).parents[1]
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV", "COVERAGE_PROCESS_START", "SSL_CERT_FILE", "SSL_CERT_DIR")
_POLL = 0.003
_HELD = ExitStack()
atexit.register(_HELD.close)
_SERVES = re.compile(rb"^nanobot serves http://127\.0\.0\.1:(\d+)/", re.MULTILINE)


class ServerFailed(Exception):
    """The server did not come up, or did not go down; what it printed follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    """A server that answered /ready."""

    url: str
    """Without a slash at its end: "http://127.0.0.1:40123"."""
    process: subprocess.Popen[bytes] | ForkedProcess
    start_seconds: float
    """From the start of the process to the first 200 of /ready."""
    log: Path
    """What it printed."""


def offline() -> dict[str, object]:
    """A configuration that reaches no model: the offline provider answers."""
    return {"agents": {"defaults": {"provider": "offline"}}}


def with_model(url: str, model: str = "fake-model") -> dict[str, object]:
    """A configuration whose model answers at `url` ("http://127.0.0.1:9999/v1"), on the OpenAI wire."""
    return {
        "agents": {"defaults": {"provider": "custom", "model": model}},
        "providers": {"custom": {"apiBase": url, "apiKey": "not-a-secret"}},
    }


@contextmanager
def live_server(
    home: Path,
    *,
    config: Config,
    env: Mapping[str, str] | None = None,
    command: str = "serve",
    args: Sequence[str] = (),
    within: float = 60.0,
    program: str = "assistant.cli",
    forked: bool = True,
    paced: bool = False,
) -> Generator[LiveServer]:
    """`nanobot serve` (or `chat-server`) on a free loopback port, its state in `home`; stopped by SIGTERM on the way out.

    Of this process's environment it sees next to nothing (no keys); `env` is added. `program`: the module that is run. `forked`: from a process
    that has imported nanobot; not where the time of its start or its memory counts. `paced`: what it sends is held back to the platforms' own
    limits, which stand-ins do without; `deliver` in `config` goes before that. Raises ServerFailed where it is not ready `within` seconds, or still
    there half a minute after SIGTERM (it is killed then).
    """
    home.mkdir(parents=True, exist_ok=True)
    file = home / "config.json"
    unpaced: dict[str, object] = {"deliver": {"rateLimits": False}} if "channels" in config and not paced else {}
    file.write_text(json.dumps({**unpaced, **config}), encoding="utf-8")
    log = home / "server.log"
    line = [command, "--config", str(file), "--port", "0", *args]
    environment = _environment(home, env or {})
    log.write_bytes(b"")
    begun = time.perf_counter()
    process = (
        ForkedProcess(program, line, folder=home, environment=environment, out=log) if forked else _started(program, line, log, environment)
    )
    try:
        port = _wait_until_ready(process, begun + within, log)
        elapsed = time.perf_counter() - begun
        yield LiveServer(url=f"http://127.0.0.1:{port}", process=process, start_seconds=elapsed, log=log)
    finally:
        _stop(process, log)


def _started(program: str, line: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        command = [sys.executable, "-m", program, *line]
        return subprocess.Popen(command, cwd=log.parent, env=environment, stdout=output, stderr=subprocess.STDOUT)


def held_port() -> socket.socket:
    """Bound to a loopback port: while it is open the system gives that to nothing else, connections are refused, and servers can listen there (they
    reuse addresses)."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def free_port() -> int:
    """A loopback port that stays free for a server of this test run, or for none, until this process ends."""
    port: int = _HELD.enter_context(held_port()).getsockname()[1]
    return port


def _environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**kept, "HOME": str(home), "NANOBOT_HOME": str(home), "PYTHONPATH": str(_ROOT), **extra}


def _wait_until_ready(process: subprocess.Popen[bytes] | ForkedProcess, deadline: float, log: Path) -> int:
    """The port that it says it serves, once /ready answers 200 there."""
    answer = "nothing yet"
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise ServerFailed(f"exited with {process.returncode}:\n{_tail(log)}")
        if said := _SERVES.search(log.read_bytes()):
            port = int(said[1])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=max(1.0, deadline - time.perf_counter()))
            try:
                connection.request("GET", "/ready")
                response = connection.getresponse()
                answer = response.read().decode(errors="replace")
            finally:
                connection.close()
            if response.status == 200:
                return port
        time.sleep(_POLL)
    raise ServerFailed(f"not ready in time; /ready said: {answer}\n{_tail(log)}")


def _stop(process: subprocess.Popen[bytes] | ForkedProcess, log: Path) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise ServerFailed(f"did not stop within 30 s of SIGTERM:\n{_tail(log)}") from None


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-4000:]
