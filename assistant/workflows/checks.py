"""What a workflow's references name, and whether its nodes wait for each other in a circle."""

import difflib
from collections.abc import Collection, Mapping
from typing import Final

from assistant.contracts.workflows import InputSpec
from assistant.workflows.definition import INPUTS, OUTPUT, Call, Node, Prompt, Shape, references_in, templates_in, whole_reference
from assistant.workflows.fields import Notes
from assistant.workflows.references import Reference

FILE_PARTS: Final = ("text", "name", "format", "size")
"""What can be said of a file in a text."""


def check_references(
    inputs: Mapping[str, InputSpec],
    nodes: Mapping[str, Node],
    outputs: Mapping[str, Shape],
    output_lines: Mapping[str, int],
    notes: Notes,
) -> None:
    for node in nodes.values():
        what = f"node '{node.id}'"
        for reference in references_in(node.work):
            if reference not in _whole(node, inputs):
                _check(reference, inputs, nodes, what, node.line, notes)
        for needed in node.needs:
            if needed not in nodes:
                notes.add(node.line, f"{what} needs '{needed[:60]}', and there is no such node{_meant(needed, nodes)}")
        if isinstance(node.work, Prompt):
            _check_files(node, inputs, notes)
    for name, shape in outputs.items():
        for template in templates_in(shape):
            for reference in template.references:
                _check(reference, inputs, nodes, f"output '{name}'", output_lines[name], notes)


def in_order(nodes: Mapping[str, Node], notes: Notes) -> dict[str, Node]:
    """The nodes, each behind those that it needs; a circle is noted."""
    placed: dict[str, Node] = {}
    waiting = dict(nodes)
    while waiting:
        ready = [name for name, node in waiting.items() if all(needed in placed for needed in node.needs)]
        if not ready:
            circle = _circle(waiting)
            notes.add(waiting[circle[0]].line, f"these nodes wait for each other in a circle: {' → '.join([*circle, circle[0]])}")
            return dict(nodes)
        for name in ready:
            placed[name] = waiting.pop(name)
    return placed


def _circle(waiting: Mapping[str, Node]) -> list[str]:
    """Of nodes of which each waits for another one of them."""
    walked: list[str] = []
    name = next(iter(waiting))
    while name not in walked:
        walked.append(name)
        name = next(needed for needed in waiting[name].needs if needed in waiting)
    return walked[walked.index(name) :]


def _check(reference: Reference, inputs: Mapping[str, InputSpec], nodes: Mapping[str, Node], what: str, line: int, notes: Notes) -> None:
    first, rest = reference.steps[0], reference.steps[1:]
    if first != INPUTS:
        if first not in nodes:
            notes.add(line, f"{what} refers to {reference}, and there is no node '{first}'{_meant(first, nodes)}")
        elif not rest or rest[0] != OUTPUT:
            notes.add(line, f"{what}: what node '{first}' gives is {first}.{OUTPUT}, not {reference}")
        return
    if not rest or rest[0] not in inputs:
        missing = rest[0] if rest else ""
        notes.add(line, f"{what} refers to {reference}, and there is no input '{missing}'{_meant(missing, inputs)}")
        return
    spec = inputs[rest[0]]
    if spec.type == "file" and (len(rest) != 2 or rest[1] not in FILE_PARTS):
        parts = ", ".join(f"inputs.{spec.name}.{part}" for part in FILE_PARTS)
        notes.add(line, f"{what}: '{spec.name}' is a file; write {parts}")
    if spec.type not in ("file", "json") and len(rest) > 1:
        notes.add(line, f"{what}: '{spec.name}' is a {spec.type}, there is nothing within it: {reference}")


def _whole(node: Node, inputs: Mapping[str, InputSpec]) -> list[Reference]:
    """References that stand for a file itself, not for something that is said of it."""
    if isinstance(node.work, Prompt):
        return list(node.work.files)
    wholes = [whole_reference(shape) for shape in node.work.params.values()] if isinstance(node.work, Call) else []
    return [whole for whole in wholes if whole and whole.steps[0] == INPUTS and len(whole.steps) == 2 and whole.steps[1] in inputs]


def _check_files(node: Node, inputs: Mapping[str, InputSpec], notes: Notes) -> None:
    assert isinstance(node.work, Prompt)
    for reference in node.work.files:
        spec = inputs.get(reference.steps[1]) if len(reference.steps) == 2 and reference.steps[0] == INPUTS else None
        if spec is None or spec.type != "file":
            notes.add(node.line, f"node '{node.id}': 'files' takes inputs of type file, as in inputs.document; {reference} is none")


def _meant(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; '{close[0]}' was meant?" if close else ""
