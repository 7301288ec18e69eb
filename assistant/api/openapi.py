"""How endpoints are declared, and the parts of /openapi.json that FastAPI does not write: bodies, errors, event streams, headers, keys."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import orjson
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.types import Receive, Scope, Send

from assistant.api.answers import ErrorAnswer
from assistant.api.middleware.request import principal
from assistant.contracts.access import Scope as AccessScope
from assistant.contracts.records import record

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]
F = TypeVar("F", bound=Callable[..., Any])

_SCHEMAS: Final = "#/components/schemas/"
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
    "www-authenticate": {"description": "How to authenticate.", "required": True, "schema": {"const": "Bearer"}},
    "x-should-retry": {"description": "The request is not to be repeated as it is.", "schema": {"const": "false"}},
    "idempotency-replayed": {"description": "This is the answer to an earlier request under the same key.", "schema": {"const": "true"}},
    **{
        f"x-ratelimit-{measure}-{of}": {"description": f"Of {of}, for those with limits. {what}", "schema": schema}
        for of in ("requests", "tokens")
        for measure, (what, schema) in _MEASURES.items()
    },
}
_LIMITS: Final[tuple[str, ...]] = tuple([name for name in HEADERS if name.startswith("x-ratelimit-")])

SECURITY_SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of nanobot keys, or api.apiKey; `x-api-key` and `api-key` take it, too. `x-scope` says what it must open.",
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
"""The security of hooks."""


def needs_key(operation: dict[str, Any]) -> bool:
    """Whether a key is needed there. A route with another secret declares its own security."""
    return "401" in operation["responses"] and operation.get("security", _BY_KEY) == _BY_KEY


def describe_access(method: str, operation: dict[str, Any]) -> None:
    """Add the key that is needed (none on open paths, and where the configuration has none), and the headers of each answer."""
    keyed = needs_key(operation)
    operation.setdefault("security", _BY_KEY if keyed else [])
    for status, answer in operation["responses"].items():
        names = ["x-request-id", "openai-processing-ms"]
        if status == "401":
            names.append("www-authenticate")
        if status in ("429", "503"):
            names += ["retry-after", "retry-after-ms"]
        if status[0] in "45":
            names.append("x-should-retry")
        if keyed and (status[0] == "2" or status == "429"):  # every answer has them: everywhere, they would be half of the document
            names += _LIMITS
        if keyed and method == "post":
            names.append("idempotency-replayed")
        answer.setdefault("headers", {}).update({name: {"$ref": _REF + name} for name in names})


_NULL: Final = {"type": "null"}
FILE: Final[Schema] = {"type": "string", "format": "binary"}


@record
class Form:
    """A multipart form with the fields of a JSON model: each is text, none is null."""

    name: str
    description: str
    of: type[BaseModel]
    without: frozenset[str] = frozenset()
    """Fields of the model that the form lacks."""
    fields: Mapping[str, Schema]
    """Fields that the model lacks, or that the form describes in another way."""

    def schema(self) -> Schema:
        whole = self.of.model_json_schema()
        fields = {name: _without_null(field) for name, field in whole["properties"].items() if name not in self.without} | {**self.fields}
        required = [name for name in whole.get("required", ()) if name in fields]
        schema: Schema = {"type": "object", "title": self.name, "description": self.description, "properties": fields}
        schema |= {"required": required} if required else {}
        return schema | {key: whole[key] for key in ("additionalProperties",) if key in whole}


def _without_null(field: Schema) -> Schema:
    field = {key: value for key, value in field.items() if (key, value) != ("default", None)}
    options = [option for option in field.pop("anyOf", ()) if option != _NULL]
    return field | (options[0] if len(options) == 1 else {"anyOf": options} if options else {})


_models: Final[dict[str, tuple[type[BaseModel], JsonSchemaMode]]] = {}
_forms: Final[dict[str, Form]] = {}


def ref(schema: type[BaseModel] | Form, mode: JsonSchemaMode = "serialization") -> Schema:
    """A reference to a component that `add_components` adds. FastAPI builds a field for each `model`, which takes 0.2 ms; this is free."""
    if isinstance(schema, Form):
        _forms[schema.name] = schema
        return {"$ref": _SCHEMAS + schema.name}
    _models[schema.__name__] = schema, mode
    return {"$ref": _SCHEMAS + schema.__name__}


def add_components(document: Schema) -> None:
    """Add every component that the document refers to."""
    _, generated = models_json_schema(list(_models.values()), ref_template=_SCHEMAS + "{model}")
    known = generated["$defs"] | {name: form.schema() for name, form in _forms.items()}
    present: Schema = document.setdefault("components", {}).setdefault("schemas", {})
    while missing := _referred(document) - set(present):
        present.update({name: known[name] for name in missing})


def _referred(document: Schema) -> set[str]:
    pieces = orjson.dumps(document).decode().split(f'"{_SCHEMAS}')[1:]
    return {piece.partition('"')[0] for piece in pieces}


def takes(json: type[BaseModel] | None = None, *, form: type[BaseModel] | Form | None = None) -> Schema:
    """For `extra`: the body of a route that reads it itself."""
    content: Schema = {} if json is None else {"application/json": {"schema": ref(json, "validation")}}
    content |= {} if form is None else {"multipart/form-data": {"schema": ref(form)}}
    return {"requestBody": {"required": True, "content": content}}


def described(model: type[BaseModel], description: str, *events_of: type[BaseModel]) -> dict[str, Any]:
    """The entry in `responses` of an answer that is written by hand. `events_of`: the models of its events, if it can be streamed."""
    content = {"application/json": {"schema": ref(model)}} | (events(*events_of) if events_of else {})
    return {"description": description, "content": content}


def events(*models: type[BaseModel]) -> dict[str, Any]:
    """The `content` of an answer that is a stream. `models`: what the data of an event may be, besides an error, which ends the stream, and
    `[DONE]`, which ends a complete one."""
    kinds = [ref(model) for model in (*models, ErrorAnswer)]
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
    429: "Too many requests or tokens in a minute, too many at the same time, a budget that is used up, or too many wrong keys from this address.",
    499: "The turn was cancelled.",
    500: "The server failed.",
    502: "The model's provider failed.",
    503: "The provider, the store or the server can't take more now.",
    504: "The provider or the whole turn took too long.",
}


def error(description: str) -> dict[str, Any]:
    """The entry in `responses` of an error."""
    return {"description": description, "content": {"application/json": {"schema": ref(ErrorAnswer)}}}


def errors(*statuses: int) -> Responses:
    """These, and those that any path may answer; where a key is needed, also those of the check of the key."""
    limits = (429, 503) if 401 in statuses else ()
    return {status: error(WHY[status]) for status in dict.fromkeys((*statuses, *limits, 403, 421, 500))}


_DECLARED: Final = "x-scope"
_ROUTE: Final = "__route__"


def endpoint(
    method: str, path: str, summary: str, *, scope: AccessScope | None, responses: Responses, extra: Schema | None = None, **more: Any
) -> Callable[[F], F]:
    """Declare a method of a class as an endpoint. `scope`: the one that a key needs; None: the path is open. `extra`: more of its description.
    `more`: as FastAPI's `add_api_route` takes it."""
    route = {"path": path, "methods": [method], "summary": summary, "responses": responses, "openapi_extra": needs(scope, extra), **more}

    def declare(function: F) -> F:
        setattr(function, _ROUTE, route)
        return function

    return declare


def add_endpoints(app: FastAPI, resource: object) -> None:
    """Add the declared endpoints of a resource, in their order."""
    for name, member in vars(type(resource)).items():
        if (route := getattr(member, _ROUTE, None)) is not None:
            app.add_api_route(endpoint=getattr(resource, name), **route)


def needs(scope: AccessScope | None, extra: Schema | None = None) -> Schema:
    """For `openapi_extra`: the scope that a key needs, None on an open path, and what else describes the route."""
    return {**(extra or {}), _DECLARED: scope}


class ScopedRoute(APIRoute):
    """Raises Forbidden for a key without the route's scope. A route that declares none needs `admin`: a forgotten one is closed."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared: AccessScope | None = (self.openapi_extra or {}).get(_DECLARED, "admin")
        if declared is not None and scope["method"] in (self.methods or ()):  # any other method is 405, and OPTIONS needs no key
            principal(scope).require(declared)
        await super().handle(scope, receive, send)
