"""SQLite: one file, readers beside one writer (WAL), every commit on the disk before it returns."""

import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

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
_REASONS = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: "The store can't be written: its disk is full. Nothing was accepted.",
    sqlite3.SQLITE_IOERR: "The store can't be read or written: its disk reports an error or is full. Nothing was accepted.",
    sqlite3.SQLITE_READONLY: "The store can't be written: its file is read-only. Nothing was accepted.",
    sqlite3.SQLITE_PERM: "The store can't be opened: its file's permissions do not allow it.",
    sqlite3.SQLITE_CANTOPEN: "The store can't be opened: its file or folder is missing or not accessible.",
    sqlite3.SQLITE_CORRUPT: "The store's file is damaged. Restore it from a backup.",
    sqlite3.SQLITE_NOTADB: "The store's file is not a SQLite database.",
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

    def connect(self, *, writes: bool) -> "SqliteLink":
        try:
            if writes:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # SQLite gives its -wal and -shm files the permissions of this one.
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            raw = sqlite3.connect(self._path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False)
        except OSError as error:
            raise StoreUnavailable(f"The store can't be opened: {error.strerror}.") from error
        except sqlite3.Error as error:
            raise _explained(error) from error
        try:
            _switch_to_wal(raw, self._busy_seconds)
            for pragma in (*_PRAGMAS, f"query_only = {'OFF' if writes else 'ON'}"):
                raw.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raw.close()
            raise _explained(error) from error
        return SqliteWriter(raw, self._busy_seconds) if writes else SqliteLink(raw)


class SqliteLink:
    """An open connection to the file. See `DatabaseLink`."""

    dialect: Literal["sqlite"] = "sqlite"
    lost = False

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, sql: str, params: Mapping[str, SqlValue] = NO_PARAMS) -> list[SqlRow]:
        try:
            return self._raw.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise _explained(error) from error

    def begin(self) -> None:
        self.execute("BEGIN")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        # Some failures (a full disk) end the transaction by themselves.
        if self._raw.in_transaction:
            try:
                self._raw.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise StoreUnavailable from error

    def scrub(self) -> bool:
        return not self.execute("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]

    def close(self) -> None:
        self._raw.close()


class SqliteWriter(SqliteLink):
    """The connection that writes. Nothing can break the lock of a process that was stopped while it wrote, so the wait for it is bounded: after
    one that was in vain, the next ones are short until one succeeds, and callers learn within `busy_seconds` that nothing can be stored."""

    def __init__(self, raw: sqlite3.Connection, busy_seconds: float) -> None:
        super().__init__(raw)
        # SQLite's own wait looks every 100 ms, and between two processes that write all the time it may never see the lock free.
        raw.execute("PRAGMA busy_timeout = 0")
        self._busy_seconds = busy_seconds
        self._in_vain = False

    def begin(self) -> None:
        deadline = time.monotonic() + (min(_SHORT_SECONDS, self._busy_seconds) if self._in_vain else self._busy_seconds)
        while True:
            try:
                self._raw.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                    raise _explained(error) from error
                if time.monotonic() > deadline:
                    self._in_vain = True
                    raise StoreUnavailable(_LOCKED, retry_after=_RETRY_SECONDS) from error
                time.sleep(_LOOK_SECONDS)
            else:
                self._in_vain = False
                return


def _switch_to_wal(raw: sqlite3.Connection, seconds: float) -> None:
    # Two processes that switch a new file at the same time: SQLite refuses one at once, without the busy timeout (it could deadlock).
    deadline = time.monotonic() + seconds
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _explained(error: sqlite3.Error) -> Exception:
    """StoreUnavailable with the reason if the place is at fault, the error itself if the statement is."""
    code = getattr(error, "sqlite_errorcode", None)
    reason = _REASONS.get(code & 0xFF) if isinstance(code, int) else None
    return StoreUnavailable(reason) if reason else error
