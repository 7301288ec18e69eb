"""The routes, and their description (/docs, /openapi.json)."""

import sys
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, Final, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic.warnings import UnsupportedFieldAttributeWarning
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from assistant.api import openapi
from assistant.api.answers import ChatCompletion, ChatCompletionChunk
from assistant.api.chat.endpoint import ChatEndpoint
from assistant.api.chat.route import MAX_KEY_LENGTH
from assistant.api.chat.wire import CHAT_FORM, ChatRequest
from assistant.api.complaints import complaint
from assistant.api.docs_page import HEADERS as PAGE_HEADERS
from assistant.api.docs_page import docs_page
from assistant.api.idempotency.middleware import describe_repeats
from assistant.api.middleware.errors import NotThisMethod
from assistant.api.middleware.request import principal
from assistant.api.page import page_routes
from assistant.contracts.errors import InvalidRequest, NotFound

_DESCRIPTION = "An assistant that keeps its promises, by OpenAI's chat completions API with sessions kept by the server."


class Routes(FastAPI):
    """FastAPI, with what it does not describe by itself: bodies and answers that are read and written by hand, keys, and headers. Its own 422
    is left out, since 400 is answered in its place. `chat` is called without FastAPI's routing and middleware, which would have nothing to do, and
    would take three in a hundred of a turn's instructions."""

    chat: "ChatRoute | None" = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.chat is not None and scope["type"] == "http" and scope["path"] == self.chat.path and scope["method"] == "POST":
            scope["route"] = self.chat  # as the router does, for the metrics: of refusals, too
            principal(scope).require(_SCOPE)
            await self.chat.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)  # of FastAPI's own fields, where validators are deferred
                document = super().openapi()
            for operations in document["paths"].values():
                for method, operation in operations.items():
                    if "HTTPValidationError" in str(operation["responses"].get("422")):
                        del operation["responses"]["422"]
                    if method == "post" and openapi.needs_key(operation):
                        describe_repeats(operation)
                    openapi.describe_access(method, operation)
            openapi.add_components(document)
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
            document["components"] |= {"securitySchemes": openapi.SECURITY_SCHEMES, "headers": openapi.HEADERS}
        return super().openapi()


class ChatRoute(openapi.ScopedRoute):
    """Described like any route, and served by the endpoint alone: FastAPI would have nothing to resolve, and would take a tenth of the
    request's processor time."""

    def __init__(self, chat: ChatEndpoint) -> None:
        async def create_chat_completion(request: Request) -> Response:
            """One user message, its answer whole or (`stream: true`) as server-sent events."""
            raise NotImplementedError

        super().__init__("/v1/chat/completions", create_chat_completion, methods=["POST"], response_model=None, **_CHAT)
        self.app = chat


def create_routes(*, version: str, chat: ChatEndpoint | None, resources: Iterable[object]) -> FastAPI:
    """Chat completions (None: they are switched off), the endpoints of each resource, and /docs. Errors are raised, for ErrorMiddleware to
    answer."""
    app = Routes(
        title="nanobot",
        version=version,
        description=_DESCRIPTION,
        exception_handlers={HTTPException: _raise_ours, RequestValidationError: _raise_ours, Exception: _raise_ours},
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False},
    )
    app.router.route_class = openapi.ScopedRoute
    if chat is not None:
        app.chat = ChatRoute(chat)
        app.router.routes.append(app.chat)
    with _no_pydantic_v1():
        for resource in resources:
            openapi.add_endpoints(app, resource)

    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()), headers=PAGE_HEADERS)

    app.router.routes.extend(page_routes())
    app.router.add_route("/docs", docs, methods=["GET"], include_in_schema=False)
    return app


@contextmanager
def _no_pydantic_v1() -> Generator[None]:
    """FastAPI imports Pydantic's version 1 (24 ms, 1.4 MiB) to refuse models of it as a route's, and goes on where it can't be imported."""
    modules, name = cast("dict[str, object]", sys.modules), "pydantic.v1"
    if name in modules:
        yield
        return
    modules[name] = None
    try:
        yield
    finally:
        del modules[name]


_SESSION_ID: Final = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH}
CHAT_ANSWERS: Final[openapi.Responses] = {
    200: openapi.described(
        ChatCompletion, "The answer; or, with `stream: true`, events of ChatCompletionChunk and at last `[DONE]`.", ChatCompletionChunk
    ),
    **openapi.errors(*[status for status in openapi.WHY if status not in (405, 422)]),
}
_PARAMETERS: Final = [
    {"name": name, "in": "header", "required": False, "description": what, "schema": schema}
    for name, what, schema in (
        ("x-nanobot-agent-id", "The agent that answers; beats `model`.", {"type": "string"}),
        ("x-nanobot-session-key", "The conversation that this belongs to; beats `session_id` and `user`.", _SESSION_ID),
    )
]
_SCOPE: Final = "chat"
_CHAT: Final[dict[str, Any]] = {
    "summary": "Ask",
    "responses": CHAT_ANSWERS,
    "openapi_extra": openapi.needs(_SCOPE, {**openapi.takes(ChatRequest, form=CHAT_FORM), "parameters": _PARAMETERS}),
}


_NOT_HERE: Final = {
    "/v1/responses/compact": "Conversations are not compacted on demand: an agent leaves out the oldest by itself, and to a model you may send less.",
    "/v1/responses/input_tokens": "Tokens are not counted beforehand: the 'usage' of each answer has them.",
}
"""Paths of OpenAI's that would be taken for ids of responses, and what there is in their place."""


async def _raise_ours(request: Request, error: Exception) -> Response:
    """Raise a framework's error as one of ours, and any other as it is."""
    match error:
        case RequestValidationError():
            raise complaint(error.errors(), skip=1) from None
        case HTTPException(status_code=404):
            raise NotFound("There is no such path here. GET /docs describes those there are.") from None
        case HTTPException(status_code=405) if request.method == "POST" and request.url.path in _NOT_HERE:
            raise NotFound(f"There is no such path here. {_NOT_HERE[request.url.path]}") from None
        case HTTPException(status_code=405):
            raise NotThisMethod(request.method, _methods_at(request)) from None
        case HTTPException():
            raise InvalidRequest from None
        case _:
            raise error


def _methods_at(request: Request) -> tuple[str, ...]:
    """All methods of the routes at this path."""
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    if "GET" in methods:
        methods |= {"HEAD"}
    return tuple(sorted(methods | {"OPTIONS"}))
