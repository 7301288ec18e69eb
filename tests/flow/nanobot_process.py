"""The command line as a process of its own, with a home and a folder that nothing else uses."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.doubles.forked import run_forked

ROOT = Path(__file__).parents[2]
LIMIT = float(os.environ.get("LIMIT_SECONDS") or 60)
"""Seconds that a command or an answer may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nanobot:
    folder: Path
    """Where it is started; the state is in `home` there."""
    env: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """No key and no setting of the tests' environment reaches the process."""
        kept = {
            name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ
        }
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "NANOBOT_HOME": str(self.home), **self.env}

    def __call__(self, *arguments: str, given: str | bytes = "") -> subprocess.CompletedProcess[str]:
        """Run to the end, with `given` as standard input.

        Without any it is forked (`forked.py`), unless `env` holds what Python looks at when it starts.
        """
        if not given and not any(name.startswith("PYTHON") for name in self.env):
            return run_forked(arguments, folder=self.folder, environment=self.environment, timeout=LIMIT)
        done = subprocess.run(
            [sys.executable, "-m", "assistant.cli", *arguments],
            cwd=self.folder,
            env=self.environment,
            input=given if isinstance(given, bytes) else given.encode(),
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextmanager
    def serving(self, *arguments: str, command: str = "serve") -> Generator["Server"]:
        """`nanobot serve`, or another command that serves, on a free port, once it says that it serves; killed in the end if it still runs."""
        line = [sys.executable, "-m", "assistant.cli", command, "--port", "0", *arguments]
        with (
            (self.folder / "stderr").open("wb") as errors,
            subprocess.Popen(line, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=errors) as process,
        ):
            try:
                yield Server(process=process, said=_first_words(process), errors=self.folder / "stderr")
            finally:
                process.kill()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    process: subprocess.Popen[bytes]
    said: str
    """What it printed at the start."""
    errors: Path
    """What it wrote to stderr."""

    @property
    def url(self) -> str:
        """Without the path: `http://127.0.0.1:40001`."""
        return self.said.split()[2].removesuffix("/v1")


def _first_words(process: subprocess.Popen[bytes]) -> str:
    """All that is printed up to the line that names the state folder, the last of the announcement's fixed lines."""
    assert process.stdout is not None
    said, end = b"", time.monotonic() + LIMIT
    while b"\n  state " not in said or not said.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"it did not begin to serve; it said {said!r}"
        data = os.read(process.stdout.fileno(), 65_536)
        assert data, f"it ended; it said {said!r}"
        said += data
    return said.decode()
