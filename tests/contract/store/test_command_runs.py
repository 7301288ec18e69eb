"""Commands in the background as their rows tell of them, on SQLite and PostgreSQL: stored before they start, one end each."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from assistant.contracts.causes import Cause
from assistant.contracts.effects import Effect
from assistant.contracts.errors import ToolFailed
from assistant.contracts.tasks import NewTask, Task, TaskNotFound, TaskOutcome
from assistant.store.store import Store
from assistant.store.task_rows import WHY
from assistant.tasks.book import TaskBook
from assistant.tasks.runs import CommandRuns

from .conftest import Opener
from .test_task_store import a_task, asked, continued

Work = Callable[[], Coroutine[Any, Any, TaskOutcome]]


def runs_on(store: Store) -> CommandRuns:
    return CommandRuns(store.tasks, TaskBook(store.tasks, store.sessions))


def a_run(**more: Any) -> NewTask:
    return a_task(kind="run", background=True, **more)


async def ended(store: Store, runs: CommandRuns) -> Task:
    async with asyncio.timeout(20):
        return await runs.book.wait("anna", "task_1")


async def settled(store: Store, runs: CommandRuns) -> None:
    for each in await store.tasks.open():
        await runs.settle(each)


async def fails() -> TaskOutcome:
    raise ToolFailed("Not run: the folder is gone")


async def breaks() -> TaskOutcome:
    raise KeyError("secret")


async def comes_to_an_end() -> TaskOutcome:
    return TaskOutcome(answer="42")


LATE = TaskOutcome(answer="so far", error="too long", effects=(Effect(kind="ran", text="make · too long", ref="turn_asked/0.0"),))


async def passes_a_limit() -> TaskOutcome:
    return LATE


@pytest.mark.parametrize(
    ("work", "state", "outcome", "told"),
    [
        (comes_to_an_end, "done", TaskOutcome(answer="42"), "look it up\0 · ended"),
        (passes_a_limit, "failed", LATE, "make · too long"),
        (fails, "failed", TaskOutcome(error="Not run: the folder is gone"), "look it up\0 · Not run: the folder is gone"),
        (breaks, "failed", TaskOutcome(error=WHY["bug"]), f"look it up\0 · {WHY['bug']}"),
    ],
)
async def test_each_end_is_stored_handed_over_and_in_the_journal_once(
    store: Store, work: Work, state: str, outcome: TaskOutcome, told: str
) -> None:
    runs = runs_on(store)
    await asked(store)
    await runs.begin(a_run(), work)
    task = await ended(store, runs)
    await settled(store, runs)
    await runs.close()
    assert (task.state, task.outcome, (await store.tasks.get("anna", "task_1")).handover) == (state, outcome, "handed")
    await store.sessions.end_turn("turn_asked", "finished", [], inbound=True)
    assert len(await continued(store)) == 1
    (deed,) = await store.audit.list("anna")
    assert (deed.kind, deed.text, deed.session, deed.turn_id, deed.cause) == (
        "ran",
        told,
        "api:s",
        "turn_asked",
        Cause(kind="task", id="task_1"),
    )


async def test_its_row_is_there_before_it_starts(store: Store) -> None:
    runs, states = runs_on(store), list[str]()

    async def work() -> TaskOutcome:
        states.append((await store.tasks.get("anna", "task_1")).state)
        return TaskOutcome()

    await runs.begin(a_run(), work)
    await ended(store, runs)
    assert states == ["running"]


async def test_a_stop_by_another_process_ends_it(open_again: Opener) -> None:
    store, other = await open_again(), await open_again()
    runs, ends = runs_on(store), asyncio.Event()

    async def work() -> TaskOutcome:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(asyncio.sleep(0))
            ends.set()
        return TaskOutcome()

    await runs.begin(a_run(), work)
    await other.tasks.stop("anna", "task_1")
    for _ in range(3):
        await settled(store, runs)
    task = await ended(store, runs)
    assert (task.state, task.outcome.error, task.handover, ends.is_set()) == ("stopped", WHY["stopped"], "read", True)


async def test_one_that_was_stored_and_never_began_has_failed(store: Store) -> None:
    runs = runs_on(store)
    await store.tasks.add(a_run())
    await settled(store, runs)
    task = await store.tasks.get("anna", "task_1")
    assert (task.state, task.outcome.error) == ("failed", WHY["cut"])


async def test_at_the_close_it_ends_as_failed_and_no_other_begins(store: Store) -> None:
    runs = runs_on(store)
    await asked(store)
    await runs.begin(a_run(), asyncio.Event().wait)  # pyright: ignore[reportArgumentType] - it never ends
    await runs.close()
    task = await store.tasks.get("anna", "task_1")
    assert (task.state, task.outcome.error, task.handover) == ("failed", WHY["run"], "handed")
    with pytest.raises(ToolFailed):
        await runs.begin(a_run(id="task_2"), comes_to_an_end)
    with pytest.raises(TaskNotFound):
        await store.tasks.get("anna", "task_2")
