"""Models that clients name themselves: the whole conversation goes to them, and nothing is kept."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from PIL import Image

from assistant.providers.choice import ChosenModel, choose
from assistant.providers.listing import ListedModels
from assistant.providers.registry import ModelRegistry
from assistant.providers.settings import ProviderSettings, RegisteredModel
from tests.doubles.model_server import ModelServer

from .api_rig import Running, error_of, serving

MODELS = {
    "tuned": {"provider": "mine", "model": "upstream-model", "defaultTemperature": 0.25, "contextLength": 4096, "price": {"prompt": 1.5}},
    "claude": {"provider": "anthropic", "model": "claude-3-x"},
    "vectors": {"type": "embedding", "provider": "mine", "dimensions": 768},
    "texts": {"type": "completion", "provider": "mine"},
    "from/a-file": {"path": "/models/x.gguf"},
    "nowhere": {"model": "nobody-has-this"},
}
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it.", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}},
}


def registry(server: ModelServer, *, offline: bool = False) -> ModelRegistry:
    providers = {
        "mine": ProviderSettings.model_validate({"apiBase": server.url, "apiKey": "sk-1234567890123456"}),
        "anthropic": ProviderSettings.model_validate({"apiBase": server.url, "apiKey": "sk-1234567890123456"}),
    }

    async def chosen(model: str, provider: str) -> ChosenModel:
        known = providers if provider != "auto" else {}
        return await choose(model=model, provider=provider, providers=known, environment={}, local=())

    models = {name: RegisteredModel.model_validate(settings) for name, settings in MODELS.items()}
    return ModelRegistry(models, ListedModels({}), chosen, offline=offline)


@asynccontextmanager
async def server_with(folder: Path, server: ModelServer, *, offline: bool = False) -> AsyncGenerator[Running]:
    models = registry(server, offline=offline)
    try:
        async with serving(folder, registry=models) as running:
            yield running
    finally:
        await models.close()


@pytest.fixture
async def api(tmp_path: Path, upstream: ModelServer) -> AsyncGenerator[Running]:
    async with server_with(tmp_path, upstream) as running:
        yield running


@pytest.fixture
async def client(api: Running) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key="dummy", max_retries=0) as made:
        yield made


def asked(server: ModelServer) -> dict[str, Any]:
    return json.loads(server.bodies[-1])


HISTORY: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "One"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "ECHO Two"},
]


async def test_a_registered_model_gets_the_whole_conversation_and_no_turn_is_made(
    api: Running, upstream: ModelServer, client: openai.AsyncOpenAI
) -> None:
    answer = await client.chat.completions.create(model="tuned", messages=HISTORY, max_tokens=150, stop=["x"], top_p=0.5)
    assert answer.choices[0].message.content == "Two"
    assert (answer.model, answer.object, answer.choices[0].finish_reason) == ("tuned", "chat.completion", "stop")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 100
    sent = asked(upstream)
    assert (sent["model"], sent["messages"]) == ("upstream-model", HISTORY)
    assert (sent["temperature"], sent["max_tokens"], sent["stop"], sent["top_p"]) == (0.25, 150, ["x"], 0.5)
    assert "tools" not in sent
    assert api.turns.requests == []


async def test_a_request_beats_the_models_own_temperature(upstream: ModelServer, client: openai.AsyncOpenAI) -> None:
    await client.chat.completions.create(model="tuned", messages=HISTORY, temperature=0.7)
    assert asked(upstream)["temperature"] == 0.7


@pytest.mark.parametrize("model", ["tuned", "claude"])
async def test_a_clients_tools_make_their_round(upstream: ModelServer, client: openai.AsyncOpenAI, model: str) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": 'CALLTOOL weather {"at": "Bonn"}'}]
    first = await client.chat.completions.create(
        model=model, messages=messages, tools=[TOOL], tool_choice="required", parallel_tool_calls=False
    )
    assert first.choices[0].finish_reason == "tool_calls"
    [call] = first.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"at": "Bonn"})
    expected = {"tool_choice": "required", "parallel_tool_calls": False}
    if model == "claude":
        expected = {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}}
    assert {name: asked(upstream)[name] for name in expected} == expected
    again: Any = first.choices[0].message.model_dump()
    second = await client.chat.completions.create(
        model=model, messages=[*messages, again, {"role": "tool", "tool_call_id": call.id, "content": "Rain."}], tools=[TOOL]
    )
    assert second.choices[0].message.content == "done"


@pytest.mark.parametrize("model", ["tuned", "claude"])
async def test_the_tool_that_is_named_is_the_one_to_be_called(upstream: ModelServer, client: openai.AsyncOpenAI, model: str) -> None:
    await client.chat.completions.create(
        model=model, messages=HISTORY, tools=[TOOL], tool_choice={"type": "function", "function": {"name": "weather"}}
    )
    named = {"type": "function", "function": {"name": "weather"}} if model == "tuned" else {"type": "tool", "name": "weather"}
    assert asked(upstream)["tool_choice"] == named


async def test_a_stream_brings_words_then_calls_then_the_usage(client: openai.AsyncOpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": 'CALLTOOL weather {"at": "Bonn"}'}]
    stream = await client.chat.completions.create(
        model="tuned", messages=messages, tools=[TOOL], stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    calls = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or ()]
    assert [(call.index, call.function.name) for call in calls if call.function] == [(0, "weather")]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"
    assert chunks[-1].usage is not None
    assert len({chunk.id for chunk in chunks}) == 1


async def test_words_are_streamed_as_they_come(upstream: ModelServer, client: openai.AsyncOpenAI) -> None:
    upstream.configure(chunks=5)
    stream = await client.chat.completions.create(model="tuned", messages=[{"role": "user", "content": "hi"}], stream=True)
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(pieces) == "tok0 tok1 tok2 tok3 tok4 "


@pytest.mark.parametrize("stream", [False, True])
async def test_several_answers_are_made_side_by_side(upstream: ModelServer, client: openai.AsyncOpenAI, stream: bool) -> None:
    texts = {0: "", 1: "", 2: ""}
    reasons: list[str | None] = []
    if stream:
        async for chunk in await client.chat.completions.create(model="tuned", messages=HISTORY, n=3, stream=True):
            texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
            reasons += [chunk.choices[0].finish_reason] if chunk.choices[0].finish_reason else []
    else:
        answer = await client.chat.completions.create(model="tuned", messages=HISTORY, n=3)
        texts = {choice.index: choice.message.content or "" for choice in answer.choices}
        reasons = [choice.finish_reason for choice in answer.choices]
        assert answer.usage is not None
        assert answer.usage.prompt_tokens == 300
    assert texts == {0: "Two", 1: "Two", 2: "Two"}
    assert reasons == ["stop"] * 3
    assert upstream.stats.requests == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_likelihoods_are_passed_on_where_the_provider_has_them(
    upstream: ModelServer, client: openai.AsyncOpenAI, stream: bool
) -> None:
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "logprobs": {"content": [token]}, "finish_reason": "stop"}
    body = json.dumps({"id": "x", "object": "chat.completion", "model": "m", "choices": [choice]}).encode()
    upstream.replies.append(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    if stream:
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model="tuned", messages=HISTORY, logprobs=True, top_logprobs=2, stream=True
            )
        ]
        found = [scores for chunk in chunks for choice in chunk.choices if (scores := choice.logprobs)]
    else:
        answer = await client.chat.completions.create(model="tuned", messages=HISTORY, logprobs=True, top_logprobs=2)
        found = [scores for scores in [answer.choices[0].logprobs] if scores]
    assert [scored.token for scores in found for scored in scores.content or ()] == ["Hi"]
    assert (asked(upstream)["logprobs"], asked(upstream)["top_logprobs"]) == (True, 2)


async def test_files_and_pictures_of_any_message_are_seen(
    upstream: ModelServer, client: openai.AsyncOpenAI, picture: Callable[[], str]
) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": picture()}}]},
        {"role": "assistant", "content": "Seen."},
        {"role": "user", "content": "Again"},
    ]
    await client.chat.completions.create(model="tuned", messages=messages)
    first = asked(upstream)["messages"][0]["content"]
    assert [part["type"] for part in first] == ["text", "image_url"]
    assert first[1]["image_url"]["url"] == picture()


async def test_a_scan_is_seen_as_far_as_the_context_has_room(upstream: ModelServer, client: openai.AsyncOpenAI) -> None:
    scan = io.BytesIO()
    pages = [Image.new("RGB", (600, 800), (200, page, 200)) for page in range(3)]
    pages[0].save(scan, "PDF", save_all=True, append_images=pages[1:])
    data = f"data:application/pdf;base64,{base64.b64encode(scan.getvalue()).decode()}"
    content: Any = [{"type": "text", "text": "Read"}, {"type": "file", "file": {"filename": "scan.pdf", "file_data": data}}]
    await client.chat.completions.create(model="tuned", messages=[{"role": "user", "content": content}])
    parts = asked(upstream)["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "text", "text", "image_url"]
    assert "Pictures 2 to 3 are not shown: there are too many for one message" in parts[1]["text"]


@pytest.fixture
def picture() -> Callable[[], str]:
    def made() -> str:
        pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        return f"data:image/png;base64,{pixel}"

    return made


REFUSED: list[tuple[dict[str, Any], int, str | None]] = [
    ({"model": "claude", "logprobs": True}, 400, "logprobs"),
    ({"model": "tuned", "top_logprobs": 2}, 400, "top_logprobs"),
    ({"model": "tuned", "tool_choice": "required"}, 400, "tool_choice"),
    ({"model": "tuned", "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}}, 400, "tool_choice"),
    ({"model": "tuned", "tools": [TOOL, TOOL]}, 400, "tools"),
    ({"model": "tuned", "tools": [{"type": "function"}]}, 400, "tools.0.function"),
    ({"model": "tuned", "functions": [{}]}, 400, "functions"),
    ({"model": "tuned", "n": 129}, 400, "n"),
    ({"model": "vectors"}, 400, "model"),
    ({"model": "texts"}, 400, "model"),
    ({"model": "unheard-of"}, 404, "model"),
    ({"model": "from/a-file"}, 502, None),
    ({"model": "nowhere"}, 502, None),
    ({"n": 2}, 400, "n"),
    ({"logprobs": True}, 400, "logprobs"),
]


@pytest.mark.parametrize(("fields", "status", "param"), REFUSED, ids=str)
async def test_what_can_not_be_had_is_refused_in_words(
    api: Running, upstream: ModelServer, fields: dict[str, Any], status: int, param: str | None
) -> None:
    response = await api.chat("hi", **fields)
    assert response.status_code == status, response.text
    assert error_of(response)["param"] == param
    assert upstream.stats.requests == 0
    if status == 502:
        assert response.headers["x-should-retry"] == "false"
        assert "/models/x.gguf" not in response.text


async def test_a_providers_failure_has_its_status(upstream: ModelServer, client: openai.AsyncOpenAI) -> None:
    upstream.configure(mode="401")
    with pytest.raises(openai.APIStatusError) as caught:
        await client.chat.completions.create(model="tuned", messages=HISTORY)
    assert caught.value.status_code == 502
    assert caught.value.response.headers["x-should-retry"] == "false"


async def test_a_client_that_goes_away_ends_the_call(api: Running, upstream: ModelServer) -> None:
    upstream.configure(mode="hang")
    call = asyncio.create_task(api.chat("hi", model="tuned"))
    async with asyncio.timeout(30):
        await upstream.until(lambda stats: stats.inflight == 1)
        call.cancel()
        await upstream.until(lambda stats: not stats.inflight)


async def test_models_are_listed_behind_the_agents_and_one_is_shown_with_its_details(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["gpt-test", "agent:main", *MODELS]
    shown = (await client.models.retrieve("tuned")).model_dump()
    assert shown["owned_by"] == "mine"
    assert (shown["type"], shown["context_length"], shown["price"]) == ("chat", 4096, {"prompt": 1.5, "completion": 0.0})
    assert (await client.models.retrieve("from/a-file")).owned_by == "local"
    assert (await client.models.retrieve("vectors")).model_dump()["dimensions"] == 768
