"""What a workflow calls: whether the tools and the workflows are there, are given what they ask for, and come to an end."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from assistant.contracts.turns import MAIN
from assistant.workflows.definition import Call, Definition, Node, Problem, Prompt, Tool, passed_file, references_in, templates_in
from assistant.workflows.references import Reference

MOST_DEEP: Final = 5
"""How many workflows may be within each other."""
MOST_IN_ALL: Final = 256
"""Nodes of a job, those of the workflows that it calls included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What nodes may name."""

    tools: Collection[str]
    agents: Collection[str] = (MAIN,)


def check_calls(workflow_id: str, called: Mapping[str, Definition], known: Known) -> list[Problem]:
    problems = [problem for definition in called.values() for problem in _check_one(definition, called, known)]
    if problems:
        return problems
    height = _height(workflow_id, called, (), {})
    if isinstance(height, Problem):
        return [height]
    if (count := _count(workflow_id, called, {})) > MOST_IN_ALL:
        words = f"with the workflows that it calls it has {count:,} nodes, and {MOST_IN_ALL} are the most"
        return [Problem(workflow=workflow_id, line=1, words=words)]
    return []


def _check_one(definition: Definition, called: Mapping[str, Definition], known: Known) -> Iterator[Problem]:
    for node in definition.nodes.values():
        if isinstance(node.work, Tool) and node.work.name not in known.tools:
            yield _problem(definition, node, _no_such("tool", node.work.name, known.tools))
        if isinstance(node.work, Prompt) and node.work.agent not in known.agents:
            yield _problem(definition, node, _no_such("agent", node.work.agent, known.agents))
        if isinstance(node.work, Call):
            yield from _check_call(definition, node, node.work, called)
    for reference, place in _all_references(definition):
        node = definition.nodes.get(reference.steps[0])
        if node and isinstance(node.work, Call) and (inner := called.get(node.work.workflow)) and len(reference.steps) > 2:
            wanted = reference.steps[2]
            if wanted not in inner.outputs:
                gives = ", ".join(inner.outputs) or "none"
                yield _problem(definition, place or node, f"workflow '{inner.id}' has no output '{wanted}' ({reference}); it has {gives}")


def _check_call(definition: Definition, node: Node, call: Call, called: Mapping[str, Definition]) -> Iterator[Problem]:
    inner = called.get(call.workflow)
    if inner is None:
        yield _problem(definition, node, f"there is no workflow '{call.workflow[:64]}'")
        return
    for name, shape in call.params.items():
        spec, passed = inner.inputs.get(name), passed_file(shape, definition)
        if spec is None:
            yield _problem(
                definition, node, f"workflow '{inner.id}' has no input '{name[:60]}'; it has {', '.join(inner.inputs) or 'none'}"
            )
        elif spec.type == "file" and passed is None:
            yield _problem(
                definition, node, f"'{name}' of workflow '{inner.id}' is a file: pass one on, as in \"{{{{ inputs.document }}}}\""
            )
        elif spec.type != "file" and passed is not None:
            yield _problem(definition, node, f"'{name}' of workflow '{inner.id}' is a {spec.type}; write inputs.{passed}.text")
    for spec in inner.inputs.values():
        if spec.required and spec.name not in call.params:
            yield _problem(definition, node, f"workflow '{inner.id}' needs the input '{spec.name}', which is not among 'params'")


def _height(name: str, called: Mapping[str, Definition], above: tuple[str, ...], known: dict[str, int]) -> int | Problem:
    """How many workflows are within each other from here on; or what is wrong."""
    if name in known:
        return known[name]
    height = 1
    for node in called[name].nodes.values():
        if not isinstance(node.work, Call):
            continue
        inner = node.work.workflow
        if inner in (*above, name):
            circle = " → ".join([*(*above, name)[(*above, name).index(inner) :], inner])
            return _problem(called[name], node, f"these workflows call each other in a circle: {circle}")
        found = _height(inner, called, (*above, name), known)
        if isinstance(found, Problem):
            return found
        height = max(height, found + 1)
        if height > MOST_DEEP:
            return _problem(called[name], node, f"workflows are {MOST_DEEP} deep at most, and from here it goes {height} deep")
    known[name] = height
    return height


def _count(name: str, called: Mapping[str, Definition], known: dict[str, int]) -> int:
    """Of nodes in all; there is no circle by now."""
    if name not in known:
        works = [node.work for node in called[name].nodes.values()]
        known[name] = sum(1 + (_count(work.workflow, called, known) if isinstance(work, Call) else 0) for work in works)
    return known[name]


def _all_references(definition: Definition) -> Iterator[tuple[Reference, Node | None]]:
    for node in definition.nodes.values():
        for reference in references_in(node.work):
            yield reference, node
    for shape in definition.outputs.values():
        for template in templates_in(shape):
            for reference in template.references:
                yield reference, None


def _no_such(what: str, name: str, there: Collection[str]) -> str:
    close = difflib.get_close_matches(name, there, n=1, cutoff=0.6)
    hint = f"'{close[0]}' was meant?" if close else f"there are {', '.join(sorted(there))}"
    return f"there is no {what} '{name[:60]}'; {hint}"


def _problem(definition: Definition, node: Node, words: str) -> Problem:
    return Problem(workflow=definition.id, line=node.line, words=f"node '{node.id}': {words}")
