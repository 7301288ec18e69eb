"""/workflows and /v1/jobs: list, run, look at, cancel."""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from fastapi import Request, Response
from starlette.types import Receive, Scope

from assistant.api.answers import Before, PageLimit, known_id
from assistant.api.body.multipart import MultipartForm
from assistant.api.body.request import read_request
from assistant.api.body.spool import EncodedFile, Spool, decode_to_disk, parse_data_url, spooled
from assistant.api.middleware.errors import FailedAfterActing
from assistant.api.middleware.request import announced_length, header, principal, state_of
from assistant.api.openapi import Responses, Schema, described, endpoint, error, errors, events
from assistant.api.settings import ApiSettings
from assistant.api.workflows.wire import EVENTS, JobAnswer, JobList, JobStream, RunAnswer, WorkflowAnswer, WorkflowList
from assistant.contracts.errors import InvalidRequest, ShuttingDown
from assistant.contracts.messages import Json
from assistant.contracts.records import record
from assistant.contracts.turns import Upload
from assistant.contracts.util import display_name
from assistant.contracts.workflows import Job, JobCancelled, JobFailed, JobNotFound, WorkflowInfo
from assistant.contracts.workflows import Workflows as Service

Inputs = tuple[Mapping[str, Json], Mapping[str, Upload]]
"""Of a job: values, and files in the spool, by the names of their inputs."""


async def read_params(scope: Scope, receive: Receive, spool: Spool, workflow: WorkflowInfo) -> Inputs:
    """Raises UnsupportedMediaType, InvalidRequest and its kin, RequestTooLarge, FileTooLarge, RequestTimeout, ClientDisconnect."""
    file_inputs = _file_inputs(workflow)
    if all(header(scope, name) is None for name in (b"content-type", b"transfer-encoding")) and not announced_length(scope):
        return {}, {}  # a POST without a body: a workflow may need no inputs
    body = await read_request(scope, receive, spool, named=frozenset(file_inputs))
    if isinstance(body, MultipartForm):
        return {**body.fields}, _by_input(body, file_inputs)
    return await given_params(body, spool, workflow)


async def given_params(body: dict[str, Json], spool: Spool, workflow: WorkflowInfo) -> Inputs:
    """The inputs in a JSON object. Raises InvalidRequest and its kin, FileTooLarge."""
    files = {name: await _decoded(name, body.pop(name), spool) for name in _file_inputs(workflow) if body.get(name) is not None}
    return body, files


def _file_inputs(workflow: WorkflowInfo) -> list[str]:
    return [spec.name for spec in workflow.inputs if spec.type == "file"]


async def _decoded(name: str, value: Json, spool: Spool) -> Upload:
    data = value.get("file_data") if isinstance(value, dict) else value
    shown = value.get("filename") if isinstance(value, dict) else None
    if not isinstance(data, str) or not isinstance(shown, str | None):
        raise InvalidRequest(f'\'{name}\' is a file: send {{"filename": …, "file_data": its base64 or a data URL}}, or a form.', param=name)
    param = f"{name}.file_data" if isinstance(value, dict) else name
    _, start = parse_data_url(data, param) if data[:5].lower() == "data:" else ("", 0)
    file = EncodedFile(text=data, start=start, name=display_name(shown or "", name), param=param)
    return await asyncio.to_thread(decode_to_disk, file, spool)


def _by_input(form: MultipartForm, file_inputs: list[str]) -> dict[str, Upload]:
    """Files sent by their input's name; those sent as `files` go to the inputs that are left, in order."""
    found: dict[str, Upload] = {}
    unnamed: list[Upload] = []
    for upload in form.files:
        if upload.param not in file_inputs:
            unnamed.append(upload)
        elif upload.param in found:
            raise InvalidRequest(f"'{upload.param}' was sent twice.", param=upload.param)
        else:
            found[upload.param] = upload
    free = [name for name in file_inputs if name not in found]
    if len(unnamed) > len(free):
        takes = ", ".join(file_inputs) or "none"
        raise InvalidRequest(f"There are more files than the workflow takes: {takes}.", param="files")
    return {**found, **dict(zip(free, unnamed, strict=False))}


_ONE: Final = "/workflows/{workflow_id}"
_JOB: Final = "/v1/jobs/{job_id}"
_JOB_ID: Final = {"x-nanobot-job-id": {"description": "The job.", "required": True, "schema": {"type": "string"}}}
_OBJECT: Final = {"schema": {"type": "object", "additionalProperties": True}}
_PARAMS: Final[Schema] = {
    "requestBody": {
        "required": False,
        "description": (
            'The inputs by name. A file in JSON is {"filename": …, "file_data": its base64, or a data URL}; '
            "in a form it is sent under its input's name, or as `files`."
        ),
        "content": {"application/json": _OBJECT, "multipart/form-data": _OBJECT},
    }
}
_EVENTS: Final[Responses] = {200: {"description": "Events, and at last `[DONE]`.", "content": events(*EVENTS), "headers": _JOB_ID}}
_RAN: Final[Responses] = {
    200: {**described(RunAnswer, "The outputs."), "headers": _JOB_ID},
    409: error("The job was cancelled."),
    422: error("A node of the job failed; the message says which, and why."),
}
_START: Final = errors(400, 401, 404, 408, 413, 415, 503)
known_job = partial(known_id, prefix="job", missing=JobNotFound, param="job_id")


