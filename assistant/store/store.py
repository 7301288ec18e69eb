"""The store: a database with a current schema, and everything kept in it and beside it."""

import asyncio
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.records import record
from assistant.contracts.util import Clock, utc_now
from assistant.store.api_keys import ApiKeys
from assistant.store.approvals import ApprovalStore
from assistant.store.attachments import AttachmentStore, FileStore
from assistant.store.audit import AuditStore
from assistant.store.audit import redact as redact_audit
from assistant.store.browsers import Browsers
from assistant.store.changes import Changes
from assistant.store.channels import PairingStore, StoredChannelNotes, StoredChannelStates
from assistant.store.continuations import ContinuationStore
from assistant.store.database import AttachmentSettings, Database, DatabaseEngine, StoreSettings, Transaction
from assistant.store.forgetting import Forgetting
from assistant.store.freezes import FreezeStore
from assistant.store.history import HistoryIndex
from assistant.store.holds import HoldStore
from assistant.store.idempotency import IdempotencyStore
from assistant.store.imported import ImportedSessions
from assistant.store.inbox import InboxStore
from assistant.store.jobs import JobStore
from assistant.store.learned import LearnedStore
from assistant.store.ledger import LedgerStore
from assistant.store.limits import StoredLimits
from assistant.store.links import LinkStore
from assistant.store.mcp import McpStore
from assistant.store.media import MediaFolder
from assistant.store.memories import MemoryStore
from assistant.store.occurrences import OccurrenceStore
from assistant.store.open_turns import OpenTurns
from assistant.store.outbox import OutboxStore
from assistant.store.people import PeopleStore
from assistant.store.places import SharedPlaces
from assistant.store.processes import FileRunner, Notifier, PipeNotifier, Runner, SessionLockRunner
from assistant.store.reaching import Offers
from assistant.store.readings import ReadingStore
from assistant.store.responses import ResponseStore
from assistant.store.schedules import ScheduleStore
from assistant.store.sessions import Sessions
from assistant.store.snapshots import keep_snapshot
from assistant.store.sqlite import SqliteEngine
from assistant.store.staging import settle
from assistant.store.summaries import SummaryStore, redact
from assistant.store.tasks import TaskStore

_SQLITE = "sqlite:///"
HEAD = "0023"
"""The newest revision in `migrations/versions`."""
_EXISTS = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgresql": "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL",
}
log = logging.getLogger(__name__)
_KEEP = AttachmentSettings()
_UTC = ZoneInfo("UTC")


@record
class Store:
    """Everything stored, on one database."""

    sessions: Sessions
    attachments: AttachmentStore
    open_turns: OpenTurns
    outbox: OutboxStore
    inbox: InboxStore
    approvals: ApprovalStore
    continuations: ContinuationStore
    pairings: PairingStore
    channel_states: StoredChannelStates
    jobs: JobStore
    schedules: ScheduleStore
    occurrences: OccurrenceStore
    tasks: TaskStore
    media: MediaFolder
    idempotency: IdempotencyStore
    files: FileStore
    places: SharedPlaces | None
    """Where all servers read files; None: each in its own folder."""
    responses: ResponseStore
    summaries: SummaryStore
    keys: ApiKeys
    browsers: Browsers
    limits: StoredLimits
    people: PeopleStore
    links: LinkStore
    history: HistoryIndex
    imported: ImportedSessions
    memories: MemoryStore
    forgetting: Forgetting
    learned: LearnedStore
    ledger: LedgerStore
    mcp: McpStore
    audit: AuditStore
    changes: Changes
    freezes: FreezeStore
    holds: HoldStore
    notifier: Notifier
    database: Database
    runner: Runner

    def notes(self, channel: str) -> StoredChannelNotes:
        """The notes of a channel's adapter."""
        return StoredChannelNotes(self.database, channel)

    async def close(self) -> None:
        """Finish waiting calls, then close. Safe to call twice."""
        await self.sessions.close()
        await self.history.close()
        if self.places is not None:
            await self.places.close()
        await self.database.close()
        await self.notifier.close()
        self.runner.release()


