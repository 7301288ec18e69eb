"""The port to the sandbox, where commands and other people's programs run."""

import asyncio
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Final, Literal, Protocol

from assistant.contracts.errors import ToolFailed
from assistant.contracts.records import record

Rung = Literal["bubblewrap", "bubblewrap-noproc", "landlock", "none"]
"""How strong the sandbox of this machine is: bubblewrap with its own /proc, without one, Landlock + seccomp, none (then nothing is run)."""
NO_SANDBOX: Final = "Not run: this machine has no sandbox, and nothing is run outside of one. `nanobot doctor` says what to install."
Ended = Literal["exit", "timeout", "memory", "output", "processes", "disk"]
"""What ended a program: itself, or the limit that it passed."""


@record
class SandboxCommand:
    """A program and all that it may reach. Nothing of the server's environment, files or sockets is among it."""

    argv: tuple[str, ...]
    folder: Path
    """The person's folder: /workspace in the sandbox, writable, and where the program starts."""
    shared: Path | None = None
    """The household's folder: /workspace/shared, writable."""
    readable: tuple[Path, ...] = ()
    """Further files and folders, readable under their own paths."""
    hosts: tuple[str, ...] = ()
    """Hosts that it may ask over HTTP(S), through a proxy of ours; empty: no network at all."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    seconds: float | None = 120.0
    """At most `sandbox.seconds`, or `sandbox.background_seconds`. None: until `SandboxProcess.kill`."""
    background: bool = False
    """It goes on behind its turn: it takes no place of those that are waited for, and where it fills the disk, its files are left, as others may be
    among them."""
    memory_bytes: int = 0
    """Of all its processes; 0: as configured (`sandbox`), which is also the most, as of `processes` and `disk_bytes`."""
    processes: int = 0
    disk_bytes: int = 0
    """What it may write to its folders."""
    output_bytes: int = 8 * 1024**2
    """More of either stream ends the program, where it is `run`."""


@record
class Ran:
    code: int
    """The exit code, as a shell gives it: 128 + the signal where one ended it."""
    stdout: bytes
    stderr: bytes
    ended: Ended = "exit"
    """What ended it."""
    written: tuple[str, ...] = ()
    """Files of the folder that are new or changed, by their paths in it."""


class SandboxProcess(Protocol):
    """A program that runs in the sandbox."""

    @property
    def stdin(self) -> asyncio.StreamWriter: ...

    @property
    def stdout(self) -> asyncio.StreamReader: ...

    @property
    def stderr(self) -> asyncio.StreamReader: ...

    async def wait(self) -> int:
        """Its exit code, when it has ended and nothing that it started is left."""
        ...

    async def kill(self) -> None:
        """End it and all that it started. Safe to call twice."""
        ...


class Sandbox(Protocol):
    """Runs programs under a policy. One for the process; the machine is probed at the first use."""

    async def rung(self) -> Rung: ...

    async def why_not(self) -> str:
        """Where the rung is "none" or was lowered: what stronger ones said, and what to do; else empty."""
        ...

    async def run(self, command: SandboxCommand, stdin: bytes = b"") -> Ran:
        """Run to the end. Raises ToolFailed where the machine has no sandbox: nothing is ever run outside of one."""
        ...

    async def start(self, command: SandboxCommand) -> SandboxProcess:
        """As `run`, for a program that is talked to."""
        ...


class NoSandbox:
    """Runs nothing: for tools that are tried without a server."""

    async def rung(self) -> Rung:
        return "none"

    async def why_not(self) -> str:
        return "there is no sandbox here"

    async def run(self, command: SandboxCommand, stdin: bytes = b"") -> Ran:
        raise ToolFailed(NO_SANDBOX)

    async def start(self, command: SandboxCommand) -> SandboxProcess:
        raise ToolFailed(NO_SANDBOX)
