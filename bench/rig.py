"""What the cases run against: the stand-in model and the server under test, each a process of its own."""

import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.doubles.live_server import Config, LiveServer, live_server, with_model
from tests.doubles.model_process import Model, running_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    model: Model
    server: LiveServer

    @property
    def api(self) -> str:
        return f"{self.server.url}/v1"


@contextmanager
def running_rig(config: Config | None = None, env: Mapping[str, str] | None = None) -> Generator[Rig]:
    """Both; the server's state is in a temporary folder. `config`, `env`: added to the server's."""
    with (
        tempfile.TemporaryDirectory(prefix="nanobot-bench-") as folder,
        running_model() as model,
        live_server(Path(folder), config={**with_model(model.url), **(config or {})}, env=env, forked=False) as server,
    ):
        yield Rig(model=model, server=server)
