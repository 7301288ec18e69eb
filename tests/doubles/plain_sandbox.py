"""A sandbox that is none: programs run as they are, for tests of what talks to them."""

import asyncio
import os
import signal
import sys
from asyncio import Transport
from asyncio.subprocess import DEVNULL, PIPE, Process

from assistant.contracts.sandbox import Ran, Rung, SandboxCommand


class PlainSandbox:
    """Implements Sandbox. `started`: the commands, in order; `processes`: what became of them."""

    def __init__(self) -> None:
        self.started: list[SandboxCommand] = []
        self.processes: list[PlainProcess] = []

    async def rung(self) -> Rung:
        return "bubblewrap"

    async def why_not(self) -> str:
        return ""

    async def run(self, command: SandboxCommand, stdin: bytes = b"") -> Ran:
        process = await _spawn(command)
        stdout, stderr = await process.communicate(stdin)
        return Ran(code=process.returncode or 0, stdout=stdout, stderr=stderr)

    async def start(self, command: SandboxCommand) -> "PlainProcess":
        self.started.append(command)
        process = PlainProcess(await _spawn(command))
        self.processes.append(process)
        return process


class PlainProcess:
    """Implements SandboxProcess."""

    def __init__(self, process: Process) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self._process = process
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def wait(self) -> int:
        return await self._process.wait()

    async def kill(self) -> None:
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        transport: Transport = getattr(self._process, "_transport")  # noqa: B009 - unread output would keep its pipes open
        transport.close()
        await self._process.wait()


async def _spawn(command: SandboxCommand) -> Process:
    return await asyncio.create_subprocess_exec(
        *command.argv,
        cwd=command.folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **command.environment},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE if command.seconds is None else DEVNULL,
        start_new_session=True,
    )
