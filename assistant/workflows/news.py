"""What is new of a job since it was looked at last: the one source of updates, so that who comes late hears the same."""

from collections.abc import Sequence
from dataclasses import replace

from assistant.contracts.workflows import ENDED, Job, JobUpdate, NodeRun, NodeUpdate, OutputUpdate, Update


class Seen:
    """What one listener was told."""

    def __init__(self) -> None:
        self._state = ""
        self._nodes: dict[str, tuple[str, int]] = {}

    def news(self, job: Job) -> Sequence[Update]:
        """In the order in which it happened, as far as the store knows; a state that was passed between two looks is told all the same."""
        told: list[Update] = []
        if self._state == "" and job.state != "queued":
            told.append(JobUpdate(job=replace(job, state="queued", ended=None, error=None, results=None)))
        if self._state in ("", "queued") and (job.state not in ("queued", "cancelled") or job.nodes):
            told.append(JobUpdate(job=replace(job, state="running", ended=None, error=None, results=None)))
        told += self._of_nodes(job)
        if job.state in ENDED and self._state not in ENDED:
            told += [OutputUpdate(job=job, name=name, value=value) for name, value in (job.results or {}).items()]
            told.append(JobUpdate(job=job))
        elif job.state == "queued" and self._state == "":
            told.append(JobUpdate(job=job))
        self._state = job.state
        return told

    def _of_nodes(self, job: Job) -> list[Update]:
        begun: list[Update] = []
        ended: list[tuple[NodeRun, Update]] = []
        for node in job.nodes:
            known = self._nodes.get(node.path)
            now = (node.state, node.starts)
            if known == now:
                continue
            if known is None or known[1] != node.starts:
                begun.append(NodeUpdate(job=job, node=replace(node, state="running", output=None, error=None, ended=None)))
            if node.state != "running":
                ended.append((node, NodeUpdate(job=job, node=node)))
            self._nodes[node.path] = now
        ended.sort(key=lambda pair: pair[0].ended or pair[0].started)
        return begun + [update for _, update in ended]
