"""Which keys there are: read off the models, so that nothing else needs to list them."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import AliasChoices
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from assistant.contracts.settings import Settings

KeyPath = tuple[str, ...]
"""The path of a key, in camelCase: ("agents", "defaults", "maxTokens")."""
ANY_NAME = "*"


@dataclass(frozen=True, slots=True)
class Section:
    """An object with the keys of a model."""

    model: type[Settings]


@dataclass(frozen=True, slots=True)
class Named:
    """An object whose keys are names that people choose, each holding `item`."""

    item: "Shape"


@dataclass(frozen=True, slots=True)
class Value:
    """Anything else. `composite`: a list or an object, which an environment variable has to hold as JSON. `or_text`: or a plain word."""

    composite: bool
    or_text: bool = False


Shape = Section | Named | Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a section."""

    name: str
    """In camelCase, as it is written and shown."""
    owner: type[Settings]
    attribute: str
    field: FieldInfo
    shape: Shape


def camel(name: str) -> str:
    """The spelling that keys are compared in."""
    return to_camel(name) if "_" in name else name


def keys_of(model: type[Settings]) -> dict[str, Key]:
    """The keys of a section by every name that they are taken under, each in camelCase."""
    keys: dict[str, Key] = {}
    for attribute, field in model.model_fields.items():
        name = field.alias or camel(attribute)
        key = Key(name=name, owner=model, attribute=attribute, field=field, shape=shape_of(field.annotation))
        choices = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else [field.validation_alias]
        for name in (key.name, camel(attribute), *(camel(choice) for choice in choices if isinstance(choice, str))):
            keys.setdefault(name, key)
    return keys


def shape_of_names(model: type[Settings]) -> Shape | None:
    """What a section holds under names that people choose, beside its keys; None: it takes none."""
    if model.model_config.get("extra") != "allow":
        return None
    return shape_of(get_args(get_type_hints(model)["__pydantic_extra__"])[1])


def shape_of(annotation: Any) -> Shape:
    """What a key of this type looks like in the file."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return shape_of(get_args(annotation)[0])
    if origin in (Union, UnionType):
        shapes = [shape_of(option) for option in get_args(annotation) if option is not NoneType]
        if len(shapes) == 1:
            return shapes[0]
        composite = [not isinstance(shape, Value) or shape.composite for shape in shapes]
        return Value(composite=any(composite), or_text=not all(composite))
    if isinstance(annotation, type) and origin is None and issubclass(annotation, Settings):
        return Section(annotation)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = shape_of(get_args(annotation)[1])
        return Value(composite=True) if isinstance(item, Value) else Named(item)
    if origin is Literal:
        return Value(composite=False)
    return Value(composite=isinstance(origin, type) or annotation in (list, tuple, set, frozenset, dict))


def walk(model: type[Settings], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Key]]:
    """Every key that holds a value, with its path, in the order of the models. A name that people choose is `*`."""
    for key in dict.fromkeys(key.name for key in keys_of(model).values()):
        yield from _inside((*path, key), keys_of(model)[key], keys_of(model)[key].shape)
    match shape_of_names(model):
        case Section(named):
            yield from walk(named, (*path, ANY_NAME))
        case _:
            pass


def _inside(path: KeyPath, key: Key, shape: Shape) -> Iterator[tuple[KeyPath, Key]]:
    match shape:
        case Section(model):
            yield from walk(model, path)
        case Named(item):
            yield from _inside((*path, ANY_NAME), key, item)
        case Value():
            yield path, key


def nearest(path: KeyPath, siblings: list[str], everything: list[KeyPath]) -> str | None:
    """The known key that was most likely meant by an unknown one: one beside it, else one of the same name elsewhere."""
    if close := difflib.get_close_matches(path[-1], siblings, n=1, cutoff=0.6):
        return ".".join((*path[:-1], close[0]))
    names = {known[-1]: ".".join(known) for known in reversed(everything)}
    if close := difflib.get_close_matches(path[-1], names, n=1, cutoff=0.8):
        return names[close[0]]
    return None
