"""Workflows: what there are, jobs that run, and what is heard of them. The contract is `assistant.contracts.workflows.Workflows`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from assistant.contracts.errors import NanobotError, ServerOverloaded, ShuttingDown
from assistant.contracts.ids import new_id
from assistant.contracts.messages import Json
from assistant.contracts.turns import Upload
from assistant.contracts.workflows import (
    ENDED,
    InvalidWorkflow,
    Job,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobStore,
    NewJob,
    NodeRun,
    Update,
    WorkflowInfo,
)
from assistant.workflows.inputs import Inputs
from assistant.workflows.library import Checked, Library, checked_sources, describe
from assistant.workflows.linking import Known
from assistant.workflows.news import Seen
from assistant.workflows.running import Lost, RunningJob
from assistant.workflows.settings import WorkflowSettings
from assistant.workflows.work import Hands, Interrupted

log = logging.getLogger(__name__)

_MOST_WAITING: Final = 1_000
_LOOK_SECONDS: Final = 1.0
"""How often a job that another process runs is looked at, by who listens; and whether one of ours is to be cancelled, or another's taken over."""
_CANCEL_SECONDS: Final = 10.0


class WorkflowService:
    """Implements Workflows."""

    def __init__(
        self, *, library: Library, known: Known, inputs: Inputs, store: JobStore, hands: Hands, settings: WorkflowSettings
    ) -> None:
        """`known`: what jobs of before the start are checked against; the library knows the same."""
        self._library = library
        self._known = known
        self._inputs = inputs
        self._store = store
        self._hands = hands
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.jobs)
        self._running: dict[str, tuple[RunningJob, asyncio.Task[None]]] = {}
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._hopeless: dict[str, str] = {}
        """Jobs that were taken over and can't go on, with why: still to be settled."""
        self._watch: asyncio.Task[None] | None = None
        self._closing = False

    async def begin(self, *, takes_over: bool) -> None:
        """Start to look after jobs. `takes_over`: those of processes that died, too; now, and whenever one does. Raises StoreUnavailable."""
        if takes_over:
            await self._take_over()
        self._watch = asyncio.create_task(self._look_after(takes_over))

    async def index(self) -> Sequence[WorkflowInfo]:
        return await asyncio.to_thread(self._library.index)

    async def show(self, workflow_id: str) -> WorkflowInfo:
        return describe((await asyncio.to_thread(self._library.checked, workflow_id)).definition)

    async def start(self, owner: str, workflow_id: str, params: Mapping[str, Json], files: Mapping[str, Upload]) -> Job:
        if self._closing:
            raise ShuttingDown(retry_after=1)
        if len(self._running) >= _MOST_WAITING:
            raise ServerOverloaded("Too many jobs wait to be run. Try again later.", retry_after=10)
        checked = await asyncio.to_thread(self._library.checked, workflow_id)
        job_id = new_id("job")
        taken = await self._inputs.take(job_id, owner, checked.definition, params, files)
        new = NewJob(id=job_id, owner=owner, workflow=workflow_id, sources=checked.sources, inputs=taken)
        job = await self._store.add(new)
        self._run(new, checked, {})
        return job

    async def updates(self, owner: str, job_id: str) -> AsyncIterator[Sequence[Update]]:
        seen, heard = Seen(), asyncio.Event()
        listeners = self._listeners.setdefault(job_id, set())
        listeners.add(heard)
        try:
            while True:
                heard.clear()
                job = await self.get(owner, job_id)
                if told := seen.news(job):
                    yield told
                if job.state in ENDED:
                    return
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await heard.wait()
                except TimeoutError:
                    continue
        finally:
            listeners.discard(heard)
            if not listeners and self._listeners.get(job_id) is listeners:
                del self._listeners[job_id]

    async def result(self, owner: str, job_id: str) -> Mapping[str, Json]:
        async for _ in self.updates(owner, job_id):
            pass
        job = await self.get(owner, job_id)
        if job.state == "cancelled":
            raise JobCancelled
        if job.state == "failed" or job.results is None:
            raise JobFailed(f"Workflow {job.workflow}, {job.error or 'it failed'}")
        return job.results

    async def get(self, owner: str, job_id: str) -> Job:
        job = await self._store.get(owner, job_id)
        if job is None:
            raise JobNotFound(param="job_id")
        return job

    async def list(self, owner: str, *, limit: int = 50, before: str | None = None) -> Sequence[Job]:
        return await self._store.list(owner, limit=limit, before=before)

    async def cancel(self, owner: str, job_id: str) -> Job:
        job = await self._store.ask_to_cancel(owner, job_id)
        held = self._running.get(job_id)
        if held is not None:
            self._stop(held)
            await asyncio.wait([held[1]], timeout=_CANCEL_SECONDS)
            job = await self.get(owner, job_id)
        self._changed(job_id)
        return job

    def stop_beginning(self) -> None:
        """No job and no node is begun from here on: the server ends."""
        self._closing = True
        for job, _ in self._running.values():
            job.stop("interrupted")

    async def close(self, grace: float) -> None:
        """Wait `grace` seconds for the nodes that run; what has not ended by then goes on after the next start. Safe to call twice."""
        self.stop_beginning()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        tasks = [task for _, task in self._running.values()]
        if tasks:
            log.info("jobs.draining running=%d grace=%.1f", len(tasks), grace)
            await asyncio.wait(tasks, timeout=grace)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _run(self, new: NewJob, checked: Checked, before: Mapping[str, NodeRun]) -> None:
        job = RunningJob(
            new,
            checked,
            before,
            store=self._store,
            hands=self._hands,
            settings=self._settings,
            changed=lambda: self._changed(new.id),
        )
        if self._closing:
            job.stop("interrupted")
        task = asyncio.create_task(self._life(job), name=new.id)
        self._running[new.id] = job, task

    async def _life(self, job: RunningJob) -> None:
        try:
            async with self._slots:
                if not job.stopped:
                    await job.run()
                    return
            raise Interrupted
        except Lost:
            log.warning("job.lost job=%s", job.id)
        except (Interrupted, asyncio.CancelledError):
            await self._let_go(job)
        finally:
            del self._running[job.id]
            self._changed(job.id)

    async def _let_go(self, job: RunningJob) -> None:
        """Leave it to the next start; or settle it, where it was cancelled before it ran."""
        try:
            if job.cancelled:
                await self._store.end(job.id, "cancelled")
            else:
                await self._store.release(job.id)
        except NanobotError as error:
            # It stays ours until this process is gone; whoever starts next then takes it over.
            log.warning("job.not_released job=%s code=%s", job.id, error.code)

    def _stop(self, held: tuple[RunningJob, asyncio.Task[None]]) -> None:
        job, task = held
        if not job.cancelled:
            job.stop("cancelled")
            if job.cancelled:
                task.cancel()

    async def _look_after(self, takes_over: bool) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                for job_id in await self._store.to_cancel() if self._running else ():
                    if held := self._running.get(job_id):
                        self._stop(held)
                if takes_over:
                    await self._take_over()
            except NanobotError as error:
                log.warning("jobs.not_looked_after code=%s", error.code)

    async def _take_over(self) -> None:
        for held in await self._store.take_over():
            try:
                checked = await asyncio.to_thread(checked_sources, held.new.workflow, held.new.sources, self._known)
            except InvalidWorkflow as error:  # a tool that it needs is gone, say
                self._hopeless[held.new.id] = f"it can't go on: {error.message}"
                continue
            log.info("job.resumed job=%s nodes=%d", held.new.id, len(held.nodes))
            self._run(held.new, checked, held.nodes)
        for job_id, words in list(self._hopeless.items()):  # and once more, where the store could not be written
            await self._store.end(job_id, "failed", error=words)
            del self._hopeless[job_id]

    def _changed(self, job_id: str) -> None:
        for heard in self._listeners.get(job_id, ()):
            heard.set()
