"""Background tasks, on SQLite and PostgreSQL: accepted once, taken by one process, ended with their turn, handed over once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.effects import Effect
from assistant.contracts.messages import AssistantMessage, Text, UserMessage
from assistant.contracts.sessions import NewTurn
from assistant.contracts.tasks import NewTask, TaskConflict, TaskNotFound, TaskOutcome
from assistant.store.store import Store
from assistant.store.task_rows import HeldTask
from assistant.store.tasks import MOST_RUNS, MOST_WAITING
from tests.clocks import TurnedClock

from .conftest import Opener
from .test_moves import conversation

HOUR = timedelta(hours=1)


def a_task(id: str = "task_1", **more: Any) -> NewTask:
    values: dict[str, Any] = {"owner": "anna", "text": "look it up\0", "session": "api:s", "turn_id": "turn_asked", "agent": "main"} | more
    return NewTask(id=id, **values)


async def asked(store: Store, owner: str = "anna", session: str = "api:s", turn: str = "turn_asked") -> None:
    """The turn that asks, under way."""
    message = UserMessage(id=f"msg_{turn}", parts=(Text(text="do it"),))
    await store.sessions.begin_turn(NewTurn(id=turn, owner=owner, session=session, message=message), None)


async def begun(store: Store, held: HeldTask) -> None:
    message = UserMessage(id=f"msg_{held.turn_id}", parts=(Text(text=held.new.text),))
    turn = NewTurn(id=held.turn_id, owner=held.new.owner, session=f"task:{held.new.id}", message=message)
    await store.sessions.begin_turn(turn, None)


async def answered(store: Store, held: HeldTask, text: str, state: Any = "finished", error: str = "") -> None:
    """The helper's turn ends, as `Turns` ends it."""
    await store.tasks.note(held.new.id, TaskOutcome(answer=text, error=error, effects=(Effect(kind="written", text="wrote a", ref="a"),)))
    last = AssistantMessage(id=f"msg_{held.turn_id}_end", text=text)
    await store.sessions.end_turn(held.turn_id, state, [last], error=error or None, inbound=True)


async def continued(store: Store, owner: str = "anna", session: str = "api:s") -> list[str]:
    """What the session that asked goes on with, all of it."""
    texts: list[str] = []
    while taken := await store.continuations.take(owner, session):
        texts.append(taken.continuation.text)
        await store.sessions.begin_turn(NewTurn(id=taken.turn_id, owner=owner, session=session, message=None), None)
        await store.sessions.end_turn(taken.turn_id, "finished", [AssistantMessage(id=f"msg_{taken.turn_id}", text="ok")], inbound=True)
    return texts


async def test_a_task_is_kept_as_it_goes_and_its_end_makes_the_session_go_on_once(store: Store, clock: TurnedClock) -> None:
    await asked(store)
    new = a_task(background=True, only_tools=("run",), inherits=("web",), within=("main",))
    await store.tasks.add(new)
    await store.tasks.add(replace(new, text="made again by a repeated step"))
    waits = await store.tasks.get("anna", "task_1")
    assert (waits.new, waits.state, waits.created, waits.handover) == (new, "waiting", clock.now, "")
    (held,) = await store.tasks.take(4, HOUR)
    assert (held.new, held.deadline) == (new, clock.now + HOUR)
    assert not await store.tasks.take(4, HOUR)
    await begun(store, held)
    await answered(store, held, "42")
    await answered(store, held, "43")
    ended = await store.tasks.get("anna", "task_1")
    assert (ended.state, ended.outcome.answer, ended.handover, ended.ended) == ("done", "42", "handed", clock.now)
    await store.sessions.end_turn("turn_asked", "finished", [AssistantMessage(id="msg_a", text="it runs")])
    (text,) = await continued(store)
    assert "task_1 has ended" in text
    assert text.endswith("It did: wrote a.\n\n42")


