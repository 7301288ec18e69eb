"""The routes of /workflows and /v1/jobs, and their description."""

from typing import Any, Final

from fastapi import FastAPI, Response

from assistant.api.event_streams import events
from assistant.api.refusals import errors
from assistant.api.scoped import needs
from assistant.api.wire_answers import ErrorAnswer
from assistant.api.workflows.endpoints import Workflows
from assistant.api.workflows.events import EVENTS
from assistant.api.workflows.wire import JobAnswer, JobList, RunAnswer, WorkflowAnswer, WorkflowList

_ONE: Final = "/workflows/{workflow_id}"
_JOB: Final = "/v1/jobs/{job_id}"
_JOB_ID: Final = {"x-nanobot-job-id": {"description": "The job.", "required": True, "schema": {"type": "string"}}}
_OBJECT: Final = {"schema": {"type": "object", "additionalProperties": True}}
_PARAMS: Final[dict[str, Any]] = {
    "requestBody": {
        "required": False,
        "description": (
            'The inputs by name. A file in JSON is {"filename": …, "file_data": its base64, or a data URL}; '
            "in a form it is sent under its input's name, or as `files`."
        ),
        "content": {"application/json": _OBJECT, "multipart/form-data": _OBJECT},
    }
}
_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Events, and at last `[DONE]`.", "content": events(*[event.__name__ for event in EVENTS]), "headers": _JOB_ID},
}
_RUN: Final[dict[int | str, dict[str, Any]]] = {200: {"description": "The outputs.", "headers": _JOB_ID}}
_ENDED: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ErrorAnswer, "description": "The job was cancelled."},
    422: {"model": ErrorAnswer, "description": "A node of the job failed; the message says which, and why."},
}
_CANCEL: Final[dict[int | str, dict[str, Any]]] = {409: {"model": ErrorAnswer, "description": "It has ended already."}}
_START: Final = (400, 401, 404, 408, 413, 415, 503)


def add_workflow_routes(app: FastAPI, workflows: Workflows) -> None:
    get, post = ["GET"], ["POST"]
    for path, summary, endpoint, methods, answer, refusals in (
        ("/workflows", "List workflows", workflows.index, get, WorkflowList, errors(401)),
        (_ONE, "Show a workflow", workflows.show, get, WorkflowAnswer, errors(400, 401, 404)),
        ("/v1/jobs", "List jobs", workflows.jobs, get, JobList, errors(400, 401, 404, 503)),
        (_JOB, "Show a job", workflows.job, get, JobAnswer, errors(401, 404, 503)),
        (_JOB + "/cancel", "Cancel a job", workflows.cancel, post, JobAnswer, {**errors(401, 404, 503), **_CANCEL}),
    ):
        app.add_api_route(
            path, endpoint, summary=summary, methods=methods, response_model=answer, responses=refusals, openapi_extra=needs("workflows")
        )
    app.add_api_route(
        _ONE + "/run",
        workflows.run,
        methods=post,
        summary="Run a workflow",
        response_model=RunAnswer,
        responses={**errors(*_START), **_ENDED, **_RUN},
        openapi_extra=needs("workflows", _PARAMS),
    )
    app.add_api_route(
        _ONE + "/run/stream",
        workflows.stream,
        methods=post,
        summary="Run a workflow, and hear how it goes",
        response_class=Response,
        responses={**errors(*_START), **_EVENTS},
        openapi_extra=needs("workflows", _PARAMS),
    )
    app.add_api_route(
        _JOB + "/stream",
        workflows.watch,
        methods=get,
        summary="Hear how a job goes",
        response_class=Response,
        responses={**errors(401, 404, 503), **_EVENTS},
        openapi_extra=needs("workflows"),
    )
