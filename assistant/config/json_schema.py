"""The configuration as a JSON Schema, read off the models: editors complete by it, hints and `docs/configuration.md` are made from it."""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from assistant.config.aliases import KeyPath, camel
from assistant.config.extensions import names_of
from assistant.contracts.util import Settings

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_FILE_KEY: Final = {"type": "string", "description": "Where this schema is. For editors."}


def schema_of(model: type[Settings], *, described: bool = True) -> dict[str, Any]:
    """The schema of a configuration file: keys in camelCase, with defaults; old names of keys are marked as deprecated. `described`: with
    descriptions, which takes most of the time."""
    schema = model.model_json_schema(schema_generator=_DescribedKeys if described else _Keys)
    properties = {"$schema": _FILE_KEY, **schema.pop("properties")}
    return {"$schema": _DIALECT, **schema, "title": "nanobot's configuration", "properties": properties}


def keys_at(schema: Mapping[str, Any], path: KeyPath) -> list[str]:
    """The keys of the section at `path`, old names included; none where there is no section."""
    section: Mapping[str, Any] = schema
    for part in path:
        section = _section(schema, section.get("properties", {}).get(camel(part), section.get("additionalProperties")))
    return list(section.get("properties", {}))


def in_camel_case(schema: Mapping[str, Any], path: KeyPath) -> KeyPath:
    """The path with its keys in camelCase, and the names that people chose as they are."""
    return tuple(camel(part) if camel(part) in keys_at(schema, path[:depth]) else part for depth, part in enumerate(path))


def leaves(
    schema: Mapping[str, Any], section: Mapping[str, Any] | None = None, path: KeyPath = ()
) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """(path, schema) of every key of the section (the whole) that holds a value, in the order of the models. A name that people choose is "*"."""
    section = schema if section is None else section
    children: dict[str, Any] = dict(section.get("properties", {}))
    if section.get("additionalProperties"):
        children["*"] = section["additionalProperties"]
    for name, child in children.items():
        inner = _section(schema, child)
        if inner.get("deprecated") or name == "$schema":
            continue
        if "properties" in inner or "properties" in _section(schema, inner.get("additionalProperties")):
            yield from leaves(schema, inner, (*path, name))
        else:
            yield (*path, name), inner


def _section(schema: Mapping[str, Any], child: Any) -> Mapping[str, Any]:
    """The schema that `child` refers to, or `child` itself; of "a section, a word for one, or null", the section; empty where there is none."""
    if not child or child is True:
        return {}
    options: list[Mapping[str, Any]] = [option for option in child.get("anyOf", ()) if option not in ({"type": "null"}, {"type": "string"})]
    if len(options) == 1 and "$ref" in options[0]:
        child = options[0]
    found: Mapping[str, Any] = schema["$defs"][child["$ref"].rpartition("/")[2]] if "$ref" in child else child
    return found


class _Keys(GenerateJsonSchema):
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        model: type[Settings] = schema["cls"]
        given = {name: field for name, field in model.model_fields.items() if not field.is_required()}
        defaults = model.model_construct().model_dump(mode="json", by_alias=True, include=set(given))
        properties = found.get("properties", {})
        for attribute, field in model.model_fields.items():
            name, *old = names_of(field, attribute)
            key = properties[name]
            key.pop("title", None)
            if "$ref" in key:
                key.pop("default", None)
            elif attribute in given:
                key["default"] = defaults[field.serialization_alias or name]
            properties |= {other: {"deprecated": True, "description": f"The old name of `{name}`."} for other in old}
        return found


class _DescribedKeys(_Keys):
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        model: type[Settings] = schema["cls"]
        for attribute, field in model.model_fields.items():
            found["properties"][names_of(field, attribute)[0]]["description"] = _meaning(model, attribute, field)
        if "description" in found:
            found["description"] = " ".join(found["description"].split())
        return found


def _meaning(model: type[Settings], attribute: str, field: FieldInfo) -> str:
    """A field's description, or the docstring that follows it in its class."""
    if field.description:
        return field.description
    for owner in model.__mro__:
        if attribute in inspect.get_annotations(owner) and not owner.__module__.startswith("pydantic"):
            try:
                body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
            except OSError:  # a section that is made from a catalog: its class has no source
                break
            return _docstring_after(attribute, body)
    return (field.annotation.__doc__ or "") if isinstance(field.annotation, type) else ""


def _docstring_after(attribute: str, owner: ast.stmt) -> str:
    statements = owner.body if isinstance(owner, ast.ClassDef) else []
    for statement, following in itertools.pairwise(statements):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))) if name == attribute:
                return " ".join(text.split()).replace("None:", "null:")
            case _:
                pass
    return ""
