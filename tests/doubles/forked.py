"""Nanobot, or a script that uses it, in a process that is forked from one with nanobot imported, by Python's forkserver.

The imports are most of what a short command takes: 0.45 s of processor time when it is started anew, 0.06 s here; and of what a server takes
until it serves. A process of its own it is all the same: it has its own arguments, folder, environment and signals.
"""

import asyncio
import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "assistant.cli",
        "assistant.app.services",
        "assistant.app.runtime",
        "assistant.api.app",
        "assistant.api.server.serve",
        "assistant.cli.serve",
        # What a server imports when it starts, half of what that takes: FastAPI for its routes, and the channels that tests have most.
        "pydantic.v1",
        "websockets.server",
        "channels.telegram.adapter",
        "channels.discord.adapter",
    ]
)


class PipeEnd(Protocol):
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class ForkedProcess:
    """What `subprocess.Popen` is for `python -m PROGRAM`, or for a script's path."""

    def __init__(
        self,
        program: str | Path,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        out: Path | PipeEnd,
        err: Path | None = None,
        given: PipeEnd | None = None,
    ) -> None:
        """`out`: what it prints to, a file at its end. `err`: by default `out`, if that is a file, or else this process's. `given`: its input."""
        self._arguments = arguments
        ends = (given, out, err)
        self._process = _FORKS.Process(target=_run, args=(program, arguments, folder, environment, *ends), daemon=True)
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
            # The fork server has ended it, and tells so a moment later.
            with contextlib.suppress(ProcessLookupError):
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


class ForkedScript:
    """A script that the test talks with, in lines."""

    def __init__(self, process: ForkedProcess, stdout: asyncio.StreamReader, stdin: PipeEnd) -> None:
        self.process = process
        self.stdout = stdout
        self._stdin = stdin

    def tell(self, line: str) -> None:
        os.write(self._stdin.fileno(), f"{line}\n".encode())

    async def wait(self) -> int:
        return await asyncio.to_thread(self.process.wait)


@asynccontextmanager
async def forked_script(script: Path, *arguments: str) -> AsyncGenerator[ForkedScript]:
    """Runs it with this process's environment; killed in the end if it still runs."""
    (heard, out), (given, stdin) = _FORKS.Pipe(duplex=False), _FORKS.Pipe(duplex=False)
    with heard, stdin:
        with out, given:
            process = ForkedProcess(script, arguments, folder=Path.cwd(), environment=dict(os.environ), out=out, given=given)
        stdout = asyncio.StreamReader()
        pipe = os.fdopen(os.dup(heard.fileno()), "rb", 0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), pipe)
        made = ForkedScript(process, stdout, stdin)
        try:
            yield made
        finally:
            process.kill()
            await made.wait()
            transport.close()


def _run(
    program: str | Path,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    given: PipeEnd | None,
    out: Path | PipeEnd,
    err: Path | None,
) -> None:
    ends: list[Path | PipeEnd | None] = [given or Path(os.devnull), out, err or (out if isinstance(out, Path) else None)]
    for number, end in enumerate(ends):
        if isinstance(end, Path):
            file = os.open(end, os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY)
            os.dup2(file, number)
            os.close(file)
        elif end is not None:
            os.dup2(end.fileno(), number)
            end.close()
    sys.stdin = os.fdopen(0, closefd=False)
    sys.argv = ["nanobot", *arguments]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if "PYTHONWARNINGS" in environment:
        warnings.simplefilter("error")
    if isinstance(program, Path):
        sys.argv[0] = str(program)
        runpy.run_path(str(program), run_name="__main__")
    elif program == "assistant.cli":
        from assistant.cli import main

        main()
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
