"""The database: its settings, and its threads: one writer that commits jobs in groups, and readers with connections of their own."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar, cast

from pydantic import Field, SecretStr, model_validator

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.util import Settings


class S3Settings(Settings):
    """`store.s3`: a store that speaks Amazon's S3, such as MinIO, Garage, Ceph or R2."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/?#\s]+$")]
    """`https://s3.eu-central-1.amazonaws.com`, without the bucket."""
    bucket: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$")]
    """It must exist."""
    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")] = "us-east-1"
    """As the store calls it; many take any."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]*$")] = "nanobot/"
    """What the names of objects begin with."""
    key_id: str
    """Of an access key that may put, get and delete objects there."""
    secret: SecretStr
    """The access key's secret."""
    smaller_in_database: Annotated[int, Field(ge=0)] = 65_536
    """Files of fewer bytes than that are kept in the database, which has them sooner."""


class StoreSettings(Settings):
    """`store` in the configuration."""

    url: Annotated[str | None, Field(pattern=r"^(sqlite:///[^?]+|postgresql(\+psycopg)?://.+)$", repr=False)] = None
    """`sqlite:///<path>` (relative to where the server was started; absolute: four slashes) or `postgresql://…`. None: nanobot.db in the state
    folder."""
    files: Literal["folder", "database", "s3"] | None = None
    """Where the bytes of attachments, uploads and media are kept: "folder": in the state folder alone; "database" or "s3": where every server on
    the store reads them, with the state folder as this machine's copy (PostgreSQL only). None: "database" on PostgreSQL, else "folder"."""
    s3: S3Settings | None = None
    """For `files: "s3"`, and for what was kept there before."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.files == "s3" and self.s3 is None:
            raise ValueError('files: "s3" needs store.s3: endpoint, bucket, keyId and secret')
        if self.files in ("database", "s3") and not (self.url or "").startswith("postgresql"):
            raise ValueError(f'files: "{self.files}" needs PostgreSQL (store.url); SQLite serves one machine, whose folder has the files')
        return self


class AttachmentSettings(Settings):
    """`attachments` in the configuration."""

    keep_days: Annotated[int, Field(ge=0)] = 0
    """Days after which an attachment is removed even though its session is still there; 0: kept as long as the session."""


Dialect = Literal["sqlite", "postgresql"]
SqlValue = None | int | float | str | bytes
SqlRow = tuple[Any, ...]
WRITER_LOCK = 0x6E616E6F626F74
"""PostgreSQL's advisory lock that a writer holds until its transaction ends ("nanobot" in ASCII)."""
NO_PARAMS: Mapping[str, SqlValue] = {}


class Transaction(Protocol):
    """What a job works with, and must not keep: the transaction ends with the job's batch."""

    @property
    def dialect(self) -> Dialect: ...

    def execute(self, sql: str, params: Mapping[str, SqlValue] = NO_PARAMS) -> list[SqlRow]:
        """Run one statement with parameters `:name` and return all its rows.

        Raises StoreUnavailable if the database can't do it now, the driver's error if the statement is wrong.
        """
        ...


_AT_ONCE = 200


def select_in(connection: Transaction, columns: str, column: str, wanted: Collection[str], table: str) -> list[SqlRow]:
    """The rows of a table whose `column` is one of `wanted`."""
    rows: list[SqlRow] = []
    left = list(wanted)
    for start in range(0, len(left), _AT_ONCE):
        values: dict[str, SqlValue] = {f"v{number}": value for number, value in enumerate(left[start : start + _AT_ONCE])}
        places = ", ".join(f":{name}" for name in values)
        # Names of tables and columns and numbered parameters of ours only.
        rows += connection.execute(f"SELECT {columns} FROM {table} WHERE {column} IN ({places})", values)  # noqa: S608
    return rows


class DatabaseLink(Transaction, Protocol):
    """An open connection, owned by one thread. Each method raises StoreUnavailable like `execute`."""

    def begin(self, *, relaxed: bool = False) -> None:
        """Open a transaction. A writer waits (bounded) until no other process writes, and keeps others out until it ends. `relaxed`: its commit
        survives the process, and need not survive the machine."""
        ...

    def commit(self) -> None:
        """Make everything since `begin` durable."""
        ...

    def rollback(self) -> None:
        """Undo everything since `begin`; does nothing without a transaction. After a failure (StoreUnavailable) the link is useless."""
        ...

    def scrub(self) -> bool:
        """Between transactions: leave nothing of what was deleted in the database's files, where that is possible. False: not now, readers are
        at work."""
        ...

    def close(self) -> None: ...

    @property
    def lost(self) -> bool: ...


