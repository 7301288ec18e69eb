"""How streams of server-sent events are described in /openapi.json: by `itemSchema`, as OpenAPI 3.2 writes it and FastAPI does in 3.1."""

from collections.abc import Mapping
from typing import Any, Final

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
