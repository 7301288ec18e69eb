"""The stand-in model as a process of its own."""

import http.client
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The stand-in, running."""

    url: str
    """"http://127.0.0.1:40123/v1"."""

    def behave(self, **controls: float | str) -> None:
        """Change how it answers: `latency_ms`, `chunk_delay_ms`, `chunks` …"""
        self._get(f"/ctl?{urlencode(controls)}")

    def bytes_received(self) -> int:
        """Total size of the requests so far."""
        return json.loads(self._get("/stats"))["bytes_in"]

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def running_model() -> Generator[Model]:
    command = [sys.executable, "-m", "tests.doubles.model_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            if not (said := process.stdout.readline().decode()):
                raise RuntimeError("the stand-in model did not start")
            yield Model(url=said.split()[-1])
        finally:
            process.kill()
