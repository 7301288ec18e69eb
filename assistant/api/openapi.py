"""Parts of /openapi.json that no route declares: headers, keys, errors, event streams."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from assistant.api.answers import ErrorAnswer
from assistant.api.middleware.request import principal
from assistant.contracts.access import Scope as AccessScope

_REF: Final = "#/components/headers/"
_TEXT: Final[dict[str, Any]] = {"type": "string"}
_WHOLE: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}

_MEASURES: Final = {
    "limit": ("How many there may be in a minute.", _WHOLE),
    "remaining": ("How many are left.", _WHOLE),
    "reset": ('Until all of it is there again: "120ms", "8.64s", "1m0s".', _TEXT),
}
HEADERS: Final[dict[str, dict[str, Any]]] = {
    "x-request-id": {"description": "The server's own name of the request, as in its log.", "required": True, "schema": _TEXT},
    "openai-processing-ms": {"description": "Milliseconds from the request to the answer's head.", "required": True, "schema": _WHOLE},
    "retry-after": {"description": "Seconds.", "schema": _WHOLE},
    "retry-after-ms": {"description": "Milliseconds.", "schema": _WHOLE},
    "www-authenticate": {"description": "How to say who asks.", "required": True, "schema": {"const": "Bearer"}},
    "x-should-retry": {"description": "The request is not to be repeated as it is.", "schema": {"const": "false"}},
    "idempotency-replayed": {"description": "This is the answer to an earlier request under the same key.", "schema": {"const": "true"}},
    **{
        f"x-ratelimit-{measure}-{of}": {"description": f"Of {of}, for those with limits. {what}", "schema": schema}
        for of in ("requests", "tokens")
        for measure, (what, schema) in _MEASURES.items()
    },
}
_ALWAYS: Final[tuple[str, ...]] = ("x-request-id", "openai-processing-ms")
_LIMITS: Final[tuple[str, ...]] = tuple([name for name in HEADERS if name.startswith("x-ratelimit-")])

SECURITY_SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of nanobot keys, or api.apiKey. `x-scope` says what it must open.",
    },
    "hook": {"type": "http", "scheme": "bearer", "description": "The hook's own bearer secret."},
    "hookSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Nanobot-Signature",
        "description": "`sha256=` and the HMAC-SHA256 in hex of `<X-Nanobot-Timestamp>.<raw body>` with the hook's secret.",
    },
}
_BY_KEY: Final[list[dict[str, list[str]]]] = [{"key": []}, {}]
BY_HOOK: Final[list[dict[str, list[str]]]] = [{"hook": []}, {"hookSignature": []}]
"""For the `openapi_extra` of a route of hooks."""


def needs_key(operation: dict[str, Any]) -> bool:
    """Whether the Door asks for a key there. A route with a secret of its own says its security itself."""
    return "401" in operation["responses"] and operation.get("security", _BY_KEY) == _BY_KEY


def describe_security(operation: dict[str, Any]) -> None:
    """Who may ask: without a key only where the configuration asks nobody for one, or where nobody is asked."""
    operation.setdefault("security", _BY_KEY if needs_key(operation) else [])


def describe_headers(method: str, operation: dict[str, Any]) -> None:
    """Which headers of ours come with each answer."""
    keyed = needs_key(operation)
    for status, answer in operation["responses"].items():
        names: list[str] = [*_ALWAYS]
        if status == "401":
            names.append("www-authenticate")
        if status in ("429", "503"):
            names += ["retry-after", "retry-after-ms"]
        if status[0] in "45":
            names.append("x-should-retry")
        if keyed and (
            status[0] == "2" or status == "429"
        ):  # they come with every answer; said everywhere, they would be half of the document
            names += _LIMITS
        if keyed and method == "post":
            names.append("idempotency-replayed")
        answer.setdefault("headers", {}).update({name: {"$ref": _REF + name} for name in names})


_SCHEMAS: Final = "#/components/schemas/"


def events(*schemas: str) -> dict[str, Any]:
    """The `content` of an answer that is a stream. `schemas`: names of what the data of its events may be, besides an error, after which nothing
    comes, and `[DONE]`, which ends a stream that is whole."""
    kinds = [{"$ref": _SCHEMAS + name} for name in (*schemas, "ErrorAnswer")]
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": kinds}}
    item = {"type": "object", "required": ["data"], "properties": {"data": {"anyOf": [{"const": "[DONE]"}, data]}}}
    return {"text/event-stream": {"itemSchema": item}}


def data_of(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema of the JSON in a described stream's events; None for what is no stream."""
    item: dict[str, Any] | None = content.get("itemSchema")
    return None if item is None else item["properties"]["data"]["anyOf"][1]["contentSchema"]


WHY: Final = {
    400: "The request is not valid; `param` is the path of the field that is wrong.",
    401: "A key is needed, or this one is not valid.",
    403: "The page that sends this may not, or the key lacks the scope.",
    404: "There is no such thing.",
    405: "This path does not take that method.",
    408: "The request stopped coming.",
    409: "Not now: too many messages wait in this session, the delivery is in a state in which that can't be done, or a repeat can't be answered.",
    413: "The request or a file is too large.",
    415: "The content type, or the type of a file, is not supported.",
    421: "This server does not answer to that Host.",
    422: "This Idempotency-Key was used with another request.",
    429: "Too many requests or tokens in a minute, too many at the same time, or too many wrong keys from this address.",
    499: "The turn was cancelled.",
    500: "The server failed.",
    502: "The model's provider failed.",
    503: "The provider, the store or the server can't take more now.",
    504: "The provider or the whole turn took too long.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These, and those that any path may answer; where a key is needed, also those that looking at it may end in."""
    limits = (429, 503) if 401 in statuses else ()
    return {status: {"model": ErrorAnswer, "description": WHY[status]} for status in dict.fromkeys((*statuses, *limits, 403, 421, 500))}


_DECLARED: Final = "x-scope"


def needs(scope: AccessScope, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """For `openapi_extra=`: the route is for keys that have this scope. `extra`: what else stands there."""
    return {**(extra or {}), _DECLARED: scope}


def open_to_all(extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """For a route on a path that the Door leaves open."""
    return {**(extra or {}), _DECLARED: None}


class ScopedRoute(APIRoute):
    """Raises Forbidden for a key without the route's scope. A route that declares none is for `admin`: what was forgotten is closed."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared: AccessScope | None = (self.openapi_extra or {}).get(_DECLARED, "admin")
        if declared is not None and scope["method"] in (
            self.methods or ()
        ):  # else it is 405, for OPTIONS without having been asked who it is
            principal(scope).require(declared)
        await super().handle(scope, receive, send)
