"""What was accepted is kept: across kill -9, SIGTERM and a client that goes away."""

import asyncio
import signal
import sqlite3
from collections.abc import Awaitable

import httpx2
import pytest

from tests.flow.live.conftest import Live, Start


async def test_kill_9_in_the_middle_of_a_turn_leaves_the_words_and_says_that_the_answer_was_cut_off(start: Start) -> None:
    live: Live = await start()
    assert (await live.ask("ECHO first")).status_code == 200
    live.model.configure(chunk_delay_ms=200)
    async with live.client.stream(
        "POST", "/v1/chat/completions", json={"messages": [{"role": "user", "content": "second"}], "session_id": "s", "stream": True}
    ) as response:
        async for line in response.aiter_lines():
            if "tok0" in line:
                break
        live.server.process.kill()
        live.server.process.wait()
    live = await start()
    messages = await live.session()
    assert [(message["role"], message["content"], message["cut_off"]) for message in messages] == [
        ("user", "ECHO first", None),
        ("assistant", "first", None),
        ("user", "second", None),
        ("assistant", "", "interrupted"),
    ]
    live.model.configure(chunk_delay_ms=0)
    assert (await live.ask("ECHO third")).json()["choices"][0]["message"]["content"] == "third"
    told = live.asked()["messages"]
    assert [message["role"] for message in told] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert "stopped" in told[4]["content"] or "interrupted" in told[4]["content"]


@pytest.mark.parametrize("round_", range(3))
async def test_every_answer_that_was_given_is_there_after_kill_9_under_load(start: Start, round_: int) -> None:
    live: Live = await start()
    answered: list[str] = []

    async def talk(number: int) -> None:
        for turn in range(200):
            response = await live.ask(f"ECHO {number}.{turn}", f"s{number}")
            if response.status_code == 200:
                answered.append(f"{number}.{turn}")

    async with asyncio.TaskGroup() as group:
        talks = [group.create_task(_until_cut(talk(number))) for number in range(8)]
        while len(answered) < 60 * (round_ + 1):
            await asyncio.wait(talks, timeout=0.01)
        live.server.process.kill()
    live.server.process.wait()
    with sqlite3.connect(live.home / "nanobot.db") as database:
        stored = " ".join(payload for (payload,) in database.execute("SELECT payload FROM messages WHERE role = 'assistant'"))
    assert [answer for answer in answered if f'"{answer}"' not in stored] == []
    database.close()


async def _until_cut(talk: Awaitable[None]) -> None:
    try:
        await talk
    except httpx2.TransportError:
        return


async def test_sigterm_lets_the_running_turn_end(start: Start) -> None:
    live: Live = await start()
    live.model.configure(latency_ms=500)
    answer = asyncio.create_task(live.ask("ECHO late"))
    await live.model.until(lambda stats: stats.inflight == 1)
    live.server.process.send_signal(signal.SIGTERM)
    assert (await answer).json()["choices"][0]["message"]["content"] == "late"
    assert await asyncio.to_thread(live.server.process.wait, 30) == 0


async def test_sigterm_cuts_off_what_outlasts_the_grace_and_says_so(start: Start) -> None:
    live: Live = await start(shutdown={"grace": 0.2})
    live.model.configure(mode="hang")
    answer = asyncio.create_task(live.ask("hello"))
    await live.model.until(lambda stats: stats.inflight == 1)
    live.server.process.send_signal(signal.SIGTERM)
    response = await answer
    assert (response.status_code, response.json()["error"]["code"]) == (503, "shutting_down")
    assert await asyncio.to_thread(live.server.process.wait, 30) == 0
    live = await start()
    assert [message["cut_off"] for message in await live.session()] == [None, "interrupted"]


async def test_a_client_that_goes_away_does_not_stop_its_turn(live: Live) -> None:
    live.model.configure(latency_ms=300)
    asking = asyncio.create_task(live.ask("ECHO kept"))
    await live.model.until(lambda stats: stats.inflight == 1)
    asking.cancel()
    await live.model.until(lambda stats: stats.inflight == 0)
    # The next turn of the session waits for the one without a listener.
    assert (await live.ask("ECHO next")).status_code == 200
    assert [message["content"] for message in await live.session()] == ["ECHO kept", "kept", "ECHO next", "next"]


async def test_a_client_that_goes_away_stops_its_turn_where_that_is_wanted(start: Start) -> None:
    live: Live = await start(api={"onDisconnect": "cancel"})
    live.model.configure(mode="hang")
    asking = asyncio.create_task(live.ask("hello"))
    await live.model.until(lambda stats: stats.inflight == 1)
    asking.cancel()
    await live.model.until(lambda stats: stats.inflight == 0)
    live.model.configure(mode="ok")
    assert (await live.ask("ECHO next")).status_code == 200
    assert [message["cut_off"] for message in await live.session()] == [None, "cancelled", None, None]
