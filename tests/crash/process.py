"""The server under test: started, killed, started again, on the same port and the same store."""

import http.client
import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.doubles.forked import ForkedProcess
from tests.doubles.live_server import free_port

_ROOT = Path(__file__).parents[2]
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Server:
    """One home, one port, one process at a time."""

    def __init__(self, home: Path, configuration: str, *, broken: str | None, name: str = "server") -> None:
        """`name`: tells servers of one home apart."""
        self.home = home
        self._name = name
        self.port = free_port()
        self.started_at = 0.0
        """Of the process that runs; seconds since 1970."""
        self._broken = broken
        self._process: ForkedProcess | None = None
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{name}.json").write_text(configuration, encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """No process is left, in any case."""
        if self._process is not None:
            self.kill()

    def start(self, crash_at: str = "") -> None:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {"HOME": str(self.home), "NANOBOT_HOME": str(self.home), "PYTHONPATH": str(_ROOT), "CRASH_AT": crash_at}
        if self._broken:
            environment["CRASH_BREAK"] = self._broken
        line = ["serve", "--config", str(self.home / f"{self._name}.json"), "--port", str(self.port)]
        self.started_at = time.time()
        log = self.home / f"{self._name}.log"
        self._process = ForkedProcess("tests.crash.server", line, folder=_ROOT, environment=environment, out=log)

    def wait_ready(self, within: float = 60.0) -> bool:
        """False: it died before it was ready."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if self.died():
                return False
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            try:
                connection.request("GET", "/ready")
                if connection.getresponse().status == 200:
                    return True
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
            finally:
                connection.close()
        raise TimeoutError(f"the server was not ready within {within:g} s; its log: {self.home / self._name}.log")

    def died(self, within: float = 0.0) -> bool:
        """Whether it ended within `within` seconds."""
        assert self._process is not None
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stand_still(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after that time."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> float:
        """SIGTERM; the seconds that it took. Raises TimeoutExpired after twenty, which is twice the grace."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
        return time.monotonic() - began
