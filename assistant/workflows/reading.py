"""A workflow's file, read: its structure, piece by piece, then what its references name."""

import re
from typing import Final, cast

from assistant.contracts.turns import MAIN
from assistant.contracts.workflows import INPUT_TYPES, NODE_KINDS, InputSpec, InputType, NodeKind
from assistant.workflows.checks import check_references, in_order
from assistant.workflows.definition import (
    INPUTS,
    NODE_SECONDS,
    Call,
    Definition,
    Message,
    Node,
    Problem,
    Prompt,
    Shape,
    Text,
    Tool,
    Work,
    fits,
    references_in,
)
from assistant.workflows.fields import Fields, Notes, shape_of
from assistant.workflows.references import BadReference, Reference, parse_reference
from assistant.workflows.yaml_text import BadYaml, Mapping, Scalar, Tree, plain_json, read_tree

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
MOST_NODES: Final = 64
_MOST_NAMES: Final = 64
_AGENT: Final = "agent:"
"""An agent may be named as /v1/models lists it."""
_LONGEST: Final = 3_600.0
_COMMON: Final = ("kind", "description", "needs", "timeout")
_KEYS: Final[dict[NodeKind, tuple[str, ...]]] = {
    "prompt": ("prompt", "files", "agent"),
    "tool": ("tool", "arguments"),
    "message": ("to", "channel", "chat_id", "thread_id", "text", "media", "buttons", "at"),
    "template": ("text",),
    "workflow": ("workflow", "params"),
}


def read_workflow(workflow_id: str, text: str) -> tuple[Definition | None, list[Problem]]:
    """The definition, or None and what is wrong. What it calls (tools, other workflows) is not looked at here."""
    notes = Notes(workflow_id)
    definition: Definition | None = None
    try:
        tree = read_tree(text)
    except BadYaml as bad:
        notes.add(bad.line, str(bad))
    else:
        if isinstance(tree, Mapping):
            definition = _definition(workflow_id, tree, notes)
        else:
            notes.add(tree.line, "a workflow begins with keys: name, inputs, nodes, outputs")
    return (None if notes.problems else definition), notes.problems


def _definition(workflow_id: str, tree: Mapping, notes: Notes) -> Definition:
    fields = Fields(tree, "a workflow", ("name", "description", "inputs", "nodes", "outputs"), notes)
    inputs = {name: _input(name, item, notes) for name, item, _ in _named(fields, "inputs", "input", notes)}
    nodes: dict[str, Node] = {}
    for name, item, line in _named(fields, "nodes", "node", notes):
        if name == INPUTS:
            notes.add(line, f"a node can't be called '{INPUTS}'")
        elif node := _node(name, item, line, notes):
            nodes[name] = node
    if not fields.has("nodes"):
        notes.add(tree.line, "a workflow needs 'nodes'")
    elif len(nodes) > MOST_NODES:
        notes.add(fields.line_of("nodes"), f"a workflow has {MOST_NODES} nodes at most")
    given = _named(fields, "outputs", "output", notes)
    outputs: dict[str, Shape] = {name: shape_of(item, notes) for name, item, _ in given}
    output_lines = {name: line for name, _, line in given}
    if not notes.problems:
        check_references(inputs, nodes, outputs, output_lines, notes)
    return Definition(
        id=workflow_id,
        name=fields.word("name") or workflow_id,
        description=fields.word("description").strip(),
        inputs=inputs,
        nodes=in_order(nodes, notes) if not notes.problems else nodes,
        outputs=outputs,
    )


def _named(fields: Fields, key: str, what: str, notes: Notes) -> list[tuple[str, Tree, int]]:
    """The items of a section, by names that can be referred to, each with its line."""
    match fields.tree(key):
        case None | Scalar(value=None):
            return []
        case Mapping() as section:
            for name, line in section.keys.items():
                if not NAME.fullmatch(name):
                    notes.add(line, f"'{name[:60]}' is no name for an {what}: letters, digits, - and _, a letter first")
            if len(section.items) > _MOST_NAMES:
                notes.add(section.line, f"there are more than {_MOST_NAMES} {what}s")
            return [(name, item, section.keys[name]) for name, item in section.items.items()][: _MOST_NAMES + 1]
        case other:
            notes.add(other.line, f"'{key}' must be an object: a name, a colon and what belongs to it")
            return []