@record
class WorkflowEndpoints:
    workflows: Service
    settings: ApiSettings
    spool_folder: Path

    @endpoint("GET", "/workflows", "List workflows", scope="workflows", responses=errors(401))
    async def index(self) -> WorkflowList:
        """The workflows in the workspace; those with problems, too."""
        return WorkflowList(workflows=[WorkflowAnswer.model_validate(info) for info in await self.workflows.index()])

    @endpoint("GET", _ONE, "Show a workflow", scope="workflows", responses=errors(400, 401, 404))
    async def show(self, workflow_id: str) -> WorkflowAnswer:
        return WorkflowAnswer.model_validate(await self.workflows.show(workflow_id))

    @endpoint("POST", _ONE + "/run", "Run a workflow", scope="workflows", responses={**_START, **_RAN}, extra=_PARAMS)
    async def run(self, request: Request, workflow_id: str) -> Response:
        """Run it to its end. The body holds its inputs. The job continues when the client disconnects: `x-nanobot-job-id` names it."""
        job = await self._start(request, workflow_id)
        try:
            results = await self.workflows.result(principal(request.scope).person, job.id)
        except (JobFailed, JobCancelled) as error:
            raise FailedAfterActing(error) from None
        except asyncio.CancelledError:
            if state_of(request.scope).cut_off is not None:
                raise
            told = ShuttingDown(f"The server is shutting down; the job {job.id} goes on after its next start: GET /v1/jobs/{job.id}")
            raise FailedAfterActing(told) from None
        body = RunAnswer(results=dict(results)).model_dump_json()
        return Response(body, media_type="application/json", headers={"x-nanobot-job-id": job.id})

    @endpoint(
        "POST",
        _ONE + "/run/stream",
        "Run a workflow, and stream its events",
        scope="workflows",
        responses={**_START, **_EVENTS},
        extra=_PARAMS,
        response_class=Response,
    )
    async def stream(self, request: Request, workflow_id: str) -> Response:
        """Run it, with server-sent events: `job_update`, `node_update`, `output_update`, then `complete`, then [DONE]."""
        job = await self._start(request, workflow_id)
        updates = self.workflows.updates(principal(request.scope).person, job.id)
        return JobStream(job, updates, keep_alive=self.settings.keep_alive_seconds)

    @endpoint("GET", "/v1/jobs", "List jobs", scope="workflows", responses=errors(400, 401, 404, 503))
    async def jobs(self, request: Request, limit: PageLimit = 50, before: Before = None) -> JobList:
        """The latest first; `before`: the id of the last one of the page before."""
        owner = principal(request.scope).person
        found = await self.workflows.list(owner, limit=limit + 1, before=None if before is None else known_job(before))
        return JobList.page(found, limit, JobAnswer.model_validate)

    @endpoint("GET", _JOB, "Show a job", scope="workflows", responses=errors(401, 404, 503))
    async def job(self, request: Request, job_id: str) -> JobAnswer:
        return JobAnswer.model_validate(await self.workflows.get(principal(request.scope).person, known_job(job_id)))

    @endpoint(
        "GET",
        _JOB + "/stream",
        "Stream the events of a job",
        scope="workflows",
        responses={**errors(401, 404, 503), **_EVENTS},
        response_class=Response,
    )
    async def watch(self, request: Request, job_id: str) -> Response:
        """Its events so far, then new ones, as server-sent events: to reconnect to a run, as often as needed."""
        owner = principal(request.scope).person
        job = await self.workflows.get(owner, known_job(job_id))
        return JobStream(job, self.workflows.updates(owner, job.id), keep_alive=self.settings.keep_alive_seconds)

    @endpoint(
        "POST",
        _JOB + "/cancel",
        "Cancel a job",
        scope="workflows",
        responses={**errors(401, 404, 503), 409: error("It has ended already.")},
    )
    async def cancel(self, request: Request, job_id: str) -> JobAnswer:
        """Stop it where it is, in whichever process. The effects of its nodes stay."""
        return JobAnswer.model_validate(await self.workflows.cancel(principal(request.scope).person, known_job(job_id)))

    async def _start(self, request: Request, workflow_id: str) -> Job:
        workflow = await self.workflows.show(workflow_id)
        async with spooled(self.spool_folder, self.settings.limits) as spool:
            inputs = await read_params(request.scope, request.receive, spool, workflow)
            who = principal(request.scope)
            return await self.workflows.start(who.person, workflow_id, *inputs, caller=who.id)
