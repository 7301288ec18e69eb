"""A server that is killed leaves its tasks to the next one: each is done once, and its result is handed over once."""

import random
from collections import Counter

import pytest

from .conftest import HELPERS, Asks, Served, delegating

STEPS = {
    "taken": (HELPERS,),
    "first step": (HELPERS, b"tool_call_id"),
    "handed over": (b"The background task",),
}
"""What is held back at each boundary."""


def answers(served: Served, text: str) -> int:
    """How many requests of helpers with this task the model answered to the end."""
    return sum(HELPERS in body and text.encode() in body for body in served.model.bodies)


@pytest.mark.parametrize("where", STEPS)
async def test_a_background_task_goes_on_after_kill_9_wherever_it_was(start: Asks, where: str) -> None:
    served: Served = await start()
    served.model.holds = STEPS[where]
    await served.ask(delegating("CALLTOOL list_attachments {}" if where == "first step" else "ECHO 42", background=True))
    await served.model.held()
    served.kill()
    served.model.release()
    served = await start()
    (task,) = await served.until(lambda found: found[0]["handover"] == "handed")
    assert (task["state"], task["answer"]) == ("done", "done" if where == "first step" else "42")
    more = ["assistant", "tool"] if where == "first step" else []  # its model obeys the words of the task, too
    said = await served.until_said(6 + len(more))
    assert [role for role, _ in said] == ["user", "assistant", "tool", "assistant", "user", *more, "assistant"]
    assert f"[The background task {task['id']} has ended]" in said[4][1]


async def test_what_waited_for_its_turn_is_done_by_the_next_server(start: Asks) -> None:
    served: Served = await start(tasks={"parallel": 1})
    served.model.holds = (HELPERS,)
    for number in range(3):
        await served.ask(delegating(f"ECHO {number}", background=True), f"s{number}")
    await served.model.held()
    served.kill()
    served.model.release()
    served = await start(tasks={"parallel": 1})
    ended = await served.ended(3)
    assert [(task["state"], task["answer"]) for task in ended] == [("done", "2"), ("done", "1"), ("done", "0")]
    assert [answers(served, f"ECHO {number}") for number in range(3)] == [2, 1, 1]


async def test_a_helper_whose_turn_that_waited_died_goes_on_and_its_result_comes_by_itself(start: Asks) -> None:
    served: Served = await start()
    served.model.holds = (HELPERS,)
    asking = served.asking(delegating("ECHO 42"))
    await served.model.held()
    served.kill()
    assert await asking is None
    served.model.release()
    served = await start()
    (task,) = await served.until(lambda found: found[0]["handover"] == "handed")
    assert (task["state"], task["answer"], task["background"]) == ("done", "42", True)
    said = await served.until_said(4)
    assert [role for role, _ in said] == ["user", "assistant", "user", "assistant"]


async def test_what_kills_the_server_twice_has_failed_and_is_told(start: Asks) -> None:
    served: Served = await start()
    served.model.holds = (HELPERS,)
    await served.ask(delegating("ECHO 42", background=True))
    for _ in range(2):
        await served.model.held()
        served.kill()
        await served.model.held(0)
        served = await start()
    (task,) = await served.until(lambda found: found[0]["handover"] == "handed")
    assert (task["state"], task["error"]) == ("failed", "the server was cut off during it, twice")
    said = await served.until_said(6)
    assert "failed: the server was cut off during it, twice" in said[4][1]


async def test_two_servers_do_each_task_once_and_one_goes_on_with_those_of_the_other(start: Asks) -> None:
    first, second = await start(), await start()
    for number in range(8):
        await (first, second)[number % 2].ask(delegating(f"ECHO once {number}", background=True), f"s{number}")
    await second.ended(8)
    assert [answers(second, f"ECHO once {number}") for number in range(8)] == [1] * 8
    first.model.holds = (HELPERS,)
    for number in range(4):
        await first.ask(delegating(f"ECHO later {number}", background=True), f"t{number}")
    await first.model.held(4)
    first.kill()
    first.model.release()
    ended = await second.ended(12)
    assert Counter(task["answer"] for task in ended) == Counter(
        [f"{word} {n}" for word, most in (("once", 8), ("later", 4)) for n in range(most)]
    )
    for number in range(4):
        assert len(await second.until_said(6, f"t{number}")) == 6


@pytest.mark.parametrize("seed", range(2))
async def test_no_result_is_lost_or_handed_over_twice_however_often_servers_die(start: Asks, seed: int) -> None:
    chance = random.Random(seed)
    served: Served = await start()
    for number in range(4):
        await served.ask(delegating("CALLTOOL list_attachments {}", background=True), f"s{number}")
    for _ in range(3):
        seen = served.model.stats.requests + chance.randint(0, 4)
        served.model.configure(latency_ms=chance.choice([0, 5, 40]))
        await served.progress(seen)
        served.kill()
        served = await start()
    served.model.configure(latency_ms=0)
    ended = await served.until(lambda found: all(task["handover"] == "handed" for task in found))
    assert Counter(task["state"] for task in ended)["done"] + sum("twice" in task["error"] for task in ended) == 4
    for number in range(4):
        said = await served.settled(f"s{number}", asked=2)
        assert [message["role"] for message in said].count("user") == 2, "the request, and one continuation"
