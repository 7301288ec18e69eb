"""Builds the schedules: the book that everything asks, and the service that runs them."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from assistant import __version__
from assistant.config import Loaded
from assistant.contracts.people import PeopleDirectory
from assistant.schedule.pages import PageSource
from assistant.schedule.runs import OccurrenceRunner
from assistant.schedule.service import ScheduleService
from assistant.schedule.texts import Buttons, EventWriter
from assistant.schedule.watches import ReadFile, WatchChecks
from assistant.store.store import Store
from assistant.turns.service import Turns
from assistant.workflows.service import WorkflowService
from tools.workspace import Workspace

_MOST_FILE_BYTES = 10_000_000


def build_schedules(
    loaded: Loaded, store: Store, turns: Turns, workflows: WorkflowService, people: PeopleDirectory, buttons: Buttons = lambda _: ()
) -> ScheduleService:
    """Nothing runs yet: see `ScheduleService.start`. `buttons`: those under a reminder."""

    async def start_job(job_id: str, owner: str, workflow: str, inputs: Mapping[str, Any]) -> None:
        await workflows.start(owner, workflow, inputs, {}, job_id=job_id)

    writer = EventWriter(expire_after=timedelta(seconds=loaded.config.deliver.expire_after), buttons=buttons)
    runner = OccurrenceRunner(
        store=store.occurrences,
        turns=turns,
        start_job=start_job,
        checks=WatchChecks(PageSource(f"nanobot/{__version__}"), _reader(loaded.workspace)),
        writer=writer,
        people=people,
    )
    return ScheduleService(store=store, notifier=store.notifier, people=people, writer=writer, runner=runner)


def _reader(folder: Path) -> ReadFile:
    workspace = Workspace(folder)

    def read(path: str) -> bytes:
        with workspace.copy(path, _MOST_FILE_BYTES) as copy:
            return copy.read_bytes()

    return read
