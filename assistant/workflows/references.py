r"""References within texts: `{{ inputs.x }}`, `{{ node.output }}`, and what is inside of them: `{{ node.output.items.0.title }}`.

That is all there is: names and numbers with dots between, looked up in plain JSON, a key of an object or a place in a list at each step. No
expressions, no calls, no attributes of anything. What is put in is never looked at again. `\{{` stands for the two braces themselves.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson

from assistant.contracts.messages import Json

_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
_STEP = rf"(?:{_NAME}|0|[1-9][0-9]{{0,5}})"
_PATH = re.compile(rf"{_NAME}(?:\.{_STEP}){{0,15}}")
_PLACE = re.compile(r"[0-9]{1,6}")
_MOST_CHARS: Final = 1_100
"""Of what stands between the braces: more than any path has."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`steps`: ("inputs", "city"), ("weather", "output", "0", "title")."""

    steps: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.steps)


class BadReference(Exception):
    """What is wrong with a text's references, in words. `offset`: where in the text."""

    def __init__(self, words: str, offset: int) -> None:
        super().__init__(words)
        self.offset = offset


class NothingThere(Exception):
    """A reference leads to nothing in the values at hand; the words say at which step."""


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text and references, in their order."""

    parts: tuple[str | Reference, ...]

    @property
    def references(self) -> tuple[Reference, ...]:
        return tuple(part for part in self.parts if isinstance(part, Reference))

    def fill(self, find: Callable[[Reference], Json]) -> Json:
        """The text with what its references lead to; one reference and nothing else gives the value itself, whatever it is."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Reference):
            return find(self.parts[0])
        return "".join([part if isinstance(part, str) else as_text(find(part)) for part in self.parts])


def parse_template(text: str) -> Template:
    """Raises BadReference."""
    parts: list[str | Reference] = []
    literal: list[str] = []
    position = 0
    while (opening := text.find("{{", position)) >= 0:
        if opening > position and text[opening - 1] == "\\":
            literal += [text[position : opening - 1], "{{"]
            position = opening + 2
            continue
        literal.append(text[position:opening])
        closing = text.find("}}", opening, opening + _MOST_CHARS)
        if closing < 0:
            raise BadReference("'{{' has no '}}' behind it; write \\{{ for the braces themselves", opening)
        if joined := "".join(literal):
            parts.append(joined)
        literal.clear()
        parts.append(parse_reference(text[opening + 2 : closing], opening))
        position = closing + 2
    if rest := "".join([*literal, text[position:]]):
        parts.append(rest)
    return Template(tuple(parts))


def parse_reference(text: str, offset: int = 0) -> Reference:
    """Of what stands between the braces. Raises BadReference."""
    path = text.strip()
    if not _PATH.fullmatch(path):
        shown = path if len(path) <= 60 else path[:59] + "…"
        raise BadReference(f"'{shown}' is no reference: write inputs.<name> or <node>.output, with dots and nothing else", offset)
    return Reference(tuple(path.split(".")))


def look_up(value: Json, reference: Reference, start: int) -> Json:
    """What the steps from `start` on lead to within a value. Raises NothingThere."""
    for step in reference.steps[start:]:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and _PLACE.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            raise NothingThere(f"{reference} leads to nothing: there is no {step!r} in {_kind(value)}")
    return value


def as_text(value: Json) -> str:
    """A value within a text: words as they are, nothing for null, all else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def _kind(value: Json) -> str:
    match value:
        case dict():
            return "an object" + (f" with {', '.join(list(value)[:8])}" if value else " without keys")
        case list():
            return f"a list of {len(value)}"
        case str():
            return "a text"
        case None:
            return "nothing"
        case _:
            return "a yes or no" if isinstance(value, bool) else "a number"
