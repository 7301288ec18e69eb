"""The API with chat only: `nanobot chat-server`, and the router that is mounted in another program."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from assistant.api.answers import ChatCompletion, ErrorAnswer
from assistant.api.app import ApiServices, guarded, repeated
from assistant.api.body.spool import prepare_spool
from assistant.api.chat.endpoint import ChatEndpoint, ChatService
from assistant.api.chat.route import AgentCatalog
from assistant.api.chat.wire import CHAT_FORM, ChatRequest
from assistant.api.health import HealthEndpoints
from assistant.api.middleware.errors import error_answer
from assistant.api.models import ModelDetail, ModelEndpoints, ModelList
from assistant.api.openapi import errors
from assistant.api.routes import CHAT_ANSWERS, create_routes
from assistant.contracts.errors import NanobotError, NotFound
from assistant.contracts.turns import MAIN


def create_chat_app(services: ApiServices, *, mounted: bool) -> ASGIApp:
    """Chat completions, models, /health, /ready, /docs and /openapi.json, behind the same middleware as `create_app`.

    A request that names the default agent's model brings its own history, as OpenAI's clients do. `mounted`: another program's server calls
    this. Raises what `create_app` raises.
    """
    settings, agents, models = services.settings, services.agents, services.workflow_models
    prepare_spool(services.spool_folder)
    ids = models.ids if models else ()
    known = AgentCatalog(model=agents[MAIN].id, agents=agents, workflows=ids, takes_history=True)
    chat = ChatEndpoint(
        asking=ChatService(turns=services.turns, registry=services.registry, direct=services.direct, known=known),
        settings=settings,
        spool_folder=services.spool_folder,
        start_workflow=models.start if models else None,
        hears=services.hears,
    )
    routes = create_routes(
        version=services.version,
        chat=chat if settings.endpoints.chat_completions.enabled else None,
        resources=(
            ModelEndpoints(agents=agents, registry=services.registry, workflows=ids, chat_only=True),
            HealthEndpoints(version=services.version, checks=services.ready, channels=services.channels),
        ),
    )
    return guarded(_NoSockets(repeated(routes, services.idempotency, settings)), settings, services.authenticator, mounted=mounted)


class _NoSockets:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            raise NotFound("There are no WebSockets here: nanobot serve has /chat and /predict.")
        await self._app(scope, receive, send)


_PASSED_ON: Final = ("type", "asgi", "http_version", "scheme", "method", "query_string", "headers", "client", "server", "extensions")
"""ASGI's own keys: what the other program and its framework keep in the scope is left behind."""
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ANSWER: Final = {**CHAT_ANSWERS[200], "model": ChatCompletion, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
"""The program's description has no schema of the events."""
_WHICH: Final = {"name": "model_id", "in": "path", "required": True, "schema": {"type": "string"}}


class NotOpen(NanobotError):
    """The assistant is not open: the lifespan of the app that includes its router opens it, and did not run or has ended. A mounted app's
    lifespan does not run: include the router in the outermost app."""

    status, code = 503, "not_open"


async def not_open(scope: Scope, receive: Receive, send: Send) -> None:
    """The app before it is opened, and after it was closed."""
    answer = error_answer(NotOpen(), acted=True)  # a retry changes nothing
    await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
    await send({"type": "http.response.body", "body": answer.body})


def create_mounted_router(opened: Callable[[], ASGIApp], lifespan: Lifespan[FastAPI]) -> APIRouter:
    """Each request goes through the whole app that `opened` returns, so that access, limits and errors are the same as on our own port;
    dependencies, middleware and prefixes of the program apply before that.

    `lifespan`: opens that app; FastAPI runs it with the program's. Other methods on these paths are answered here as well, with 405.
    """
    router = APIRouter(lifespan=lifespan, redirect_slashes=False)

    def add(path: str, method: str, summary: str, answers: dict[int | str, dict[str, Any]], extra: dict[str, Any]) -> None:
        async def respond(request: Request) -> Response:
            return _Passed(opened(), path.replace(":path", "").format(**request.path_params))

        router.add_api_route(
            path, respond, methods=[method], summary=summary, description="", name=summary, responses=answers, openapi_extra=extra
        )
        others = [other for other in _METHODS if other != method]
        router.add_api_route(path, respond, methods=others, include_in_schema=False)

    add("/v1/chat/completions", "POST", "Ask", {**_errors(*CHAT_ANSWERS, 422), 200: _ANSWER}, {"requestBody": _BODY})
    add("/v1/models", "GET", "List models", {200: {"model": ModelList}, **_errors(401)}, {})
    add("/v1/models/{model_id:path}", "GET", "Show a model", {200: {"model": ModelDetail}, **_errors(401, 404)}, {"parameters": [_WHICH]})
    return router


class _Passed(Response):
    """The answer of another ASGI app, which gets the request as if it had come to its own port."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        super().__init__()
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = {key: scope[key] for key in _PASSED_ON if key in scope}
        own |= {"path": self._path, "raw_path": quote(self._path).encode(), "root_path": ""}
        await self._app(own, receive, send)
        if self.background is not None:
            await self.background()


def _errors(*statuses: int | str) -> dict[int | str, dict[str, Any]]:
    """As models, since the program's description has no components of ours."""
    declared = errors(*[int(status) for status in statuses if status != 200])
    return {status: {"model": ErrorAnswer, "description": answer["description"]} for status, answer in declared.items()}


def _whole(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body in one piece: the program's description has no place for the parts."""
    parts: Mapping[str, Any] = schema.pop("$defs", {})

    def put_in(value: object) -> object:
        if isinstance(value, dict):
            entry = cast("dict[str, object]", value)
            reference = entry.get("$ref")
            if isinstance(reference, str):
                return put_in(parts[reference.rpartition("/")[2]])
            return {name: put_in(inner) for name, inner in entry.items()}
        return [put_in(each) for each in cast("list[object]", value)] if isinstance(value, list) else value

    return cast("dict[str, Any]", put_in(schema))


_BODY: Final = {
    "required": True,
    "content": {
        "application/json": {"schema": _whole(ChatRequest.model_json_schema())},
        "multipart/form-data": {"schema": _whole(CHAT_FORM.schema())},
    },
}
