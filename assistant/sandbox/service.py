"""The sandbox of this machine: finds its strongest rung by trying it, and runs commands in it."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from assistant.contracts.errors import ToolFailed
from assistant.contracts.records import record
from assistant.contracts.sandbox import NO_SANDBOX, Ran, Rung, SandboxCommand
from assistant.contracts.secrets import NoSecrets, Secrets
from assistant.sandbox.bubblewrap import programs
from assistant.sandbox.policy import USER, Guarded
from assistant.sandbox.processes import Confined
from assistant.sandbox.proxy import HostProxy
from assistant.sandbox.settings import SandboxSettings
from assistant.sandbox.starting import Started, in_bubblewrap, in_landlock

RUNGS: Final[tuple[Rung, ...]] = ("bubblewrap", "bubblewrap-noproc", "landlock")
_PROBE: Final = ("/bin/sh", "-c", "touch probe && rm probe && echo inside")
_PROBE_SECONDS: Final = 10.0
_NO_PROCESS: Final = ("fork", "temporarily unavailable")
_BLOCK: Final = 64 * 1024


@record
class _Found:
    rung: Rung
    bwrap: str = ""
    why_not: str = ""
    """What the stronger rungs said."""


class MachineSandbox:
    """One for the process."""

    def __init__(self, settings: SandboxSettings, guarded: Guarded, scratch: Path, secrets: Secrets | None = None) -> None:
        """`scratch`: a folder of the server's, in which the machine is probed as a person's folder would be used."""
        self.settings, self.guarded, self._scratch = settings, guarded, scratch
        self._proxy = HostProxy(settings.hosts, secrets or NoSecrets())
        self._places, self._behind = asyncio.Semaphore(settings.parallel), asyncio.Semaphore(settings.parallel)
        self._found: asyncio.Task[_Found] | None = None

    async def rung(self) -> Rung:
        return (await self._machine()).rung

    async def why_not(self) -> str:
        return (await self._machine()).why_not

    async def run(self, command: SandboxCommand, stdin: bytes = b"") -> Ran:
        async with self._behind if command.background else self._places:
            return await self._run(await self._machine(), command, stdin)

    async def start(self, command: SandboxCommand) -> Confined:
        return (await self._start(await self._machine(), command, piped=True)).process

    async def close(self) -> None:
        """End the look at the machine, where it is still under way, with the command that it runs."""
        if self._found is not None:
            self._found.cancel()
            await asyncio.wait([self._found])

    async def _run(self, found: _Found, command: SandboxCommand, stdin: bytes = b"") -> Ran:
        started = await self._start(found, command, piped=bool(stdin))
        process = started.process
        streams = [asyncio.create_task(_read(stream, command.output_bytes, process)) for stream in (process.stdout, process.stderr)]
        try:
            if stdin:
                await _write(process.stdin, stdin)
            code = await process.wait()
            stdout, stderr = await asyncio.gather(*streams)
        finally:
            await asyncio.shield(process.kill())
            for stream in streams:
                stream.cancel()
        written = await asyncio.to_thread(_settled, started, fills=process.ended == "disk" and not command.background)
        return Ran(code=code, stdout=stdout, stderr=stderr, ended=process.ended, written=tuple(written))

    async def _start(self, found: _Found, command: SandboxCommand, *, piped: bool) -> Started:
        settings = self.settings
        longest = settings.background_seconds if command.background else settings.seconds
        command = replace(
            command,
            seconds=min(command.seconds, longest) if command.seconds else None,
            memory_bytes=_least(command.memory_bytes, settings.memory_mib * 1024**2),
            processes=_least(command.processes, settings.processes),
            disk_bytes=_least(command.disk_bytes, settings.disk_mib * 1024**2),
        )
        if found.rung == "none":
            raise ToolFailed(NO_SANDBOX)
        if found.rung == "landlock":
            opening = in_landlock(command, self.guarded, piped=piped)
        else:
            proc = found.rung == "bubblewrap"
            opening = in_bubblewrap(found.bwrap, command, self.guarded, self._proxy, proc=proc, piped=piped)
        task = asyncio.create_task(opening)  # it has begun what only it can end
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            with suppress(ToolFailed):
                await (await task).process.kill()
            raise

    async def _machine(self) -> _Found:
        if self._found is None:
            self._found = asyncio.create_task(self._probe())
        return await asyncio.shield(self._found)

    async def _probe(self) -> _Found:
        """The strongest rung in which a command really runs."""
        wanted = self.settings.rung
        if wanted == "none":
            return _Found(rung="none", why_not='sandbox.rung is "none"')
        if sys.platform != "linux":
            return _Found(rung="none", why_not="the sandbox is made of Linux's namespaces and Landlock: on this system no command is run")
        said: list[str] = []
        for rung in RUNGS[RUNGS.index(wanted) if wanted else 0 :]:
            for candidate in self._candidates(rung, said):
                reason = await self._tried(candidate)
                if not reason:
                    return replace(candidate, why_not="; ".join(said))
                said.append(f"{rung}: {reason}")
        return _Found(rung="none", why_not="; ".join(said))

    def _candidates(self, rung: Rung, said: list[str]) -> Sequence[_Found]:
        if rung == "landlock":
            from assistant.sandbox.launcher import LEAST_ABI, landlock_abi  # noqa: PLC0415 - ctypes, where it is needed

            if (abi := landlock_abi()) < LEAST_ABI:
                said.append(f"landlock: this kernel's version of it is {abi}, {LEAST_ABI} is needed (Linux 6.12)")
                return []
            closed = [folder for shown in self.guarded.public if (folder := _closed(shown))]
            if os.geteuid() == 0 and closed:
                said.append(f"landlock: {_unreached(closed[0])}")
                return []
            return [_Found(rung=rung)]
        found = programs()
        if not found and rung == "bubblewrap":
            said.append("bubblewrap: it is not installed")
        return [_Found(rung=rung, bwrap=program) for program in found]

    async def _tried(self, candidate: _Found, again: int = 3) -> str:
        """Why it does not work; empty: it does. `again`: how often it is tried anew where the machine has no process left at the moment."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="probe-", dir=self._scratch) as folder:
            command = SandboxCommand(argv=_PROBE, folder=Path(folder), seconds=_PROBE_SECONDS)
            try:
                ran = await self._run(candidate, command)
            except ToolFailed as error:
                ran, said = None, str(error).removeprefix("Not run: ")
            else:
                said = ran.stderr.decode(errors="replace").strip()
        if ran is not None and ran.code == 0 and ran.stdout == b"inside\n":
            return ""
        if again and any(word in said.lower() for word in _NO_PROCESS):
            await asyncio.sleep(0.3)
            return await self._tried(candidate, again - 1)
        if ran is None:
            return said
        if os.geteuid() == 0 and "Permission denied" in said:
            return _unreached(self._scratch)
        return said or f"a command ended with {ran.code}"


