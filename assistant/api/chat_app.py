"""The API where there is only chat: `nanobot chat-server`, and what is mounted in another program."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from assistant.access.authenticator import Authenticator
from assistant.api.answers import ModelDetail, ModelList
from assistant.api.app import guarded, repeated
from assistant.api.body.spool import prepare_spool
from assistant.api.chat.endpoint import ChatEndpoint, ChatService
from assistant.api.chat.route import AgentCatalog
from assistant.api.chat.wire import ChatForm, ChatRequest
from assistant.api.health import HealthEndpoints, ReadinessCheck
from assistant.api.middleware.errors import error_answer
from assistant.api.models import ModelEndpoints
from assistant.api.openapi import errors
from assistant.api.routes import CHAT_ANSWERS, create_routes
from assistant.api.settings import ApiSettings
from assistant.api.turns import TurnStarter
from assistant.contracts.errors import NanobotError, NotFound
from assistant.contracts.models import ModelInfo
from assistant.contracts.turns import MAIN
from assistant.providers.registry import ModelRegistry
from assistant.store.idempotency import IdempotencyStore
from assistant.turns.direct import Direct
from assistant.workflows.models import WorkflowModels


def create_chat_app(
    *,
    settings: ApiSettings,
    doorkeeper: Authenticator,
    turns: TurnStarter,
    agents: Mapping[str, ModelInfo],
    registry: ModelRegistry,
    direct: Direct,
    asked: WorkflowModels,
    ready: Callable[[], Awaitable[Sequence[ReadinessCheck]]],
    repeats: IdempotencyStore,
    spool_folder: Path,
    version: str,
    mounted: bool,
) -> ASGIApp:
    """Chat completions, models, /health, /ready, /docs and /openapi.json; in front of them all that `assistant.api.app.create_app` has there.

    Whoever asks the default agent by its model's name brings the history, as OpenAI's clients do. `mounted`: another program's server calls
    this. For the rest, and what is raised, see `create_app`.
    """
    prepare_spool(spool_folder)
    known = AgentCatalog(model=agents[MAIN].id, agents=agents, workflows=asked.ids, takes_history=True)
    routes = create_routes(
        chat=ChatEndpoint(
            asking=ChatService(turns=turns, registry=registry, direct=direct, known=known),
            settings=settings,
            spool_folder=spool_folder,
            workflows=asked,
        ),
        models=ModelEndpoints(agents=agents, registry=registry, workflows=asked.ids, chat_only=True),
        health=HealthEndpoints(version=version, checks=ready, channels=tuple),
        chat_enabled=settings.endpoints.chat_completions.enabled,
    )
    return guarded(_NoSockets(repeated(routes, repeats, settings)), settings, doorkeeper, mounted=mounted)


class _NoSockets:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            raise NotFound("There are no WebSockets here: nanobot serve has /chat and /predict.")
        await self._app(scope, receive, send)


_PASSED_ON: Final = ("type", "asgi", "http_version", "scheme", "method", "query_string", "headers", "client", "server", "extensions")
"""What ASGI says of a request. What the other program, and its framework, keep in its scope is theirs."""
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ANSWER: Final = {**CHAT_ANSWERS[200], "content": {"text/event-stream": {"schema": {"type": "string"}}}}
"""The program's description has no schema of the events."""
_WHICH: Final = {"name": "model_id", "in": "path", "required": True, "schema": {"type": "string"}}


class NotOpen(NanobotError):
    """The assistant is not open: its router is opened by the lifespan of the app that includes it, which did not run or has ended. An app that is
    mounted in another one has no lifespan: include the router in the outermost app."""

    status, code = 503, "not_open"


async def not_open(scope: Scope, receive: Receive, send: Send) -> None:
    """What stands in the app's place before it is opened, and after it was closed."""
    answer = error_answer(NotOpen(), acted=True)  # asking again changes nothing
    await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
    await send({"type": "http.response.body", "body": answer.body})


def create_mounted_router(opened: Callable[[], ASGIApp], lifespan: Lifespan[FastAPI]) -> APIRouter:
    """Each of its requests goes, by the path that it has here, through the whole of the app that `opened` returns when it is asked; so who comes in,
    what is limited and how errors look is as at our own port. Dependencies, middleware and prefixes of the program hold before that.

    `lifespan`: opens that app; FastAPI runs it with that of the program's app. Other methods of these paths are answered here as well, as 405.
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

    add("/v1/chat/completions", "POST", "Ask", {**CHAT_ANSWERS, 200: _ANSWER, **errors(422)}, {"requestBody": _BODY})
    add("/v1/models", "GET", "List models", {200: {"model": ModelList}, **errors(401)}, {})
    add("/v1/models/{model_id:path}", "GET", "Show a model", {200: {"model": ModelDetail}, **errors(401, 404)}, {"parameters": [_WHICH]})
    return router


class _Passed(Response):
    """The answer of another ASGI app, which is given the request as if it had come to its own port."""

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


def _whole(model: type[ChatRequest | ChatForm]) -> dict[str, Any]:
    """The schema of a body in one piece: the program's description has no place for the parts."""
    schema = model.model_json_schema()
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
        "application/json": {"schema": _whole(ChatRequest)},
        "multipart/form-data": {"schema": _whole(ChatForm)},
    },
}
