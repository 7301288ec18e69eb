"""The routes, and their description (/docs, /openapi.json)."""

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match

from assistant.api.answers import (
    ChatCompletion,
    ChatCompletionChunk,
    HealthAnswer,
    ModelDetail,
    ModelList,
    ReadyAnswer,
    SessionDeleted,
    SessionDetail,
    SessionList,
)
from assistant.api.chat.endpoint import ChatEndpoint
from assistant.api.chat.route import MAX_KEY_LENGTH
from assistant.api.chat.wire import ChatForm, ChatRequest
from assistant.api.complaints import complaint
from assistant.api.completions.endpoints import TextEndpoints, add_text_routes
from assistant.api.completions.wire import CompletionChunk, CompletionRequest, EmbeddingRequest
from assistant.api.deliveries import DeliveryEndpoints, DeliveryForm, DeliveryRequest, add_delivery_routes
from assistant.api.docs_page import HEADERS as PAGE_HEADERS
from assistant.api.docs_page import docs_page
from assistant.api.files import FileEndpoints, FileForm, add_file_routes
from assistant.api.health import HealthEndpoints
from assistant.api.hooks import add_hook_route
from assistant.api.idempotency.middleware import describe_repeats
from assistant.api.middleware.errors import NotThisMethod
from assistant.api.models import ModelEndpoints
from assistant.api.openapi import (
    HEADERS,
    SECURITY_SCHEMES,
    WHY,
    ScopedRoute,
    describe_headers,
    describe_security,
    errors,
    events,
    needs,
    needs_key,
    open_to_all,
)
from assistant.api.responses.answers import RESPONSE_EVENTS
from assistant.api.responses.endpoints import ResponseEndpoints, add_response_routes
from assistant.api.responses.wire import ResponseRequest
from assistant.api.sessions import SessionEndpoints
from assistant.api.workflows.endpoints import WorkflowEndpoints, add_workflow_routes
from assistant.api.workflows.wire import EVENTS
from assistant.contracts.errors import InvalidRequest, NanobotError, NotFound
from assistant.contracts.hooks import Hooks

_DESCRIPTION = "An assistant that keeps its promises, by OpenAI's chat completions API with sessions kept by the server."
_REF = "#/components/schemas/"


class Routes(FastAPI):
    """FastAPI, described as it is: with the schemas that no route declares, because its bodies are read and written by hand, with the key, and
    without FastAPI's own 422, in whose place 400 is answered."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            described = [(ChatRequest, "validation"), (ChatForm, "validation"), (ChatCompletionChunk, "validation")]
            described += [(DeliveryRequest, "validation"), (DeliveryForm, "validation"), (FileForm, "validation")]
            described += [(CompletionRequest, "validation"), (CompletionChunk, "validation"), (EmbeddingRequest, "validation")]
            described += [(ResponseRequest, "validation"), *[(event, "validation") for event in RESPONSE_EVENTS]]
            described += [(event, "validation") for event in EVENTS]
            _, schemas = models_json_schema(described, ref_template=_REF + "{model}")  # pyright: ignore[reportArgumentType]
            components = document["components"]
            components["schemas"].update(schemas["$defs"])
            for name in ("HTTPValidationError", "ValidationError"):
                components["schemas"].pop(name, None)
            components |= {"securitySchemes": SECURITY_SCHEMES, "headers": HEADERS}
            for operations in document["paths"].values():
                for method, operation in operations.items():
                    if not _is_ours(operation["responses"].get("422")):
                        operation["responses"].pop("422", None)
                    if method == "post" and needs_key(operation):
                        describe_repeats(operation)
                    describe_security(operation)
                    describe_headers(method, operation)
        return super().openapi()


class ChatRoute(ScopedRoute):
    """Described like any route, and served by the endpoint alone: FastAPI would have nothing to resolve, and would take a tenth of the
    request's processor time."""

    def __init__(self, chat: ChatEndpoint) -> None:
        async def create_chat_completion(request: Request) -> Response:
            """One user message, its answer whole or (`stream: true`) as server-sent events."""
            raise NotImplementedError

        super().__init__("/v1/chat/completions", create_chat_completion, methods=["POST"], response_model=None, **_CHAT)
        self.app = chat


