"""A thread that runs jobs on a connection of its own, as many as wait in one transaction."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from assistant.contracts.errors import StoreUnavailable
from assistant.store.connection import Connection, Link


@dataclass(slots=True, eq=False)
class Job:
    """Work to be done in a transaction, and who waits for it. `alone`: shares its transaction with no other job."""

    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    alone: bool = False


@dataclass(slots=True, eq=False)
class Outcome:
    """What became of a job: its result, or the error that it ended with."""

    job: Job
    result: Any = None
    error: Exception | None = None

    def tell(self) -> None:
        """Pass it to whoever waits, if anybody still does. On the event loop only."""
        if self.job.future.done():
            return
        if self.error is not None:
            self.job.future.set_exception(self.error)
        else:
            self.job.future.set_result(self.result)


JobQueue = SimpleQueue[Job | None]
"""None ends the worker that takes it."""


class Worker(threading.Thread):
    """Takes what waits in `jobs` (up to `batch`), runs it in one transaction, and tells the event loop once.

    If a job raises, the transaction is rolled back and the jobs are run again one by one, so that only the culprit fails: a job must be
    able to run twice. Trouble of the place (StoreUnavailable) fails the whole batch. A lost connection is made anew for the next batch.
    """

    def __init__(self, name: str, jobs: JobQueue, connect: Callable[[], Link], *, loop: asyncio.AbstractEventLoop, batch: int) -> None:
        super().__init__(name=name, daemon=True)
        self._jobs = jobs
        self._connect = connect
        self._loop = loop
        self._batch = batch
        self._link: Link | None = None
        self._held: Job | None = None
        self._ending = False

    def run(self) -> None:
        while batch := self._next_batch():
            outcomes = self._settled(batch)
            # The loop is closed only after `Database.close` or with the whole process: nobody waits then.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_tell, outcomes)
        self._drop()

    def _next_batch(self) -> list[Job]:
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

    def _settled(self, batch: list[Job]) -> list[Outcome]:
        try:
            return self._transact(batch)
        except StoreUnavailable as error:
            self._undo()
            return [Outcome(job, error=error) for job in batch]
        except Exception as error:  # noqa: BLE001 - not handled here but carried to the one who waits for the job
            self._undo()
            if len(batch) == 1:
                return [Outcome(batch[0], error=error)]
            return [outcome for job in batch for outcome in self._settled([job])]

    def _transact(self, batch: list[Job]) -> list[Outcome]:
        link = self._begun()
        outcomes = [Outcome(job, job.work(link)) for job in batch]
        link.commit()
        return outcomes

    def _begun(self) -> Link:
        """The connection, with a transaction open. One that was lost while idle is replaced: nothing ran on it yet."""
        if self._link is not None:
            try:
                self._link.begin()
            except StoreUnavailable:
                if not self._link.lost:
                    raise
                self._drop()
            else:
                return self._link
        link = self._link = self._connect()
        link.begin()
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


def _tell(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        outcome.tell()
