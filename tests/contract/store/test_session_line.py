"""Turns of one session asked of several processes: one after the other, in the order in which they came, whatever becomes of their processes."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assistant.contracts.messages import AssistantMessage, UserMessage
from assistant.contracts.sessions import History
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .conftest import Opener
from .processes import kill, line, other_process
from .said import answer, turn

LAPSED = timedelta(seconds=16)


def begins(store: Store, name: str, session: str = "api:one") -> "asyncio.Task[History]":
    return asyncio.create_task(store.sessions.begin_turn(turn(f"turn_{name}", name, session=session), None))


async def ends(store: Store, name: str) -> int:
    return await store.sessions.end_turn(f"turn_{name}", "finished", [answer(f"to {name}")])


async def in_line(store: Store, *names: str) -> None:
    """Wait until exactly these turns wait, in this order; "?" stands for any."""
    for _ in range(1_000):
        rows = await store.database.select("SELECT id FROM turns WHERE state = 'waiting' ORDER BY started, id")
        if len(rows) == len(names) and all(name in ("?", id.removeprefix("turn_")) for (id,), name in zip(rows, names, strict=True)):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"they do not wait: {names}")


async def stands_still(store: Store) -> None:
    """From now on no lease is renewed by itself, however long the test takes."""
    await store.sessions.line.close()


async def said(store: Store, session: str = "api:one") -> list[str]:
    """The words of the session; an answer that was cut off as its reason."""
    words: list[str] = []
    for stored in await store.sessions.messages("anna", session):
        message = stored.message
        if isinstance(message, UserMessage):
            words += [part.text for part in message.parts if part.kind == "text"]
        elif isinstance(message, AssistantMessage):
            words.append(message.cut_off or message.text)
    return words


async def test_a_turn_waits_for_one_of_another_process_and_sees_its_answer(open_again: Opener) -> None:
    one, two = await open_again(), await open_again()
    await begins(one, "a")
    waiting = begins(two, "b")
    await in_line(one, "b")
    assert await said(one) == ["a"]
    await ends(one, "a")
    history = await waiting
    assert [type(message) for message in history.messages] == [UserMessage, AssistantMessage]
    await ends(two, "b")
    assert await said(one) == ["a", "to a", "b", "to b"]


async def test_turns_of_other_sessions_do_not_wait(open_again: Opener) -> None:
    one, two = await open_again(), await open_again()
    await begins(one, "a")
    async with asyncio.timeout(20):
        await begins(two, "b", session="api:two")
        await two.sessions.begin_turn(turn("turn_c", "c", owner="bert"), None)


async def test_they_begin_in_the_order_in_which_they_came(open_again: Opener) -> None:
    stores = [await open_again() for _ in range(4)]
    await begins(stores[0], "0")
    tasks: list[asyncio.Task[History]] = []
    for number in range(1, 4):
        tasks.append(begins(stores[number], str(number)))
        await in_line(stores[0], *map(str, range(1, number + 1)))
    await ends(stores[0], "0")
    for number in (1, 2, 3):
        await tasks[number - 1]
        await ends(stores[number], str(number))
    assert await said(stores[0]) == ["0", "to 0", "1", "to 1", "2", "to 2", "3", "to 3"]


async def test_a_process_that_is_busy_with_a_session_does_not_keep_others_out(open_again: Opener) -> None:
    one, two = await open_again(), await open_again()
    await begins(one, "a")
    other = begins(two, "b")
    await in_line(one, "b")
    await ends(one, "a")
    again = begins(one, "c")
    await other
    await in_line(one, "c")
    await ends(two, "b")
    await again
    await ends(one, "c")
    assert await said(one) == ["a", "to a", "b", "to b", "c", "to c"]


async def test_a_turn_whose_process_is_killed_is_settled_by_the_one_that_waits(open_again: Opener, url: str, tmp_path: Path) -> None:
    async with other_process("begin", url, tmp_path) as process:
        assert await line(process) == "begun"
        store = await open_again()
        waiting = begins(store, "b")
        await in_line(store, "b")
        await kill(process)
        async with asyncio.timeout(20):
            await waiting
    assert await said(store) == ["my words", "interrupted", "b"]


async def test_one_that_waits_in_a_process_that_is_killed_is_forgotten(
    open_again: Opener, url: str, tmp_path: Path, clock: TurnedClock
) -> None:
    clock.now = datetime.now(UTC)  # that of the other process
    one, two = await open_again(), await open_again()
    await begins(one, "a")
    async with other_process("begin", url, tmp_path) as process:
        await in_line(one, "begun")
        behind = begins(two, "c")
        await in_line(one, "begun", "c")
        await kill(process)
    await ends(one, "a")
    async with asyncio.timeout(20):
        await behind
    assert await said(one) == ["a", "to a", "c"]


async def test_a_process_that_gives_no_sign_loses_its_turn_and_its_later_words_are_refused(open_again: Opener, clock: TurnedClock) -> None:
    one, two = await open_again(), await open_again()
    await begins(one, "a")
    await stands_still(one)
    clock.turn(LAPSED)
    await begins(two, "b")
    assert await one.sessions.append_step("turn_a", [answer("late")]) == 0
    assert await ends(one, "a") == 0
    await ends(two, "b")
    assert await said(two) == ["a", "interrupted", "b", "to b"]


async def test_a_lease_that_is_renewed_keeps_the_turn(open_again: Opener, clock: TurnedClock) -> None:
    one, two = await open_again(), await open_again()
    await begins(one, "a")
    clock.turn(timedelta(seconds=10))
    await one.sessions.line.renew()
    clock.turn(timedelta(seconds=10))
    waiting = begins(two, "b")
    await in_line(one, "b")
    await ends(one, "a")
    await waiting
    assert await said(one) == ["a", "to a", "b"]


async def test_one_that_waits_and_gives_no_sign_is_passed(open_again: Opener, clock: TurnedClock) -> None:
    one, two, three = await open_again(), await open_again(), await open_again()
    await begins(one, "a")
    lost = begins(two, "b")
    await in_line(one, "b")
    lost.cancel()
    await asyncio.wait([lost])
    await stands_still(two)
    clock.turn(LAPSED)
    await one.sessions.line.renew()
    behind = begins(three, "c")
    await in_line(one, "c")
    await ends(one, "a")
    await behind
    assert await said(one) == ["a", "to a", "c"]


async def test_one_that_stops_waiting_leaves_its_place(open_again: Opener) -> None:
    one, two, three = await open_again(), await open_again(), await open_again()
    await begins(one, "a")
    stopped = begins(two, "b")
    await in_line(one, "b")
    behind = begins(three, "c")
    await in_line(one, "b", "c")
    stopped.cancel()
    await asyncio.wait([stopped])
    assert await two.sessions.end_turn("turn_b", "cancelled", [answer("", cut_off="cancelled")]) == 0
    await in_line(one, "c")
    await ends(one, "a")
    await behind
    assert await said(one) == ["a", "to a", "c"]


async def test_a_turn_whose_end_could_not_be_stored_does_not_hold_its_session(open_again: Opener) -> None:
    one, two = await open_again(), await open_again()
    await begins(one, "a")
    one.sessions.line.held.discard("turn_a")
    await begins(one, "b")
    await ends(one, "b")
    await begins(two, "c")
    assert await said(two) == ["a", "interrupted", "b", "to b", "c"]


@pytest.mark.parametrize("ending", ["ends", "dies"])
async def test_a_deletion_waits_for_turns_of_other_processes(open_again: Opener, ending: str) -> None:
    one, two = await open_again(), await open_again()
    await begins(one, "a")
    deleting = asyncio.create_task(two.sessions.delete("anna", "api:one"))
    await in_line(one, "?")
    assert not deleting.done()
    if ending == "ends":
        assert await ends(one, "a")
    else:
        await one.close()
    assert await deleting
    assert await two.sessions.get("anna", "api:one") is None


async def test_a_deletion_that_is_given_up_keeps_nobody_waiting(open_again: Opener) -> None:
    one, two, three = await open_again(), await open_again(), await open_again()
    await begins(one, "a")
    deleting = asyncio.create_task(two.sessions.delete("anna", "api:one"))
    await in_line(one, "?")
    behind = begins(three, "b")
    await in_line(one, "?", "b")
    deleting.cancel()
    await asyncio.wait([deleting])
    await in_line(one, "b")
    await ends(one, "a")
    await behind
    assert (await said(one), two.sessions.line.held) == (["a", "to a", "b"], set())
