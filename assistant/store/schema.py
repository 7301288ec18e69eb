"""The schema at start: created in a new store, checked in a current one, migrated in an older one."""

import asyncio
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from assistant.contracts.errors import StoreUnavailable
from assistant.store.database import Database, Transaction

HEAD = "0007"
"""The newest revision in `migrations/versions`."""
_SNAPSHOTS = Path(__file__).parent / "migrations"
_MIGRATION_SECONDS = 600
_EXISTS = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgresql": "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL",
}
_VERSION = "SELECT version_num FROM alembic_version"
log = logging.getLogger(__name__)


async def bring_up_to_date(database: Database, url: str) -> None:
    """Bring the database to revision `HEAD`. Raises StoreUnavailable if that fails, as after a downgrade."""
    found = await database.write(_make_or_look)
    if found == HEAD:
        return
    log.info("store.migrating from=%s to=%s", found, HEAD)
    await _migrate(url)
    if await database.read(_look) != HEAD:
        raise StoreUnavailable("The store could not be brought to this version's schema.")
    log.info("store.migrated to=%s", HEAD)


def _make_or_look(connection: Transaction) -> str:
    if not connection.execute(_EXISTS[connection.dialect]):
        for statement in (_SNAPSHOTS / f"{connection.dialect}.sql").read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                connection.execute(statement)
    return _look(connection)


def _look(connection: Transaction) -> str:
    rows = connection.execute(_VERSION)
    return rows[0][0] if rows else "none"


async def _migrate(url: str) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "assistant.store.migrate", stdin=PIPE, stdout=DEVNULL, stderr=PIPE)
    try:
        async with asyncio.timeout(_MIGRATION_SECONDS):
            _, said = await child.communicate(url.encode())
    except TimeoutError:
        child.kill()
        await child.wait()
        raise StoreUnavailable("The store's migration did not end in time.") from None
    if child.returncode:
        # The kind of error only: its text may hold the database's address, with a password.
        kind = said.decode(errors="replace").strip().rpartition("\n")[2].partition(":")[0]
        log.error("store.migration_failed code=%s error=%s", child.returncode, kind)
        raise StoreUnavailable(
            "The store could not be brought to this version's schema; was it written by a newer version? The log has the kind of error."
        )