class DatabaseEngine(Protocol):
    """A kind of database at an address."""

    @property
    def dialect(self) -> Dialect: ...

    def connect(self, *, writes: bool, beside: bool = False) -> DatabaseLink:
        """Open a connection. Without `writes` it is read-only, unless it is for writing `beside` other writers, without taking turns with them
        where the database can do that. Raises StoreUnavailable."""
        ...


@dataclass(slots=True, eq=False)
class DatabaseJob:
    """Work to be done in a transaction, its result or error, and the future that gets them, where one waits. `alone`: no other job shares its
    transaction."""

    work: Callable[[Transaction], Any]
    future: asyncio.Future[Any] | None = None
    alone: bool = False
    relaxed: bool = False
    failed: Callable[[Exception], None] | None = None
    """Called with the error of a job that no one waits for."""
    result: Any = None
    error: Exception | None = None


JobQueue = SimpleQueue[DatabaseJob | None]
"""None ends the worker that takes it."""


class DatabaseThread(threading.Thread):
    """Takes waiting jobs (up to `batch`), runs them in one transaction, and calls the event loop once.

    If a job raises, the transaction is rolled back and the jobs run again one by one, so that only the culprit fails: a job must be
    able to run twice. StoreUnavailable fails the whole batch. A lost connection is replaced for the next batch.
    """

    def __init__(
        self, name: str, jobs: JobQueue, connect: Callable[[], DatabaseLink], *, loop: asyncio.AbstractEventLoop, batch: int
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._jobs = jobs
        self._connect = connect
        self._loop = loop
        self._batch = batch
        self._link: DatabaseLink | None = None
        self._held: DatabaseJob | None = None
        self._ending = False

    def run(self) -> None:
        while batch := self._next_batch():
            self._settle(batch)
            # The loop is closed only after `Database.close` or with the whole process: no caller waits then.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_tell, batch)
        self._drop()

    def _next_batch(self) -> list[DatabaseJob]:
        first, self._held = self._held, None
        if first is None and not self._ending:
            first = self._jobs.get()
        if first is None:
            return []
        batch = [first]
        if first.alone:
            return batch
        while len(batch) < self._batch and not self._ending:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is None:
                self._ending = True
            elif job.alone:
                self._held = job
                break
            else:
                batch.append(job)
        return batch

    def _settle(self, batch: list[DatabaseJob]) -> None:
        try:
            link = self._begun(relaxed=all(job.relaxed for job in batch))
            for job in batch:
                job.result = job.work(link)
            link.commit()
        except Exception as error:  # noqa: BLE001 - passed to the job's caller
            self._undo()
            if isinstance(error, StoreUnavailable) or len(batch) == 1:
                for job in batch:
                    job.error = error
            else:
                for job in batch:
                    self._settle([job])

    def _begun(self, *, relaxed: bool) -> DatabaseLink:
        """The connection, with a transaction open. One that was lost while idle is replaced."""
        if self._link is not None:
            try:
                self._link.begin(relaxed=relaxed)
            except StoreUnavailable:
                if not self._link.lost:
                    raise
                self._drop()
            else:
                return self._link
        link = self._link = self._connect()
        link.begin(relaxed=relaxed)
        return link

    def _undo(self) -> None:
        if self._link is None:
            return
        try:
            self._link.rollback()
        except StoreUnavailable:
            self._drop()

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def _tell(jobs: list[DatabaseJob]) -> None:
    """Set the futures of those whose callers have not gone. On the event loop only."""
    for job in jobs:
        if job.future is None:
            if job.error is not None and job.failed is not None:
                job.failed(job.error)
        elif job.future.done():
            continue
        elif job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


T = TypeVar("T")
_MOST_WAITING = 20_000
_SOON_SECONDS = 0.05


class Database:
    """One writer and a few readers of one database, for the event loop that opened it.

    `write(job)`: durable when the call returns. All jobs that wait for the writer share a transaction and its one fsync (group commit).
    Writers of all processes take turns: a job sees every earlier write, so read-modify-write needs no other lock. A job that raises is
    undone and does not affect others; for that a job may run twice, and must have no effect outside of the database.
    `read(job)`: sees one moment of the database, never waits for the writer, and can't write.
    Both raise what the job raised, or StoreUnavailable with the reason. Cancelling a call does not undo it.
    `soon(job)`: shares the transaction of the next write, or has one of its own in a twentieth of a second.
    `beside(job)`: on a connection of its own, so that large values hold up no other call.
    """

    def __init__(self, engine: DatabaseEngine) -> None:
        """Needs a running event loop. Connections are opened by the first job that needs one."""
        self._loop = asyncio.get_running_loop()
        self.dialect: Dialect = engine.dialect
        self._writes: JobQueue = JobQueue()
        self._reads: JobQueue = JobQueue()
        self.closed = False
        self._soon: list[DatabaseJob] = []
        self._soon_timer: asyncio.TimerHandle | None = None
        self._writer = DatabaseThread("store-writer", self._writes, lambda: engine.connect(writes=True), loop=self._loop, batch=256)
        self._readers = [
            DatabaseThread(f"store-reader-{number}", self._reads, lambda: engine.connect(writes=False), loop=self._loop, batch=1)
            for number in range(2)
        ]
        for worker in (self._writer, *self._readers):
            worker.start()
        self._besides: JobQueue = JobQueue()
        self._connect_beside = lambda: engine.connect(writes=False, beside=True)
        self._beside: DatabaseThread | None = None

    async def write(self, job: Callable[[Transaction], T], *, alone: bool = False, relaxed: bool = False) -> T:
        """Run `job` in a transaction of the writer. `alone`: in one of its own, so that all it reads is committed. `relaxed`: it is kept when the
        process is killed, and may be lost when the machine loses its power; it waits for no disk, unless others in its transaction do."""
        return await self._submit(self._writes, DatabaseJob(job, alone=alone, relaxed=relaxed))

    def soon(self, job: Callable[[Transaction], None], failed: Callable[[Exception], None]) -> None:
        """Run `job` before whatever is written next, in the same commit. For a row that must be there when that write is, and not earlier.
        `failed`: called with the error where it could not be written."""
        self._soon.append(DatabaseJob(job, relaxed=True, failed=failed))
        if self._soon_timer is None:
            self._soon_timer = self._loop.call_later(_SOON_SECONDS, self._write_soon)

    async def read(self, job: Callable[[Transaction], T]) -> T:
        """Run `job` in a transaction that only reads."""
        return await self._submit(self._reads, DatabaseJob(job))

    async def beside(self, job: Callable[[Transaction], T], *, relaxed: bool = False) -> T:
        """Run `job` in a transaction that may write, but takes no turn with other writers (PostgreSQL): what it sees may change before it ends."""
        if self._beside is None and not self.closed:
            self._beside = DatabaseThread("store-beside", self._besides, self._connect_beside, loop=self._loop, batch=1)
            self._beside.start()
        return await self._submit(self._besides, DatabaseJob(job, relaxed=relaxed))

    async def execute(self, sql: str, params: Mapping[str, SqlValue] = NO_PARAMS) -> list[SqlRow]:
        """`write` of one statement; returns its rows."""
        return await self.write(lambda connection: connection.execute(sql, params))

    async def select(self, sql: str, params: Mapping[str, SqlValue] = NO_PARAMS) -> list[SqlRow]:
        """`read` of one statement; returns its rows."""
        return await self.read(lambda connection: connection.execute(sql, params))

    async def scrub(self) -> bool:
        """Leave nothing of what was deleted in the database's files (SQLite: its log is emptied). Tried for two seconds beside busy readers;
        False: it was in vain."""

        def between(connection: Transaction) -> bool:
            link = cast("DatabaseLink", connection)
            link.commit()  # of a transaction that nothing else shares, and nothing was written in
            try:
                return link.scrub()
            finally:
                link.begin()

        for wait in (0.01, 0.05, 0.2, 0.5, 1.0, None):
            if await self.write(between, alone=True):
                return True
            if wait is not None:
                await asyncio.sleep(wait)
        return False

    async def close(self) -> None:
        """Finish waiting jobs, then close. Later calls are refused. Safe to call twice."""
        if not self.closed:
            self._write_soon()
            self.closed = True
            for _ in self._readers:
                self._reads.put(None)
            self._besides.put(None)
            self._writes.put(None)
        # SQLite removes its log with the last connection: let that be the writer's.
        for worker in (*self._readers, self._beside, self._writer):
            if worker is not None:
                await asyncio.to_thread(worker.join)

    async def _submit(self, queue: JobQueue, job: DatabaseJob) -> Any:
        if self.closed:
            raise StoreUnavailable("The store is closed: the server is shutting down.")
        # Callers wait for their jobs: this many means that the disk is stuck.
        if queue.qsize() >= _MOST_WAITING:
            raise StoreUnavailable("The store can't keep up: too many calls wait for it. Nothing was accepted; try again later.")
        while self._soon and queue is self._writes:
            queue.put(self._soon.pop(0))
        future = job.future = self._loop.create_future()
        queue.put(job)
        return await future

    def _write_soon(self) -> None:
        self._soon_timer = None
        waiting, self._soon = self._soon, []
        for job in waiting:
            if not self.closed:
                self._writes.put(job)
            elif job.failed is not None:
                job.failed(StoreUnavailable("The store is closed: the server is shutting down."))
