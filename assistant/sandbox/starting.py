"""Starts a command in a rung, with its limits set before its first instruction."""

import asyncio
import json
import os
import shutil
import signal
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from assistant.contracts.errors import ToolFailed
from assistant.contracts.sandbox import SandboxCommand
from assistant.sandbox.bubblewrap import inside, options, passed
from assistant.sandbox.policy import PROXY_PORT, USER, WORKSPACE, Guarded, environment
from assistant.sandbox.processes import Confined, Launched
from assistant.sandbox.proxy import HostProxy, ServedHosts, listen_inside
from assistant.sandbox.seccomp import filter_for
from assistant.sandbox.watch import FolderBefore, Over, before, over

_PATIENCE: Final = 10.0
"""Seconds for a rung to be ready for the command."""


@dataclass(frozen=True, slots=True)
class Started:
    process: Confined
    folders: Sequence[FolderBefore]
    """As they were; the command's own first."""


async def in_bubblewrap(bwrap: str, command: SandboxCommand, guarded: Guarded, proxy: HostProxy, *, proc: bool, piped: bool) -> Started:
    """Raises ToolFailed where bwrap refuses, with its words."""
    folders, arguments = await asyncio.to_thread(lambda: (_before(command.folder, command.shared), options(command, guarded, proc=proc)))
    block, go = os.pipe()  # it waits until it is known who it is, and its network is there
    info, tell = os.pipe()
    told = [tell, block]
    try:
        if code := filter_for(alone=True):
            told.append(passed(code))
            arguments += ["--seccomp", str(told[-1])]
        arguments += ["--info-fd", str(tell), "--block-fd", str(block)]
        told.append(passed(b"\0".join(map(os.fsencode, arguments)) + b"\0"))
        made = environment(command, WORKSPACE, "/tmp", f"http://127.0.0.1:{PROXY_PORT}" if command.hosts else "")  # noqa: S108 - the sandbox's own
        process = await _spawn([bwrap, "--args", str(told[-1]), "--", *inside(command)], told, made, piped=piped)
        for descriptor in told:
            os.close(descriptor)
        told.clear()
        first, served = await _first(info, process), None
        try:
            if command.hosts:
                served = await proxy.serve(await listen_inside(first, PROXY_PORT), command.hosts)
            confined = Confined(process, first, _over(first, command, folders), _closing(served), command.seconds)
        except BaseException:
            if served is not None:
                served.close()
            with suppress(ProcessLookupError):
                os.kill(first, signal.SIGKILL)
            await process.wait()
            raise
        with suppress(BrokenPipeError):  # it is over already: its code and its words tell why
            os.write(go, b"!")
        return Started(confined, folders)
    finally:
        for descriptor in (*told, go):
            os.close(descriptor)


async def in_landlock(command: SandboxCommand, guarded: Guarded, *, piped: bool) -> Started:
    """Raises ToolFailed where this rung can't hold what is asked for."""
    from assistant.sandbox.landlock import launcher, policy  # noqa: PLC0415 - ctypes, where it is needed

    tmp = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="nanobot-"))

    async def clean() -> None:
        await asyncio.to_thread(shutil.rmtree, tmp, ignore_errors=True)

    try:
        told = policy(command, guarded, tmp, environment(command, str(command.folder), str(tmp)))
        folders = await asyncio.to_thread(_before, command.folder, command.shared, tmp)
        descriptor = passed(told)
        try:
            process = await _spawn(launcher(descriptor), [descriptor], {}, piped=piped)
        finally:
            os.close(descriptor)
        try:
            return Started(Launched(process, process.pid, _over(process.pid, command, folders), clean, command.seconds), folders)
        except ToolFailed:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            raise
    except BaseException:
        await clean()
        raise


def _before(*folders: Path | None) -> list[FolderBefore]:
    user = USER if os.geteuid() == 0 else None
    try:
        return [before(folder, user) for folder in folders if folder is not None]
    except OSError as error:
        raise ToolFailed(f"Not run: the folder can't be used ({error.strerror}).") from None


async def _spawn(argv: Sequence[str], told: Sequence[int], environment: Mapping[str, str], *, piped: bool) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv, stdin=PIPE if piped else DEVNULL, stdout=PIPE, stderr=PIPE, pass_fds=told, env=environment, cwd="/"
        )
    except OSError as error:
        raise ToolFailed(f"Not run: {argv[0]} does not start ({error.strerror}).") from None


async def _first(info: int, process: Process) -> int:
    """The first process of the command's own, once its namespaces are there. Closes `info`."""
    telling = asyncio.create_task(asyncio.to_thread(_told, info))
    try:
        async with asyncio.timeout(_PATIENCE):
            told: dict[str, Any] = json.loads(await asyncio.shield(telling))
            return int(told["child-pid"])
    except (TimeoutError, ValueError, KeyError):
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await telling
        assert process.stderr is not None
        words = (await process.stderr.read(2_000)).decode(errors="replace").strip()
        raise ToolFailed(f"Not run: the sandbox did not start: {words or 'no reason was given'}.") from None


def _told(info: int) -> bytes:
    """What bubblewrap tells of itself, until it is whole or bubblewrap has ended. Closes `info`, once: a transport of uvloop closes a file's number
    twice, and the second time it may be the store's. Blocks."""
    said = b""
    with os.fdopen(info, "rb", 0) as pipe:
        while b"}" not in said and (more := pipe.read(4_096)):
            said += more
    return said


def _over(first: int, command: SandboxCommand, folders: list[FolderBefore]) -> Callable[[], Over | None]:
    extra = 2  # bubblewrap's own process, and the launcher
    return partial(
        over,
        first,
        most_memory=command.memory_bytes,
        most_tasks=command.processes + extra,
        most_disk=command.disk_bytes,
        folders=folders,
    )


def _closing(served: ServedHosts | None) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        if served is not None:
            served.close()

    return close
