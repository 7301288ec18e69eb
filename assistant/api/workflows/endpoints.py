"""/workflows: what there are, and running them; /v1/jobs: the runs. Another owner's jobs are not there."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Query, Request, Response

from assistant.api.body.spool import Spool
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.middleware.scope import cut_off, principal
from assistant.api.settings import ApiSettings
from assistant.api.workflows.input import read_params
from assistant.api.workflows.stream import JobStream
from assistant.api.workflows.wire import JobAnswer, JobList, RunAnswer, WorkflowAnswer, WorkflowList, job_answer, workflow_answer
from assistant.contracts.errors import ShuttingDown
from assistant.contracts.workflows import Job, JobCancelled, JobFailed, JobNotFound
from assistant.contracts.workflows import Workflows as Service

_ID = re.compile(r"job_[0-9a-f]{28}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflows:
    """The endpoints."""

    workflows: Service
    settings: ApiSettings
    spool_folder: Path

    async def index(self) -> WorkflowList:
        """The files of `workflows` in the workspace; those that are not in order too, with what is wrong."""
        return WorkflowList(workflows=[workflow_answer(info) for info in await self.workflows.index()])

    async def show(self, workflow_id: str) -> WorkflowAnswer:
        return workflow_answer(await self.workflows.show(workflow_id))

    async def run(self, request: Request, workflow_id: str) -> Response:
        """Run it to its end. The body holds its inputs. The job goes on when the client goes away: `x-nanobot-job-id` names it."""
        job = await self._start(request, workflow_id)
        try:
            results = await self.workflows.result(principal(request.scope).id, job.id)
        except (JobFailed, JobCancelled) as error:
            raise FailedAfterActing(error) from None
        except asyncio.CancelledError:
            if cut_off(request.scope) is not None:
                raise
            told = ShuttingDown(f"The server is shutting down; the job {job.id} goes on after its next start: GET /v1/jobs/{job.id}")
            raise FailedAfterActing(told) from None
        body = RunAnswer(results=dict(results)).model_dump_json()
        return Response(body, media_type="application/json", headers={"x-nanobot-job-id": job.id})

    async def stream(self, request: Request, workflow_id: str) -> Response:
        """Run it, and tell what happens as server-sent events: `job_update`, `node_update`, `output_update`, then `complete`, then [DONE]."""
        job = await self._start(request, workflow_id)
        updates = self.workflows.updates(principal(request.scope).id, job.id)
        return JobStream(job, updates, keep_alive=self.settings.keep_alive_seconds)

    async def jobs(
        self,
        request: Request,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[str | None, Query(max_length=64)] = None,
    ) -> JobList:
        """The latest first; `before`: the id of the last one of the page before."""
        owner = principal(request.scope).id
        found = await self.workflows.list(owner, limit=limit + 1, before=None if before is None else known_job(before))
        return JobList(object="list", data=[job_answer(job) for job in found[:limit]], has_more=len(found) > limit)

    async def job(self, request: Request, job_id: str) -> JobAnswer:
        return job_answer(await self.workflows.get(principal(request.scope).id, known_job(job_id)))

    async def watch(self, request: Request, job_id: str) -> Response:
        """What happened so far, then what happens, as server-sent events: to reconnect to a run, as often as one likes."""
        owner = principal(request.scope).id
        job = await self.workflows.get(owner, known_job(job_id))
        return JobStream(job, self.workflows.updates(owner, job.id), keep_alive=self.settings.keep_alive_seconds)

    async def cancel(self, request: Request, job_id: str) -> JobAnswer:
        """Stop it where it is, whichever process runs it. What its nodes have done stays done."""
        return job_answer(await self.workflows.cancel(principal(request.scope).id, known_job(job_id)))

    async def _start(self, request: Request, workflow_id: str) -> Job:
        owner, limits = principal(request.scope).id, self.settings.limits
        workflow = await self.workflows.show(workflow_id)
        spool = Spool(self.spool_folder, limits)
        try:
            given = await read_params(request.scope, request.receive, spool, limits, workflow)
            return await self.workflows.start(owner, workflow_id, given.params, given.files)
        finally:
            if spool.holds_files:
                await asyncio.to_thread(spool.remove)


def known_job(job_id: str) -> str:
    """Raises JobNotFound for what can't be the id of one."""
    if not _ID.fullmatch(job_id):
        raise JobNotFound(param="job_id")
    return job_id
