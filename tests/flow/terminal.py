"""A terminal with a person at it: a process on a pseudo-terminal, typed at and read from, every wait bounded."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from types import TracebackType
from typing import Self

from .nanobot_process import LIMIT, Nanobot


class Terminal:
    def __init__(self, nanobot: Nanobot, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (40, 100))
        environment = {**nanobot.environment, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-m", "assistant.cli", *arguments]
        self.process = subprocess.Popen(
            command, cwd=nanobot.folder, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.text: str = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def interrupt(self) -> None:
        """What Ctrl-C does to the process in the foreground."""
        self.process.send_signal(signal.SIGINT)

    def read_until(self, wanted: str) -> str:
        """All that was shown up to and with `wanted`, since the last call. Fails after a minute."""
        end = time.monotonic() + LIMIT
        while wanted not in self.text:
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            data = self._read() if ready else ""
            assert data, f"{wanted!r} was not shown, but {self.text!r}"
            self.text += data
        shown, _, self.text = self.text.partition(wanted)
        return shown + wanted

    def read_to_the_end(self) -> int:
        """Read on until the process has ended; returns its exit code."""
        while data := self._read():
            self.text += data
        return self.process.wait(LIMIT)

    def _read(self) -> str:
        try:
            return os.read(self._master, 65_536).decode(errors="replace")
        except OSError:  # a pseudo-terminal's error when its other end is closed
            return ""
