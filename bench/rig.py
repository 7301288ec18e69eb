"""What stands on the bench: the stand-in model and the server under test, each a process of its own."""

import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from tests.doubles.live_server import Config, LiveServer, free_port, live_server, with_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The stand-in, running."""

    url: str
    """"http://127.0.0.1:40123/v1"."""

    def behave(self, **controls: float | str) -> None:
        """Change how it answers: `latency_ms`, `chunk_delay_ms`, `chunks` …"""
        self._get(f"/ctl?{urlencode(controls)}")

    def bytes_received(self) -> int:
        """The size of all requests until now."""
        return json.loads(self._get("/stats"))["bytes_in"]

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    model: Model
    server: LiveServer

    @property
    def api(self) -> str:
        return f"{self.server.url}/v1"


@contextmanager
def running_model() -> Generator[Model]:
    port = free_port()
    command = [sys.executable, "-m", "tests.doubles.model_server", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            if not process.stdout.readline():
                raise RuntimeError("the stand-in model did not start")
            yield Model(url=f"http://127.0.0.1:{port}/v1")
        finally:
            process.kill()


@contextmanager
def running_rig(config: Config | None = None, env: Mapping[str, str] | None = None) -> Generator[Rig]:
    """Both; the server's state is in a folder that is removed afterwards. `config`, `env`: what the server has besides."""
    with (
        tempfile.TemporaryDirectory(prefix="nanobot-bench-") as folder,
        running_model() as model,
        live_server(Path(folder), config={**with_model(model.url), **(config or {})}, env=env) as server,
    ):
        yield Rig(model=model, server=server)
