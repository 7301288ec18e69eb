"""Limits at the front door: exact, told on every answer, and counted together by all who share a store."""

import asyncio
import re

import httpx2
import pytest

from assistant.api.settings import ApiLimits, ApiSettings
from assistant.contracts.errors import ProviderFailed
from assistant.contracts.turns import TextDelta, TurnRequest
from assistant.turns.handle import RunningTurn
from tests.contract.store.gate import behind_a_gate
from tests.flow.api_rig import error_of, fail, finish

from .conftest import SHARED, Keyed, Opener, bearer, begun

LIMIT = [f"x-ratelimit-{what}-{of}" for of in ("requests", "tokens") for what in ("limit", "remaining", "reset")]
USED = 15
"""Tokens that a played turn takes."""
ESTIMATE = 500
"""Of "hi", without max_tokens."""


def told(response: httpx2.Response) -> dict[str, str]:
    return {name.removeprefix("x-ratelimit-"): response.headers[name] for name in LIMIT if name in response.headers}


async def test_requests_a_minute_are_exact_under_concurrency(keyed: Keyed) -> None:
    _, headers = await keyed.key(requests=20)
    answers = await asyncio.gather(*[keyed.chat(headers, session_id=str(number)) for number in range(60)])
    let_in = [answer for answer in answers if answer.status_code == 200]
    assert len(let_in) == len(keyed.api.turns.requests) == 20
    assert sorted(int(answer.headers["x-ratelimit-remaining-requests"]) for answer in let_in) == list(range(20))
    for answer in answers:
        if answer.status_code != 200:
            assert answer.status_code == 429
            error = error_of(answer)
            assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
            assert 0 < int(answer.headers["retry-after"]) <= 60
            assert 0 < int(answer.headers["retry-after-ms"]) <= 60_000
            assert (told(answer)["limit-requests"], told(answer)["remaining-requests"]) == ("20", "0")


async def test_two_servers_on_one_store_count_together(opened: Opener) -> None:
    async with opened() as one, opened() as other:
        _, headers = await one.key(requests=30)
        answers = await asyncio.gather(*[(one, other)[number % 2].chat(headers, session_id=str(number)) for number in range(80)])
        assert sorted(answer.status_code for answer in answers) == [200] * 30 + [429] * 50
        assert len(one.api.turns.requests) + len(other.api.turns.requests) == 30


async def test_every_answer_tells_what_is_left(keyed: Keyed) -> None:
    _, headers = await keyed.key("chat", requests=10, tokens=10_000)
    client = keyed.api.client
    left = 10
    for response, status in (
        (await keyed.chat(headers), 200),
        (await keyed.chat(headers, stream=True), 200),
        (await keyed.chat(headers, stream="yes"), 400),
        (await client.get("/v1/sessions", headers=headers), 403),
        (await client.get("/nowhere", headers=headers), 404),
        (await client.put("/v1/models", headers=headers), 405),
    ):
        left -= 1
        assert response.status_code == status
        assert told(response).keys() == {name.removeprefix("x-ratelimit-") for name in LIMIT}
        assert told(response) | {"limit-requests": "10", "limit-tokens": "10000", "remaining-requests": str(left)} == told(response)
        assert re.fullmatch(r"1m0s|5\d(\.\d+)?s", told(response)["reset-requests"])


async def test_without_limits_nothing_is_told_and_nothing_is_noted(keyed: Keyed) -> None:
    _, headers = await keyed.key()
    response = await keyed.chat(headers)
    assert told(response) == {}
    counted = await keyed.store.database.read(lambda connection: connection.execute("SELECT COUNT(*) FROM limit_uses"))
    assert counted == [(0,)]


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_are_reserved_by_estimate_and_settled_by_usage_before_the_answer_ends(keyed: Keyed, stream: bool) -> None:
    _, headers = await keyed.key(tokens=1_000)
    for turn in range(3):
        response = await keyed.chat(headers, stream=stream)
        assert response.status_code == 200
        assert told(response)["remaining-tokens"] == str(1_000 - ESTIMATE - turn * USED)
    response = await keyed.chat(headers, max_tokens=1_000 - 3 * USED + 1)
    assert response.status_code == 429
    assert "tokens" in str(error_of(response)["message"])
    assert (await keyed.chat(headers, max_tokens=1_000 - 3 * USED)).status_code == 200


