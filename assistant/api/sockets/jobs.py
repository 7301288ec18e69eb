"""Workflows over a socket: the commands of /predict, and messages that are a workflow's input."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final, cast

from assistant.access.principals import Principal
from assistant.api.body.spool import spooled
from assistant.api.sockets import wire
from assistant.api.sockets.codec import Frame
from assistant.api.sockets.questions import SocketServices
from assistant.api.sockets.wire import ClientMessage, take_in
from assistant.api.workflows.endpoints import given_params, known_job
from assistant.api.workflows.wire import frame as update_frame
from assistant.contracts.errors import InvalidRequest, NanobotError, ServerOverloaded
from assistant.contracts.messages import Json
from assistant.contracts.turns import Upload, UserText
from assistant.contracts.workflows import ENDED, Job, JobConflict, WorkflowNotFound, Workflows
from assistant.workflows.models import message_files, message_params, results_text

COMMANDS: Final = frozenset({"run_job", "reconnect_job", "cancel_job", "get_status"})
_WATCHED: Final = 16
"""Jobs whose updates one socket gets at the same time."""


class SocketJobs:
    """The jobs of one socket. They go on when it closes."""

    __slots__ = ("_group", "_say", "_services", "_watches", "_who")

    def __init__(self, services: SocketServices, who: Principal, say: Callable[[Frame], Awaitable[None]], group: asyncio.TaskGroup) -> None:
        self._services = services
        self._who = who
        self._say = say
        self._group = group
        self._watches: dict[str, asyncio.Task[None]] = {}

    async def command(self, name: str, data: Frame) -> None:
        """Do one of COMMANDS. Its answer has no `type`; the job's updates follow. Raises NanobotError."""
        self._who.require("workflows")
        if name == "run_job":
            await self._run(data)
        elif name == "get_status" and data.get("job_id") is None:
            jobs = [_status(job) for job in await self.service.list(self._who.person) if job.state not in ENDED]
            await self._say({"active_jobs": cast("object", jobs)})
        elif not isinstance(job_id := data.get("job_id"), str) or not job_id:
            await self._say({"error": "job_id is required"})
        elif name == "reconnect_job":
            job = await self.service.get(self._who.person, known_job(job_id))
            await self._say({"message": f"Reconnecting to job {job.id}", "job_id": job.id, "workflow_id": job.workflow})
            self._watch(job)
        elif name == "cancel_job":
            job = await self.service.cancel(self._who.person, known_job(job_id))
            await self._say({"message": "Job cancellation requested", "job_id": job.id, "workflow_id": job.workflow})
        else:
            await self._say(_status(await self.service.get(self._who.person, known_job(job_id))))

    @property
    def service(self) -> Workflows:
        """Raises WorkflowNotFound if there are none."""
        if self._services.workflows is None:
            raise WorkflowNotFound("There are no workflows here.")
        return self._services.workflows

    def leave(self) -> None:
        for watch in self._watches.values():
            watch.cancel()

    async def start(self, message: ClientMessage) -> Job:
        """Run the workflow that a message names, with its text, files and `params` as inputs. Raises NanobotError."""
        self._who.require("workflows")
        workflow = await self.service.show(message.workflow_id or "")
        async with spooled(self._services.spool_folder, self._services.settings.limits) as spool:
            content = await take_in(message.content, spool)
            files = message_files(workflow, [part for part in content if isinstance(part, Upload)])
            words = "\n".join([part.text for part in content if isinstance(part, UserText)])
            params = {**message_params(workflow, words), **cast("dict[str, Json]", message.params or {})}
            return await self.service.start(self._who.person, workflow.id, params, files, caller=self._who.id)

    async def frames(self, job: Job, thread: str) -> AsyncIterator[list[Frame]]:
        """The updates of a message's job, then its outputs as a message. Raises JobFailed, JobCancelled, StoreUnavailable."""
        async for batch in self.service.updates(self._who.person, job.id):
            yield [cast("Frame", update_frame(update)) for update in batch]
        results = await self.service.result(self._who.person, job.id)
        yield [wire.chunk("", done=True), wire.message(results_text(dict(results)), thread=thread, workflow=job.workflow)]

    async def cancel(self, job: Job) -> None:
        """Does nothing if it has ended."""
        with suppress(JobConflict):
            await self.service.cancel(self._who.person, job.id)

    async def _run(self, data: Frame) -> None:
        workflow_id, params = data.get("workflow_id"), data.get("params")
        if not isinstance(workflow_id, str) or not workflow_id:
            await self._say({"error": "workflow_id is required"})
            return
        if not isinstance(params, dict | None):
            raise InvalidRequest("'params' must be an object.", param="params")
        self._check_room()
        workflow = await self.service.show(workflow_id)
        async with spooled(self._services.spool_folder, self._services.settings.limits) as spool:
            admission = await self._services.authenticator.admit(self._who)
            try:
                inputs = await given_params(dict(cast("dict[str, Json]", params or {})), spool, workflow)
                job = await self.service.start(self._who.person, workflow_id, *inputs, caller=self._who.id)
            finally:
                await admission.end()
        await self._say({"message": "Job started", "workflow_id": workflow_id, "job_id": job.id})
        self._watch(job)

    def _watch(self, job: Job) -> None:
        if job.id not in self._watches:
            self._check_room()
            watch = self._watches[job.id] = self._group.create_task(self._tell(job.id))
            watch.add_done_callback(lambda _: self._watches.pop(job.id))

    def _check_room(self) -> None:
        if len(self._watches) >= _WATCHED:
            raise ServerOverloaded(
                f"This socket gets the updates of {_WATCHED} jobs already. Wait for one of them, or open another socket."
            )

    async def _tell(self, job_id: str) -> None:
        try:
            async for batch in self.service.updates(self._who.person, job_id):
                for update in batch:
                    await self._say(cast("Frame", update_frame(update)))
        except NanobotError as error:
            await self._say(wire.error(error))


def _status(job: Job) -> Frame:
    results = None if job.results is None else dict(job.results)
    return {"status": job.state, "job_id": job.id, "workflow_id": job.workflow, "result": results, "error": job.error}
