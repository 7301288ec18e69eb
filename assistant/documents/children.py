"""A process for each file, forked from one that stands by: the server's side."""

import asyncio
import json
import os
import signal
import socket
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import count

from assistant.documents.protocol import MIB, ReadLimits

_START = (
    "import json, sys; job = json.loads(sys.argv[1]); sys.path[:] = job['path']; "
    "from assistant.documents.protocol import ReadLimits; from assistant.documents.fork_server import serve; "
    "serve(ReadLimits(**job['limits']))"
)
_CONTROL = 3
"""As in `fork_server`, which the server does not import."""
_ENVIRONMENT = ("LD_LIBRARY_PATH", "SYSTEMROOT")
"""The variables passed on: those an interpreter may need to start."""
_PACKET = 4096
_KILLED_WITHIN = 3.0
"""Seconds in which a killed reader is reported. After that the process that it was forked from stands still itself."""


class _ForkServer:
    """The running process of `fork_server`. It belongs to one event loop."""

    def __init__(self, imports: Sequence[str], limits: ReadLimits) -> None:
        self.loop = asyncio.get_running_loop()
        self.gone = False
        self._exits: dict[int, asyncio.Future[int]] = {}
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        start = json.dumps({"path": list(imports), "limits": asdict(limits)})
        try:
            process = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-c", _START, start],
                {"LC_ALL": "C.UTF-8", **{key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), _CONTROL),
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsigmask=[],
            )
        finally:
            theirs.close()
        self._control.setblocking(False)
        self._end = weakref.finalize(self, _end, self._control, process)  # also of a reader that was not closed
        self.loop.add_reader(self._control, self._listen)

    def begin(self, number: int, suffix: str, source: int, answer: socket.socket) -> asyncio.Future[int]:
        """Start a reader for a file. The result is its exit code; negative: the signal that ended it. Raises OSError."""
        job = json.dumps({"job": number, "suffix": suffix}).encode()
        socket.send_fds(self._control, [job], [source, answer.fileno()])
        ended = self._exits[number] = self.loop.create_future()
        return ended

    async def kill(self, number: int, ended: asyncio.Future[int]) -> None:
        """Kills a reader and waits for its end; ends the whole process where it does not answer."""
        with suppress(OSError):  # it died, and its readers with it
            self._control.send(json.dumps({"kill": number}).encode())
        await asyncio.wait([ended], timeout=_KILLED_WITHIN)
        if not ended.done():
            self.end()

    def end(self) -> None:
        """Ends the process, and the readers with it."""
        self.gone = True
        if self._end.alive and not self.loop.is_closed():
            self.loop.remove_reader(self._control)
            for ended in self._exits.values():
                if not ended.done():
                    ended.set_result(1)
        self._exits.clear()
        self._end()

    def _listen(self) -> None:
        """Takes the exits that the process reports. Where it died itself, the readers died with it."""
        try:
            while packet := self._control.recv(_PACKET):
                told = json.loads(packet)
                ended = self._exits.pop(told["job"], None)
                if ended is not None and not ended.done():
                    ended.set_result(told["code"])
        except BlockingIOError:
            return
        except OSError:
            pass
        self.end()


def _end(control: socket.socket, process: int) -> None:
    """Ends the process and waits for it. Its readers end with it."""
    control.close()
    with suppress(ProcessLookupError, ChildProcessError):  # where the server ignores SIGCHLD, the system has taken it
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


class ReaderProcesses:
    """Runs a process for each file. The one that they are forked from starts with the first file and ends after `idle` seconds without one."""

    def __init__(self, imports: Sequence[str], limits: ReadLimits, *, idle: float) -> None:
        """`imports`: the folders that modules come from."""
        self._imports, self._limits, self._idle = imports, limits, idle
        self._server: _ForkServer | None = None
        self._numbers = count(1)
        self._running = 0
        self._rest: asyncio.TimerHandle | None = None

    async def run(self, suffix: str, source: int, most: int) -> tuple[bytearray, int | None]:
        """(What the file's process wrote, its exit code). None: its `limits.wall_seconds` were over. Then, when it wrote more than `most` bytes,
        and when this is cancelled, it is killed and waited for."""
        number = next(self._numbers)
        ours, theirs = socket.socketpair()
        self._running += 1
        try:
            ours.setblocking(False)
            try:
                server, ended = self._start(number, suffix, source, theirs)
            finally:
                theirs.close()
            data = bytearray()
            try:
                async with asyncio.timeout(self._limits.wall_seconds):
                    await _receive(ours, most, data)
                    if len(data) > most:
                        await server.kill(number, ended)
                    return data, await asyncio.shield(ended)
            except TimeoutError:
                return data, None
            finally:
                if not ended.done():
                    await server.kill(number, ended)
        finally:
            ours.close()
            self._running -= 1
            if not self._running:
                self._rest = asyncio.get_running_loop().call_later(self._idle, self._end)

    async def close(self) -> None:
        """End the process that stands by. No file is being read any more."""
        self._end()

    def _start(self, number: int, suffix: str, source: int, answer: socket.socket) -> tuple[_ForkServer, asyncio.Future[int]]:
        """(The process that the reader is forked from, what `begin` of it gives.)"""
        server = self._begun()
        try:
            return server, server.begin(number, suffix, source, answer)
        except OSError:  # it died a moment ago
            server.end()
        server = self._begun()
        return server, server.begin(number, suffix, source, answer)

    def _begun(self) -> _ForkServer:
        """The process that stands by; started where there is none, or it died, or it belonged to a loop that has ended."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._server is not None and (self._server.gone or self._server.loop is not asyncio.get_running_loop()):
            self._end()
        if self._server is None:
            self._server = _ForkServer(self._imports, self._limits)
        return self._server

    def _end(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.end()


async def _receive(connection: socket.socket, most: int, data: bytearray) -> None:
    """Adds to `data` what comes until the other end closes, or it is more than `most` bytes."""
    loop = asyncio.get_running_loop()
    while len(data) <= most and (chunk := await loop.sock_recv(connection, MIB)):
        data += chunk
