"""The one way to the database: jobs of plain synchronous code, run in worker threads, each in a transaction."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from assistant.contracts.errors import StoreUnavailable
from assistant.store.connection import Connection, Dialect, Engine
from assistant.store.worker import Job, JobQueue, Worker

T = TypeVar("T")
_READERS = 2
_BATCH = 256
_MOST_WAITING = 20_000


class Database:
    """One writer and a few readers of one database, for the event loop that opened it.

    `write(job)`: durable when the call returns. All jobs that wait for the writer share a transaction and its one fsync (group commit), and
    writers take turns, also those of other processes: a job reads what every write before it left, so read-modify-write needs no other lock.
    A job that raises is undone and harms no other; because of that a job may run twice and must have no effect outside of the database.
    `read(job)`: sees one moment of the database, never waits for the writer, and can't write.
    Both raise what the job raised, or StoreUnavailable with the reason in words. Cancelling a call does not undo it.
    """

    def __init__(self, engine: Engine) -> None:
        """Needs a running event loop. Connections are opened by the first job that needs one."""
        self._loop = asyncio.get_running_loop()
        self.dialect: Dialect = engine.dialect
        self._writes: JobQueue = JobQueue()
        self._reads: JobQueue = JobQueue()
        self._closed = False
        self._writer = Worker("store-writer", self._writes, lambda: engine.connect(writes=True), loop=self._loop, batch=_BATCH)
        self._readers = [
            Worker(f"store-reader-{number}", self._reads, lambda: engine.connect(writes=False), loop=self._loop, batch=1)
            for number in range(_READERS)
        ]
        for worker in (self._writer, *self._readers):
            worker.start()

    async def write(self, job: Callable[[Connection], T], *, alone: bool = False) -> T:
        """Run `job` in a transaction of the writer. `alone`: of its own, for a job that acts on what is surely committed."""
        return await self._submit(self._writes, Job(job, self._loop.create_future(), alone))

    async def read(self, job: Callable[[Connection], T]) -> T:
        """Run `job` in a transaction that only reads."""
        return await self._submit(self._reads, Job(job, self._loop.create_future()))

    async def close(self) -> None:
        """Finish what waits, then close. Calls that come later are refused. Safe to call twice."""
        if not self._closed:
            self._closed = True
            for _ in self._readers:
                self._reads.put(None)
            self._writes.put(None)
        # SQLite tidies its log with the last connection that is closed: let that be the writer's.
        for worker in (*self._readers, self._writer):
            await asyncio.to_thread(worker.join)

    async def _submit(self, queue: JobQueue, job: Job) -> Any:
        if self._closed:
            raise StoreUnavailable("The store is closed: the server is shutting down.")
        # Callers wait for their jobs, so this many means that the disk stands still: better to say so than to gather more.
        if queue.qsize() >= _MOST_WAITING:
            raise StoreUnavailable("The store can't keep up: too many calls wait for it. Nothing was accepted; try again later.")
        queue.put(job)
        return await job.future
