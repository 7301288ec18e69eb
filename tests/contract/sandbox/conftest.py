"""What is around a sandbox: a server's files, sockets and processes with a secret in each, and a person's folder."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.sandbox import Ran, Rung, SandboxCommand
from assistant.sandbox.policy import Guarded
from assistant.sandbox.service import RUNGS, MachineSandbox
from assistant.sandbox.settings import SandboxSettings
from tests.commands_beside import alone, commands_beside
from tests.contract.sandbox.ways_out import SECRET

__all__ = ["alone", "commands_beside"]


@dataclass(frozen=True)
class House:
    """A server's files, with a victim: another process of its user."""

    root: Path
    victim: "subprocess.Popen[bytes]"
    port: int
    udp: int

    @property
    def workspace(self) -> Path:
        return self.root / "state" / "workspace"

    @property
    def folder(self) -> Path:
        """The person's."""
        return self.workspace / "people" / "owner"

    @property
    def places(self) -> dict[str, Any]:
        return {
            "state": self.root / "state",
            "config": self.root / "config.json",
            "workspace": self.workspace,
            "other": self.workspace / "people" / "anna",
            "tmpfile": self.root / "of-tmp",
            "socket": self.root / "state" / "socket",
            "abstract": f"nanobot{self.port}",
            "victim": self.victim.pid,
            "port": self.port,
            "udp": self.udp,
        }

    def outside(self) -> dict[str, tuple[int, int, bytes]]:
        """Everything but the person's folder, as it stands: mode, time, bytes."""
        files = [path for path in self.root.rglob("*") if path.is_file() and not path.is_relative_to(self.folder)]
        return {str(path): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    def of_victim(self) -> tuple[Any, ...]:
        """What others could change of it."""
        pid = self.victim.pid
        limits = Path(f"/proc/{pid}/limits").read_text()
        return self.victim.poll(), os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid), limits


@contextmanager
def built() -> Generator[House]:
    with ExitStack() as opened:
        root = Path(tempfile.mkdtemp(prefix="house-"))
        opened.callback(shutil.rmtree, root)
        root.chmod(0o755)
        for folder in ("state/workspace/people/owner", "state/workspace/people/anna", "state/workspace/shared"):
            (root / folder).mkdir(parents=True)
        for name in (
            *("config.json", "of-tmp", "state/key", "state/spare", "state/nanobot.db"),
            *("state/workspace/AGENTS.md", "state/workspace/people/anna/diary.md"),
        ):
            (root / name).write_text(SECRET)
        (root / "state/workspace/people/owner/planted-link").symlink_to(root / "state/key")
        victim = subprocess.Popen([SECRET, "600"], executable=shutil.which("sleep"), env={"KEY": SECRET, "PATH": os.environ["PATH"]})
        opened.callback(victim.wait)
        opened.callback(victim.kill)
        ports = [
            opened.enter_context(_told(*where))
            for where in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, str(root / "state/socket")))
        ]
        opened.enter_context(_told(socket.AF_UNIX, f"\0nanobot{ports[0]}"))
        udp = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        _background(lambda: udp.sendto(SECRET.encode(), udp.recvfrom(9)[1]))
        yield House(root, victim, ports[0], udp.getsockname()[1])


@contextmanager
def _told(family: int, address: Any) -> Generator[int]:
    """A socket that tells the secret to everyone who connects."""
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind(address)
        server.listen(64)
        _background(lambda: _tell(server.accept()[0]))
        yield server.getsockname()[1] if family == socket.AF_INET else 0


def _tell(connection: socket.socket) -> None:
    with connection:
        connection.sendall(SECRET.encode())


def _background(once: Any) -> None:
    def forever() -> None:
        try:
            while True:
                once()
        except OSError:
            return

    threading.Thread(target=forever, daemon=True).start()


@pytest.fixture(scope="module")
def house() -> Generator[House]:
    with built() as made:
        yield made


def sandbox_in(house: House, rung: Rung, **settings: Any) -> MachineSandbox:
    guarded = Guarded(private=(house.root / "state", house.root / "config.json", house.workspace / "people"), public=(house.workspace,))
    return MachineSandbox(SandboxSettings(rung=rung, **settings), guarded, house.root)


@pytest.fixture(params=RUNGS)
async def sandbox(request: pytest.FixtureRequest, house: House) -> AsyncGenerator[MachineSandbox]:
    """Of each rung that this machine has."""
    if sys.platform != "linux":
        pytest.skip("the sandbox is Linux's")
    made = sandbox_in(house, request.param)
    if await made.rung() != request.param:
        pytest.skip(f"this machine has no {request.param}: {await made.why_not()}")
    yield made
    assert not [task for task in asyncio.all_tasks() if "Confined" in repr(task)]


async def python(sandbox: MachineSandbox, house: House, code: str, **more: Any) -> Ran:
    argv = ("/usr/bin/python3", "-S", "-c", code)
    return await sandbox.run(SandboxCommand(argv=argv, folder=house.folder, seconds=more.pop("seconds", 20), **more))


async def shell(sandbox: MachineSandbox, house: House, line: str, **more: Any) -> Ran:
    return await sandbox.run(SandboxCommand(argv=("/bin/sh", "-c", line), folder=house.folder, seconds=more.pop("seconds", 20), **more))