async def test_another_owners_task_is_not_there(store: Store) -> None:
    await store.tasks.add(a_task())
    await store.tasks.add(a_task("task_2", owner="bert"))
    assert [task.id for task in await store.tasks.list("anna")] == ["task_1"]
    assert {task.id for task in await store.tasks.list(None)} == {"task_1", "task_2"}
    for call in (store.tasks.get, store.tasks.stop, store.tasks.retry, store.tasks.dismiss, store.tasks.leave):
        with pytest.raises(TaskNotFound):
            await call("bert", "task_1")
    assert (await store.tasks.get(None, "task_1")).state == "waiting"


async def test_pages_follow_each_other(store: Store, clock: TurnedClock) -> None:
    for number in range(5):
        clock.turn(timedelta(seconds=number // 2))
        await store.tasks.add(a_task(f"task_{number}"))
    everything = [task.id for task in await store.tasks.list("anna")]
    paged: list[str] = []
    while page := await store.tasks.list("anna", limit=2, before=paged[-1] if paged else None):
        paged += [task.id for task in page]
    assert paged == everything
    assert len(everything) == 5
    assert await store.tasks.list("anna", state="done") == []


async def test_no_more_than_the_limit_are_at_work_for_each_owner_over_all_processes(open_again: Opener) -> None:
    first, second = await open_again(), await open_again()
    for number in range(6):
        await first.tasks.add(a_task(f"task_{number}"))
    await first.tasks.add(a_task("task_b", owner="bert"))
    held = [*await first.tasks.take(2, HOUR), *await second.tasks.take(2, HOUR)]
    assert sorted(task.new.owner for task in held) == ["anna", "anna", "bert"]
    await first.tasks.end(held[0].new.id, "failed", "it broke")
    assert [len(await store.tasks.take(2, HOUR)) for store in (second, first)] == [1, 0]


async def test_a_helpers_own_helper_shares_its_place_one_at_a_time(store: Store) -> None:
    await store.tasks.add(a_task("task_1"))
    assert len(await store.tasks.take(1, HOUR)) == 1
    for number in (2, 3):
        await store.tasks.add(a_task(f"task_{number}", session="task:task_1", depth=2))
    await store.tasks.add(a_task("task_4"))
    (held,) = await store.tasks.take(1, HOUR)
    assert held.new.id == "task_2"
    await store.tasks.end("task_2", "done")
    (held,) = await store.tasks.take(1, HOUR)
    assert held.new.id == "task_3"


async def test_too_many_that_wait_are_refused(store: Store) -> None:
    for number in range(MOST_WAITING):
        await store.tasks.add(a_task(f"task_{number}"))
    with pytest.raises(TaskConflict):
        await store.tasks.add(a_task("task_more"))
    await store.tasks.add(a_task("task_b", owner="bert"))
    for number in range(MOST_RUNS):
        await store.tasks.add(a_task(f"task_run_{number}", kind="run"))
    with pytest.raises(TaskConflict):
        await store.tasks.add(a_task("task_run_more", kind="run"))
    await store.tasks.end("task_run_0", "done")
    await store.tasks.add(a_task("task_run_more", kind="run"))


async def test_what_a_dead_process_held_is_taken_over_and_fails_the_second_time(open_again: Opener) -> None:
    first, second, third = await open_again(), await open_again(), await open_again()
    await asked(third)
    await first.tasks.add(a_task(background=True))
    (held,) = await first.tasks.take(4, HOUR)
    await begun(first, held)
    assert not await second.tasks.take_over()
    await first.close()
    assert await third.sessions.recover() == 0, "the turn of a task is resumed, not settled"
    async with asyncio.timeout(30):  # PostgreSQL lets go of what a closed connection held a moment later
        while (taken := await second.tasks.take_over()) != [held]:
            assert not taken
            await asyncio.sleep(0.01)
    assert not await third.tasks.take_over()
    await second.close()
    async with asyncio.timeout(30):
        while (await third.tasks.get("anna", "task_1")).state == "running":
            assert not await third.tasks.take_over()
            await asyncio.sleep(0.01)
    failed = await third.tasks.get("anna", "task_1")
    assert (failed.state, failed.handover) == ("failed", "handed")
    assert "twice" in failed.outcome.error
    assert [stored.message.role for stored in await third.sessions.messages("anna", "task:task_1")] == ["user", "assistant"]


async def test_what_was_handed_back_counts_as_no_crash(open_again: Opener) -> None:
    first, second = await open_again(), await open_again()
    await first.tasks.add(a_task())
    await first.tasks.take(4, HOUR)
    for _ in range(4):
        await first.tasks.hand_back("task_1")
        assert len(await second.tasks.take_over()) == 1
        await second.tasks.hand_back("task_1")
        assert len(await first.tasks.take_over()) == 1


async def test_a_command_whose_process_died_has_failed_and_is_told(open_again: Opener) -> None:
    first, second = await open_again(), await open_again()
    await asked(second)
    await first.tasks.add(a_task(kind="run", text="make all", background=True))
    assert (await second.tasks.get("anna", "task_1")).state == "running"
    await first.close()
    async with asyncio.timeout(30):
        while (await second.tasks.get("anna", "task_1")).state == "running":
            assert not await second.tasks.take_over()
            await asyncio.sleep(0.01)
    await second.sessions.end_turn("turn_asked", "finished", [AssistantMessage(id="msg_a", text="it runs")])
    (text,) = await continued(second)
    assert "The background command task_1 failed: the server ended while it ran" in text


@pytest.mark.parametrize(
    ("parent", "ended", "handover"),
    [
        ("finished", True, "read"), ("cancelled", True, "read"), ("interrupted", True, "handed"), ("failed", True, "handed"),
        ("timeout", True, "handed"), ("interrupted", False, ""), ("finished", False, ""), ("cancelled", False, "read"),
    ],
)  # fmt: skip
async def test_a_result_that_no_turn_waits_for_any_more_is_handed_over(store: Store, parent: Any, ended: bool, handover: str) -> None:
    await asked(store)
    await store.tasks.add(a_task())
    if ended:
        (held,) = await store.tasks.take(4, HOUR)
        await begun(store, held)
        await answered(store, held, "42")
    assert not (await store.tasks.open())[0].lost
    await store.tasks.settle_lost("task_1")
    assert (await store.tasks.get("anna", "task_1")).handover == ""
    await store.sessions.end_turn("turn_asked", parent, [AssistantMessage(id="msg_a", text="…")])
    assert (await store.tasks.open())[0].lost
    await store.tasks.settle_lost("task_1")
    found = await store.tasks.get("anna", "task_1")
    assert found.handover == handover
    assert found.background == (parent not in ("cancelled",) and handover != "read")
    assert found.state == ("done" if ended else "stopped" if parent == "cancelled" else "waiting")


async def test_a_result_whose_session_is_gone_is_kept_and_handed_over_when_it_is_there_again(store: Store, clock: TurnedClock) -> None:
    await store.tasks.add(a_task(background=True))
    (held,) = await store.tasks.take(4, HOUR)
    await begun(store, held)
    await answered(store, held, "42")
    assert (await store.tasks.get("anna", "task_1")).handover == "kept"
    assert not (await store.tasks.open())[0].found
    await conversation(store, "anna", "api:s", "back again")
    assert (await store.tasks.open())[0].found
    await store.tasks.hand_over_kept("task_1")
    await store.tasks.hand_over_kept("task_1")
    assert len(await continued(store)) == 1
    with pytest.raises(TaskConflict):
        await store.tasks.dismiss("anna", "task_1")


async def test_a_result_that_waits_for_a_session_that_is_deleted_is_kept(store: Store) -> None:
    await conversation(store, "anna", "api:s", "hello")
    await store.tasks.add(a_task(background=True))
    (held,) = await store.tasks.take(4, HOUR)
    await begun(store, held)
    await answered(store, held, "42")
    assert (await store.tasks.get("anna", "task_1")).handover == "handed"
    assert await store.sessions.delete("anna", "api:s")
    assert (await store.tasks.get("anna", "task_1")).handover == "kept"
    await store.tasks.retry("anna", "task_1")
    assert len(await continued(store)) == 1


async def test_a_kept_result_is_dismissed_or_handed_over_by_hand(store: Store) -> None:
    for number in (1, 2):
        await store.tasks.add(a_task(f"task_{number}", background=True))
    for held in await store.tasks.take(4, HOUR):
        await begun(store, held)
        await answered(store, held, "42")
    await store.tasks.dismiss("anna", "task_1")
    await store.tasks.retry("anna", "task_2")
    assert len(await continued(store)) == 1
    for task in ("task_1", "task_2"):
        with pytest.raises(TaskConflict):
            await store.tasks.retry("anna", task)


async def test_what_failed_is_done_again_by_another_turn_and_told_again(store: Store) -> None:
    await conversation(store, "anna", "api:s", "hello")
    await store.tasks.add(a_task(background=True))
    turns: list[str] = []
    for number in range(3):
        (held,) = await store.tasks.take(4, HOUR)
        turns.append(held.turn_id)
        await begun(store, held)
        await answered(store, held, "", "failed", f"error {number}")
        await store.tasks.retry("anna", "task_1")
    assert len({*turns}) == 3
    texts = await continued(store)
    assert [f"failed: error {number}" in text for number, text in enumerate(texts)] == [True] * 3


async def test_what_is_stopped_ends_at_once_or_by_its_process(open_again: Opener) -> None:
    first, second = await open_again(), await open_again()
    for number in (1, 2):
        await first.tasks.add(a_task(f"task_{number}", background=True))
    await second.tasks.stop("anna", "task_2")
    assert (await first.tasks.get("anna", "task_2")).state == "stopped"
    (held,) = await first.tasks.take(4, HOUR)
    await second.tasks.stop("anna", "task_1")
    (open_one,) = await first.tasks.open()
    assert (open_one.cancel, open_one.state) == (True, "running")
    await begun(first, held)
    await answered(first, held, "", "cancelled")
    with pytest.raises(TaskConflict):
        await second.tasks.stop("anna", "task_1")
    assert (await second.tasks.get("anna", "task_1")).handover == "read"


async def test_old_tasks_go_with_their_sessions_and_others_stay(store: Store, clock: TurnedClock) -> None:
    for number in (1, 2):
        await store.tasks.add(a_task(f"task_{number}"))
    for held in await store.tasks.take(4, HOUR):
        await begun(store, held)
        if held.new.id == "task_1":
            await answered(store, held, "42")
    clock.turn(timedelta(days=8))
    assert await store.tasks.purge(clock.now - timedelta(days=7)) == 1
    assert [task.id for task in await store.tasks.list(None)] == ["task_2"]
    assert await store.sessions.get("anna", "task:task_1") is None
    assert await store.sessions.get("anna", "task:task_2") is not None


async def test_a_chat_that_moves_takes_its_tasks_along(store: Store) -> None:
    old, new = Address(channel="telegram", chat_id="-1"), Address(channel="telegram", chat_id="-2")
    await conversation(store, "telegram:-1", "telegram:-1", "hello")
    await store.tasks.add(a_task(owner="telegram:-1", session="telegram:-1", address=old, background=True))
    await store.inbox.moved("telegram", "-1", "-2")
    (held,) = await store.tasks.take(4, HOUR)
    assert (held.new.owner, held.new.session, held.new.address) == ("telegram:-2", "telegram:-2", new)
    await begun(store, held)
    await answered(store, held, "42")
    taken = await store.continuations.take("telegram:-2", "telegram:-2")
    assert taken is not None
    assert taken.continuation.address == new
