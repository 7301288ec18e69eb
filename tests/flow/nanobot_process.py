"""The command line as a process of its own, with a home and a folder that nothing else uses."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT = 60.0


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
        """No key and no setting of whoever runs the tests reaches the process."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "NANOBOT_HOME": str(self.home), **self.env}

    def __call__(self, *arguments: str, given: str | bytes = "") -> subprocess.CompletedProcess[str]:
        """Run to the end, with `given` as standard input."""
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
