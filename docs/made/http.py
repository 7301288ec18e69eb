"""docs/http.md and docs/types.md: the API's own description, `/openapi.json`, as pages."""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

import httpx2

from assistant.api.openapi import data_of
from assistant.app.runtime import open_runtime
from assistant.config.load import load_config
from docs.made.markdown import kind_of, lines_of, page, table

Schema = dict[str, Any]
_TYPES: Final = "types.md"
_OPEN: Final = "no scope"
_ABOUT: Final = """
Every operation, from the server's own description (`/openapi.json`; `/docs` shows it, too); the fields are in [types.md](types.md).
[api.md](api.md) says how the parts work together, and describes WebSockets. What a server has not configured is not there: each hook has a
path of its own. The scope is what a key must have; where there are no keys, this machine has all of them.
"""


def http_page() -> str:
    parts: dict[str, list[tuple[str, str, Schema]]] = defaultdict(list)
    for path, methods in described()["paths"].items():
        for method, operation in methods.items():
            parts[operation.get("x-scope") or ""].append((method.upper(), path, operation))
    parts[_OPEN] = parts.pop("")
    return page(
        "# The HTTP API",
        lines_of(_ABOUT),
        table(("scope", "operations"), [(f"[{scope}](#{scope.replace(' ', '-')})", _listed(found)) for scope, found in parts.items()]),
        *[part for scope, found in parts.items() for part in (f"## {scope}", *chain.from_iterable(_operation(*each) for each in found))],
    )


def _listed(operations: list[tuple[str, str, Schema]]) -> str:
    return "<br>".join(f"[`{method} {path}`](#{_anchor(method, path)}) {each['summary']}" for method, path, each in operations)


def types_page() -> str:
    schemas = described()["components"]["schemas"]
    return page(
        "# Types of the HTTP API",
        "What requests and answers hold, by the names that [http.md](http.md) links to. A field with `?` may be missing.",
        *[part for name, schema in sorted(schemas.items()) for part in _type(name, schema)],
    )


@cache
def described() -> Schema:
    return asyncio.run(_description())


async def _description() -> Schema:
    """What a server with the defaults answers at /openapi.json."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        overrides = {"agents.defaults.provider": "offline", "agents.defaults.workspace": str(home / "workspace")}
        loaded = load_config(None, {"NANOBOT_HOME": folder}, overrides, directory=home)
        async with open_runtime(loaded, chat_only=False) as (_, app):
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8900") as client:
                return (await client.get("/openapi.json")).json()


def _anchor(method: str, path: str) -> str:
    return f"{method} {path}".lower().translate(str.maketrans(" ", "-", "/{}."))


def _operation(method: str, path: str, operation: Schema) -> Iterator[str]:
    yield f"### `{method} {path}`"
    yield f"{operation['summary']}{'' if operation['summary'].endswith('?') else '.'}"
    if words := operation.get("description"):
        yield lines_of(words)
    if parameters := operation.get("parameters"):
        rows = [(f"`{each['name']}`", each["in"], kind_of(each["schema"], _TYPES), each.get("description", "")) for each in parameters]
        yield table(("parameter", "in", "type", "meaning"), rows)
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Takes `{kind}`: {kind_of(content['schema'], _TYPES)}."
    answers = operation["responses"]
    good = [(status, _content(answer), answer["description"]) for status, answer in answers.items() if status < "4"]
    yield table(("status", "answer", "meaning"), good)
    yield "Errors: " + ", ".join(sorted(status for status in answers if status >= "4")) + "."


def _content(answer: Schema) -> str:
    return " or ".join(
        f"events: {kind_of(_events(content), _TYPES)}" if kind == "text/event-stream" else kind_of(content.get("schema", {}), _TYPES)
        for kind, content in answer.get("content", {}).items()
    )


def _events(content: Schema) -> Schema:
    """Of what a stream's events hold."""
    return data_of(content) or {}


def _type(name: str, schema: Schema) -> Iterator[str]:
    yield f"## {name}"
    if words := schema.get("description"):
        yield lines_of(words)
    needed = schema.get("required", ())
    rows = [
        (f"`{field}`" + ("" if field in needed else "?"), kind_of(value), value.get("description", ""))
        for field, value in schema.get("properties", {}).items()
    ]
    yield table(("field", "type", "meaning"), rows) if rows else f"{kind_of(schema)}."