def create_routes(
    *,
    chat: ChatEndpoint,
    models: ModelEndpoints,
    health: HealthEndpoints,
    chat_enabled: bool,
    sessions: SessionEndpoints | None = None,
    deliveries: DeliveryEndpoints | None = None,
    files: FileEndpoints | None = None,
    hooks: Hooks | None = None,
    texts: TextEndpoints | None = None,
    responses: ResponseEndpoints | None = None,
    workflows: WorkflowEndpoints | None = None,
) -> FastAPI:
    """Every route there is; without those of what is None. What goes wrong leaves as a NanobotError (or as the exception
    that it is): nothing is answered here."""
    app = Routes(
        title="nanobot",
        version=health.version,
        description=_DESCRIPTION,
        exception_handlers={HTTPException: _raise_ours, RequestValidationError: _raise_ours, Exception: _raise_on},
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False},
    )
    app.router.route_class = ScopedRoute
    get = ["GET"]
    if chat_enabled:
        app.router.routes.append(ChatRoute(chat))
    for path, summary, endpoint, answer, refusals, scope in (
        ("/v1/models", "List models", models.index, ModelList, errors(401), needs("models")),
        ("/v1/models/{model_id:path}", "Show a model", models.show, ModelDetail, errors(401, 404), needs("models")),
        ("/health", "Is it alive?", health.alive, HealthAnswer, errors(), open_to_all()),
        ("/ready", "Can it do its work?", health.ready, ReadyAnswer, _NOT_READY, open_to_all()),
    ):
        app.add_api_route(path, endpoint, summary=summary, methods=get, response_model=answer, responses=refusals, openapi_extra=scope)
    if sessions is not None:
        add_session_routes(app, sessions)
    if texts is not None:
        add_text_routes(app, texts)
    if responses is not None:
        add_response_routes(app, responses)
    if deliveries is not None:
        add_delivery_routes(app, deliveries)
    if files is not None:
        add_file_routes(app, files)
    if workflows is not None:
        add_workflow_routes(app, workflows)
    if hooks is not None:
        add_hook_route(app, hooks, errors(400, 401, 404, 408, 413, 503))
    app.router.add_route("/docs", _docs(app), methods=get, include_in_schema=False)
    return app


def add_session_routes(app: FastAPI, sessions: SessionEndpoints) -> None:
    get, delete, seen = ["GET"], ["DELETE"], needs("sessions")
    for path, summary, endpoint, methods, answer, refusals in (
        ("/v1/sessions", "List sessions", sessions.index, get, SessionList, errors(400, 401, 404, 503)),
        ("/v1/sessions/{session_id:path}", "Show a session", sessions.show, get, SessionDetail, errors(400, 401, 404, 503)),
        ("/v1/sessions/{session_id:path}", "Delete a session", sessions.delete, delete, SessionDeleted, errors(401, 404, 409, 503)),
    ):
        app.add_api_route(path, endpoint, summary=summary, methods=methods, response_model=answer, responses=refusals, openapi_extra=seen)


def _is_ours(answer: dict[str, Any] | None) -> bool:
    return answer is not None and answer["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorAnswer")


def _docs(app: Routes) -> Any:
    async def describe(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()), headers=PAGE_HEADERS)

    return describe


_NOT_READY: Final = {**errors(), 503: {"model": ReadyAnswer, "description": "Not now; `checks` say why."}}
_SESSION_ID: Final = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH}
CHAT_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": ChatCompletion,
        "description": "The answer; or, with `stream: true`, events of ChatCompletionChunk and at last `[DONE]`.",
        "content": events("ChatCompletionChunk"),
    },
    **errors(*[status for status in WHY if status not in (405, 422)]),
}
_CHAT: Final[dict[str, Any]] = {
    "summary": "Ask",
    "responses": CHAT_ANSWERS,
    "openapi_extra": needs(
        "chat",
        {
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"$ref": _REF + "ChatRequest"}},
                    "multipart/form-data": {"schema": {"$ref": _REF + "ChatForm"}},
                },
            },
            "parameters": [
                {"name": name, "in": "header", "required": False, "description": what, "schema": schema}
                for name, what, schema in (
                    ("x-nanobot-agent-id", "The agent that answers; beats `model`.", {"type": "string"}),
                    ("x-nanobot-session-key", "The conversation that this belongs to; beats `session_id` and `user`.", _SESSION_ID),
                )
            ],
        },
    ),
}


async def _raise_ours(request: Request, error: Exception) -> Response:
    """The framework's refusals in our words."""
    raise _ours(request, error) from None


async def _raise_on(request: Request, error: Exception) -> Response:
    raise error


def _ours(request: Request, error: Exception) -> NanobotError:
    match error:
        case RequestValidationError():
            return complaint(error.errors(), skip=1)
        case HTTPException(status_code=404):
            return NotFound("There is no such path here. GET /docs describes those there are.")
        case HTTPException(status_code=405):
            return NotThisMethod(request.method, _methods_at(request))
        case HTTPException():
            return InvalidRequest()
        case _:
            raise error


def _methods_at(request: Request) -> tuple[str, ...]:
    """All methods that this path takes, by whichever route."""
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    if "GET" in methods:
        methods |= {"HEAD"}
    return tuple(sorted(methods | {"OPTIONS"}))
