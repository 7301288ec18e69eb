"""Budgets hold for every way to call a model, exactly, and say so in words."""

import asyncio
import re
from pathlib import Path
from typing import Any

import openai
import pytest

from assistant.contracts.causes import Cause, Payer
from assistant.contracts.ledger import BudgetUsedUp
from assistant.contracts.messages import Text, UserMessage
from assistant.contracts.models import ModelRequest, Sampling
from assistant.ledger.budgets import budget_of
from tests.doubles.model_server import ModelServer
from tests.flow.api_rig import error_of

from .house import LedgerHouse, ledger_house

ASKED: dict[str, Any] = {"model": "plain", "max_tokens": 20}


async def estimate(house: LedgerHouse) -> int:
    """What a call like ASKED reserves, once the house has seen how its provider counts."""
    for _ in range(2):
        assert (await house.chat(**ASKED)).status_code == 200
    return (await house.runtime.services.store.database.select("SELECT MAX(estimate) FROM ledger"))[0][0]


@pytest.mark.parametrize("servers", [1, 2])
async def test_of_fifty_at_once_exactly_as_many_as_fit_are_answered(tmp_path: Path, url: str, upstream: ModelServer, servers: int) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    everything = [{"of": "all", "per": "month", "tokens": 10**9}]
    async with (
        ledger_house(tmp_path / "a", upstream, url, budgets=everything) as first,
        ledger_house(tmp_path / "b", upstream, url, budgets=everything) as second,
    ):
        each = await estimate(first)
        assert await estimate(second) == each
        used = await first.total()
        await first.runtime.services.store.ledger.set_budget(budget_of("person:local", "month", used + 12 * each, None)[0])
        houses = [first, second][:servers]
        for house in houses:
            house.runtime.services.meter.budgets.fresh_until = float("-inf")  # as after two seconds
        upstream.hold()
        asked = [asyncio.create_task(houses[number % servers].chat(**ASKED)) for number in range(50)]
        async with asyncio.timeout(60):
            while sum(each.done() for each in asked) < 38:
                await asyncio.wait([each for each in asked if not each.done()], return_when=asyncio.FIRST_COMPLETED)
        upstream.go_on()
        answers = await asyncio.gather(*asked)
        assert sorted(answer.status_code for answer in answers) == [200] * 12 + [429] * 38
        assert upstream.stats.max_inflight == 12
        assert await first.total() == first.billed


async def test_a_budget_that_is_used_up_is_openais_insufficient_quota(tmp_path: Path, upstream: ModelServer) -> None:
    budgets = [{"of": "person", "per": "day", "tokens": 130}]
    async with ledger_house(tmp_path, upstream, f"sqlite:///{tmp_path / 'nanobot.db'}", budgets=budgets) as house:
        assert (await house.chat(**ASKED)).status_code == 200
        refused = await house.chat(**ASKED)
        assert refused.status_code == 429
        error = error_of(refused)
        assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
        assert re.search(
            r"Your budget (is used up|has too little left for this call): 130 tokens a day.* available again at \d{4}-\d\d-\d\d 00:00 UTC\.",
            str(error["message"]),
        )
        assert 0 < int(refused.headers["retry-after"]) <= 86_400
        assert refused.headers["x-should-retry"] == "false"
        seen = upstream.stats.requests
        client = openai.AsyncOpenAI(base_url=f"{house.client.base_url}/v1", api_key="none")
        with pytest.raises(openai.RateLimitError) as raised:
            await client.chat.completions.create(model="plain", messages=[{"role": "user", "content": "hi"}], stream=True)
        await client.close()
        assert raised.value.code == "insufficient_quota"
        doors = [
            await house.chat(session_id="s"),
            await house.chat(session_id="s", stream=True),
            await house.client.post("/v1/responses", json={"input": "hello"}),
            await house.client.post("/v1/completions", json={"model": "texts", "prompt": "a"}),
            await house.client.post("/v1/embeddings", json={"model": "vectors", "input": "a " * 100}),
        ]
        assert [door.status_code for door in doors] == [429] * 5
        assert upstream.stats.requests == seen
        kept = (await house.client.get("/v1/sessions/s")).json()["data"]
        assert [(message["role"], message["cut_off"]) for message in kept][:2] == [("user", None), ("assistant", "failed")]


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ({"of": "agent:main", "tokens": 1}, (True, False)),
        ({"of": "agent", "tokens": 1}, (True, False)),
        ({"of": "cause:message", "tokens": 1}, (True, True)),
        ({"of": "cause:job", "tokens": 1}, (False, False)),
        ({"of": "all", "usd": 0.000001}, (True, True)),
        ({"of": "all", "usd": 1}, (False, False)),
        ({"of": "person:local", "per": "hour", "tokens": 1}, (True, True)),
        ({"of": "person:other", "tokens": 1}, (False, False)),
        ({"of": "key", "tokens": 1}, (False, False)),
    ],
)
async def test_a_budget_holds_for_its_subject(
    tmp_path: Path, upstream: ModelServer, rule: dict[str, object], refused: tuple[bool, bool]
) -> None:
    async with ledger_house(tmp_path, upstream, f"sqlite:///{tmp_path / 'nanobot.db'}", budgets=[rule]) as house:
        answers = [await house.chat(), await house.chat(model="plain")]
        assert tuple(answer.status_code == 429 for answer in answers) == refused


