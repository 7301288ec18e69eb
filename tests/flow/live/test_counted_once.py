"""Three servers on one store: what may happen once happens once, whichever of them is asked."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx2

from tests.flow.live.conftest import Live, Start


async def three(start: Start, url: str, **config: object) -> list[Live]:
    return [await start(name, store={"url": url}, **config) for name in ("one", "two", "three")]


async def test_a_repeat_of_a_request_at_another_server_is_the_same_turn(start: Start, url: str) -> None:
    servers = await three(start, url)
    body = {"messages": [{"role": "user", "content": "ECHO once"}], "session_id": "s"}

    async def ask(live: Live) -> httpx2.Response:
        return await live.client.post("/v1/chat/completions", json=body, headers={"Idempotency-Key": "k"})

    answers = await asyncio.gather(*(ask(live) for live in servers for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert servers[0].model.stats.requests == 1

    in_turn = await asyncio.gather(*(live.ask(f"ECHO {number}") for number in range(4) for live in servers))
    assert {answer.status_code for answer in in_turn} == {200}
    said = [message["content"] for message in await servers[1].session()]
    assert all(asked == f"ECHO {answered}" for asked, answered in zip(said[::2], said[1::2], strict=True)), "no turn in another's"
    assert Counter(said[3::2]) == {str(number): 3 for number in range(4)}


async def test_what_falls_due_is_run_by_one_of_them(start: Start, url: str) -> None:
    servers = await three(start, url, channels={"webhook": {"enabled": True, "hooks": {"a": {"secret": "s" * 16}}}})
    for number in range(4):
        at = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
        made = await servers[number % 3].client.post("/v1/schedules", json={"kind": "ask", "when": at, "text": f"ECHO due {number}"})
        assert made.status_code in (200, 201), made.text
    async with asyncio.timeout(20):
        for each in (await servers[0].client.get("/v1/schedules")).json()["data"]:
            while await runs(servers[1], each["id"]) != ["done"]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    asked = [body for body in map(bytes.decode, servers[0].model.bodies) if "ECHO due" in body]
    assert len(asked) == 4


async def runs(live: Live, schedule: str) -> list[str]:
    """How each occurrence of a schedule ended."""
    shown = (await live.client.get(f"/v1/schedules/{schedule}")).json()
    return [each["state"] for each in shown["occurrences"]]
