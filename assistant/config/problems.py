"""What pydantic's errors mean for the person who wrote the configuration: in JSON's words, with the nearest known key."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from assistant.config.aliases import NANOBOT_ROOTS, KeyPath, camel, ineffective_keys, plain
from assistant.config.errors import ConfigProblem
from assistant.config.json_schema import in_camel_case, keys_at, leaves, schema_of
from assistant.contracts.util import Settings

_VARIABLE: Final = re.compile(r"[A-Z0-9_]+")
_OBJECTS: Final = ("model_type", "dict_type", "mapping_type")
_LISTS: Final = ("list_type", "tuple_type")
_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_OBJECTS, "must be an object: {…}"),
    **dict.fromkeys(_LISTS, "must be a list: […]"),
    "string_type": 'must be a text: "…"',
}
"""In JSON's words, where pydantic speaks Python's."""


def problems_of(
    error: ValidationError | None, model: type[Settings], origins: Mapping[KeyPath, str], found: Sequence[ConfigProblem]
) -> list[ConfigProblem]:
    """Unknown keys first, then what was `found` before the validation, then wrong values of other keys than those.

    `origins`: where each value was written, or the nearest section around it, by its path in plain spelling.
    """
    schema = schema_of(model, described=False)
    unknown: list[ConfigProblem] = []
    wrong: list[ConfigProblem] = []
    for detail in error.errors(include_url=False, include_context=False) if error is not None else ():
        path = in_camel_case(schema, tuple(str(part) for part in detail["loc"]))
        spelt = tuple(plain(part) for part in path)
        origin = next((origins[spelt[:length]] for length in range(len(spelt), 0, -1) if spelt[:length] in origins), "")
        if detail["type"] == "extra_forbidden":
            unknown += _unknown(schema, path, detail["input"], origin)
        else:
            wrong.append(ConfigProblem(path=path, text=_text(detail, from_variable=bool(_VARIABLE.fullmatch(origin))), origin=origin))
    found = [replace(problem, path=in_camel_case(schema, problem.path)) for problem in found]
    named = {problem.path for problem in found}
    return [*unknown, *found, *(problem for problem in wrong if problem.path not in named)]


def unheard_of(error: ValidationError, model: type[Settings]) -> Iterator[tuple[KeyPath, object]]:
    """The unknown keys that no known key beside them is close to, with their values: of another product or version rather than misspelt."""
    schema = schema_of(model, described=False)
    for detail in error.errors(include_url=False, include_context=False):
        if detail["type"] == "extra_forbidden" and (detail["loc"][0] in NANOBOT_ROOTS or len(detail["loc"]) == 1):
            yield from _unheard_of(schema, in_camel_case(schema, tuple(str(part) for part in detail["loc"])), detail["input"])


def _unheard_of(schema: Mapping[str, Any], path: KeyPath, value: object) -> Iterator[tuple[KeyPath, object]]:
    if isinstance(value, Mapping) and ineffective_keys(path):
        for name, inner in cast("Mapping[str, object]", value).items():
            yield from _unheard_of(schema, (*path, name), inner)
        return
    beside = [plain(name) for name in (*keys_at(schema, path[:-1]), *ineffective_keys(path[:-1]))]
    name = plain(path[-1])
    if not difflib.get_close_matches(name, beside, n=1, cutoff=0.83 if len(name) > 5 else 0.66):  # two letters of four turned round: 0.75
        yield path, value


def _unknown(schema: Mapping[str, Any], path: KeyPath, value: object, origin: str) -> Iterator[ConfigProblem]:
    """An unknown key; of an unknown section in which keys without effect are known, each of its keys."""
    place = (*path[:-1], camel(path[-1]))
    if isinstance(value, Mapping) and ineffective_keys(place):
        for name, inner in cast("Mapping[str, object]", value).items():
            yield from _unknown(schema, (*path, name), inner, origin)
        return
    siblings = keys_at(schema, path[:-1])
    if place[-1] in siblings:
        yield ConfigProblem(path=place, text="is given twice, in two spellings; keep one", origin=origin)
        return
    meant = _nearest(place, [*siblings, *ineffective_keys(place[:-1])], [known for known, _ in leaves(schema)])
    hint = f'did you mean "{meant}"?' if meant else "nanobot config show lists the keys there are"
    yield ConfigProblem(path=path, text=f"there is no such key; {hint}", origin=origin)


def _nearest(path: KeyPath, siblings: Sequence[str], everything: Sequence[KeyPath]) -> str | None:
    """The key that an unknown one was most likely meant to be: one beside it, else one of nearly the same name elsewhere."""
    if close := difflib.get_close_matches(path[-1], siblings, n=1, cutoff=0.6):
        return ".".join((*path[:-1], close[0]))
    names = {known[-1]: ".".join(known) for known in reversed(everything)}
    if close := difflib.get_close_matches(path[-1], names, n=1, cutoff=0.8):
        return names[close[0]]
    return None


def _text(detail: ErrorDetails, *, from_variable: bool) -> str:
    if from_variable and detail["type"] in (*_OBJECTS, *_LISTS):
        return 'takes JSON here, such as ["one", "two"]'
    words = detail["msg"].removeprefix("Value error, ").replace("Input should", "must").replace("String should", "must")
    return _WORDS.get(detail["type"], words)