async def test_a_call_that_fails_gives_its_reservation_back(tmp_path: Path, url: str, upstream: ModelServer) -> None:
    async with ledger_house(tmp_path, upstream, url, budgets=[{"of": "all", "tokens": 300}]) as house:
        upstream.configure(mode="401")
        for _ in range(20):
            assert (await house.chat(**ASKED)).status_code == 502
            assert (await house.chat(max_tokens=20)).status_code in (429, 502)  # an agent's prompt is larger
        upstream.configure(mode="ok")
        assert (await house.chat(**ASKED)).status_code == 200
        assert await house.total() == house.billed


async def test_a_stream_that_is_left_gives_back_what_did_not_come(tmp_path: Path, url: str, upstream: ModelServer) -> None:
    upstream.configure(chunks=600, chunk_delay_ms=20)
    async with ledger_house(tmp_path, upstream, url, budgets=[{"of": "all", "tokens": 5_000}]) as house:
        body = {"model": "plain", "stream": True, "max_tokens": 4_900, "messages": [{"role": "user", "content": "hi"}]}
        async with house.client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.status_code == 200
            async for line in response.aiter_lines():
                if "tok1" in line:
                    break
        async with asyncio.timeout(30):
            while (
                await house.chat(model="plain", max_tokens=4_000)
            ).status_code == 429:  # the server notices by itself that the client is gone
                pass
        rows = await house.runtime.services.store.database.select("SELECT state FROM ledger ORDER BY at, id")
        assert rows[0] == ("cut",)


async def test_background_work_is_refused_first(tmp_path: Path, upstream: ModelServer) -> None:
    async with ledger_house(tmp_path, upstream, f"sqlite:///{tmp_path / 'nanobot.db'}", budgets=[{"of": "all", "tokens": 1_000}]) as house:
        model = house.runtime.services.models["main"].provider

        async def ask(kind: str, tokens: int) -> str:
            request = ModelRequest(
                instructions=(),
                messages=(UserMessage(id="msg_1", parts=(Text(text="x" * 8),)),),
                sampling=Sampling(max_tokens=tokens),
                payer=Payer(owner="local", caller="local", cause=Cause(kind=kind)),  # pyright: ignore[reportArgumentType] - of the table
            )
            try:
                await model.complete(request, lambda text, /, *, reasoning=False: None)
            except BudgetUsedUp as error:
                return error.message
            return "answered"

        for kind in ("memory", "compaction", "schedule"):
            assert "of which background work may take 900 tokens" in await ask(kind, 950)
        assert await ask("memory", 500) == "answered"
        assert await ask("message", 700) == "answered"


async def test_a_budget_set_by_command_replaces_the_configured_one(tmp_path: Path, url: str, upstream: ModelServer) -> None:
    async with ledger_house(tmp_path, upstream, url, budgets=[{"of": "person", "tokens": 1}]) as house:
        assert (await house.chat(**ASKED)).status_code == 429
        await house.runtime.services.store.ledger.set_budget(budget_of("person:local", "day", 10_000, None)[0])
        house.runtime.services.meter.budgets.fresh_until = float("-inf")  # as after two seconds
        assert (await house.chat(**ASKED)).status_code == 200
        shown = (await house.client.get("/v1/usage")).json()["budgets"]
        assert [(budget["subject"], budget["amount"], budget["used"]) for budget in shown] == [("person:local", 10_000, house.billed)]
