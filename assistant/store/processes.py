"""The processes on a store: which are alive, by a lock that is released when its process dies, and how they wake and write to each other."""

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

from assistant.contracts.util import new_id
from assistant.store.database import Transaction

PIPE_SUFFIX = ".bell"
"""Suffix of the pipe that a runner listens to (`PipeNotifier`); it is removed with the runner's file."""
_BELL: Final = b"!"
"""What rings in a pipe. No letter begins with it."""


class Runner(Protocol):
    """This process, among those that share a store."""

    @property
    def id(self) -> str: ...

    def is_dead(self, connection: Transaction, runner_id: str) -> bool:
        """Whether another process is surely gone. Called within a writer's transaction, perhaps twice."""
        ...

    def release(self) -> None:
        """Stop being alive. Safe to call twice."""
        ...


def dead_among(runner: Runner, connection: Transaction, others: Iterable[str | None]) -> set[str]:
    """Those of some other processes that are surely gone."""
    return {other for other in {*others} - {None, runner.id} if other is not None and runner.is_dead(connection, other)}


class FileRunner:
    """Beside a SQLite file: a file for each process, which it keeps locked (flock)."""

    def __init__(self, folder: Path) -> None:
        """Blocks on the disk for a moment. Raises OSError."""
        self.id = new_id("run")
        self._folder = folder
        self._held: int | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while self._held is None:
            self._held = self._lock_own_file()
        for left in {path.name.removesuffix(PIPE_SUFFIX) for path in folder.iterdir()} - {self.id}:
            _is_unlocked(folder / left)

    def is_dead(self, connection: Transaction, runner_id: str) -> bool:
        return _is_unlocked(self._folder / runner_id)

    def release(self) -> None:
        if self._held is not None:
            (self._folder / self.id).unlink(missing_ok=True)
            os.close(self._held)
            self._held = None

    def _lock_own_file(self) -> int | None:
        path = self._folder / self.id
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        # Between the two calls above another process may have removed the file as a dead one's.
        if path.exists() and path.stat().st_ino == os.fstat(file).st_ino:
            return file
        os.close(file)
        return None


def _is_unlocked(path: Path) -> bool:
    """Whether no process holds a runner's file, which is then removed."""
    pipe = path.with_name(path.name + PIPE_SUFFIX)
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        pipe.unlink(missing_ok=True)
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        pipe.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


class SessionLockRunner:
    """On PostgreSQL: an advisory lock that each new writer's connection takes (`setup`)."""

    def __init__(self) -> None:
        self.id = new_id("run")

    @property
    def setup(self) -> str:
        """What a writing connection runs first."""
        return f"SELECT pg_advisory_lock({_lock_key(self.id)})"

    def is_dead(self, connection: Transaction, runner_id: str) -> bool:
        key = {"key": _lock_key(runner_id)}
        if not connection.execute("SELECT pg_try_advisory_lock(:key)", key)[0][0]:
            return False
        connection.execute("SELECT pg_advisory_unlock(:key)", key)
        return True

    def release(self) -> None:
        """The lock ends with the connection."""


_OTHERS_ON_POSTGRES = """
    SELECT COUNT(*) FROM pg_stat_activity
    WHERE application_name = 'nanobot' AND datname = current_database() AND pid <> pg_backend_pid()"""


def others_alive(connection: Transaction, sqlite: Path | None) -> bool:
    """Whether another process has the store open. `sqlite`: the file that the store is, if it is one. For commands that have no runner."""
    if sqlite is None:
        return bool(connection.execute(_OTHERS_ON_POSTGRES)[0][0])
    folder = sqlite.with_name(f"{sqlite.name}-runners")
    return any(not _is_unlocked(path) for path in folder.glob("run_*") if path.suffix != PIPE_SUFFIX)


def _lock_key(runner_id: str) -> int:
    return int.from_bytes(blake2b(runner_id.encode(), digest_size=8).digest(), "big", signed=True)