def _input(name: str, tree: Tree, notes: Notes) -> InputSpec:
    match tree:
        case Scalar(value=None):
            return InputSpec(name=name)
        case Scalar(value=str() as word):
            return InputSpec(name=name, type=_input_type(word, tree.line, notes))
        case Mapping():
            pass
        case _:
            notes.add(tree.line, f"input '{name}' must be a type ({', '.join(INPUT_TYPES)}) or an object with one")
            return InputSpec(name=name)
    fields = Fields(tree, f"input '{name}'", ("type", "description", "default", "required"), notes)
    default = fields.tree("default")
    spec = InputSpec(
        name=name,
        type=_input_type(fields.word("type") or "text", fields.line_of("type"), notes),
        description=fields.word("description").strip(),
        required=fields.flag("required", default is None),
        default=None if default is None else plain_json(default),
    )
    if spec.default is not None and not fits(spec.default, spec):
        notes.add(fields.line_of("default"), f"input '{name}': the default must be of its type, {spec.type}")
    return spec


def _input_type(word: str, line: int, notes: Notes) -> InputType:
    if word in INPUT_TYPES:
        return cast("InputType", word)
    notes.add(line, f"there is no type '{word[:60]}'; the types are {', '.join(INPUT_TYPES)}")
    return "text"


def _node(name: str, tree: Tree, line: int, notes: Notes) -> Node | None:
    what = f"node '{name}'"
    if not isinstance(tree, Mapping):
        notes.add(tree.line, f"{what} must be an object with a kind")
        return None
    kind = tree.items.get("kind")
    if not isinstance(kind, Scalar) or kind.text not in NODE_KINDS:
        said = f"there is no kind '{kind.text[:60]}'" if isinstance(kind, Scalar) and kind.text else "it needs a 'kind'"
        notes.add(tree.keys.get("kind", tree.line), f"{what}: {said}; the kinds are {', '.join(NODE_KINDS)}")
        return None
    word = cast("NodeKind", kind.text)
    fields = Fields(tree, what, (*_COMMON, *_KEYS[word]), notes)
    work = _work(word, fields, what, notes)
    named = [word for word, _ in fields.words("needs")]
    named += [reference.steps[0] for reference in references_in(work) if reference.steps[0] != INPUTS]
    return Node(
        id=name,
        line=line,
        work=work,
        needs=tuple(dict.fromkeys(named)),
        timeout=fields.number("timeout", NODE_SECONDS, 1, _LONGEST),
    )


def _work(kind: NodeKind, fields: Fields, what: str, notes: Notes) -> Work:
    match kind:
        case "prompt":
            agent = fields.word("agent").lower().removeprefix(_AGENT) or MAIN
            return Prompt(text=fields.template("prompt"), files=_files(fields, notes), agent=agent)
        case "template":
            return Text(text=fields.template("text"))
        case "tool":
            return Tool(name=_needed(fields, "tool", what, notes), arguments=fields.shapes("arguments"))
        case "workflow":
            return Call(workflow=_needed(fields, "workflow", what, notes), params=fields.shapes("params"))
        case "message":
            return _message(fields, what, notes)


def _message(fields: Fields, what: str, notes: Notes) -> Message:
    to = fields.template("to") if fields.has("to") else None
    if to is None and not (fields.has("channel") and fields.has("chat_id")):
        notes.add(fields.line, f"{what} needs 'to' (telegram:123456789), or 'channel' and 'chat_id'")
    if to is not None and (fields.has("channel") or fields.has("chat_id")):
        notes.add(fields.line_of("to"), f"{what}: 'to' says both channel and chat; leave 'channel' and 'chat_id' out")
    if not fields.has("text") and not fields.has("media"):
        notes.add(fields.line, f"{what} needs 'text' or 'media'")
    arguments: dict[str, Shape] = {}
    for key in ("channel", "chat_id", "thread_id", "at"):
        if fields.has(key):
            arguments[key] = fields.template(key)
    if fields.has("text"):
        arguments["content"] = fields.template("text")
    for key in ("media", "buttons"):
        if (given := fields.tree(key)) is not None:
            arguments[key] = shape_of(given, notes)
    return Message(to=to, arguments=arguments)


def _files(fields: Fields, notes: Notes) -> tuple[Reference, ...]:
    found: list[Reference] = []
    for word, line in fields.words("files"):
        try:
            found.append(parse_reference(word.strip().removeprefix("{{").removesuffix("}}")))
        except BadReference as bad:
            notes.add(line, str(bad))
    return tuple(found)


def _needed(fields: Fields, key: str, what: str, notes: Notes) -> str:
    word = fields.word(key)
    if not word:
        notes.add(fields.line, f"{what} needs '{key}'")
    return word
