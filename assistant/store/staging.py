"""The files of a restore: they lie beside the state until the database is the restored one, then they take the places of those that were there.

The restore's id is in the plan and, in the transaction that replaces the rows, in the table `freezes`. So what opens the store after a crash
sees which of the two states is the whole one, and completes it.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final

from assistant.contracts.errors import StoreUnavailable
from assistant.store.database import Database
from assistant.store.freezes import FREEZE

_FOLDER: Final = "restoring"
_PLAN: Final = "plan.json"
_LOCK: Final = "restore.lock"
_BUSY: Final = "A backup is being restored here. Wait until that has ended."


def staged_restore(home: Path) -> Path:
    """The folder in which a restore lies until it is whole."""
    return home / _FOLDER


@contextlib.contextmanager
def staging(home: Path) -> Generator[Path]:
    """A fresh folder for a restore, which no other process touches meanwhile; `settle` an earlier one first. It is removed in the end, but where
    something fails once there is a plan: whether that holds, the next one to open the store sees.

    Raises StoreUnavailable where another restore runs.
    """
    folder = staged_restore(home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(folder):
        _empty(folder)
        try:
            yield folder
        except BaseException:
            if not (folder / _PLAN).exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder)


def plan(folder: Path, id: str, moves: Mapping[str, Path]) -> None:
    """Write, durably, where each of the staged files and folders belongs. Nothing is moved before the database has the restore's id."""
    text = json.dumps({"id": id, "moves": {name: str(target) for name, target in moves.items()}})
    new = folder / f"{_PLAN}.new"
    new.write_text(text, encoding="utf-8")
    os.sync()  # the staged files, too
    new.rename(folder / _PLAN)
    _sync(folder)


async def settle(database: Database, home: Path) -> None:
    """Complete or drop what a restore that was killed left. Raises StoreUnavailable where one runs."""
    folder = staged_restore(home)
    if not folder.is_dir():
        return
    rows = await database.select(FREEZE)
    try:
        with _locked(folder):
            place(folder, rows[0][0] if rows else "")
            shutil.rmtree(folder)
    except FileNotFoundError:
        return  # another process has done it
    except OSError as error:
        raise StoreUnavailable(f"A restore could not be completed in {folder}: {error.strerror}.") from error


def place(folder: Path, id: str) -> None:
    """Move what is planned to its places, if it belongs to the restore that the database has. Repeatable at any point."""
    with contextlib.suppress(FileNotFoundError):
        found = json.loads((folder / _PLAN).read_text(encoding="utf-8"))
        for name, target in found["moves"].items() if found["id"] == id else ():
            if (folder / name).exists():
                _replace(folder / name, Path(target))
        _sync(folder.parent)


def _replace(staged: Path, target: Path) -> None:
    aside = target.with_name(f".{target.name}.replaced")
    try:
        _remove(aside)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if target.exists():
            target.rename(aside)
        staged.rename(target)
    except OSError:
        # A mount point, or another disk: it is filled in place, again from the start after a crash.
        if aside.exists() and not target.exists():
            aside.rename(target)
        if not staged.is_dir():
            shutil.copy2(staged, target)
        else:
            target.mkdir(mode=0o700, exist_ok=True)
            _empty(target)
            shutil.copytree(staged, target, dirs_exist_ok=True)
        os.sync()
        _remove(staged)
    _remove(aside)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != _LOCK:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(folder: Path) -> Generator[None]:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreUnavailable(_BUSY) from None
        yield
    finally:
        os.close(descriptor)
