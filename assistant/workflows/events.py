"""A job's updates, from comparing what the store holds with what a listener was told: late listeners get the same updates."""

from collections.abc import Sequence
from dataclasses import replace

from assistant.contracts.workflows import ENDED, Job, JobUpdate, NodeRun, NodeUpdate, OutputUpdate, Update


class JobEvents:
    """The updates of one job for one listener."""

    def __init__(self) -> None:
        self._state = ""
        self._nodes: dict[str, tuple[str, int]] = {}

    def since_last(self, job: Job) -> Sequence[Update]:
        """In the order of the store. A state that was passed between two calls is included."""
        updates: list[Update] = []
        if self._state == "" and job.state != "queued":
            updates.append(JobUpdate(job=replace(job, state="queued", ended=None, error=None, results=None)))
        if self._state in ("", "queued") and (job.state not in ("queued", "cancelled") or job.nodes):
            updates.append(JobUpdate(job=replace(job, state="running", ended=None, error=None, results=None)))
        updates += self._of_nodes(job)
        if job.state in ENDED and self._state not in ENDED:
            updates += [OutputUpdate(job=job, name=name, value=value) for name, value in (job.results or {}).items()]
            updates.append(JobUpdate(job=job))
        elif job.state == "queued" and self._state == "":
            updates.append(JobUpdate(job=job))
        self._state = job.state
        return updates

    def _of_nodes(self, job: Job) -> list[Update]:
        started: list[Update] = []
        ended: list[tuple[NodeRun, Update]] = []
        for node in job.nodes:
            known, now = self._nodes.get(node.path), (node.state, node.starts)
            if known == now:
                continue
            if known is None or known[1] != node.starts:
                started.append(NodeUpdate(job=job, node=replace(node, state="running", output=None, error=None, ended=None)))
            if node.state != "running":
                ended.append((node, NodeUpdate(job=job, node=node)))
            self._nodes[node.path] = now
        ended.sort(key=lambda pair: pair[0].ended or pair[0].started)
        return started + [update for _, update in ended]
