"""How `nanobot reload` finds the server of a state's folder, and learns what its reload did.

`server.pid` holds its process id, and is locked as long as it runs; `reload.json` says what its latest reload did.
"""

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from assistant.app.reload import Reloaded

_PID: Final = "server.pid"
_REPORT: Final = "reload.json"


class ReloadReports:
    """Written by the server, one after the other."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._number = 0

    def write(self, reloaded: Reloaded) -> None:
        self._number += 1
        new = self._home / f"{_REPORT}.new"
        new.write_text(json.dumps({"pid": os.getpid(), "number": self._number, **asdict(reloaded)}))
        new.replace(self._home / _REPORT)


@contextmanager
def announced(home: Path) -> Generator[ReloadReports]:
    """This process is the server that `nanobot reload` finds, until the end; unless another one is."""
    file = os.open(home / _PID, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            pass  # SIGHUP reaches this one, too
        yield ReloadReports(home)
    finally:
        os.close(file)


def running_server(home: Path) -> int | None:
    """The process id of the server that runs; None: none does."""
    try:
        with (home / _PID).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read())
    except (OSError, ValueError):
        pass
    return None


def latest_report(home: Path, pid: int) -> tuple[int, Reloaded]:
    """(its number, what it says) of the server's latest reload; 0: there was none."""
    try:
        found = json.loads((home / _REPORT).read_text())
    except (OSError, ValueError):
        return 0, Reloaded()
    if found["pid"] != pid:
        return 0, Reloaded()
    return found["number"], Reloaded(applied=tuple(found["applied"]), waiting=tuple(found["waiting"]), wrong=found["wrong"])
