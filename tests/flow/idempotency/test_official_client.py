"""What OpenAI's client repeats by itself, without a key: it joins the turn that it repeats, and nothing is done twice."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import openai
import pytest

from assistant.contracts.errors import ProviderOverloaded
from assistant.contracts.turns import TurnRequest
from assistant.turns.handle import RunningTurn
from tests.flow.api_rig import fail, finish
from tests.flow.idempotency.conftest import Rig, opened, replayed
from tests.flow.relay import Relay, relaying
from tests.flow.test_api_streams import until, waiting

TRY = "x-stainless-retry-count"


@asynccontextmanager
async def client(rig: Rig) -> AsyncGenerator[tuple[openai.AsyncOpenAI, Relay]]:
    async with relaying(rig.api.port) as relay, openai.AsyncOpenAI(base_url=relay.url, api_key="any", max_retries=2) as client:
        yield client, relay


async def ask(client: openai.AsyncOpenAI, text: str = "hi") -> str | None:
    answer = await client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content


@pytest.mark.parametrize("cuts", [1, 2])
async def test_an_answer_that_was_lost_on_the_way_is_given_again(rig: Rig, cuts: int) -> None:
    async with client(rig) as (sdk, relay):
        relay.cuts = cuts
        assert await ask(sdk) == "Hello there"
        assert len(rig.api.turns.requests) == 1
        assert f"{TRY}: {cuts}".encode() in relay.requests[-1].lower()


async def test_a_repeat_joins_the_turn_that_still_runs(tmp_path: Path) -> None:
    play, gate = waiting(lambda turn: finish(turn, "once"))
    async with opened(tmp_path, play=play) as rig, client(rig) as (sdk, relay):
        relay.cuts = 1
        asked = asyncio.create_task(ask(sdk))
        await until(lambda: bool(rig.api.turns.turns))
        relay.cut()
        await until(lambda: len(relay.requests) == 2)
        gate.set()
        assert await asked == "once"
        assert len(rig.api.turns.requests) == 1


async def test_a_stream_whose_beginning_was_lost_is_given_again_from_its_beginning(rig: Rig) -> None:
    async with client(rig) as (sdk, relay):
        relay.cuts = 1
        stream = await sdk.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "hi"}], stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hello there"
        assert len(rig.api.turns.requests) == 1


async def test_the_same_words_said_twice_are_two_turns_and_a_repeat_joins_the_later_one(rig: Rig) -> None:
    async with client(rig) as (sdk, relay):
        await ask(sdk)
        await ask(sdk)
        assert len(rig.api.turns.requests) == 2
        relay.cuts = 1
        await ask(sdk)
        assert len(rig.api.turns.requests) == 3


async def test_what_failed_before_it_acted_is_tried_again(tmp_path: Path) -> None:
    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        if len(rig.api.turns.requests) == 1:
            fail(turn, ProviderOverloaded(retry_after=0.01))
        else:
            finish(turn, "now")

    async with opened(tmp_path, play=play) as rig, client(rig) as (sdk, _):
        assert await ask(sdk) == "now"
        assert len(rig.api.turns.requests) == 2


async def test_a_repeat_is_known_after_a_restart_for_a_quarter_of_an_hour(tmp_path: Path) -> None:
    async with opened(tmp_path) as rig:
        first = await rig.ask(None, headers={TRY: "0"})
    async with opened(tmp_path) as rig:
        second = await rig.ask(None, headers={TRY: "1"})
        other = await rig.ask(None, "something else", headers={TRY: "1"})
        kept = await rig.store.database.read(lambda connection: connection.execute("SELECT expires FROM answers ORDER BY expires"))
        assert len(rig.api.turns.requests) == 1
    assert (second.content, replayed(second), replayed(other)) == (first.content, True, False)
    left = kept[0][0] / 1e6 - datetime.now(UTC).timestamp()
    assert 14 * 60 < left < 15 * 60


@pytest.mark.parametrize("tries", ["", "x", "-1", "1.5", "9" * 30, "1 1"])
async def test_a_count_that_is_none_makes_it_a_request_like_any_other(rig: Rig, tries: str) -> None:
    answers = [await rig.ask(None, headers={TRY: tries}) for _ in range(2)]
    assert [(answer.status_code, replayed(answer)) for answer in answers] == [(200, False)] * 2
    assert (len(rig.api.turns.requests), await rig.kept()) == (2, 0)


async def test_a_key_counts_more_than_a_count_of_tries(rig: Rig) -> None:
    await rig.ask("a", headers={TRY: "0"})
    assert not replayed(await rig.ask("b", headers={TRY: "1"}))
    assert replayed(await rig.ask("a", headers={TRY: "0"}))
