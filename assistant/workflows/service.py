"""The workflow service: lists workflows, runs jobs and tells their updates. The port is `assistant.contracts.workflows.Workflows`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from assistant.contracts.errors import NanobotError, ServerOverloaded, ShuttingDown
from assistant.contracts.messages import Json
from assistant.contracts.turns import Upload
from assistant.contracts.util import new_id
from assistant.contracts.workflows import (
    ENDED,
    InvalidWorkflow,
    Job,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobUpdate,
    NewJob,
    NodeRun,
    NodeUpdate,
    OutputUpdate,
    Update,
    WorkflowInfo,
)
from assistant.store.jobs import JobStore
from assistant.workflows.inputs import InputIntake
from assistant.workflows.library import LinkedWorkflow, WorkflowLibrary, describe, link_sources
from assistant.workflows.nodes import Interrupted, NodeExecutor
from assistant.workflows.running import JobLost, RunningJob
from assistant.workflows.settings import WorkflowSettings

log = logging.getLogger(__name__)

_MAX_WAITING: Final = 1_000
_POLL_SECONDS: Final = 1.0
"""How often the store is polled: for updates of jobs in other processes, for cancellations, and for jobs of dead processes."""
_CANCEL_SECONDS: Final = 10.0


class WorkflowService:
    """Implements Workflows."""

    def __init__(
        self, *, library: WorkflowLibrary, inputs: InputIntake, store: JobStore, executor: NodeExecutor, settings: WorkflowSettings
    ) -> None:
        self._library = library
        self._inputs = inputs
        self._store = store
        self._executor = executor
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.jobs)
        self._running: dict[str, tuple[RunningJob, asyncio.Task[None]]] = {}
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._unresumable: dict[str, str] = {}
        """Jobs that were taken over and can't be resumed, with the reason: still to be ended as failed."""
        self._polling: asyncio.Task[None] | None = None
        self._closing = False

    async def begin(self, *, takes_over: bool) -> None:
        """Start polling. `takes_over`: also take over the jobs of dead processes, now and later; it may be called so a second time. Raises
        StoreUnavailable."""
        if takes_over:
            await self._take_over()
        if self._polling is not None:
            self._polling.cancel()
        self._polling = asyncio.create_task(self._poll(takes_over))

    async def index(self) -> Sequence[WorkflowInfo]:
        return await asyncio.to_thread(self._library.index)

    async def show(self, workflow_id: str) -> WorkflowInfo:
        return describe((await asyncio.to_thread(self._library.linked, workflow_id)).definition)

    async def start(
        self, owner: str, workflow_id: str, params: Mapping[str, Json], files: Mapping[str, Upload], caller: str = "", *, job_id: str = ""
    ) -> Job:
        if self._closing:
            raise ShuttingDown(retry_after=1)
        if job_id and (known := await self._store.get(owner, job_id)):
            return known
        if len(self._running) >= _MAX_WAITING:
            raise ServerOverloaded("Too many jobs are waiting. Try again later.", retry_after=10)
        workflow = await asyncio.to_thread(self._library.linked, workflow_id)
        job_id = job_id or new_id("job")
        taken = await self._inputs.take(job_id, owner, workflow.definition, params, files)
        new = NewJob(id=job_id, owner=owner, caller=caller, workflow=workflow_id, sources=workflow.sources, inputs=taken)
        job = await self._store.add(new)
        self._run(new, workflow, {})
        return job

    async def updates(self, owner: str, job_id: str) -> AsyncIterator[Sequence[Update]]:
        events, changed = JobEvents(), asyncio.Event()
        listeners = self._listeners.setdefault(job_id, set())
        listeners.add(changed)
        try:
            while True:
                changed.clear()
                job = await self.get(owner, job_id)
                if updates := events.since_last(job):
                    yield updates
                if job.state in ENDED:
                    return
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    continue
        finally:
            listeners.discard(changed)
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
        """Start no more jobs and nodes: the server is stopping."""
        self._closing = True
        for job, _ in self._running.values():
            job.stop("interrupted")

    async def close(self, grace: float) -> None:
        """Wait `grace` seconds for running nodes; jobs that have not ended are resumed after the next start. Safe to call twice."""
        self.stop_beginning()
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait([self._polling])
        tasks = [task for _, task in self._running.values()]
        if tasks:
            log.info("jobs.draining running=%d grace=%.1f", len(tasks), grace)
            await asyncio.wait(tasks, timeout=grace)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _run(self, new: NewJob, workflow: LinkedWorkflow, before: Mapping[str, NodeRun]) -> None:
        job = RunningJob(
            new=new,
            workflow=workflow,
            before=before,
            store=self._store,
            executor=self._executor,
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
        except JobLost:
            log.warning("job.lost job=%s", job.id)
        except (Interrupted, asyncio.CancelledError):
            await self._release(job)
        finally:
            del self._running[job.id]
            self._changed(job.id)

    async def _release(self, job: RunningJob) -> None:
        """Leave it to the next start, or end it if it was cancelled before it ran."""
        try:
            if job.stopped == "cancelled":
                await self._store.end(job.id, "cancelled")
            else:
                await self._store.release(job.id)
        except NanobotError as error:
            # This process holds it until it ends; the next one takes it over then.
            log.warning("job.not_released job=%s code=%s", job.id, error.code)

    def _stop(self, held: tuple[RunningJob, asyncio.Task[None]]) -> None:
        job, task = held
        if not job.stopped:
            job.stop("cancelled")
            task.cancel()

    async def _poll(self, takes_over: bool) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
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
                workflow = await asyncio.to_thread(link_sources, held.new.workflow, held.new.sources, self._library.targets)
            except InvalidWorkflow as error:  # for example, a tool was removed
                self._unresumable[held.new.id] = f"it can't be resumed: {error.message}"
                continue
            log.info("job.resumed job=%s nodes=%d", held.new.id, len(held.nodes))
            self._run(held.new, workflow, held.nodes)
        for job_id, words in list(self._unresumable.items()):  # repeated until the store could be written
            await self._store.end(job_id, "failed", error=words)
            del self._unresumable[job_id]

    def _changed(self, job_id: str) -> None:
        for changed in self._listeners.get(job_id, ()):
            changed.set()


class JobEvents:
    """The updates of one job for one listener."""

    def __init__(self) -> None:
        self._state = ""
        self._nodes: dict[str, tuple[str, int]] = {}

    def since_last(self, job: Job) -> Sequence[Update]:
        """In the order of the store. A state that was passed between two calls is included."""
        updates: list[Update] = []
        if self._state == "" and job.state != "queued":
            updates.append(JobUpdate(job=replace(job, state="queued", ended=None, error=None, results=None)))
        if self._state in ("", "queued") and (job.state not in ("queued", "cancelled") or job.nodes):
            updates.append(JobUpdate(job=replace(job, state="running", ended=None, error=None, results=None)))
        updates += self._of_nodes(job)
        if job.state in ENDED and self._state not in ENDED:
            updates += [OutputUpdate(job=job, name=name, value=value) for name, value in (job.results or {}).items()]
            updates.append(JobUpdate(job=job))
        elif job.state == "queued" and self._state == "":
            updates.append(JobUpdate(job=job))
        self._state = job.state
        return updates

    def _of_nodes(self, job: Job) -> list[Update]:
        """Starts and ends by their times; at equal times the end of another node comes before a start."""
        changes: list[tuple[datetime, int, Update]] = []
        for node in job.nodes:
            known, now = self._nodes.get(node.path), (node.state, node.starts)
            if known == now:
                continue
            ended = node.ended or node.started
            at_once = ended <= node.started
            if known is None or known[1] != node.starts:
                start = NodeUpdate(job=job, node=replace(node, state="running", output=None, error=None, ended=None))
                changes.append((node.started, 1 if at_once and node.state != "running" else 2, start))
            if node.state != "running":
                changes.append((max(ended, node.started), 1 if at_once else 0, NodeUpdate(job=job, node=node)))
            self._nodes[node.path] = now
        return [update for *_, update in sorted(changes, key=lambda change: change[:2])]