async def open_store(
    settings: StoreSettings,
    state_folder: Path,
    attachments: AttachmentSettings = _KEEP,
    *,
    zone: ZoneInfo = _UTC,
    offers: Offers = lambda _: True,
    clock: Clock = utc_now,
) -> Store:
    """Open the store; create it, or migrate its schema, if needed. Raises StoreUnavailable. `zone`: of people who named none. `offers`: which
    addresses can be written to; all, unless given.

    SQLite is in `state_folder` unless `settings.url` names another database; the files of attachments and media are there, and where all servers
    read them (`settings.files`). Nothing is recovered, swept or purged: the server does that.
    """
    url = store_url(settings, state_folder)
    engine, runner, notifier_on = await asyncio.to_thread(_parts, url)
    database = Database(engine)
    places = SharedPlaces(database, settings, clock=clock) if sqlite_path(url) is None else None
    store = _stores(database, runner, notifier_on(database), state_folder, attachments, places, zone=zone, offers=offers, clock=clock)
    try:
        await bring_up_to_date(database, url)
        await settle(database, state_folder)
    except BaseException:
        await store.close()
        raise
    return store


def store_url(settings: StoreSettings, state_folder: Path) -> str:
    """Where the database is."""
    return settings.url or f"{_SQLITE}{(state_folder / 'nanobot.db').absolute()}"


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite database; None: it is another kind."""
    return Path(url.removeprefix(_SQLITE)).absolute() if url.startswith(_SQLITE) else None


def open_engine(url: str, *, writer_setup: str = "") -> DatabaseEngine:
    """For connections of one's own: `Database` has those of the server. `writer_setup`: as in `PostgresEngine`."""
    path = sqlite_path(url)
    if path is not None:
        return SqliteEngine(path)
    from assistant.store.postgres import PostgresEngine  # noqa: PLC0415 - psycopg is an extra, and slow to import

    return PostgresEngine(url, writer_setup=writer_setup)


def _stores(
    database: Database,
    runner: Runner,
    notifier: Notifier,
    state_folder: Path,
    attachments: AttachmentSettings,
    places: SharedPlaces | None,
    *,
    zone: ZoneInfo,
    offers: Offers,
    clock: Clock,
) -> Store:
    readings = ReadingStore(state_folder / "attachments", database, places)
    kept_files = AttachmentStore(database, readings, attachments, clock=clock)
    media = MediaFolder(database, state_folder / "media", places, clock=clock)
    people = PeopleStore(database, zone=zone, offers=offers, clock=clock)
    sessions = Sessions(database, runner, notifier, collect=kept_files.collect, clock=clock)
    tasks = TaskStore(database, runner, notifier, sessions, clock=clock)
    sessions.settles = tasks.end_with_turn
    return Store(
        sessions=sessions,
        open_turns=OpenTurns(database, runner, sessions.line, clock=clock),
        attachments=kept_files,
        outbox=OutboxStore(database, runner, notifier, media, offers=offers, clock=clock),
        inbox=InboxStore(database, runner, notifier, clock=clock),
        approvals=ApprovalStore(database, notifier, clock=clock),
        continuations=ContinuationStore(database, runner, notifier, clock=clock),
        pairings=PairingStore(database, clock=clock),
        channel_states=StoredChannelStates(database, runner),
        jobs=JobStore(database, runner, notifier, sessions, clock=clock),
        schedules=ScheduleStore(database, notifier, clock=clock),
        occurrences=OccurrenceStore(database, runner, notifier, clock=clock),
        tasks=tasks,
        media=media,
        files=FileStore(database, readings, collect=kept_files.collect, clock=clock),
        places=places,
        responses=ResponseStore(database, runner, readings, collect=kept_files.collect),
        summaries=SummaryStore(database, notifier, clock=clock),
        idempotency=IdempotencyStore(database, runner, clock=clock),
        keys=ApiKeys(database, clock=clock),
        browsers=Browsers(database, clock=clock),
        limits=StoredLimits(database, runner, clock=clock),
        people=people,
        links=LinkStore(database, people, clock=clock),
        memories=MemoryStore(database, notifier, clock=clock),
        forgetting=Forgetting(database, notifier, redact=(redact, redact_audit), clock=clock),
        learned=LearnedStore(database, notifier, clock=clock),
        history=sessions.history,
        imported=ImportedSessions(database),
        ledger=LedgerStore(database, runner, clock=clock),
        mcp=McpStore(database, clock=clock),
        audit=AuditStore(database),
        changes=Changes(database),
        freezes=FreezeStore(database, notifier, clock=clock),
        holds=HoldStore(database, runner, notifier),
        notifier=notifier,
        database=database,
        runner=runner,
    )