log = logging.getLogger(__name__)

LONGEST_LETTER: Final = 3_900
"""Bytes. A NOTIFY takes 8,000, Linux's pipe 4,096 as a whole; elsewhere one that is longer than 512 may be spoilt by another."""
Received = Callable[[bytes], None]


class Notifier(Protocol):
    """Tells every process on a store, this one included, that the outbox has something new; and takes a letter to one of them."""

    def notify(self) -> None:
        """Never blocks, never raises."""
        ...

    def listen(self, heard: Callable[[], None]) -> None:
        """Call `heard` on the event loop after each notification; several may become one call."""
        ...

    def announce(self, connection: Transaction) -> None:
        """In the transaction that enqueues: tell other processes when it is committed, if the database can do that."""
        ...

    def announced(self) -> None:
        """After the commit: tell everyone that the database does not tell."""
        ...

    def send(self, runner_id: str, letter: bytes) -> None:
        """Take a letter (one line of UTF-8, up to LONGEST_LETTER) to another process, which gets those of one sender in order. Some may be lost.
        Only while this process listens or receives. Never blocks, never raises."""
        ...

    def receive(self, received: Received) -> None:
        """Call `received` on the event loop with each letter to this process."""
        ...

    async def close(self) -> None:
        """Stop listening. Safe to call twice."""
        ...


class PipeNotifier:
    """Beside a SQLite file: a named pipe for each process that listens, in the folder of the runners' locks (`FileRunner`).

    A pipe and not a socket, because a socket's path may be 100 bytes long at most.
    """

    def __init__(self, folder: Path, runner_id: str) -> None:
        self._folder = folder
        self._own = folder / f"{runner_id}{PIPE_SUFFIX}"
        self._listeners: list[Callable[[], None]] = []
        self._received: Received | None = None
        self._rest = b""
        self._pipe: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def notify(self) -> None:
        self._call()
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                if name.endswith(PIPE_SUFFIX) and name != self._own.name:
                    _write(f"{self._folder}/{name}", _BELL)

    def listen(self, heard: Callable[[], None]) -> None:
        self._listeners.append(heard)
        self._open()

    def send(self, runner_id: str, letter: bytes) -> None:
        if self._pipe is not None:
            _write(self._folder / f"{runner_id}{PIPE_SUFFIX}", letter + b"\n")

    def receive(self, received: Received) -> None:
        self._received = received
        self._open()

    def _open(self) -> None:
        if self._pipe is not None:
            return
        try:
            os.mkfifo(self._own, 0o600)
            # For writing, too: a pipe without a writer is always readable.
            self._pipe = os.open(self._own, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            # Some file systems have no pipes: what other processes enqueue is then found by the next poll.
            log.warning("notifier.deaf errno=%s", error.errno)
            return
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pipe, self._hear)

    def announce(self, connection: Transaction) -> None:
        """SQLite can't."""

    def announced(self) -> None:
        self.notify()

    async def close(self) -> None:
        if self._pipe is None:
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._pipe)
        self._own.unlink(missing_ok=True)
        os.close(self._pipe)
        self._pipe = None
        self._listeners.clear()

    def _hear(self) -> None:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._pipe, 65536) if self._pipe is not None else b""
        lines = (self._rest + data).split(b"\n")
        rung = any(line.startswith(_BELL) for line in lines)
        *letters, self._rest = [line.lstrip(_BELL) for line in lines]
        for letter in letters:
            if self._received is not None:
                self._received(letter)
        if rung:
            self._call()

    def _call(self) -> None:
        for heard in self._listeners:
            heard()


def _write(path: Path | str, data: bytes) -> None:
    """Write to the pipe of one process, all of it or nothing. If the pipe has no reader (ENXIO), is full or is gone, there is no one to tell."""
    with contextlib.suppress(OSError):
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(pipe, data)
        finally:
            os.close(pipe)
