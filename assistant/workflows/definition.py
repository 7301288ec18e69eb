"""What a workflow's file says: the pydantic models it is validated by, with every text parsed into literals and references."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from assistant.contracts.messages import Json
from assistant.contracts.records import record
from assistant.contracts.turns import MAIN
from assistant.contracts.workflows import InputSpec, InputType
from assistant.workflows.references import INPUTS, InvalidReference, Reference, Template, TemplateTree, parse_reference, parse_template
from assistant.workflows.yaml_values import YamlScalar, YamlTree, plain_json

OUTPUT: Final = "output"
"""The step behind a node's id in a reference to its output."""
MAX_NAMES: Final = 64
"""Of nodes, inputs or outputs in one file."""
MAX_SECONDS: Final = 3_600
"""Of a node."""
_PYTHON_TYPES: Final[dict[InputType, type | tuple[type, ...]]] = {
    "text": str, "number": (int, float), "integer": int, "boolean": bool, "json": object, "file": (),
}  # fmt: skip


def _value(raw: Any) -> Any:
    return raw.value if isinstance(raw, YamlScalar) else raw


def _one_or_more(raw: YamlTree) -> list[YamlTree]:
    return raw if isinstance(raw, list) else [raw]


def _none_as_empty(raw: YamlTree) -> YamlTree:
    return {} if _value(raw) is None else raw


def _reference(raw: YamlTree) -> Reference:
    if not isinstance(raw, YamlScalar) or not isinstance(raw.value, str):
        raise PydanticCustomError("string_type", "not a text")
    try:
        return parse_reference(raw.strip().removeprefix("{{").removesuffix("}}"))
    except InvalidReference as error:
        raise _invalid([(raw.line, str(error))]) from None


def _templates(raw: YamlTree) -> TemplateTree:
    invalid: list[tuple[int, str]] = []
    tree = _parse(raw, invalid)
    if invalid:
        raise _invalid(invalid)
    return tree


def _text(raw: YamlTree) -> Template:
    """A template of a text; of a number as it is written."""
    if not isinstance(raw, YamlScalar):
        raise PydanticCustomError("string_type", "not a text")
    if raw.value is None:
        raise PydanticCustomError("missing", "missing")
    tree = _templates(raw)
    return tree if isinstance(tree, Template) else Template((str(raw),))


def _parse(raw: YamlTree, invalid: list[tuple[int, str]]) -> TemplateTree:
    match raw:
        case list():
            return [_parse(item, invalid) for item in raw]
        case dict():
            return {key: _parse(item, invalid) for key, item in raw.items()}
        case _ if not isinstance(raw.value, str):
            return raw.value
        case _:
            try:
                return parse_template(str(raw))
            except InvalidReference as error:
                invalid.append((raw.line + raw.count("\n", 0, error.offset), str(error)))
                return None


def _invalid(found: list[tuple[int, str]]) -> PydanticCustomError:
    """`found`: the line and the words of each problem."""
    return PydanticCustomError("references", "invalid references", {"found": found})


def _wrong(words: str, key: str = "") -> PydanticCustomError:
    """A problem of a whole model, or of one of its keys, in words."""
    return PydanticCustomError("model", "{words}", {"words": words, "key": key})