def _parts(url: str) -> tuple[DatabaseEngine, Runner, Callable[[Database], Notifier]]:
    """What depends on the kind of database."""
    path = sqlite_path(url)
    if path is None:
        from assistant.store.postgres import PostgresNotifier  # noqa: PLC0415 - psycopg is an extra, and slow to import

        lock = SessionLockRunner()
        return open_engine(url, writer_setup=lock.setup), lock, lambda database: PostgresNotifier(url, lock.id, database)
    folder = path.with_name(f"{path.name}-runners")
    try:
        runner = FileRunner(folder)
    except OSError as error:
        raise StoreUnavailable(f"The store can't be opened: {error.strerror}.") from error
    return open_engine(url), runner, lambda _: PipeNotifier(folder, runner.id)


async def bring_up_to_date(database: Database, url: str) -> None:
    """Bring the database to revision `HEAD`, with a copy of it kept before (SQLite; `assistant.store.snapshots`). Raises StoreUnavailable if that
    fails, as after a downgrade; the database is as it was then."""
    found = await database.write(make_or_look)
    if found == HEAD:
        return
    if found.isdigit() and found > HEAD:
        raise StoreUnavailable(
            f"The store was written by a newer version of nanobot (its revision is {found}, this version's is {HEAD}). Start that version, or bring "
            "back the store of this one: nanobot rollback."
        )
    path = sqlite_path(url)
    if path is not None and found.isdigit():
        await asyncio.to_thread(keep_snapshot, path, found)
    elif path is None:
        log.warning("store.no_snapshot instead=%s", "pg_dump")  # there is none of ours on PostgreSQL
    log.info("store.migrating from=%s to=%s", found, HEAD)
    await migrate(url)
    if await database.read(_look) != HEAD:
        raise StoreUnavailable("The store could not be brought to this version's schema.")
    log.info("store.migrated to=%s", HEAD)


def make_or_look(connection: Transaction) -> str:
    """Make the newest schema in an empty database. Returns the revision that there is."""
    if not connection.execute(_EXISTS[connection.dialect]):
        for statement in (Path(__file__).parent / "migrations" / f"{connection.dialect}.sql").read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                connection.execute(statement)
    return _look(connection)


def revision_of(connection: Transaction) -> str:
    """The revision of a database's schema; empty: it is not ours, or new."""
    return _look(connection) if connection.execute(_EXISTS[connection.dialect]) else ""


def _look(connection: Transaction) -> str:
    rows = connection.execute("SELECT version_num FROM alembic_version")
    return rows[0][0] if rows else "none"


async def migrate(url: str, revision: str = "head") -> None:
    """Apply the revisions that are missing, in a process of their own. All or none are applied. Raises StoreUnavailable."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "assistant.store.migrate", stdin=PIPE, stdout=DEVNULL, stderr=PIPE)
    try:
        async with asyncio.timeout(600):
            _, said = await child.communicate(f"{url}\n{revision}".encode())
    except TimeoutError:
        child.kill()
        await child.wait()
        raise StoreUnavailable("The store's migration did not end in time.") from None
    if child.returncode:
        # The kind of error only: its text may hold the database's address, with a password.
        kind = said.decode(errors="replace").strip().rpartition("\n")[2].partition(":")[0]
        log.error("store.migration_failed code=%s error=%s", child.returncode, kind)
        raise StoreUnavailable(
            "The store could not be brought to this version's schema, and is as it was. Start the version of nanobot that you had before. "
            "The log has the kind of error."
        )
