"""Restoring a backup: it is unpacked and checked beside the state, then takes its place in one step. A crash leaves the one or the other."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import apsw

from assistant.backup.archive import BackupRefused
from assistant.backup.blobs import keep_blobs
from assistant.backup.rows import add_rows, continue_sequences, kept_tables, read_pages, sequences, unpack_page
from assistant.backup.unpack import ROWS, Unpacked, unpack_backup
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.records import record
from assistant.contracts.util import new_id
from assistant.store.codec import to_micros
from assistant.store.database import Database, DatabaseEngine, DatabaseLink, Dialect, SqlRow, StoreSettings
from assistant.store.freezes import ADD_FREEZE
from assistant.store.processes import others_alive
from assistant.store.staging import place, plan, settle, staged_restore, staging
from assistant.store.store import bring_up_to_date, migrate, open_engine, sqlite_path

_PASSING: Final = frozenset({"pulse", "channel_states", "channel_holds", "limit_uses"})
"""Tables that say nothing of whether a store is in use."""
_RUNS: Final = "A server uses this store. Stop it first."


@record
class RestoreTarget:
    """Where a backup is restored to."""

    url: str
    """The database's."""
    home: Path
    """The folder of the state."""
    folders: Mapping[str, Path]
    """Where the archive's folders belong, by their names there: "attachments", "workspace"."""
    files: Mapping[str, Path]
    """Where single files of the archive belong, if it has them, by their names there: "config/config.json"."""
    store: StoreSettings = field(default_factory=StoreSettings)
    """Where else files belong that rows name."""


def what_is_there(target: RestoreTarget) -> str:
    """What a restore would replace, in words; empty: nothing. Raises BackupRefused where a server runs, StoreUnavailable."""
    there = [str(folder) for folder in target.folders.values() if folder.is_dir() and any(folder.iterdir())]
    path = sqlite_path(target.url)
    if path is None or path.exists():
        link = open_engine(target.url).connect(writes=True)
        try:
            refuse_if_used(link, path)
            link.begin()
            rows = _counted(link)
            link.rollback()
        finally:
            link.close()
        there = [*([f"{rows} rows in the store"] if rows else []), *there]
    return ", ".join(there)


def restore_backup(source: BinaryIO, target: RestoreTarget) -> Unpacked:
    """Replace what is at the target by a backup, and freeze the store (`assistant.store.freezes`). Blocks; takes the disk twice for a while.

    Nothing is changed until the whole backup is unpacked and checked. Raises BackupBroken, BackupRefused, StoreUnavailable.
    """
    engine = open_engine(target.url)
    try:
        target.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if staged_restore(target.home).is_dir():
            asyncio.run(_settle_earlier(target, engine))
        with staging(target.home) as folder:
            found = unpack_backup(source, folder, lambda url, revision: asyncio.run(migrate(url, revision)))
            rows = f"sqlite:///{folder / ROWS}"
            asyncio.run(_bring_up_to_date((rows, open_engine(rows)), (target.url, engine)))
            if engine.dialect == "postgresql":
                asyncio.run(keep_blobs(engine, target.store, folder / "files"))
            moves: dict[str, Path] = {}
            for name, to in target.folders.items():
                (folder / "files" / name).mkdir(mode=0o700, parents=True, exist_ok=True)
                moves[f"files/{name}"] = to
            moves |= {name: to for name, to in target.files.items() if (folder / name).exists()}
            id = new_id("restore")
            plan(folder, id, moves)
            _replace_rows(open_engine(rows), engine, found, id, sqlite_path(target.url))
            place(folder, id)
    except OSError as error:
        raise StoreUnavailable(f"The backup can't be restored: {error.filename or target.home}: {error.strerror}.") from error
    return found


async def _settle_earlier(target: RestoreTarget, engine: DatabaseEngine) -> None:
    """Complete or drop a restore that was cut off."""
    await _bring_up_to_date((target.url, engine))
    database = Database(engine)
    try:
        await settle(database, target.home)
    finally:
        await database.close()


async def _bring_up_to_date(*databases: tuple[str, DatabaseEngine]) -> None:
    for url, engine in databases:
        database = Database(engine)
        try:
            await bring_up_to_date(database, url)
        finally:
            await database.close()


def _replace_rows(source: DatabaseEngine, target: DatabaseEngine, found: Unpacked, id: str, path: Path | None) -> None:
    """In one transaction, in which no other process writes."""
    reading, writing = source.connect(writes=False), target.connect(writes=True)
    try:
        if writing.dialect == "postgresql":
            writing.execute("SET idle_in_transaction_session_timeout = 0")
        refuse_if_used(writing, path)
        reading.begin()
        writing.begin()
        tables = kept_tables()
        for table in reversed(tables):
            writing.execute(f"DELETE FROM {table.name}")  # noqa: S608 - of this package's own schema, here and below
        writing.execute("DELETE FROM freezes")
        for table in tables:
            for _, packed in read_pages(reading, table):
                _add(writing, table.name, table.columns, unpack_page(packed, len(table.columns)))
        continue_sequences(writing, sequences(reading))
        now = to_micros(datetime.now(UTC))
        writing.execute(ADD_FREEZE, {"id": id, "made": to_micros(found.head.made), "at": now})
        writing.commit()
    finally:
        reading.close()
        writing.close()


def refuse_if_used(link: DatabaseLink, path: Path | None) -> None:
    """Between transactions. A connection that was closed just now is seen for a moment."""
    for wait in (0.05, 0.2, 0.5, 1.0, 0.0):
        if not others_alive(link, path):
            return
        time.sleep(wait)
    raise BackupRefused(_RUNS)


def _add(link: DatabaseLink, table: str, columns: tuple[str, ...], rows: list[SqlRow]) -> None:
    refusals = _refusals(link.dialect)
    try:
        add_rows(link, table, columns, rows)
    except refusals as error:
        raise BackupRefused(f"Rows of {table!r} can't be stored in this database ({type(error).__name__}). Nothing was changed.") from error


def _refusals(dialect: Dialect) -> type[Exception]:
    """What the driver raises for rows that do not fit."""
    if dialect == "sqlite":
        return apsw.Error
    from psycopg import Error  # noqa: PLC0415 - an extra

    return Error


def _counted(link: DatabaseLink) -> int:
    """How many rows there are, in a store of any revision."""
    names = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
        "postgresql": "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()",
    }
    there = {name for (name,) in link.execute(names[link.dialect])}
    kept = [table.name for table in kept_tables() if table.name in there - _PASSING]
    return sum(link.execute(f"SELECT COUNT(*) FROM {name}")[0][0] for name in kept)  # noqa: S608 - as above
