"""Validation of what a client sent: the first error, as one sentence with the path of the field."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from assistant.api.chat.wire import HASH
from assistant.contracts.errors import InvalidRequest, UnsupportedContent

_WANTED = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of this request",
    "string_type": "must be a string",
    "string_sub_type": "must be a string",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "must be one of {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_long": "holds more than {max_length} entries",
    "too_short": "is empty",
    "string_too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
}
"""By pydantic's error types; the braces are filled from the error's context. None of them quotes the input."""

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], value: object) -> M:
    """`value` as this model. Raises InvalidRequest or UnsupportedContent for the first error."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise complaint(error.errors(include_url=False)) from None


def complaint(errors: Sequence[ErrorDetails], *, skip: int = 0) -> InvalidRequest:
    """The first error, to be raised. `skip`: how many leading steps of its path the client did not send (FastAPI's "query")."""
    error = errors[0]
    context: Mapping[str, Any] = error.get("ctx", {})
    path = [str(step) for step in error["loc"][skip:] if not str(step).startswith(HASH)]
    if error["type"] == "union_tag_invalid":
        kind = str(context["tag"]).removeprefix(HASH)[:40]
        *others, last = str(context["expected_tags"]).replace(HASH, "").replace("'", "").split(", ")
        words = f"Content of type '{kind}' is not supported: send {', '.join(others)} or {last}."
        return UnsupportedContent(words, param=".".join([*path, "type"]))
    if error["type"] == "union_tag_not_found":
        is_object = isinstance(error["input"], dict)
        path = [*path, "type"] if is_object else path
        wanted = 'must be a string such as "text"' if is_object else "must be an object"
    elif error["type"] == "string_type" and path[-1:] in (["content"], ["output"]):
        wanted = "must be a string or an array of parts"
    elif error["type"] == "value_error":  # raised by a validator of ours, in words of ours
        wanted = f"is not valid: {context['error']}"
    else:
        wanted = _WANTED.get(error["type"], "is not valid").format(**context)
    param = ".".join(path)
    return InvalidRequest(f"'{param}' {wanted}." if param else f"The body {wanted}.", param=param or None)