async def fails(turn: RunningTurn, request: TurnRequest) -> None:
    fail(turn, ProviderFailed())


@pytest.mark.parametrize("stream", [False, True])
async def test_the_tokens_of_a_turn_that_failed_are_given_back(opened: Opener, stream: bool) -> None:
    async with opened(play=fails) as keyed:
        _, headers = await keyed.key(tokens=ESTIMATE)
        for _ in range(3):
            assert (await keyed.chat(headers, stream=stream)).status_code == 502


async def says_much_and_waits(turn: RunningTurn, request: TurnRequest) -> None:
    turn.emit(TextDelta(text="word" * 1_000))
    await asyncio.Event().wait()


async def test_whoever_hangs_up_before_the_end_of_a_stream_pays_for_what_they_heard(opened: Opener) -> None:
    async with opened(ApiSettings(on_disconnect="cancel"), play=says_much_and_waits) as keyed:
        _, headers = await keyed.key(tokens=1_500)
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with keyed.api.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
            async for line in response.aiter_lines():
                if "word" in line:
                    break
        async with asyncio.timeout(30):
            while told(await keyed.api.client.get("/v1/models", headers=headers))["remaining-tokens"] != "500":
                pass


@pytest.mark.parametrize("stream", [False, True])
async def test_whoever_reads_an_answer_to_its_end_may_ask_again_at_once(keyed: Keyed, stream: bool) -> None:
    _, headers = await keyed.key(parallel=1)
    for _ in range(20):
        assert (await keyed.chat(headers, stream=stream)).status_code == 200


async def waits(turn: RunningTurn, request: TurnRequest) -> None:
    await asyncio.Event().wait()


async def test_the_last_byte_waits_until_the_place_is_free(opened: Opener) -> None:
    async with opened(play=waits) as keyed:
        _, headers = await keyed.key(parallel=1)
        asked = asyncio.create_task(keyed.chat(headers))
        await begun(keyed.api.turns, 1)
        gate, held = await behind_a_gate(keyed.store.database)
        finish(keyed.api.turns.turns[0], "done")
        for _ in range(20):  # the server goes on, for others
            assert (await keyed.api.client.get("/v1/models", headers=bearer(SHARED))).status_code == 200
        assert not asked.done()
        gate.open()
        await held
        assert (await asked).status_code == 200


async def test_no_more_run_at_once_than_may_in_two_servers(opened: Opener) -> None:
    async with opened(play=waits) as one, opened(play=waits) as other:
        _, headers = await one.key(parallel=3)
        tasks = [asyncio.create_task((one, other)[number % 2].chat(headers, session_id=str(number))) for number in range(12)]
        refused: list[httpx2.Response] = []
        for answer in asyncio.as_completed(tasks, timeout=30):
            refused.append(await answer)
            if len(refused) == 9:
                break
        assert {answer.status_code for answer in refused} == {429}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        for turn in [*one.api.turns.turns, *other.api.turns.turns]:
            finish(turn, "done")
        assert [answer.status_code for answer in await asyncio.gather(*[task for task in tasks if task.result not in refused])].count(
            200
        ) == 3


async def test_the_servers_own_limits_hold_for_whoever_has_none_of_their_own(opened: Opener) -> None:
    settings = ApiSettings(limits=ApiLimits(requests_per_minute=2, tokens_per_minute=5_000))
    async with opened(settings) as keyed:
        _, wide = await keyed.key(requests=5)
        assert [(await keyed.chat({})).status_code for _ in range(3)] == [200, 200, 429]
        answer = await keyed.chat(wide)
        assert told(answer) | {"limit-requests": "5", "limit-tokens": "5000"} == told(answer)
        assert (await keyed.api.client.get("/health")).status_code == 200


async def test_a_body_that_is_refused_unread_is_answered_all_the_same(keyed: Keyed) -> None:
    _, headers = await keyed.key(requests=1)
    assert (await keyed.chat(headers)).status_code == 200
    response = await keyed.chat(headers, padding="x" * 1_000_000)
    assert response.status_code == 429
