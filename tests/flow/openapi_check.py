"""Whether a value is what a schema of an OpenAPI document says: as much of JSON Schema as ours uses."""

from collections.abc import Mapping
from typing import Any, cast

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def check(value: object, schema: Mapping[str, Any], document: Mapping[str, Any], at: str = "$") -> None:
    """Fails with the path of what does not fit, a property that the schema does not know included."""
    if "$ref" in schema:
        check(value, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document, at)
        return
    for key in ("anyOf", "oneOf"):
        if key in schema:
            assert any(fits(value, option, document) for option in schema[key]), f"{at} fits none of its options: {value!r}"
    if "const" in schema:
        assert value == schema["const"], at
    if "enum" in schema:
        assert value in schema["enum"], at
    if "type" in schema:
        assert isinstance(value, _TYPES[schema["type"]]), f"{at} is no {schema['type']}: {value!r}"
        assert not isinstance(value, bool) or schema["type"] == "boolean", at
    if isinstance(value, dict) and "properties" in schema:
        fields = cast("dict[str, object]", value)
        missing = set(schema.get("required", ())) - set(fields)
        assert not missing, f"{at} lacks {missing}"
        for name, field in fields.items():
            assert name in schema["properties"], f"{at}.{name} is not described"
            check(field, schema["properties"][name], document, f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        items = cast("list[object]", value)
        for index, item in enumerate(items):
            check(item, schema["items"], document, f"{at}[{index}]")


def fits(value: object, schema: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    try:
        check(value, schema, document)
    except AssertionError:
        return False
    return True