def _closed(folder: Path) -> Path | None:
    """The highest on the way to it that other users may not pass; None: all are open, as far as there are any."""
    return next((each for each in (*reversed(folder.parents), folder) if each.is_dir() and not each.stat().st_mode & 0o001), None)


def _unreached(folder: Path) -> str:
    return (
        f"as the server is root, commands run as user {USER}, and that one can't pass {folder}: "
        "run nanobot as a user of its own, or let others pass the folders on the way (chmod o+x)"
    )


def _least(asked: int, most: int) -> int:
    return min(asked or most, most)


async def _read(stream: asyncio.StreamReader, most: int, process: Confined) -> bytes:
    """All of it; of more than `most`, the beginning, and the program is ended."""
    kept = bytearray()
    while data := await stream.read(_BLOCK):
        kept += data[: most - len(kept)]
        if len(kept) >= most:
            process.stop("output")
    return bytes(kept)


async def _write(stream: asyncio.StreamWriter, data: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # it did not want all of it
        stream.write(data)
        await stream.drain()
        stream.close()


def _settled(started: Started, *, fills: bool) -> list[str]:
    """What it wrote; what `fills` the disk is removed. Blocks."""
    if fills:
        for folder in started.folders:
            folder.remove_new()
    return started.folders[0].written()
