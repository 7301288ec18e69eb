"""Stopping, and asking again: turns as a page handles them, on a served assistant."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.flow.live.conftest import Live

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def live(shared: Live) -> Live:
    return shared


def path(live: Live, session: str = "s", more: str = "") -> str:
    return f"/v1/sessions/{live.id_of(session)}{more}"


async def detail(live: Live, session: str = "s") -> dict[str, Any]:
    answer = await live.client.get(path(live, session))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until_it_runs(live: Live, session: str = "s") -> None:
    async with asyncio.timeout(20):
        while True:
            answer = await live.client.get(path(live, session))
            if answer.status_code == 200 and answer.json()["running"]:
                return


async def take_back(live: Live, first: object, session: str = "s") -> httpx2.Response:
    return await live.client.delete(path(live, session, f"/messages?from={first}"))


async def test_a_stop_ends_what_runs_and_what_waits(live: Live) -> None:
    live.model.configure(latency_ms=30_000)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(live.ask(f"hi {number}")) for number in range(3)]
        await until_it_runs(live)
        other = group.create_task(live.ask("hi", "other"))
        await until_it_runs(live, "other")
        stopped = await live.client.post(path(live, more="/stop"))
        assert (stopped.status_code, stopped.json()) == (200, {"object": "session.stopped", "stopped": 3})
        assert {each.status_code for each in await asyncio.gather(*asked)} == {499}
        assert (await detail(live))["running"] is False
        assert (await detail(live, "other"))["running"] is True
        assert (await live.client.post(path(live, "other", "/stop"))).json()["stopped"] == 1
        assert (await other).status_code == 499
    assert (await live.client.post(path(live, more="/stop"))).json()["stopped"] == 0
    assert (await live.client.post(path(live, "none", "/stop"))).status_code == 404


async def test_an_edited_question_is_answered_as_if_it_had_been_the_first(live: Live) -> None:
    for words in ("What is a walnut?", "What is a hazelnut?", "What is an almond?"):
        assert (await live.ask(words)).status_code == 200
    answer = await take_back(live, 3)
    assert (answer.status_code, answer.json()) == (200, {"id": live.id_of("s"), "object": "session.messages.deleted", "deleted": 4})
    assert (await live.ask("What is a pecan?")).status_code == 200
    assert [each["content"] for each in (await detail(live))["data"] if each["role"] == "user"] == ["What is a walnut?", "What is a pecan?"]
    prompt = str(live.asked()["messages"])
    assert "walnut" in prompt
    assert "pecan" in prompt
    assert "hazelnut" not in prompt
    assert "almond" not in prompt
    assert (await take_back(live, 3)).json()["deleted"] == 2
    assert (await live.ask("What is a pecan?")).status_code == 200
    assert str(live.asked()["messages"]).count("What is a pecan?") == 1


@pytest.mark.parametrize("first", ["0", "-1", "2", "5", "x", "1.5", "2147483648", "99999999999999999999", ""])
async def test_a_place_that_is_no_message_of_the_persons_is_refused(live: Live, first: str) -> None:
    for words in ("hi", "ho"):
        await live.ask(words)
    assert (await take_back(live, first)).status_code == 400
    assert len((await detail(live))["data"]) == 4
    assert (await live.client.delete(path(live, more="/messages"))).status_code == 400


async def test_nothing_is_taken_back_while_a_turn_runs(live: Live) -> None:
    await live.ask("hi")
    live.model.configure(latency_ms=30_000)
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(live.ask("ho"))
        await until_it_runs(live)
        refused = await take_back(live, 1)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "session_busy")
        await live.client.post(path(live, more="/stop"))
        assert (await asked).status_code == 499
    live.model.configure(latency_ms=0)
    assert (await take_back(live, 1)).status_code == 200
    assert (await detail(live))["data"] == []
    assert (await take_back(live, 1, "none")).status_code == 404