Word = Annotated[str, BeforeValidator(_value)]
RequiredWord = Annotated[Word, Field(min_length=1)]
TextTemplate = Annotated[Template, PlainValidator(_text)]
AnyTemplate = Annotated[Any, PlainValidator(_templates)]
"""A TemplateTree; pydantic can't build a schema for the recursive alias."""
ObjectTemplate = Annotated[dict[str, AnyTemplate], BeforeValidator(_none_as_empty)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
_SECTION = Field(max_length=MAX_NAMES), BeforeValidator(_none_as_empty)


class FileModel(BaseModel):
    """Validates a part of a workflow's file, as `yaml_tree` reads it."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class NodeModel(FileModel):
    description: Any = None
    """For readers of the file."""
    needs: Annotated[tuple[Word, ...], BeforeValidator(_one_or_more)] = ()
    timeout: Annotated[float, Field(strict=True, ge=1, le=MAX_SECONDS), BeforeValidator(_value)] = 600.0
    """Seconds."""

    @property
    def references(self) -> Iterator[Reference]:
        for name in type(self).model_fields:
            yield from references_of(getattr(self, name))


class PromptNode(NodeModel):
    """A turn of the assistant in a session of its own; its output is the answer."""

    kind: Literal["prompt"]
    prompt: TextTemplate
    files: Annotated[tuple[Annotated[Reference, PlainValidator(_reference)], ...], BeforeValidator(_one_or_more)] = ()
    """File inputs that are attached."""
    agent: Annotated[Word, AfterValidator(lambda name: name.lower().removeprefix("agent:") or MAIN)] = MAIN
    """The id of the agent that answers, also as /v1/models lists it: `agent:<id>`."""


class ToolNode(NodeModel):
    """A call of a tool; its output is the tool's result."""

    kind: Literal["tool"]
    tool: RequiredWord
    arguments: ObjectTemplate = Field(default_factory=dict)


class MessageNode(NodeModel):
    """A message to a chat; its output is the result of the `message` tool."""

    kind: Literal["message"]
    to: TextTemplate | None = None
    """`channel:chat_id`; None: `channel` and `chat_id` are given."""
    channel: TextTemplate | None = None
    chat_id: TextTemplate | None = None
    thread_id: TextTemplate | None = None
    text: TextTemplate | None = None
    media: AnyTemplate = None
    buttons: AnyTemplate = None
    at: TextTemplate | None = None

    @model_validator(mode="after")
    def _has_address_and_content(self) -> "MessageNode":
        given = self.model_fields_set
        if "to" not in given and not given >= {"channel", "chat_id"}:
            raise _wrong("needs 'to' (telegram:123456789), or 'channel' and 'chat_id'")
        if "to" in given and given & {"channel", "chat_id"}:
            raise _wrong("'to' says both channel and chat; leave 'channel' and 'chat_id' out", key="to")
        if not given & {"text", "media"}:
            raise _wrong("needs 'text' or 'media'")
        return self

    @property
    def arguments(self) -> dict[str, TemplateTree]:
        """The arguments of the `message` tool, without `to`."""
        names = ("channel", "chat_id", "thread_id", "at", "text", "media", "buttons")
        return {"content" if name == "text" else name: getattr(self, name) for name in names if name in self.model_fields_set}


class TextNode(NodeModel):
    """A text; its output is the text itself."""

    kind: Literal["template"]
    text: TextTemplate


class CallNode(NodeModel):
    """A run of another workflow; its output is an object of that workflow's outputs."""

    kind: Literal["workflow"]
    workflow: RequiredWord
    params: ObjectTemplate = Field(default_factory=dict)


AnyNode = PromptNode | ToolNode | MessageNode | TextNode | CallNode


class InputModel(FileModel):
    """An input: a type, or an object of these keys, or nothing (a text)."""

    type: Annotated[InputType, BeforeValidator(_value)] = "text"
    description: Word = ""
    default: Annotated[Any, PlainValidator(plain_json)] = None
    required: Annotated[bool, Field(strict=True), BeforeValidator(_value)] = True

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, raw: YamlTree) -> Any:
        return raw if not isinstance(raw, YamlScalar) else {} if raw.value is None else {"type": raw}

    @model_validator(mode="after")
    def _default_fits(self) -> "InputModel":
        if self.default is not None and not fits(self.default, self.type):
            raise _wrong(f"the default must be of its type, {self.type}", key="default")
        return self

    def spec(self, name: str) -> InputSpec:
        required = self.required if "required" in self.model_fields_set else "default" not in self.model_fields_set
        return InputSpec(name=name, type=self.type, description=self.description.strip(), required=required, default=self.default)


class WorkflowModel(FileModel):
    """A whole file."""

    name: Word = ""
    description: Word = ""
    inputs: Annotated[dict[Name, InputModel], *_SECTION] = Field(default_factory=dict)
    nodes: Annotated[dict[Name, Annotated[AnyNode, Field(discriminator="kind")]], *_SECTION]
    outputs: Annotated[dict[Name, AnyTemplate], *_SECTION] = Field(default_factory=dict)


@record
class Node:
    """A node of a checked definition."""

    id: str
    line: int
    work: AnyNode
    needs: tuple[str, ...]
    """As written, and the nodes that it refers to."""


@record
class Definition:
    """A workflow's file by itself; what it calls is checked by `checks.check_calls`."""

    id: str
    name: str
    description: str
    inputs: Mapping[str, InputSpec]
    nodes: Mapping[str, Node]
    """Each after those that it needs."""
    outputs: Mapping[str, TemplateTree]
    output_lines: Mapping[str, int]

    @property
    def calls(self) -> Iterator[tuple[Node, CallNode]]:
        return ((node, node.work) for node in self.nodes.values() if isinstance(node.work, CallNode))

    def file_input(self, reference: Reference | None) -> str | None:
        """The name of the file input that a reference is; None where it is anything else."""
        if reference is None or len(reference.steps) != 2 or reference.steps[0] != INPUTS:
            return None
        spec = self.inputs.get(reference.steps[1])
        return spec.name if spec is not None and spec.type == "file" else None


@record
class WorkflowProblem:
    """What is wrong with a workflow's file."""

    workflow: str
    line: int
    words: str

    def __str__(self) -> str:
        return f"workflows/{self.workflow}.yaml, line {self.line}: {self.words}{'' if self.words.endswith('?') else '.'}"


def references_of(value: TemplateTree | str | Reference | Sequence[str | Reference]) -> Iterator[Reference]:
    """All references within a TemplateTree, or within a node's fields."""
    match value:
        case Reference():
            yield value
        case Template(parts=items) | list(items) | tuple(items):
            for item in items:
                yield from references_of(item)
        case dict():
            for item in value.values():
                yield from references_of(item)
        case _:
            pass


def fits(value: Json, input_type: InputType) -> bool:
    """Whether a value is of an input's type. Callers never give a file's value: the server makes it."""
    if isinstance(value, bool):
        return input_type in ("boolean", "json")
    return isinstance(value, _PYTHON_TYPES[input_type])
