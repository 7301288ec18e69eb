"""The workflows of a folder, read at every use, so that an edited file counts at once."""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from assistant.contracts.workflows import InvalidWorkflow, NodeSpec, WorkflowInfo, WorkflowNotFound
from assistant.workflows.checks import LinkTargets, check_calls
from assistant.workflows.definition import Definition, WorkflowProblem
from assistant.workflows.reader import read_workflow
from assistant.workflows.yaml_tree import MAX_BYTES

ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MAX_FILES: Final = 500
_MAX_CALLED: Final = 32
_NO_FILES: Final[Mapping[str, Path]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedWorkflow:
    """A workflow without problems, with everything it calls."""

    definition: Definition
    called: Mapping[str, Definition]
    """By id, the workflow itself included."""
    sources: Mapping[str, str]


class WorkflowLibrary:
    """Reads, lists and links workflows. All methods block: call them in a thread."""

    def __init__(self, folder: Path, targets: LinkTargets, files: Mapping[str, Path] = _NO_FILES) -> None:
        """`files`: by id, workflows that may be in other folders; they take precedence over the folder's."""
        self._folder = folder
        self._targets = targets
        self._files = files

    def index(self) -> list[WorkflowInfo]:
        """By id, files with problems included."""
        found: list[WorkflowInfo] = []
        names = [path.stem for path in sorted(self._folder.glob("*.yaml"))[:_MAX_FILES]]
        for name in sorted({*names, *self._files}):
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
        return link_sources(workflow_id, sources, self._targets)

    def _source(self, workflow_id: str) -> str:
        if not ID.fullmatch(workflow_id):
            raise WorkflowNotFound(f"Workflow {workflow_id[:64]} not found", param="workflow_id")
        try:
            path = self._files.get(workflow_id) or self._folder / f"{workflow_id}.yaml"
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            raise WorkflowNotFound(f"Workflow {workflow_id} not found", param="workflow_id") from None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise WorkflowNotFound(f"Workflow {workflow_id} not found", param="workflow_id")
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
    if not problems:
        problems = check_calls(workflow_id, called, targets)
    if problems:
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
