"""Nanobot in a process that is forked from one with nanobot imported, by Python's forkserver.

The imports are most of what a short command takes: 0.45 s of processor time when it is started anew, 0.06 s here; and of what a server takes
until it serves. A process of its own it is all the same: it has its own arguments, folder, environment and signals.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "assistant.cli",
        "assistant.app.services",
        "assistant.app.runtime",
        "assistant.api.app",
        "assistant.api.server.serve",
        "assistant.cli.serve",
    ]
)


class ForkedProcess:
    """What `subprocess.Popen` is for `python -m PROGRAM`, without input; all that it prints is appended to files."""

    def __init__(
        self, program: str, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], out: Path, err: Path | None = None
    ) -> None:
        """`err`: by default what `out` is."""
        self._arguments = arguments
        self._process = _FORKS.Process(target=_run, args=(program, arguments, folder, environment, out, err), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Negative: the signal that ended it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises TimeoutExpired."""
        self._process.join(timeout)
        code = self.returncode
        if code is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run_forked(
    arguments: tuple[str, ...], *, folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """What `python -m assistant.cli` does with these arguments in `folder`. Warnings are errors. Raises TimeoutExpired."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place) / "stdout", Path(place) / "stderr"
        environment = {**environment, "PYTHONWARNINGS": "error"}
        process = ForkedProcess("assistant.cli", arguments, folder=folder, environment=environment, out=out, err=err)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        return subprocess.CompletedProcess(arguments, code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def _run(program: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path | None) -> None:
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, _APPENDED), (2, err or out, _APPENDED)):
        file = os.open(path, flags)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.argv = ["nanobot", *arguments]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if "PYTHONWARNINGS" in environment:
        warnings.simplefilter("error")
    if program == "assistant.cli":
        from assistant.cli import main

        main()
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


_APPENDED = os.O_WRONLY | os.O_CREAT | os.O_APPEND
