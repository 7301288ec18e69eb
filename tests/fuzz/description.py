"""The description, made stricter than for clients: a field of an answer that is not described is a finding."""

import copy
from collections.abc import Iterator
from typing import Any, Final

_SCHEMAS: Final = "#/components/schemas/"

Document = dict[str, Any]


def closed(document: Document) -> Document:
    """A copy in which the objects of answers, and of no request, have no fields but those that are named."""
    strict = copy.deepcopy(document)
    operations = [operation for path in strict["paths"].values() for operation in path.values()]
    asked = _reached(strict, [operation.get("requestBody", {}) for operation in operations])
    answered = _reached(strict, [operation["responses"] for operation in operations])
    for name in answered - asked:
        schema = strict["components"]["schemas"][name]
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return strict


def fields_of_bodies(document: Document) -> dict[str, frozenset[str]]:
    """The names that a body may have at its top, by operation: "POST /v1/files"."""
    fields: dict[str, frozenset[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            schemas = [_resolved(document, kind["schema"]) for kind in content.values()]
            fields[f"{method.upper()} {path}"] = frozenset(name for schema in schemas for name in schema.get("properties", {}))
    return fields


def _resolved(document: Document, schema: Document) -> Document:
    name = str(schema.get("$ref"))
    return document["components"]["schemas"][name.removeprefix(_SCHEMAS)] if name.startswith(_SCHEMAS) else schema


def _reached(document: Document, begun: list[object]) -> set[str]:
    """Names of the schemas that these refer to, and those refer to."""
    found: set[str] = set()
    waiting = list(_references(begun))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(document["components"]["schemas"][name])
    return found


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if (reference := str(value.get("$ref"))).startswith(_SCHEMAS):
            yield reference.removeprefix(_SCHEMAS)
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _references(each)
