"""The store: the database of the settings with its schema current, its sessions and its attachments."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from assistant.contracts.errors import StoreUnavailable
from assistant.store.attachments import Attachments
from assistant.store.connection import Engine
from assistant.store.database import Database
from assistant.store.runners import FileRunner, Runner, SessionLockRunner
from assistant.store.schema import bring_up_to_date
from assistant.store.sessions import Sessions
from assistant.store.settings import AttachmentSettings, StoreSettings
from assistant.store.sqlite import SqliteEngine
from assistant.store.times import Clock, utc_now

_SQLITE = "sqlite:///"
_KEEP = AttachmentSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """All that is kept, on one database."""

    sessions: Sessions
    attachments: Attachments
    database: Database
    runner: Runner

    async def close(self) -> None:
        """Finish what waits, then close. Safe to call twice."""
        await self.database.close()
        self.runner.release()


async def open_store(
    settings: StoreSettings, state_folder: Path, attachments: AttachmentSettings = _KEEP, *, clock: Clock = utc_now
) -> Store:
    """Open (or make) the store. A current schema costs a glance, an older one is migrated first. Raises StoreUnavailable.

    SQLite lives in `state_folder` unless `settings.url` says otherwise; the files of attachments always do. Nothing is recovered or swept yet:
    that is `sessions.recover` and `attachments.sweep`.
    """
    url = settings.url or f"{_SQLITE}{(state_folder / 'nanobot.db').absolute()}"
    engine, runner = await asyncio.to_thread(_engine_and_runner, url)
    database = Database(engine)
    kept_files = Attachments(database, state_folder / "attachments", attachments, clock=clock)
    store = Store(
        sessions=Sessions(database, runner, collect=kept_files.collect, clock=clock),
        attachments=kept_files,
        database=database,
        runner=runner,
    )
    try:
        await bring_up_to_date(database, url)
    except BaseException:
        await store.close()
        raise
    return store


def _engine_and_runner(url: str) -> tuple[Engine, Runner]:
    if url.startswith(_SQLITE):
        path = Path(url.removeprefix(_SQLITE)).absolute()
        try:
            return SqliteEngine(path), FileRunner(path.with_name(f"{path.name}-runners"))
        except OSError as error:
            raise StoreUnavailable(f"The store can't be opened: {error.strerror}.") from error
    return _postgres(url)


def _postgres(url: str) -> tuple[Engine, Runner]:
    from assistant.store.postgres import PostgresEngine  # noqa: PLC0415 - psycopg is an extra, and slow to import

    runner = SessionLockRunner()
    return PostgresEngine(url, writer_setup=runner.setup), runner
