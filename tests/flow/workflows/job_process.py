"""A process that runs jobs and stops at every boundary until it is told to go on: `job_process.py <folder> <workflow, or nothing to take over>`.

What it prints: `at <boundary>`, each followed by a wait for a line on standard input, and at last `ended <state> <error>`.
What happened outside of the store is in the file `effects`, a line each.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from assistant.contracts.messages import AssistantMessage, Json
from assistant.contracts.models import EmitText, ModelRequest
from assistant.contracts.tools import ToolContext, ToolResult
from assistant.contracts.workflows import NodeState
from assistant.store.jobs import JobStore
from assistant.testing.scripted import ScriptedModel
from tests.flow.outgoing import open_outbox
from tests.flow.workflows.works import OWNER, Nothing, Works, heard


async def at(boundary: str) -> None:
    print(f"at {boundary}", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


def note(folder: Path, effect: str) -> None:
    with (folder / "effects").open("a") as file:
        file.write(effect + "\n")
        os.fsync(file.fileno())


class GatedJobs(JobStore):
    """The real store, with a stop behind each beginning and on both sides of each end."""

    async def start_node(self, job_id: str, path: str, turn_id: str) -> bool:
        done = await super().start_node(job_id, path, turn_id)
        await at(f"begun {path}")
        return done

    async def end_node(self, job_id: str, path: str, state: NodeState, output: Json = None, error: str | None = None, **did: Any) -> bool:
        await at(f"done {path}")
        done = await super().end_node(job_id, path, state, output, error, **did)
        await at(f"noted {path}")
        return done


class NotingModel(ScriptedModel):
    """Says that it was asked before it answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__("thought")
        self._folder = folder

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        note(self._folder, "asked")
        await at("asked")
        return await super().complete(request, emit)


class Stamp:
    """Changes something once for each place where it is called."""

    name: ClassVar[str] = "stamp"
    description: ClassVar[str] = "Stamp."
    params: ClassVar[type[BaseModel]] = Nothing
    reads_only: ClassVar[bool] = False
    happens_once: ClassVar[Literal[True]] = True
    timeout: ClassVar[float] = 60.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def run(self, params: Any, ctx: ToolContext) -> ToolResult:
        place = self._folder / f"stamp-{ctx.turn_id}-{ctx.call_place}"
        if not place.exists():
            place.touch()
            note(self._folder, "stamped")
        return ToolResult(text="stamped")


class Push:
    """Changes something each time, without a way to tell whether it did."""

    name: ClassVar[str] = "push"
    description: ClassVar[str] = "Push."
    params: ClassVar[type[BaseModel]] = Nothing
    reads_only: ClassVar[bool] = False
    timeout: ClassVar[float] = 60.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def run(self, params: Any, ctx: ToolContext) -> ToolResult:
        note(self._folder, "pushed")
        return ToolResult(text="pushed")


async def main(folder: Path, workflow: str) -> None:
    async with open_outbox(folder, "telegram") as outbox:
        store = outbox.store
        await store.sessions.recover()
        works = Works(outbox=outbox, folder=folder)
        jobs = GatedJobs(store.database, store.runner, store.notifier, store.sessions)
        service = works.service(NotingModel(folder), tools=[Stamp(folder), Push(folder)], jobs=jobs)
        if workflow:
            job = await service.start(OWNER, workflow, {"chat": "telegram:12345678"}, {})
        await service.begin(takes_over=True)
        (job,) = await service.list(OWNER)
        end = (await heard(service, job.id))[-1].job
        print(f"ended {end.state} {end.error or dict(end.results or {})}", flush=True)
        await works.end()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
