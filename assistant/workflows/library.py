"""The workflows of a folder: read when they are asked for, so that an edited file counts at once."""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from assistant.contracts.workflows import InvalidWorkflow, NodeSpec, WorkflowInfo, WorkflowNotFound
from assistant.workflows.definition import Call, Definition, Problem
from assistant.workflows.linking import Known, check_calls
from assistant.workflows.reading import read_workflow
from assistant.workflows.yaml_text import MOST_BYTES

ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MOST_FILES: Final = 500
_MOST_CALLED: Final = 32
_NO_MORE: Final[Mapping[str, Path]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A workflow that can be run, with all that it calls."""

    definition: Definition
    called: Mapping[str, Definition]
    """By id, itself included."""
    sources: Mapping[str, str]


class Library:
    """Everything here blocks: call it in a thread."""

    def __init__(self, folder: Path, known: Known, more: Mapping[str, Path] = _NO_MORE) -> None:
        """`more`: files by the ids of their workflows, which may lie elsewhere; they come before those of the folder."""
        self._folder = folder
        self._known = known
        self._more = more

    def index(self) -> list[WorkflowInfo]:
        """By id; a file that is not in order too."""
        found: list[WorkflowInfo] = []
        names = [path.stem for path in sorted(self._folder.glob("*.yaml"))[:_MOST_FILES]]
        for name in sorted({*names, *self._more}):
            if ID.fullmatch(name):
                try:
                    found.append(describe(self.checked(name).definition))
                except InvalidWorkflow as bad:
                    problems = tuple(bad.message.split("\n"))
                    found.append(WorkflowInfo(id=name, name=name, description="", inputs=(), nodes=(), outputs=(), problems=problems))
                except WorkflowNotFound:  # it went while we looked, or is no plain file
                    continue
        return found

    def checked(self, workflow_id: str) -> Checked:
        """Raises WorkflowNotFound, and InvalidWorkflow with every problem, a line each."""
        sources = {workflow_id: self._source(workflow_id)}
        waiting = [workflow_id]
        while waiting:
            name = waiting.pop()
            for called in _calls(read_workflow(name, sources[name])[0]):
                if called in sources or not ID.fullmatch(called):
                    continue
                try:
                    sources[called] = self._source(called)
                except WorkflowNotFound:  # said by `checked_sources`, with the line of the call
                    continue
                waiting.append(called)
            if len(sources) > _MOST_CALLED:
                problem = Problem(workflow=workflow_id, line=1, words=f"it calls more than {_MOST_CALLED} others")
                raise InvalidWorkflow(str(problem), param="workflow_id")
        return checked_sources(workflow_id, sources, self._known)

    def _source(self, workflow_id: str) -> str:
        if not ID.fullmatch(workflow_id):
            raise WorkflowNotFound(f"Workflow {workflow_id[:64]} not found", param="workflow_id")
        try:
            path = self._more.get(workflow_id) or self._folder / f"{workflow_id}.yaml"
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            raise WorkflowNotFound(f"Workflow {workflow_id} not found", param="workflow_id") from None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise WorkflowNotFound(f"Workflow {workflow_id} not found", param="workflow_id")
            data = file.read(MOST_BYTES + 1)
        try:
            if len(data) <= MOST_BYTES:
                return data.decode("utf-8-sig")
            problem = Problem(workflow=workflow_id, line=1, words=f"the file is larger than {MOST_BYTES // 1024} KiB")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            problem = Problem(workflow=workflow_id, line=line, words="the file is not UTF-8")
        raise InvalidWorkflow(str(problem), param="workflow_id")


def checked_sources(workflow_id: str, sources: Mapping[str, str], known: Known) -> Checked:
    """The workflow made of these texts. Raises InvalidWorkflow."""
    called: dict[str, Definition] = {}
    problems: list[Problem] = []
    for name, text in sources.items():
        definition, found = read_workflow(name, text)
        problems += found
        if definition is not None:
            called[name] = definition
    if not problems:
        problems = check_calls(workflow_id, called, known)
    if problems:
        raise InvalidWorkflow("\n".join(map(str, problems)), param="workflow_id")
    return Checked(definition=called[workflow_id], called=called, sources=dict(sources))


def describe(definition: Definition) -> WorkflowInfo:
    return WorkflowInfo(
        id=definition.id,
        name=definition.name,
        description=definition.description,
        inputs=tuple(definition.inputs.values()),
        nodes=tuple(NodeSpec(id=node.id, kind=node.kind, needs=node.needs) for node in definition.nodes.values()),
        outputs=tuple(definition.outputs),
    )


def _calls(definition: Definition | None) -> list[str]:
    nodes = definition.nodes.values() if definition is not None else ()
    return [node.work.workflow for node in nodes if isinstance(node.work, Call)]
