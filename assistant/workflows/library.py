"""The workflows of a folder, read at every use, so that an edited file counts at once.

A file is read into a Definition, or into everything that is wrong with it, each with its line.
"""

import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final, cast, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from assistant.contracts.records import record
from assistant.contracts.workflows import INPUT_TYPES, NODE_KINDS, InvalidWorkflow, NodeSpec, WorkflowInfo, WorkflowNotFound
from assistant.workflows.checks import Diagnostics, LinkTargets, check_calls, check_references, in_order, nearest
from assistant.workflows.definition import (
    MAX_NAMES,
    MAX_SECONDS,
    AnyNode,
    Definition,
    InputModel,
    Node,
    NodeModel,
    WorkflowModel,
    WorkflowProblem,
)
from assistant.workflows.references import INPUTS
from assistant.workflows.yaml_values import MAX_BYTES, InvalidYaml, Lines, YamlTree

ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MAX_FILES: Final = 500
_MAX_CALLED: Final = 32
_NODE_MODELS: Final[dict[str, type[NodeModel]]] = {get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(AnyNode)}
_BUILDING: Final = Lock()
"""Pydantic builds the models' validators at first use, which is not safe in several threads."""
_SECONDS = f"must be a number of 1 to {MAX_SECONDS}"
_WORDS: Final = {
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "float_type": _SECONDS,
    "greater_than_equal": _SECONDS,
    "less_than_equal": _SECONDS,
    "dict_type": "must be an object: a name, a colon and what belongs to it",
    "model_type": f"must be a type ({', '.join(INPUT_TYPES)}) or an object with one",
}
"""What follows a key in a complaint, by pydantic's type of error."""


@record
class LinkedWorkflow:
    """A workflow without problems, with everything it calls."""

    definition: Definition
    called: Mapping[str, Definition]
    """By id, the workflow itself included."""
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WorkflowLibrary:
    """Reads, lists and links workflows. All methods block: call them in a thread."""

    folder: Path
    targets: LinkTargets
    files: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """By id, workflows that may be in other folders; they take precedence over the folder's."""

    def index(self) -> list[WorkflowInfo]:
        """By id, files with problems included."""
        found: list[WorkflowInfo] = []
        names = [path.stem for path in sorted(self.folder.glob("*.yaml"))[:_MAX_FILES]]
        for name in sorted({*names, *self.files}):
            if ID.fullmatch(name):
                try:
                    found.append(describe(self.linked(name).definition))
                except InvalidWorkflow as bad:
                    problems = tuple(bad.message.split("\n"))
                    found.append(WorkflowInfo(id=name, name=name, description="", inputs=(), nodes=(), outputs=(), problems=problems))
                except WorkflowNotFound:  # removed meanwhile, or not a regular file
                    continue
        return found

    def linked(self, workflow_id: str) -> LinkedWorkflow:
        """Raises WorkflowNotFound, InvalidWorkflow with every problem, one a line."""
        sources = {workflow_id: self._source(workflow_id)}
        waiting = [workflow_id]
        while waiting:
            name = waiting.pop()
            definition, _ = read_workflow(name, sources[name])
            for called in [call.workflow for _, call in definition.calls] if definition is not None else ():
                if called in sources or not ID.fullmatch(called):
                    continue
                try:
                    sources[called] = self._source(called)
                except WorkflowNotFound:  # reported by `link_sources`, with the line of the call
                    continue
                waiting.append(called)
            if len(sources) > _MAX_CALLED:
                problem = WorkflowProblem(workflow=workflow_id, line=1, words=f"it calls more than {_MAX_CALLED} others")
                raise InvalidWorkflow(str(problem), param="workflow_id")
        return link_sources(workflow_id, sources, self.targets)

    def _source(self, workflow_id: str) -> str:
        missing = WorkflowNotFound(f"Workflow {workflow_id[:64]} not found", param="workflow_id")
        if not ID.fullmatch(workflow_id):
            raise missing
        try:
            path = self.files.get(workflow_id) or self.folder / f"{workflow_id}.yaml"
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            raise missing from None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise missing
            data = file.read(MAX_BYTES + 1)
        try:
            if len(data) <= MAX_BYTES:
                return data.decode("utf-8-sig")
            problem = WorkflowProblem(workflow=workflow_id, line=1, words=f"the file is larger than {MAX_BYTES // 1024} KiB")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            problem = WorkflowProblem(workflow=workflow_id, line=line, words="the file is not UTF-8")
        raise InvalidWorkflow(str(problem), param="workflow_id")


def link_sources(workflow_id: str, sources: Mapping[str, str], targets: LinkTargets) -> LinkedWorkflow:
    """The workflow of these texts, by id. Raises InvalidWorkflow."""
    called: dict[str, Definition] = {}
    problems: list[WorkflowProblem] = []
    for name, text in sources.items():
        definition, found = read_workflow(name, text)
        problems += found
        if definition is not None:
            called[name] = definition
    if problems := problems or check_calls(workflow_id, called, targets):
        raise InvalidWorkflow("\n".join(map(str, problems)), param="workflow_id")
    return LinkedWorkflow(definition=called[workflow_id], called=called, sources=dict(sources))


