"""Builds the schedules: the book that everything asks, and the service that runs them."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from assistant.app.web import OpenWeb
from assistant.config import Loaded
from assistant.contracts.channels import ChannelDirectory
from assistant.contracts.people import PeopleDirectory
from assistant.contracts.records import record
from assistant.contracts.schedules import ScheduleBook, ScheduleWords
from assistant.contracts.util import Clock, utc_now
from assistant.schedule.book import StoredSchedules
from assistant.schedule.commands import ScheduleCommands
from assistant.schedule.runs import OccurrenceRunner
from assistant.schedule.service import ScheduleService
from assistant.schedule.spoken import SpokenSchedules, reminder_buttons
from assistant.schedule.texts import EventWriter
from assistant.schedule.watches import ReadFile, WatchChecks
from assistant.store.store import Store
from assistant.turns.service import Turns
from assistant.workflows.service import WorkflowService
from tools.workspace import Workspace

_MOST_FILE_BYTES = 10_000_000


@record
class Later:
    """What is planned, as people and models see it."""

    book: ScheduleBook
    words: ScheduleWords
    commands: ScheduleCommands


def open_later(store: Store, channels: ChannelDirectory, people: PeopleDirectory, *, clock: Clock = utc_now) -> Later:
    book = StoredSchedules(store.schedules, clock=clock)
    words = SpokenSchedules(people=people, sessions=store.sessions, inbox=store.inbox, channels=channels, clock=clock)
    return Later(book=book, words=words, commands=ScheduleCommands(book, words, clock=clock))


def build_schedules(
    loaded: Loaded, store: Store, turns: Turns, workflows: WorkflowService, people: PeopleDirectory, web: OpenWeb
) -> ScheduleService:
    """Nothing runs yet: see `ScheduleService.start`."""

    async def start_job(job_id: str, owner: str, workflow: str, inputs: Mapping[str, Any]) -> None:
        await workflows.start(owner, workflow, inputs, {}, job_id=job_id)

    writer = EventWriter(expire_after=timedelta(seconds=loaded.config.deliver.expire_after), buttons=reminder_buttons)
    runner = OccurrenceRunner(
        store=store.occurrences,
        turns=turns,
        start_job=start_job,
        checks=WatchChecks(lambda: web.fetcher, _reader(loaded.workspace, people)),
        writer=writer,
        people=people,
    )
    return ScheduleService(store=store, notifier=store.notifier, people=people, writer=writer, runner=runner)


def _reader(folder: Path, people: PeopleDirectory) -> ReadFile:
    workspace = Workspace(folder)

    def read(path: str, owner: str) -> bytes:
        with workspace.copy(path, _MOST_FILE_BYTES, owner=owner) as copy:
            return copy.read_bytes()

    async def admitted(path: str, owner: str) -> bytes:
        await workspace.admit(path, owner, people)
        return await asyncio.to_thread(read, path, owner)

    return admitted
