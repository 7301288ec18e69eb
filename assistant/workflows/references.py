r"""Templates: texts with references such as `{{ inputs.x }}`, `{{ node.output }}` or `{{ node.output.items.0.title }}`, and their values.

A reference is names and numbers with dots between, looked up in plain JSON: a key of an object or an index of a list at each step. There are no
expressions, calls or attributes, and a value that was filled in is never parsed again. `\{{` writes the two braces themselves.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from assistant.contracts.messages import Json
from assistant.contracts.records import record
from assistant.contracts.turns import UserText

MAX_CHARS: Final = 500_000
"""Of a node's output, as JSON, and of a job's outputs together."""
INPUTS: Final = "inputs"
"""The first step of a reference to an input."""
_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
_STEP = rf"(?:{_NAME}|0|[1-9][0-9]{{0,5}})"
_PATH = re.compile(rf"{_NAME}(?:\.{_STEP}){{0,15}}")
_INDEX = re.compile(r"[0-9]{1,6}")
_MAX_REFERENCE: Final = 1_100
"""Characters between the braces; no valid path has more."""


class InvalidReference(Exception):
    """What is wrong with a text's references. `offset`: where in the text."""

    def __init__(self, words: str, offset: int) -> None:
        super().__init__(words)
        self.offset = offset


class UnresolvedReference(Exception):
    """A reference leads to nothing in the values; the message names the step."""


class TooLong(Exception):
    """A value exceeds MAX_CHARS; the message says by how much."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`steps`: ("inputs", "city"), ("weather", "output", "0", "title")."""

    steps: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.steps)


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text and references, in order."""

    parts: tuple[str | Reference, ...]

    def fill(self, find: Callable[[Reference], Json]) -> Json:
        """The text with its references' values; a template that is one reference gives the value itself, whatever its type."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Reference):
            return find(self.parts[0])
        return "".join([part if isinstance(part, str) else as_text(find(part)) for part in self.parts])


TemplateTree = None | Template | bool | int | float | list["TemplateTree"] | dict[str, "TemplateTree"]
"""JSON whose texts are templates."""


def parse_template(text: str) -> Template:
    """Raises InvalidReference."""
    parts: list[str | Reference] = []
    literal: list[str] = []
    position = 0
    while (opening := text.find("{{", position)) >= 0:
        if opening > position and text[opening - 1] == "\\":
            literal += [text[position : opening - 1], "{{"]
            position = opening + 2
            continue
        literal.append(text[position:opening])
        closing = text.find("}}", opening, opening + _MAX_REFERENCE)
        if closing < 0:
            raise InvalidReference("'{{' has no '}}' behind it; write \\{{ for the braces themselves", opening)
        if joined := "".join(literal):
            parts.append(joined)
        literal.clear()
        parts.append(parse_reference(text[opening + 2 : closing], opening))
        position = closing + 2
    if rest := "".join([*literal, text[position:]]):
        parts.append(rest)
    return Template(tuple(parts))


def parse_reference(text: str, offset: int = 0) -> Reference:
    """The text between the braces. Raises InvalidReference."""
    path = text.strip()
    if not _PATH.fullmatch(path):
        shown = path if len(path) <= 60 else path[:59] + "…"
        raise InvalidReference(f"'{shown}' is no reference: write inputs.<name> or <node>.output, with dots and nothing else", offset)
    return Reference(tuple(path.split(".")))


def look_up(value: Json, reference: Reference, start: int) -> Json:
    """The value that the steps from `start` on lead to. Raises UnresolvedReference."""
    for step in reference.steps[start:]:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            raise UnresolvedReference(f"{reference} leads to nothing: there is no {step!r} in {_kind(value)}")
    return value


@record
class Values:
    """The values that templates are filled with when a node starts."""

    inputs: Mapping[str, Json]
    outputs: Mapping[str, Json]
    """Outputs of nodes, by id."""
    own: frozenset[str]
    """Names of the inputs that the caller gave in their own words: no defaults, no files, nothing that a node made."""

    def fill(self, tree: TemplateTree) -> Json:
        """Raises UnresolvedReference, TooLong."""
        value = _fill(tree, self._bounded())
        check_size(value)
        return value

    def fill_text(self, template: Template) -> str:
        """Raises UnresolvedReference, TooLong."""
        return as_text(self.fill(template))

    def fill_prompt(self, template: Template) -> list[UserText]:
        """The file's and the caller's own words; all other values are quoted as material. Raises UnresolvedReference, TooLong."""
        words: list[UserText] = []
        find = self._bounded()
        for part in template.parts:
            quoted = isinstance(part, Reference) and not self.is_own(part)
            text = part if isinstance(part, str) else as_text(find(part))
            if text and words and not quoted and not words[-1].quoted:
                words[-1] = UserText(text=words[-1].text + text)
            elif text:
                words.append(UserText(text=text, quoted=quoted))
        check_size([each.text for each in words])
        return words

    def is_own(self, reference: Reference) -> bool:
        return reference.steps[0] == INPUTS and reference.steps[1] in self.own

    @property
    def own_words(self) -> str:
        """All text that the caller gave."""
        return "\n".join([as_text(self.inputs[name]) for name in sorted(self.own)])

    def _bounded(self) -> Callable[[Reference], Json]:
        """A look-up that raises TooLong once its values exceed MAX_CHARS together: a page of references to one long text would be gigabytes."""
        room = MAX_CHARS

        def find(reference: Reference) -> Json:
            nonlocal room
            first, second = reference.steps[0], reference.steps[1]
            value = look_up(self.inputs[second] if first == INPUTS else self.outputs[first], reference, 2)
            room -= _size(value)
            if room < 0:
                raise TooLong(f"the values of its references have more than {MAX_CHARS:,} characters, which is the most that is kept")
            return value

        return find


def whole_reference(value: TemplateTree) -> Reference | None:
    """The reference that is the whole value; None where the value is anything else."""
    if isinstance(value, Template) and len(value.parts) == 1 and isinstance(value.parts[0], Reference):
        return value.parts[0]
    return None


def as_text(value: Json) -> str:
    """A value within a text: texts unchanged, null as nothing, everything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def check_size(value: Json) -> None:
    """Raises TooLong."""
    if (size := _size(value)) > MAX_CHARS:
        raise TooLong(f"it gives {size:,} characters, and {MAX_CHARS:,} are the most that is kept")


def _fill(tree: TemplateTree, find: Callable[[Reference], Json]) -> Json:
    match tree:
        case Template():
            return tree.fill(find)
        case list():
            return [_fill(item, find) for item in tree]
        case dict():
            return {name: _fill(item, find) for name, item in tree.items()}
        case _:
            return tree


def _size(value: Json) -> int:
    """Characters of a text, or of a value's JSON."""
    return len(value) if isinstance(value, str) else len(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))


def _kind(value: Json) -> str:
    if isinstance(value, dict):
        return "an object" + (f" with {', '.join(list(value)[:8])}" if value else " without keys")
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    return "a text" if isinstance(value, str) else "a yes or no" if isinstance(value, bool) else "a number"