def describe(definition: Definition) -> WorkflowInfo:
    return WorkflowInfo(
        id=definition.id,
        name=definition.name,
        description=definition.description,
        inputs=tuple(definition.inputs.values()),
        nodes=tuple(NodeSpec(id=node.id, kind=node.work.kind, needs=node.needs) for node in definition.nodes.values()),
        outputs=tuple(definition.outputs),
    )


def read_workflow(workflow_id: str, text: str) -> tuple[Definition | None, list[WorkflowProblem]]:
    """The definition, or None and what is wrong. The tools, agents and workflows that it names are checked by `checks.check_calls`."""
    from assistant.workflows.yaml_tree import read_yaml  # noqa: PLC0415 - PyYAML, where there is a workflow

    diagnostics = Diagnostics(workflow_id)
    definition: Definition | None = None
    lines: Lines = {}
    try:
        tree, lines = read_yaml(text)
        if not isinstance(tree, dict):
            raise InvalidYaml("a workflow begins with keys: name, inputs, nodes, outputs", getattr(tree, "line", 1))
        definition = _definition(workflow_id, tree, lines, diagnostics)
    except InvalidYaml as error:
        diagnostics.add(error.line, str(error))
    except ValidationError as error:
        found = [complaint for each in error.errors(include_url=False) for complaint in _complaints(each, lines)]
        for line, words in sorted(found, key=lambda complaint: complaint[0]):
            diagnostics.add(line, words)
    return (None if diagnostics.problems else definition), diagnostics.problems


def _definition(workflow_id: str, tree: dict[str, YamlTree], lines: Lines, diagnostics: Diagnostics) -> Definition:
    """Raises ValidationError."""
    with _BUILDING:
        model = WorkflowModel.model_validate(tree)
    nodes: dict[str, Node] = {}
    for name, work in model.nodes.items():
        needs = [*work.needs, *[reference.steps[0] for reference in work.references if reference.steps[0] != INPUTS]]
        nodes[name] = Node(id=name, line=lines["nodes", name], work=work, needs=tuple(dict.fromkeys(needs)))
    definition = Definition(
        id=workflow_id,
        name=model.name or workflow_id,
        description=model.description.strip(),
        inputs={name: each.spec(name) for name, each in model.inputs.items()},
        nodes=nodes,
        outputs=model.outputs,
        output_lines={name: lines["outputs", name] for name in model.outputs},
    )
    check_references(definition, diagnostics)
    return definition if diagnostics.problems else in_order(definition, diagnostics)


def _complaints(error: ErrorDetails, lines: Lines) -> Iterable[tuple[int, str]]:
    """The line and the words of an error of pydantic's."""
    path = [str(step) for step in error["loc"]]
    kind = "".join(path[2:3])
    if path[0] == "nodes":
        del path[2:3]  # the member of the union
    section = path[0] if path[0] in ("inputs", "nodes", "outputs") else ""
    what = f"{section[:-1]} '{path[1][:60]}'" if section and len(path) > 1 else "a workflow"
    path = path[: 3 if section else 1]
    key, context, given = path[-1], error.get("ctx", {}), error["input"]
    match error["type"]:
        case "references":
            return context["found"]
        case "missing" | "string_too_short":
            words = f"{what} needs '{key}'"
        case "extra_forbidden":
            known = _known_keys(section, kind)
            words = f"{what} has no key '{key[:60]}'{nearest(key, known) or '; it takes ' + ', '.join(known)}"
        case "string_pattern_mismatch":
            words = f"'{path[1][:60]}' is no name for an {section[:-1]}: letters, digits, - and _, a letter first"
            path = path[:2]
        case "too_long":
            words = f"a workflow has {MAX_NAMES} {section} at most"
        case "union_tag_invalid" | "union_tag_not_found" | "model_attributes_type":
            words, path = f"{what}{_wrong_kind(given)}", [*path, "kind"]
        case "literal_error":
            words = f"{what}: there is no type '{str(given)[:60]}'; the types are {', '.join(INPUT_TYPES)}"
        case "model" if context["key"]:
            words, path = f"{what}: {context['words']}", [*path, context["key"]]
        case "model" | "model_type":
            words, path = f"{what} {context.get('words') or _WORDS['model_type']}", [*path, ""]
        case "string_type" if len(error["loc"]) > 4:
            words = f"{what}: '{key}' must be a list of words"
        case "string_type" if isinstance(given, dict):
            words = f"{what}: '{key}' must be a text; put {{{{ … }}}} in quotes"
        case other:
            words = f"'{key}' {_WORDS.get(other, 'is not valid')}"
            words = words if section and len(path) == 1 else f"{what}: {words}"
    return [(_line(path, lines), words)]


def _wrong_kind(node: Any) -> str:
    if not isinstance(node, dict):
        return " must be an object with a kind"
    kind = cast("dict[str, YamlTree]", node).get("kind")
    said = f"there is no kind '{kind[:60]}'" if kind and isinstance(kind, str) else "it needs a 'kind'"
    return f": {said}; the kinds are {', '.join(NODE_KINDS)}"


def _known_keys(section: str, kind: str) -> Collection[str]:
    if section == "nodes":
        return _NODE_MODELS[kind].model_fields
    return (InputModel if section == "inputs" else WorkflowModel).model_fields


def _line(path: list[str], lines: Lines) -> int:
    """The line of a key; where there is none, the line of the mapping without it."""
    return lines.get(tuple(path)) or lines.get((*path[:-1], "")) or _line(path[:-1], lines)
