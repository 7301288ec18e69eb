"""A command that runs in the sandbox: its streams, its limits, its end, and that nothing of it is left then."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ClassVar, Final

from assistant.contracts.errors import ToolFailed
from assistant.contracts.sandbox import Ended
from assistant.sandbox.watch import Over

_LOOK: Final = 0.2
"""Seconds between two looks at what a command takes."""


class Confined:
    """A SandboxProcess. `first`: the process that all others of it descend from; they end with it, and it may have ended already. Raises ToolFailed
    where the kernel gives no handle for it (before Linux 5.3, gVisor; too many files are open); then it is the caller's to end."""

    _fatal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(
        self,
        process: Process,
        first: int,
        over: Callable[[], Over | None],
        clean: Callable[[], Awaitable[None]],
        seconds: float | None,
    ) -> None:
        self._process = process
        try:
            self._first = os.pidfd_open(first)
        except ProcessLookupError:  # a command that is over already: nothing of it is left to end
            self._first = -1
        except OSError as error:
            raise ToolFailed(f"Not run: the kernel gives no handle for a process ({error.strerror}).") from None
        self._over, self._clean = over, clean
        self.ended: Ended = "exit"
        self._watching = asyncio.create_task(self._watch())
        self._alarm = asyncio.get_running_loop().call_later(seconds, self.stop, "timeout") if seconds else None
        self._waiting: asyncio.Task[int] | None = None

    @property
    def stdin(self) -> asyncio.StreamWriter:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> asyncio.StreamReader:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def stderr(self) -> asyncio.StreamReader:
        assert self._process.stderr is not None
        return self._process.stderr

    async def wait(self) -> int:
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._end())
        return await asyncio.shield(self._waiting)

    async def kill(self) -> None:
        self.stop("exit")
        await self.wait()

    def stop(self, why: Ended) -> None:
        """End it and all that it started; `why` is kept where it is the first."""
        if self._first >= 0:
            self.ended = why if self.ended == "exit" else self.ended
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, self._fatal)

    async def _end(self) -> int:
        code = await self._process.wait()
        try:
            if self._first >= 0:
                await self._first_is_gone()
        finally:
            self._watching.cancel()
            if self._alarm is not None:
                self._alarm.cancel()
            await self._clean()
        return code

    async def _first_is_gone(self) -> None:
        gone = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self._first, lambda: gone.done() or gone.set_result(None))
        try:
            await gone
        finally:
            asyncio.get_running_loop().remove_reader(self._first)
            os.close(self._first)
            self._first = -1

    async def _watch(self) -> None:
        while self._process.returncode is None:
            await asyncio.sleep(_LOOK)
            if why := await asyncio.to_thread(self._over):
                self.stop(why)
                return


class Launched(Confined):
    """On the third rung: the first process is the launcher, which ends all others when it is told to."""

    _fatal: ClassVar[signal.Signals] = signal.SIGTERM
