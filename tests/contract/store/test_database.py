"""What Database promises: one writer, group commit, readers that do not wait, and failures that stay where they are."""

import asyncio
import stat
from pathlib import Path

import apsw
import psycopg
import pytest

from assistant.contracts.errors import NotFound, StoreUnavailable
from assistant.store.database import Database, SqlRow, Transaction
from assistant.store.sqlite import SqliteEngine
from assistant.store.store import Store

from .gate import SECONDS, Gate, behind_a_gate


def insert(number: int) -> "Insert":
    return Insert(number)


class Insert:
    """A job that adds a row of its own."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, connection: Transaction) -> int:
        connection.execute("INSERT INTO pulse (id, at) VALUES (:id, 0)", {"id": self.number})
        return self.number


def faulty(connection: Transaction) -> None:
    connection.execute("INSERT INTO pulse (id, at) VALUES (99, 0)")
    raise NotFound("not mine")


def wrong(connection: Transaction) -> list[SqlRow]:
    return connection.execute("SELECT nothing FROM nowhere")


async def rows(database: Database) -> list[int]:
    return [row[0] for row in await database.read(lambda connection: connection.execute("SELECT id FROM pulse ORDER BY id"))]


async def test_what_waits_together_is_committed_together(store: Store) -> None:
    gate, held = await behind_a_gate(store.database)
    order: list[int] = []
    transactions: set[int] = set()

    def note(connection: Transaction, number: int) -> None:
        order.append(number)
        insert(number)(connection)
        if connection.dialect == "postgresql":
            transactions.add(connection.execute("SELECT txid_current()")[0][0])

    waiting = [
        asyncio.create_task(store.database.write(lambda connection, number=number: note(connection, number))) for number in range(50)
    ]
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(held, *waiting)
    assert order == list(range(50))
    assert await rows(store.database) == list(range(50))
    assert len(transactions) <= 1


async def test_a_failing_job_harms_no_other_of_its_batch(store: Store) -> None:
    gate, held = await behind_a_gate(store.database)
    jobs = (insert(1), faulty, insert(2), wrong, insert(3))
    waiting = [asyncio.create_task(store.database.write(job)) for job in jobs]
    await asyncio.sleep(0)
    gate.open()
    await held
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert (results[0], results[2], results[4]) == (1, 2, 3)
    assert isinstance(results[1], NotFound)
    assert isinstance(results[3], apsw.SQLError | psycopg.errors.UndefinedTable)
    assert await rows(store.database) == [1, 2, 3]


async def test_a_cancelled_caller_neither_undoes_its_write_nor_breaks_the_batch(store: Store) -> None:
    gate, held = await behind_a_gate(store.database)
    waiting = [asyncio.create_task(store.database.write(insert(number))) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    gate.open()
    await held
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert (results[0], results[2]) == (1, 3)
    assert isinstance(results[1], asyncio.CancelledError)
    assert await rows(store.database) == [1, 2, 3]


async def test_a_job_that_is_alone_shares_its_transaction_with_nobody(store: Store) -> None:
    runs: list[int] = []

    def count(connection: Transaction) -> int:
        runs.append(1)
        return insert(2)(connection)

    gate, held = await behind_a_gate(store.database)
    jobs = (
        store.database.write(insert(1)),
        store.database.write(faulty),
        store.database.write(count, alone=True),
        store.database.write(faulty),
    )
    waiting = [asyncio.create_task(job) for job in jobs]
    await asyncio.sleep(0)
    gate.open()
    await held
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert (results[0], results[2]) == (1, 2)
    # With a job that fails beside it, it would have been undone and run again.
    assert len(runs) == 1
    assert await rows(store.database) == [1, 2]


async def test_readers_do_not_wait_for_the_writer_nor_see_what_it_has_not_committed(store: Store) -> None:
    gate = Gate()

    def write_and_wait(connection: Transaction) -> None:
        insert(1)(connection)
        gate(connection)

    held = asyncio.create_task(store.database.write(write_and_wait))
    assert await asyncio.to_thread(gate.reached.wait, SECONDS)
    async with asyncio.timeout(SECONDS):
        assert await rows(store.database) == []
    gate.open()
    await held
    assert await rows(store.database) == [1]


async def test_a_reader_can_not_write(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="read-only"):
        await store.database.read(insert(1))
    assert await rows(store.database) == []


async def test_closing_finishes_what_waits_and_refuses_what_comes_later(store: Store, url: str) -> None:
    gate, held = await behind_a_gate(store.database)
    waiting = [asyncio.create_task(store.database.write(insert(number), alone=number == 2)) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(held, closing)
    assert [task.result() for task in waiting] == [1, 2, 3]
    with pytest.raises(StoreUnavailable):
        await store.database.write(insert(4))


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_connection_lost_while_idle_is_made_anew(postgres_server: str, store: Store) -> None:
    await cut_connections(store, postgres_server)
    assert await store.database.write(insert(1)) == 1
    assert await rows(store.database) == [1]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_connection_lost_within_a_job_fails_it_in_words_and_no_later_one(postgres_server: str, store: Store) -> None:
    gate = Gate()

    def write_after_the_gate(connection: Transaction) -> None:
        gate(connection)
        insert(1)(connection)

    lost = asyncio.create_task(store.database.write(write_after_the_gate))
    assert await asyncio.to_thread(gate.reached.wait, SECONDS)
    await cut_connections(store, postgres_server)
    gate.open()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await lost
    assert await store.database.write(insert(2)) == 2
    assert await rows(store.database) == [2]


async def cut_connections(store: Store, server: str) -> None:
    """Have the server end every connection to the store's database, the reader's that asks for its name included."""
    (name,) = (await store.database.read(lambda connection: connection.execute("SELECT current_database()")))[0]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,))


async def test_a_writer_locked_out_says_so_and_goes_on_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "nanobot.db"
    database = Database(SqliteEngine(path, busy_seconds=0.05))
    await database.write(lambda connection: connection.execute("CREATE TABLE pulse (id INTEGER PRIMARY KEY, at INTEGER)"))
    other = SqliteEngine(path).connect(writes=True)
    other.begin()
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        await database.write(insert(1))
    other.rollback()
    other.close()
    assert await database.write(insert(2)) == 2
    assert await rows(database) == [2]
    await database.close()


async def test_the_file_is_the_owners_alone_and_every_commit_reaches_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "new" / "nanobot.db"
    database = Database(SqliteEngine(path))
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "mmap_size")
    found = await database.write(lambda connection: [connection.execute(f"PRAGMA {pragma}")[0][0] for pragma in pragmas])
    assert found == ["wal", 2, 1, 0]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    await database.close()


@pytest.mark.parametrize("contents", [b"not a database at all" * 100, None], ids=["garbage", "folder"])
async def test_what_is_no_database_is_named_so(tmp_path: Path, contents: bytes | None) -> None:
    path = tmp_path / "nanobot.db"
    if contents is None:
        path.mkdir()
    else:
        path.write_bytes(contents)
    database = Database(SqliteEngine(path))
    with pytest.raises(StoreUnavailable, match=r"can't be opened|not a SQLite database"):
        await database.write(insert(1))
    await database.close()
