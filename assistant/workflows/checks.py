"""Whether what a workflow refers to exists: inputs and nodes within its file, then the tools, agents and workflows that it names."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Final

from assistant.contracts.records import record
from assistant.contracts.turns import MAIN
from assistant.workflows.definition import OUTPUT, CallNode, Definition, Node, PromptNode, ToolNode, WorkflowProblem, references_of
from assistant.workflows.references import INPUTS, Reference, whole_reference

FILE_PARTS: Final = ("text", "name", "format", "size")
"""What a text can say of a file."""
MAX_DEPTH: Final = 5
"""Of workflows that call each other."""
MAX_JOB_NODES: Final = 256
"""Nodes of a job, including those of the workflows that it calls."""
_MAX_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """The problems found in one file."""

    workflow: str
    problems: list[WorkflowProblem] = field(default_factory=list[WorkflowProblem])

    def add(self, line: int, words: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(WorkflowProblem(workflow=self.workflow, line=line, words=words))


@record
class LinkTargets:
    """What nodes may name."""

    tools: Collection[str]
    agents: Collection[str] = (MAIN,)


def check_references(definition: Definition, diagnostics: Diagnostics) -> None:
    """Whether references and needs name inputs and nodes of the file."""
    nodes, inputs = definition.nodes, definition.inputs
    if INPUTS in nodes:
        diagnostics.add(nodes[INPUTS].line, f"a node can't be called '{INPUTS}'")
    for node in nodes.values():
        for needed in node.needs:
            if needed not in nodes:
                words = f"node '{node.id}' needs '{needed[:60]}', and there is no such node{nearest(needed, nodes)}"
                diagnostics.add(node.line, words)
        for reference in node.work.files if isinstance(node.work, PromptNode) else ():
            if definition.file_input(reference) is None:
                words = f"'files' takes inputs of type file, as in inputs.document; {reference} is none"
                diagnostics.add(node.line, f"node '{node.id}': {words}")
    for what, line, reference in _references(definition):
        first, rest = reference.steps[0], reference.steps[1:]
        if first != INPUTS:
            if first not in nodes:
                diagnostics.add(line, f"{what} refers to {reference}, and there is no node '{first}'{nearest(first, nodes)}")
            elif not rest or rest[0] != OUTPUT:
                diagnostics.add(line, f"{what}: what node '{first}' gives is {first}.{OUTPUT}, not {reference}")
        elif not rest or rest[0] not in inputs:
            missing = rest[0] if rest else ""
            diagnostics.add(line, f"{what} refers to {reference}, and there is no input '{missing}'{nearest(missing, inputs)}")
        elif (spec := inputs[rest[0]]).type == "file":
            if len(rest) != 2 or rest[1] not in FILE_PARTS:
                parts = ", ".join(f"inputs.{spec.name}.{part}" for part in FILE_PARTS)
                diagnostics.add(line, f"{what}: '{spec.name}' is a file; write {parts}")
        elif spec.type != "json" and len(rest) > 1:
            diagnostics.add(line, f"{what}: '{spec.name}' is a {spec.type}, there is nothing within it: {reference}")


def in_order(definition: Definition, diagnostics: Diagnostics) -> Definition:
    """The definition with each node after those that it needs."""
    nodes = definition.nodes
    sorter = TopologicalSorter[str](dict.fromkeys(nodes, ()))
    for node in nodes.values():
        sorter.add(node.id, *node.needs)
    try:
        return replace(definition, nodes={name: nodes[name] for name in sorter.static_order()})
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]
        diagnostics.add(nodes[circle[0]].line, f"these nodes wait for each other in a circle: {' → '.join(circle)}")
        return definition


def check_calls(workflow_id: str, called: Mapping[str, Definition], targets: LinkTargets) -> list[WorkflowProblem]:
    """Whether the tools, agents and workflows that nodes name exist and get what they take, and whether the calls end.

    `called`: by id, the workflow itself included.
    """
    problems = [problem for definition in called.values() for problem in _check_one(definition, called, targets)]
    return problems or _check_depth(workflow_id, called)


def _check_one(definition: Definition, called: Mapping[str, Definition], targets: LinkTargets) -> Iterator[WorkflowProblem]:
    for node in definition.nodes.values():
        match node.work:
            case ToolNode(tool=name) if name not in targets.tools:
                yield _problem(definition, node, _no_such("tool", name, targets.tools))
            case PromptNode(agent=name) if name not in targets.agents:
                yield _problem(definition, node, _no_such("agent", name, targets.agents))
            case CallNode() as call:
                for words in _check_params(call, definition, called.get(call.workflow)):
                    yield _problem(definition, node, words)
            case _:
                pass
    for what, line, reference in _references(definition):
        node = definition.nodes.get(reference.steps[0])
        if node and isinstance(node.work, CallNode) and (inner := called.get(node.work.workflow)) and len(reference.steps) > 2:
            wanted = reference.steps[2]
            if wanted not in inner.outputs:
                words = f"workflow '{inner.id}' has no output '{wanted}' ({reference}); it has {', '.join(inner.outputs) or 'none'}"
                yield WorkflowProblem(workflow=definition.id, line=line, words=f"{what}: {words}")


def _check_params(call: CallNode, definition: Definition, inner: Definition | None) -> Iterator[str]:
    if inner is None:
        yield f"there is no workflow '{call.workflow[:64]}'"
        return
    for name, value in call.params.items():
        spec, passed = inner.inputs.get(name), definition.file_input(whole_reference(value))
        if spec is None:
            yield f"workflow '{inner.id}' has no input '{name[:60]}'; it has {', '.join(inner.inputs) or 'none'}"
        elif spec.type == "file" and passed is None:
            yield f"'{name}' of workflow '{inner.id}' is a file: pass one on, as in \"{{{{ inputs.document }}}}\""
        elif spec.type != "file" and passed is not None:
            yield f"'{name}' of workflow '{inner.id}' is a {spec.type}; write inputs.{passed}.text"
    for spec in inner.inputs.values():
        if spec.required and spec.name not in call.params:
            yield f"workflow '{inner.id}' needs the input '{spec.name}', which is not among 'params'"


def _check_depth(workflow_id: str, called: Mapping[str, Definition]) -> list[WorkflowProblem]:
    depths: dict[str, int] = {}
    counts: dict[str, int] = {}
    calls = {name: [call.workflow for _, call in definition.calls] for name, definition in called.items()}
    try:
        for name in TopologicalSorter(calls).static_order():
            depths[name] = 1 + max([depths[inner] for inner in calls[name]], default=0)
            counts[name] = len(called[name].nodes) + sum(counts[inner] for inner in calls[name])
            if depths[name] > MAX_DEPTH:
                node = next(node for node, call in called[name].calls if depths[call.workflow] == depths[name] - 1)
                words = f"workflows are {MAX_DEPTH} deep at most, and from here it goes {depths[name]} deep"
                return [_problem(called[name], node, words)]
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]
        node = next(node for node, call in called[circle[0]].calls if call.workflow == circle[1])
        return [_problem(called[circle[0]], node, f"these workflows call each other in a circle: {' → '.join(circle)}")]
    if (count := counts[workflow_id]) > MAX_JOB_NODES:
        words = f"with the workflows that it calls it has {count:,} nodes, and {MAX_JOB_NODES} are the most"
        return [WorkflowProblem(workflow=workflow_id, line=1, words=words)]
    return []


def _references(definition: Definition) -> Iterator[tuple[str, int, Reference]]:
    """What refers, its line, and the reference; without the references that pass a whole file on."""
    for node in definition.nodes.values():
        whole: list[Reference | None] = []
        match node.work:
            case PromptNode():
                whole = [*node.work.files]
            case CallNode():
                whole = [ref for ref in map(whole_reference, node.work.params.values()) if definition.file_input(ref)]
            case _:
                pass
        for reference in node.work.references:
            if reference not in whole:
                yield f"node '{node.id}'", node.line, reference
    for name, value in definition.outputs.items():
        for reference in references_of(value):
            yield f"output '{name}'", definition.output_lines[name], reference


def nearest(name: str, known: Collection[str]) -> str:
    """A hint at the known name that is closest, if one is close."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def _no_such(what: str, name: str, known: Collection[str]) -> str:
    return f"there is no {what} '{name[:60]}'{nearest(name, known) or '; there are ' + ', '.join(sorted(known))}"


def _problem(definition: Definition, node: Node, words: str) -> WorkflowProblem:
    return WorkflowProblem(workflow=definition.id, line=node.line, words=f"node '{node.id}': {words}")
