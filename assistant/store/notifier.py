"""Wakes the dispatchers of all processes on a store: what a notifier does, and the one of SQLite, by named pipes."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from assistant.store.database import Transaction
from assistant.store.runners import PIPE_SUFFIX

log = logging.getLogger(__name__)


class Notifier(Protocol):
    """Tells every process on a store, this one included, that the outbox has something new."""

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

    async def close(self) -> None:
        """Stop listening. Safe to call twice."""
        ...


class PipeNotifier:
    """Beside a SQLite file: a named pipe for each process that listens, in the folder of the runners' locks (`runners.FileRunner`).

    A pipe and not a socket, because a socket's path may be 100 bytes long at most.
    """

    def __init__(self, folder: Path, runner_id: str) -> None:
        self._folder = folder
        self._own = folder / f"{runner_id}{PIPE_SUFFIX}"
        self._listeners: list[Callable[[], None]] = []
        self._pipe: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def notify(self) -> None:
        self._call()
        with contextlib.suppress(OSError):
            for path in self._folder.glob(f"*{PIPE_SUFFIX}"):
                if path != self._own:
                    _wake(path)

    def listen(self, heard: Callable[[], None]) -> None:
        self._listeners.append(heard)
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
        if self._pipe is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self._pipe, 65536)
            self._call()

    def _call(self) -> None:
        for heard in self._listeners:
            heard()


def _wake(path: Path) -> None:
    """Notify one process. If its pipe has no reader (ENXIO), is full or is gone, it needs no waking."""
    with contextlib.suppress(OSError):
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(pipe, b"!")
        finally:
            os.close(pipe)
