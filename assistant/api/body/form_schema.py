"""How a form is described in /openapi.json: a field is there or not, and never null."""

from typing import Any

_NULL = {"type": "null"}


def fields_without_null(schema: dict[str, Any]) -> None:
    """For `json_schema_extra` of a model that describes a form: optional fields lose null as a value and as a default."""
    for field in schema["properties"].values():
        if _NULL in field.get("anyOf", ()):
            others = [option for option in field.pop("anyOf") if option != _NULL]
            field.update(others[0] if len(others) == 1 else {"anyOf": others})
            del field["default"]
