"""YAML as people write it by hand, read with the line of everything, and nothing of YAML that has hurt others.

Mappings, lists and scalars only: no anchors and aliases (a kilobyte of them is a gigabyte), no tags, no second document, no key twice, no deep
nesting. Plain scalars are those of YAML 1.2's core schema: `yes`, `on` and 2026-01-31 are texts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

import yaml

from assistant.contracts.messages import Json

MOST_BYTES: Final = 64 * 1024
"""Of a file; whoever reads one keeps to it."""
_DEEPEST: Final = 16
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18})(?:[eE][-+]?[0-9]{1,2})?")
_WORDS: Final[dict[str, bool | None]] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Scalar:
    value: bool | int | float | str | None
    line: int
    text: str
    """As written."""
    plain: bool = True
    """Neither quoted nor a block: its value was guessed from its looks."""
    block: bool = False
    """Written below its key, behind `|` or `>`."""


@dataclass(frozen=True, slots=True)
class Listing:
    items: tuple["Tree", ...]
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    items: dict[str, "Tree"]
    keys: dict[str, int]
    """The line of each key."""
    line: int


Tree = Scalar | Listing | Mapping


class BadYaml(Exception):
    """What can't be read, in words; `line` from 1."""

    def __init__(self, words: str, line: int) -> None:
        super().__init__(words)
        self.line = line


def read_tree(text: str) -> Tree:
    """Raises BadYaml."""
    # Event by event: nothing is built, and nothing recurses.
    events = cast("Iterator[yaml.Event]", yaml.parse(text, Loader=yaml.SafeLoader))  # pyright: ignore[reportUnknownMemberType] - not typed
    try:
        return _document(events)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadYaml(str(error.problem or error.context or "this is not YAML"), mark.line + 1 if mark else 1) from None
    except yaml.reader.ReaderError as error:
        raise BadYaml("it holds a character that YAML does not allow", text[: error.position].count("\n") + 1) from None
    except yaml.YAMLError:
        raise BadYaml("this is not YAML", 1) from None


def plain_json(tree: Tree) -> Json:
    """The values without their lines."""
    match tree:
        case Scalar():
            return tree.value
        case Listing():
            return [plain_json(item) for item in tree.items]
        case Mapping():
            return {key: plain_json(item) for key, item in tree.items.items()}


def _document(events: Iterator[yaml.Event]) -> Tree:
    found: Tree | None = None
    for event in events:
        match event:
            case yaml.StreamStartEvent() | yaml.DocumentEndEvent() | yaml.StreamEndEvent():
                continue
            case yaml.DocumentStartEvent():
                if found is not None:
                    raise BadYaml("a second document begins here; a workflow is one", _line(event))
            case _:
                found = _tree(event, events, 1)
    if found is None:
        raise BadYaml("the file is empty", 1)
    return found


def _tree(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Tree:
    line = _line(event)
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        raise BadYaml("anchors (&) and aliases (*) are not taken; put a text that begins with one in quotes", line)
    if getattr(event, "tag", None) is not None:
        raise BadYaml("tags (!) are not taken; put a text that begins with one in quotes", line)
    if depth > _DEEPEST:
        raise BadYaml(f"this is nested more than {_DEEPEST} deep", line)
    match event:
        case yaml.ScalarEvent():
            if any("\ud800" <= letter <= "\udfff" for letter in event.value):
                raise BadYaml("half of a character (a lone surrogate) stands here", line)
            plain = event.style is None
            value = _guessed(event.value) if plain else event.value
            return Scalar(value, line, event.value, plain, block=event.style in ("|", ">"))
        case yaml.SequenceStartEvent():
            items: list[Tree] = []
            while not isinstance(inner := next(events), yaml.SequenceEndEvent):
                items.append(_tree(inner, events, depth + 1))
            return Listing(tuple(items), line)
        case yaml.MappingStartEvent():
            return _mapping(events, depth, line)
        case _:
            raise BadYaml("this is not YAML", line)


def _mapping(events: Iterator[yaml.Event], depth: int, line: int) -> Mapping:
    items: dict[str, Tree] = {}
    keys: dict[str, int] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _tree(event, events, depth + 1)
        if not isinstance(key, Scalar):
            hint = "; put {{ … }} in quotes" if isinstance(key, Mapping) else ""
            raise BadYaml(f"a key must be a word{hint}", key.line)
        if key.text in items:
            raise BadYaml(f"'{key.text[:60]}' stands here twice (first in line {keys[key.text]})", key.line)
        keys[key.text] = key.line
        items[key.text] = _tree(next(events), events, depth + 1)
    return Mapping(items, keys, line)


def _guessed(text: str) -> bool | int | float | str | None:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1
