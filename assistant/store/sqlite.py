"""SQLite: one file, readers beside one writer (WAL), every commit on the disk before it returns.

By apsw, which brings a SQLite of its own: that of the standard library may be older than 3.51.3, in which two processes on one file that
checkpoint at the same time can lose what was committed (https://sqlite.org/wal.html#walresetbug).
"""

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import apsw

from assistant.contracts.errors import StoreUnavailable
from assistant.store.database import NO_PARAMS, SqlRow, SqlValue

_PRAGMAS = (
    "synchronous = FULL",
    "fullfsync = ON",
    "foreign_keys = ON",
    "mmap_size = 0",
    "journal_size_limit = 67108864",
    # A checkpoint syncs the database while a commit waits: at 32 MiB of log it delays one turn in thousands, at SQLite's 4 MiB one in a hundred.
    "wal_autocheckpoint = 8000",
    # What is deleted is overwritten: it costs a delete some microseconds, and an insert nothing.
    "secure_delete = ON",
)
_LOCKED = "The store is locked by another process. Nothing was accepted; try again later."
_BACK = "Move it away, with its -wal and -shm; then nanobot restore FILE brings a backup back, or nanobot serve begins anew."
_REASONS: dict[int, str] = {
    apsw.SQLITE_BUSY: _LOCKED,
    apsw.SQLITE_LOCKED: _LOCKED,
    apsw.SQLITE_FULL: "The store can't be written: its disk is full. Nothing was accepted.",
    apsw.SQLITE_IOERR: "The store can't be read or written: its disk reports an error or is full. Nothing was accepted.",
    apsw.SQLITE_READONLY: "The store can't be written: its file is read-only. Nothing was accepted.",
    apsw.SQLITE_PERM: "The store can't be opened: its file's permissions do not allow it.",
    apsw.SQLITE_CANTOPEN: "The store can't be opened: its file or folder is missing or not accessible.",
    apsw.SQLITE_CORRUPT: f"The store's file is damaged. {_BACK}",
    apsw.SQLITE_NOTADB: f"The store's file is not a SQLite database. {_BACK}",
}
"""By primary result code: failures of the place, not of a statement."""
_LOOK_SECONDS = 0.002
_SHORT_SECONDS = 0.1
_RETRY_SECONDS = 2.0


class SqliteEngine:
    """The database in a file, created owner-only with its folder if it is missing."""

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: Path, *, busy_seconds: float = 2.0) -> None:
        """`busy_seconds`: how long to wait while another process writes."""
        self._path = path
        self._busy_seconds = busy_seconds

    def connect(self, *, writes: bool, beside: bool = False) -> "SqliteLink":
        writes = writes or beside
        try:
            if writes:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # SQLite gives its -wal and -shm files the permissions of this one. One that is there is not opened: to close it would end this
                # process's locks on it.
                with contextlib.suppress(FileExistsError):
                    os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            raw = apsw.Connection(str(self._path))
        except OSError as error:
            raise StoreUnavailable(f"The store can't be opened: {error.strerror}.") from error
        except apsw.Error as error:
            raise _explained(error) from error
        try:
            raw.set_busy_timeout(int(self._busy_seconds * 1000))
            _switch_to_wal(raw, self._busy_seconds)
            for pragma in (*_PRAGMAS, f"query_only = {'OFF' if writes else 'ON'}"):
                _run(raw, f"PRAGMA {pragma}")
        except apsw.Error as error:
            raw.close()
            raise _explained(error) from error
        return SqliteWriter(raw, self._busy_seconds) if writes else SqliteLink(raw)


class SqliteLink:
    """An open connection to the file. See `DatabaseLink`."""

    dialect: Literal["sqlite"] = "sqlite"
    lost = False

    def __init__(self, raw: apsw.Connection) -> None:
        self._raw = raw

    def execute(self, sql: str, params: Mapping[str, SqlValue] = NO_PARAMS) -> list[SqlRow]:
        try:
            return _run(self._raw, sql, params)
        except apsw.Error as error:
            raise _explained(error) from error

    def begin(self, *, relaxed: bool = False) -> None:
        self.execute("BEGIN")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        # Some failures (a full disk) end the transaction by themselves.
        if self._raw.in_transaction:
            try:
                _run(self._raw, "ROLLBACK")
            except apsw.Error as error:
                raise StoreUnavailable from error

    def scrub(self) -> bool:
        return not self.execute("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]

    def close(self) -> None:
        self._raw.close()


class SqliteWriter(SqliteLink):
    """The connection that writes. Nothing can break the lock of a process that was stopped while it wrote, so the wait for it is bounded: after
    one that was in vain, the next ones are short until one succeeds, and callers learn within `busy_seconds` that nothing can be stored."""

    def __init__(self, raw: apsw.Connection, busy_seconds: float) -> None:
        super().__init__(raw)
        # SQLite's own wait looks every 100 ms, and between two processes that write all the time it may never see the lock free.
        raw.set_busy_timeout(0)
        self._busy_seconds = busy_seconds
        self._in_vain = False
        self._relaxed = False

    def begin(self, *, relaxed: bool = False) -> None:
        if relaxed != self._relaxed:  # in WAL, NORMAL leaves the sync to the next FULL commit
            self.execute(f"PRAGMA synchronous = {'NORMAL' if relaxed else 'FULL'}")
            self._relaxed = relaxed
        deadline = time.monotonic() + (min(_SHORT_SECONDS, self._busy_seconds) if self._in_vain else self._busy_seconds)
        while True:
            try:
                _run(self._raw, "BEGIN IMMEDIATE")
            except apsw.Error as error:
                if not isinstance(error, apsw.BusyError):
                    raise _explained(error) from error
                if time.monotonic() > deadline:
                    self._in_vain = True
                    raise StoreUnavailable(_LOCKED, retry_after=_RETRY_SECONDS) from error
                time.sleep(_LOOK_SECONDS)
            else:
                self._in_vain = False
                return


def _switch_to_wal(raw: apsw.Connection, seconds: float) -> None:
    # Two processes that switch a new file at the same time: SQLite refuses one at once, without the busy timeout (it could deadlock).
    deadline = time.monotonic() + seconds
    while True:
        try:
            _run(raw, "PRAGMA journal_mode = WAL")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _run(raw: apsw.Connection, sql: str, params: Mapping[str, SqlValue] = NO_PARAMS) -> list[SqlRow]:
    # Before Python 3.12, apsw's types of parameters are not known.
    return cast("Any", raw).execute(sql, params).fetchall()


def _explained(error: apsw.Error) -> Exception:
    """StoreUnavailable with the reason if the place is at fault, the error itself if the statement is."""
    reason = _REASONS.get(getattr(error, "result", apsw.SQLITE_OK))
    return StoreUnavailable(reason) if reason else error
