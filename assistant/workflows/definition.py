"""A workflow as it was read: checked, and every text in it taken apart into words and references."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from assistant.contracts.messages import Json
from assistant.contracts.turns import MAIN
from assistant.contracts.workflows import InputSpec, NodeKind
from assistant.workflows.references import Reference, Template

INPUTS: Final = "inputs"
"""What a reference to an input begins with."""
OUTPUT: Final = "output"
"""What stands behind the node's id in a reference to what it gave."""
NODE_SECONDS: Final = 600.0
"""How long a node may take that does not say otherwise."""

Shape = None | Template | bool | int | float | list["Shape"] | dict[str, "Shape"]
"""JSON whose texts are templates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A turn of the assistant in a session of its own; its output is the answer."""

    text: Template
    files: tuple[Reference, ...] = ()
    """File inputs that go along."""
    agent: str = MAIN
    """The id of the agent that answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A call of a tool; its output is what the tool said."""

    name: str
    arguments: dict[str, Shape]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to a chat, by the arguments of the `message` tool; its output says what became of it."""

    to: Template | None
    """`channel:chat_id`; None: both are among the arguments."""
    arguments: dict[str, Shape]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The text itself."""

    text: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Another workflow; its output is an object of that one's outputs."""

    workflow: str
    params: dict[str, Shape]


Work = Prompt | Tool | Message | Text | Call
KIND_OF: Final[dict[type[Work], NodeKind]] = {Prompt: "prompt", Tool: "tool", Message: "message", Text: "template", Call: "workflow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    id: str
    line: int
    work: Work
    needs: tuple[str, ...]
    """As written, and what its references name."""
    timeout: float
    """Seconds."""

    @property
    def kind(self) -> NodeKind:
        return KIND_OF[type(self.work)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A workflow's file on its own; what it calls is looked at by `linking`."""

    id: str
    name: str
    description: str
    inputs: Mapping[str, InputSpec]
    nodes: Mapping[str, Node]
    """Each behind those that it needs."""
    outputs: Mapping[str, Shape]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a workflow's file."""

    workflow: str
    line: int
    words: str

    def __str__(self) -> str:
        return f"workflows/{self.workflow}.yaml, line {self.line}: {self.words}."


def templates_in(shape: Shape) -> Iterator[Template]:
    match shape:
        case Template():
            yield shape
        case list():
            for item in shape:
                yield from templates_in(item)
        case dict():
            for item in shape.values():
                yield from templates_in(item)
        case _:
            pass


def whole_reference(shape: Shape) -> Reference | None:
    """The reference that a value consists of; None where it is anything else."""
    if isinstance(shape, Template) and len(shape.parts) == 1 and isinstance(shape.parts[0], Reference):
        return shape.parts[0]
    return None


def passed_file(shape: Shape, definition: "Definition") -> str | None:
    """The name of the file input that a parameter passes on as it is."""
    reference = whole_reference(shape)
    if reference is None or len(reference.steps) != 2 or reference.steps[0] != INPUTS:
        return None
    spec = definition.inputs.get(reference.steps[1])
    return spec.name if spec is not None and spec.type == "file" else None


def references_in(work: Work) -> Iterator[Reference]:
    """Every reference of a node."""
    match work:
        case Prompt():
            yield from work.text.references
            yield from work.files
        case Text():
            yield from work.text.references
        case Call():
            yield from _references(work.params)
        case Tool():
            yield from _references(work.arguments)
        case Message():
            yield from work.to.references if work.to else ()
            yield from _references(work.arguments)


def _references(shape: Shape) -> Iterator[Reference]:
    for template in templates_in(shape):
        yield from template.references


def fits(value: Json, spec: InputSpec) -> bool:
    """Whether a value is of the input's type. A file's value is made by the server and never given."""
    match spec.type:
        case "text":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "json":
            return True
        case "file":
            return False
