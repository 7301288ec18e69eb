"""PostgreSQL, by psycopg 3. Imported only where `store.url` asks for it."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import psycopg

from assistant.contracts.errors import StoreUnavailable
from assistant.store.database import NO_PARAMS, WRITER_LOCK, SqlRow, SqlValue

_CONNECT_SECONDS = 5
_SETTINGS = "SET synchronous_commit = on; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'"
# One writer at a time, as on SQLite: a write sees every write before it, so that no job needs to think of isolation levels or deadlocks.
_BEGIN_WRITE = f"BEGIN; SELECT pg_advisory_xact_lock({WRITER_LOCK})"
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_NAMED = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)|%")


class PostgresEngine:
    """The database at a `postgresql://` address."""

    dialect: Literal["postgresql"] = "postgresql"

    def __init__(self, url: str, *, writer_setup: str = "") -> None:
        """`writer_setup`: a statement that each new writing connection runs first."""
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._writer_setup = writer_setup

    def connect(self, *, writes: bool) -> "PostgresLink":
        try:
            raw = psycopg.connect(self._url, autocommit=True, connect_timeout=_CONNECT_SECONDS, application_name="nanobot")
            raw.execute(_SETTINGS)
            if writes and self._writer_setup:
                raw.execute(self._writer_setup.encode())
        except psycopg.Error as error:
            raise _explained(error) from error
        return PostgresLink(raw, _BEGIN_WRITE if writes else _BEGIN_READ)


class PostgresLink:
    """An open connection to the server. See `DatabaseLink`."""

    dialect: Literal["postgresql"] = "postgresql"

    def __init__(self, raw: psycopg.Connection[SqlRow], begin: str) -> None:
        self._raw = raw
        self._begin = begin

    @property
    def lost(self) -> bool:
        return self._raw.closed

    def execute(self, sql: str, params: Mapping[str, SqlValue] = NO_PARAMS) -> list[SqlRow]:
        try:
            cursor = self._raw.execute(_converted(sql), params)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise _explained(error) from error

    def begin(self) -> None:
        self._plain(self._begin)

    def commit(self) -> None:
        self._plain("COMMIT")

    def rollback(self) -> None:
        try:
            self._raw.execute(b"ROLLBACK")
        except psycopg.Error as error:
            raise StoreUnavailable from error

    def close(self) -> None:
        self._raw.close()

    def _plain(self, sql: str) -> None:
        try:
            self._raw.execute(sql.encode())
        except psycopg.Error as error:
            raise _explained(error) from error


@lru_cache(maxsize=512)
def _converted(sql: str) -> bytes:
    """`:name` to psycopg's `%(name)s`, and a plain `%` to `%%`."""
    return _NAMED.sub(lambda found: f"%({found[1]})s" if found[1] else "%%", sql).encode()


def _explained(error: psycopg.Error) -> Exception:
    """StoreUnavailable with the reason if the server is at fault, the error itself if the statement is."""
    if isinstance(error, psycopg.errors.DiskFull):
        return StoreUnavailable("The store can't be written: its disk is full. Nothing was accepted.")
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return StoreUnavailable("The store can't be written: its database is read-only. Nothing was accepted.")
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return StoreUnavailable("The store is locked by another process. Nothing was accepted; try again later.")
    if isinstance(error, psycopg.OperationalError | psycopg.errors.IdleInTransactionSessionTimeout):
        return StoreUnavailable("The store can't be reached: its database does not answer. Try again later.")
    return error
