"""Commands that go on behind their turns: each is a task from before its start to its end, and ends with this process."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, Final

from assistant.contracts.errors import StoreUnavailable, ToolFailed, traceback_location
from assistant.contracts.tasks import NewTask, TaskNotFound, TaskOutcome, TaskState
from assistant.contracts.util import backoff
from assistant.store.task_rows import WHY, OpenTask
from assistant.store.tasks import TaskStore
from assistant.tasks.book import TaskBook

log = logging.getLogger(__name__)

_LONGEST_WAIT: Final = 30.0
_PATIENCE: Final = 10.0
"""Seconds for a command to be killed at the close."""


class CommandRuns:
    """Implements BackgroundRuns. `TaskService` looks after what is asked of them, and closes them."""

    def __init__(self, store: TaskStore, book: TaskBook) -> None:
        self.book = book
        self._store = store
        self._works: dict[str, asyncio.Task[TaskOutcome] | None] = {}
        """By task, until its end is stored. None: its row is being stored."""
        self._ends: set[asyncio.Task[None]] = set()
        self._stopped: set[str] = set()
        self._closing = asyncio.Event()

    async def begin(self, new: NewTask, work: Callable[[], Coroutine[Any, Any, TaskOutcome]]) -> None:
        if self._closing.is_set():
            raise ToolFailed("Not started: the server stops.")
        self._works[new.id] = None
        try:
            await self._store.add(new)
            if self._closing.is_set():  # meanwhile
                await self._store.end(new.id, "failed", WHY["run"])
                raise ToolFailed("Not started: the server stops.")
            working = asyncio.create_task(work(), name=new.id)
        except BaseException:
            del self._works[new.id]
            raise
        finally:
            self.book.wake()
        self._works[new.id] = working
        self._ends.add(end := asyncio.create_task(self._see_to_its_end(new.id, working)))
        end.add_done_callback(self._ends.discard)
        log.info("run.begins task=%s", new.id)

    async def settle(self, each: OpenTask) -> None:
        """Do what is asked of a run that this process holds in the store. Raises StoreUnavailable."""
        if each.state == "running" and each.id not in self._works:  # cut off before it began
            await self._store.end(each.id, "failed", WHY["cut"])
        elif each.cancel and each.id not in self._stopped and (working := self._works.get(each.id)):
            self._stopped.add(each.id)
            working.cancel()

    async def close(self) -> None:
        """End the commands, and store that they have failed. Safe to call twice."""
        self._closing.set()
        for working in self._works.values():
            if working is not None:
                working.cancel()
        if self._ends:
            await asyncio.wait(self._ends, timeout=_PATIENCE)  # beyond that, they end with the process

    async def _see_to_its_end(self, task_id: str, working: asyncio.Task[TaskOutcome]) -> None:
        """Wait for it, and store its end; tried again while the store refuses it, but not beyond `close`: the next process tells it then."""
        await asyncio.wait([working])
        state, outcome = self._end_of(task_id, working)
        for tries in count(1):
            try:
                await self._store.note(task_id, outcome)
                await self._store.end(task_id, state, outcome.error)
                break
            except TaskNotFound:  # its person is gone
                break
            except StoreUnavailable as error:
                log.warning("run.not_stored task=%s code=%s", task_id, error.code)
            if self._closing.is_set():
                return
            try:
                async with asyncio.timeout(backoff(tries, longest=_LONGEST_WAIT)):
                    await self._closing.wait()
            except TimeoutError:
                continue
        log.info("run.ended task=%s", task_id)
        del self._works[task_id]
        self._stopped.discard(task_id)
        self.book.changed(task_id)

    def _end_of(self, task_id: str, working: asyncio.Task[TaskOutcome]) -> tuple[TaskState, TaskOutcome]:
        if working.cancelled():
            stopped = task_id in self._stopped
            return ("stopped", TaskOutcome()) if stopped else ("failed", TaskOutcome(error=WHY["run"]))
        bug = working.exception()
        if bug is None:
            outcome = working.result()
            return "failed" if outcome.error else "done", outcome
        if isinstance(bug, ToolFailed | StoreUnavailable):
            return "failed", TaskOutcome(error=str(bug))
        log.error("run.bug task=%s error=%s", task_id, traceback_location(bug))
        return "failed", TaskOutcome(error=WHY["bug"])
