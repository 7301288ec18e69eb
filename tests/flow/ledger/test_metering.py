"""Every call of a model is in the ledger, whichever way it is asked for, and as its provider counted it."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from assistant.contracts.ledger import NANO
from tests.doubles.model_server import ModelServer

from .house import LedgerHouse, ledger_house

WORKFLOW = """
inputs: {message: text}
nodes: {a: {kind: prompt, prompt: "{{ inputs.message }}"}}
outputs: {said: "{{ a.output }}"}
"""
COSTS = b'{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},\
"finish_reason":"stop"}],"usage":{"prompt_tokens": 10,"completion_tokens": 2,"total_tokens":12,"cost":0.00042,%b"prompt_tokens_details":\
{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":1}}}'


def reply(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def left_stream(house: LedgerHouse, words: str, **fields: object) -> None:
    """Ask for a stream and go away once its first words came."""
    body = {"messages": [{"role": "user", "content": words}], "stream": True, **fields}
    async with house.client.stream("POST", "/v1/chat/completions", json=body) as response:
        async for line in response.aiter_lines():
            if "tok1" in line:
                return


async def test_the_sum_of_the_ledger_is_what_the_provider_counted(tmp_path: Path, url: str, upstream: ModelServer) -> None:
    (tmp_path / "workspace" / "workflows").mkdir(parents=True)
    (tmp_path / "workspace" / "workflows" / "one.yaml").write_text(WORKFLOW, encoding="utf-8")
    async with ledger_house(tmp_path, upstream, url, workflows={"models": ["one"]}) as house:
        say = [{"role": "user", "content": "hello"}]
        post = house.client.post
        answers = await asyncio.gather(
            *[house.chat(f"hello {number}", session_id=f"s{number % 3}") for number in range(9)],
            house.chat("CALLTOOLS " + orjson.dumps([["list_attachments", {}], ["list_attachments", {}]]).decode(), session_id="tools"),
            house.chat(stream=True, session_id="streamed"),
            house.chat(model="plain", n=3),
            house.chat(model="plain", stream=True),
            house.chat(model="workflow:one"),
            post("/v1/responses", json={"input": "hello", "model": "plain"}),
            post("/v1/responses", json={"input": "hello"}),
            post("/v1/completions", json={"model": "texts", "prompt": ["a b c", "d"], "n": 2}),
            post("/v1/completions", json={"model": "texts", "prompt": "a b c", "stream": True}),
            post("/v1/embeddings", json={"model": "vectors", "input": ["a", "b", "c"]}),
            post("/v1/chat/completions", json={"model": "custom/fake-model", "messages": say}),
        )
        assert [answer.status_code for answer in answers] == [200] * len(answers), [answer.text for answer in answers]
        upstream.configure(mode="503", fail_first=1)
        assert (await house.chat("once more")).status_code == 200  # after a failure, which took nothing
        assert house.billed > 2_000
        assert await house.total() == house.billed
        calls = {group.name: group.calls for group in await house.usage("cause")}
        assert calls == {"message": upstream.stats.requests - 2, "job": 1}
        assert {group.name for group in await house.usage("model")} == {"custom/fake-model", "custom/texts", "custom/vectors"}


async def test_a_row_is_there_when_its_answer_is(tmp_path: Path, url: str, upstream: ModelServer) -> None:
    async with ledger_house(tmp_path, upstream, url) as house:
        cases: list[dict[str, Any]] = [{}, {"model": "plain"}, {"session_id": "a"}, {"model": "plain", "n": 2}, {"stream": True}]
        for number, fields in enumerate(cases):
            assert (await house.chat(**fields)).status_code == 200
            assert await house.total() == house.billed, number


@pytest.mark.parametrize("model", ["plain", None])
async def test_a_stream_that_the_client_leaves_counts(tmp_path: Path, url: str, upstream: ModelServer, model: str | None) -> None:
    upstream.configure(chunks=600, chunk_delay_ms=20)
    async with ledger_house(tmp_path, upstream, url, api={"onDisconnect": "cancel"}) as house:
        await left_stream(house, "w" * 400, **({"model": model} if model else {"session_id": "left"}))
        async with asyncio.timeout(30):
            while not await house.usage():  # noqa: ASYNC110 - the server notices by itself that the client is gone
                await asyncio.sleep(0.01)
        (group,) = await house.usage()
        assert group.calls == 1
        assert group.usage.prompt_tokens >= 100
        assert 1 <= group.usage.completion_tokens < 600


async def test_a_call_that_failed_costs_nothing(tmp_path: Path, url: str, upstream: ModelServer) -> None:
    upstream.configure(mode="401")
    async with ledger_house(tmp_path, upstream, url) as house:
        assert (await house.chat(model="plain")).status_code == 502
        assert (await house.client.post("/v1/embeddings", json={"model": "vectors", "input": "a"})).status_code == 502
        assert await house.usage() == []
        upstream.configure(mode="midcut")
        assert "error" in (await house.chat(model="plain", stream=True)).text
        broken = next(group for group in await house.usage("model") if group.name == "custom/fake-model")
        assert (broken.calls, broken.usage.completion_tokens > 0) == (1, True)


async def test_each_who_asks_is_charged_for_what_they_asked(tmp_path: Path, url: str, upstream: ModelServer) -> None:
    async with ledger_house(tmp_path, upstream, url) as house:
        assert (await house.chat(session_id="mine")).status_code == 200
        assert (await house.chat(model="plain")).status_code == 200
        assert [group.name for group in await house.usage("person")] == ["local"]
        assert [group.name for group in await house.usage("agent")] == ["", "main"]
        assert {group.name for group in await house.usage("session")} == {"", "api:mine"}


@pytest.mark.parametrize(
    ("name", "byok", "cost", "source"),
    [
        ("plain", b"", 2 * 10_000 + 10 * 2_000, "configuration"),
        ("unpriced", b"", 420_000, "provider"),
        ("unpriced", b'"is_byok":true,"cost_details":{"upstream_inference_cost":0.001},', 1_420_000, "provider"),
    ],
)
async def test_the_configuration_wins_over_what_the_provider_bills(
    tmp_path: Path, upstream: ModelServer, name: str, byok: bytes, cost: int, source: str
) -> None:
    upstream.replies.append(reply(COSTS % byok))
    models = {
        "plain": {"provider": "custom", "model": "fake-model", "price": {"prompt": 2, "completion": 10}},
        "unpriced": {"provider": "custom"},
    }
    async with ledger_house(tmp_path, upstream, f"sqlite:///{tmp_path / 'nanobot.db'}", models=models) as house:
        assert (await house.chat(model=name)).status_code == 200
        (group,) = await house.usage()
        assert (group.cost, group.unpriced) == (cost, 0)
        assert (group.usage.cached_tokens, group.usage.reasoning_tokens) == (5, 1)
        rows = await house.runtime.services.store.database.select("SELECT cost_source, state FROM ledger")
        assert rows == [(source, "settled")]
        assert NANO * 0.00042 == 420_000


async def test_agents_pay_what_the_same_model_is_configured_to_cost(tmp_path: Path, upstream: ModelServer) -> None:
    async with ledger_house(tmp_path, upstream, f"sqlite:///{tmp_path / 'nanobot.db'}") as house:
        assert (await house.chat()).status_code == 200
        (group,) = await house.usage()
        assert group.cost == 2_000 * group.usage.prompt_tokens + 10_000 * group.usage.completion_tokens
