"""On PostgreSQL a commit waits for the disk behind the writer's lock, and before its caller is told."""

import pytest

from assistant.store.database import Transaction
from assistant.store.store import Store

WRITE = "INSERT INTO channel_notes (channel, key, value, at) VALUES ('telegram', :key, :key, 0) RETURNING pg_current_wal_insert_lsn()"


async def test_what_is_written_is_on_the_disk_when_its_caller_is_told(store: Store, url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("SQLite syncs in its commit")
    for number in range(20):  # PostgreSQL itself writes every 200 ms what no one waited for

        def write(connection: Transaction, key: str = str(number)) -> str:
            return connection.execute(WRITE, {"key": key})[0][0]

        at = await store.database.write(write)
        assert await store.database.select("SELECT pg_current_wal_flush_lsn() > CAST(:at AS pg_lsn)", {"at": at}) == [(True,)]
