"""The values that a workflow's texts are filled with, and which of them are the caller's own words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from assistant.contracts.messages import Json
from assistant.contracts.turns import Words
from assistant.workflows.definition import INPUTS, Definition, Shape, whole_reference
from assistant.workflows.references import Reference, Template, as_text, look_up

MOST_CHARS: Final = 500_000
"""Of what a node gives, as JSON; of a job's outputs together, too."""


class TooLong(Exception):
    """More than is kept; the words say how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What is known when a node begins. `own`: the names of the inputs that the caller gave in their own words: no defaults, no files, nothing
    that a node made."""

    inputs: Mapping[str, Json]
    outputs: Mapping[str, Json]
    """What nodes gave, by id."""
    own: frozenset[str]

    def find(self, reference: Reference) -> Json:
        """Raises NothingThere."""
        first, second = reference.steps[0], reference.steps[1]
        if first == INPUTS:
            return look_up(self.inputs[second], reference, 2)
        return look_up(self.outputs[first], reference, 2)

    def filled(self, shape: Shape) -> Json:
        """Raises NothingThere, TooLong."""
        value = _filled(shape, self._bounded())
        check_size(value)
        return value

    def text(self, template: Template) -> str:
        """Raises NothingThere, TooLong."""
        return as_text(self.filled(template))

    def spoken(self, template: Template) -> list[Words]:
        """A prompt: the author's and the caller's own words as such, all else marked as material. Raises NothingThere, TooLong."""
        spoken: list[Words] = []
        find = self._bounded()
        for part in template.parts:
            quoted = isinstance(part, Reference) and not self.is_own(part)
            text = part if isinstance(part, str) else as_text(find(part))
            if text and spoken and not quoted and not spoken[-1].quoted:
                spoken[-1] = Words(text=spoken[-1].text + text)
            elif text:
                spoken.append(Words(text=text, quoted=quoted))
        check_size([words.text for words in spoken])
        return spoken

    def is_own(self, reference: Reference) -> bool:
        return reference.steps[0] == INPUTS and reference.steps[1] in self.own

    def passes_on(self, shape: Shape) -> bool:
        """Whether a value is one that the caller gave, as it is."""
        reference = whole_reference(shape)
        return reference is not None and self.is_own(reference)

    @property
    def own_words(self) -> str:
        """All that the caller said, for whom they named in it."""
        return "\n".join([as_text(self.inputs[name]) for name in sorted(self.own)])

    def _bounded(self) -> Callable[[Reference], Json]:
        """`find`, as long as all that it finds together is not more than is kept: a page of references to one long text would be gigabytes."""
        room = MOST_CHARS

        def find(reference: Reference) -> Json:
            nonlocal room
            value = self.find(reference)
            room -= size_of(value)
            if room < 0:
                raise TooLong(f"what its references lead to has more than {MOST_CHARS:,} characters, which are the most that is kept")
            return value

        return find


def _filled(shape: Shape, find: Callable[[Reference], Json]) -> Json:
    match shape:
        case Template():
            return shape.fill(find)
        case list():
            return [_filled(item, find) for item in shape]
        case dict():
            return {name: _filled(item, find) for name, item in shape.items()}
        case _:
            return shape


def given(definition: Definition, params: Mapping[str, Json]) -> dict[str, Json]:
    """The inputs of a run: what was given, else the default."""
    return {name: params.get(name, spec.default) for name, spec in definition.inputs.items()}


def own_inputs(definition: Definition, names: Sequence[str]) -> frozenset[str]:
    return frozenset(name for name in names if definition.inputs[name].type != "file")


def check_size(value: Json) -> None:
    """Raises TooLong."""
    if (size := size_of(value)) > MOST_CHARS:
        raise TooLong(f"it gives {size:,} characters, and {MOST_CHARS:,} are the most that is kept")


def size_of(value: Json) -> int:
    """Characters of a text, or of a value's JSON."""
    return len(value) if isinstance(value, str) else len(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
