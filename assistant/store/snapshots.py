"""The way back from an upgrade: a copy of a SQLite store as it was before its schema changed, and how it is brought back."""

import contextlib
import logging
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import apsw

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.records import record

log = logging.getLogger(__name__)
_KEPT: Final = 2
_SUFFIX: Final = ".db"
_BUSY_MILLISECONDS: Final = 5000
_SPARE: Final = 1.1
_ENDED: Final[Mapping[str, tuple[str, str]]] = {
    "outbox": ("state, ended", "state IN ('queued', 'sending')"),
    "inbox": ("state, ended", "state IN ('waiting', 'taken')"),
    "continuations": ("state, ended", "state IN ('waiting', 'taken')"),
    "tasks": ("state, ended", "ended IS NULL"),
    "jobs": ("state, ended", "ended IS NULL"),
    "occurrences": ("state, ended", "ended IS NULL"),
    "schedules": ("state, ended, next_at, last", "1"),
}
"""What was to be done then, by id: (columns, the rows that were open). What was done since is not done again."""
_COUNTED: Final[Mapping[str, str]] = {
    "sessions": "sessions",
    "messages": "messages",
    "outbox": "deliveries",
    "memories": "memories",
    "schedules": "schedules",
}


@record
class StoreSnapshot:
    """A store as it was before an upgrade."""

    revision: str
    path: Path
    at: datetime


def snapshot_folder(path: Path) -> Path:
    """Beside the database."""
    return path.with_name(f"{path.name}-snapshots")


def snapshots(path: Path) -> Sequence[StoreSnapshot]:
    """Those of a database, the latest first."""
    found = [each for each in snapshot_folder(path).glob(f"*{_SUFFIX}") if each.stem.isdigit()]
    made = [StoreSnapshot(revision=each.stem, path=each, at=datetime.fromtimestamp(each.stat().st_mtime, UTC)) for each in found]
    return sorted(made, key=lambda each: each.at, reverse=True)


def keep_snapshot(path: Path, revision: str) -> None:
    """Copy the database, if it is of this revision, while others may use it. The latest two copies stay. Blocks. Raises StoreUnavailable."""
    folder = snapshot_folder(path)
    new = folder / f"{revision}.{os.getpid()}.new"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        size = path.stat().st_size
        if shutil.disk_usage(folder).free < size * _SPARE:
            raise StoreUnavailable(
                f"There is too little room to keep a copy of the store before it is upgraded: free {size * _SPARE / 1e6:.0f} MB beside {path}, and "
                "start again. The store was not changed."
            )
        with open(os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "rb") as file:
            with contextlib.closing(_opened(path)) as source, contextlib.closing(_opened(new)) as copy:
                _copy(source, copy)
                there = _revision(copy)
            os.fsync(file.fileno())
        if there == revision:  # else another process has upgraded it meanwhile, and has kept a copy
            new.rename(folder / f"{revision}{_SUFFIX}")
            log.info("store.snapshot path=%s", folder / f"{revision}{_SUFFIX}")
        for old in snapshots(path)[_KEPT:]:
            old.path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"No copy of the store could be kept before its upgrade: {error.strerror}. The store was not changed."
        ) from error
    except apsw.Error as error:
        raise StoreUnavailable(
            f"No copy of the store could be kept before its upgrade ({type(error).__name__}). The store was not changed."
        ) from error
    finally:
        _remove(new)


def written_since(path: Path, snapshot: StoreSnapshot) -> Mapping[str, int]:
    """How many rows of each kind the database has that the snapshot lacks. Blocks. Raises StoreUnavailable."""
    counts: list[dict[str, int]] = []
    for each in (path, snapshot.path):
        with _explained(each), contextlib.closing(_opened(each)) as raw:
            there = _tables(raw, "main")
            counts.append({table: _run(raw, f"SELECT COUNT(*) FROM {table}")[0][0] for table in _COUNTED if table in there})  # noqa: S608 - tables of ours
    now, then = counts
    return {_COUNTED[table]: more for table in now if (more := now[table] - then.get(table, 0)) > 0}


def roll_back(path: Path, snapshot: StoreSnapshot) -> None:
    """Bring the snapshot back, in one transaction; the database that it replaces is kept as a snapshot of its own revision. What was done since is
    marked as done in it, so that nothing goes out twice. No other process may use the database. Blocks. Raises StoreUnavailable."""
    back = path.with_name(f"{path.name}.back")
    with _explained(path):
        with contextlib.closing(_opened(path)) as current:
            revision = _revision(current)
        try:
            back.unlink(missing_ok=True)
            os.close(os.open(back, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            with contextlib.closing(_opened(snapshot.path)) as source, contextlib.closing(_opened(back)) as copy:
                _copy(source, copy)
                _run(copy, "ATTACH :path AS now", {"path": str(path)})
                _note_done(copy)
            os.utime(snapshot.path)  # the last to be removed
            keep_snapshot(path, revision)
            with contextlib.closing(_opened(back)) as source, contextlib.closing(_opened(path)) as current:
                _copy(source, current)
        finally:
            _remove(back)


def _note_done(raw: apsw.Connection) -> None:
    both = _tables(raw, "main") & _tables(raw, "now")
    for table, (columns, where) in _ENDED.items():
        if table in both:
            # Names of this file only. A row that is gone was ended long ago, or removed by its owner: it is not done again either.
            wanted = f"SELECT {columns} FROM now.{table} AS later WHERE later.id = main.{table}.id"  # noqa: S608
            _run(raw, f"UPDATE main.{table} SET ({columns}) = ({wanted}) WHERE {where} AND EXISTS ({wanted})")  # noqa: S608
            _run(raw, f"DELETE FROM main.{table} WHERE {where} AND NOT EXISTS ({wanted})")  # noqa: S608


def _copy(source: apsw.Connection, target: apsw.Connection) -> None:
    """All or nothing: by SQLite's own backup, which is a transaction of the target."""
    with target.backup("main", source, "main") as backup:
        backup.step(-1)


def _remove(path: Path) -> None:
    """A database that is not needed any more, if it is there."""
    for left in (path, Path(f"{path}-journal"), Path(f"{path}-wal"), Path(f"{path}-shm")):
        with contextlib.suppress(OSError):
            left.unlink()


def _opened(path: Path) -> apsw.Connection:
    raw = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    raw.set_busy_timeout(_BUSY_MILLISECONDS)
    _run(raw, "PRAGMA synchronous = FULL")
    return raw


def _revision(raw: apsw.Connection) -> str:
    rows = _run(raw, "SELECT version_num FROM alembic_version")
    return str(rows[0][0]) if rows else "none"


def _tables(raw: apsw.Connection, schema: str) -> set[str]:
    return {name for (name,) in _run(raw, f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table'")}  # noqa: S608 - a name of this file


def _run(raw: apsw.Connection, sql: str, values: Mapping[str, str] | None = None) -> list[tuple[Any, ...]]:
    return cast("Any", raw).execute(sql, values).fetchall()


@contextlib.contextmanager
def _explained(path: Path) -> Generator[None]:
    try:
        yield
    except apsw.Error as error:
        raise StoreUnavailable(f"{path} can't be read or written ({type(error).__name__}).") from error
    except OSError as error:
        raise StoreUnavailable(f"{path} can't be read or written: {error.strerror}.") from error
