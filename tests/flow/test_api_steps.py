"""`stream_options.include_steps`: calls of tools in the stream, as they happen; and nothing of them without it."""

import json
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from assistant.contracts.effects import PendingApproval
from assistant.contracts.errors import ProviderFailed
from assistant.contracts.turns import TextDelta, ToolFinished, ToolStarted, TurnRequest
from assistant.turns.handle import RunningTurn
from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_server import ModelServer

from .api_rig import Running, fail, finish, serving
from .openapi_check import check

PENDING = PendingApproval(
    id="apr_1", code="K7M2", tool="send", text='send\nto: "x"', why="It asks.", expires_at=datetime(2026, 1, 1, tzinfo=UTC)
)
STEPS = [
    {"call": "call_1", "tool": "search", "state": "started", "arguments": '{"q": "é\\n"}'},
    {"call": "call_1", "tool": "search", "state": "finished"},
    {"call": "call_2", "tool": "send", "state": "started", "arguments": "{"},
    {
        "call": "call_2",
        "tool": "send",
        "state": "failed",
        "pending": {
            "id": "apr_1", "code": "K7M2", "tool": "send", "text": 'send\nto: "x"', "why": "It asks.", "expires_at": "2026-01-01T00:00:00.000Z"
        },
    },
]  # fmt: skip


async def play(turn: RunningTurn, request: TurnRequest) -> None:
    turn.emit(ToolStarted(call_id="call_1", name="search", arguments='{"q": "é\\n"}', reads_only=True))
    turn.emit(TextDelta(text="let me see"))
    turn.emit(ToolFinished(call_id="call_1", name="search", text="found", ok=True))
    turn.emit(ToolStarted(call_id="call_2", name="send", arguments="{", reads_only=False))
    turn.emit(ToolFinished(call_id="call_2", name="send", text="it waits", ok=False, pending=PENDING))
    finish(turn, "let me see")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path, play=play) as running:
        yield running


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")]


def steps(text: str) -> list[dict[str, Any]]:
    return [event["nanobot"]["step"] for event in events(text) if "step" in event.get("nanobot", {})]


async def stream(api: Running, **options: object) -> str:
    answer = await api.chat("hi", stream=True, **({"stream_options": options} if options else {}))
    assert answer.status_code == 200, answer.text
    return re.sub(r'"id":"chatcmpl-[^"]*"(.*?)"created":\d+', r'"id":"1"\1"created":1', answer.text)


async def test_calls_are_told_between_the_words_as_they_happen(api: Running) -> None:
    told = await stream(api, include_steps=True)
    assert steps(told) == STEPS
    kinds = ["step" if "step" in event.get("nanobot", {}) else event["choices"][0]["delta"].get("content") for event in events(told)]
    assert kinds == ["", "step", "let me see", "step", "step", "step", None]
    assert all(event["choices"] == [] for event in events(told) if "step" in event.get("nanobot", {}))


@pytest.mark.parametrize("usage", [{}, {"include_usage": True}])
async def test_without_them_nothing_else_differs_byte_for_byte(api: Running, usage: dict[str, object]) -> None:
    told = await stream(api, include_steps=True, **usage)
    lines = [block for block in told.split("\n\n") if '"nanobot":{"step"' not in block]
    assert "\n\n".join(lines) == await stream(api, **usage)
    for off in (False, None):
        assert await stream(api, include_steps=off, **usage) == await stream(api, **usage)
    if usage:
        assert all("usage" in event for event in events(told))


async def test_chunks_of_steps_are_described(api: Running) -> None:
    document = (await api.client.get("/openapi.json")).json()
    answer = await api.chat("hi", stream=True, stream_options={"include_steps": True})
    for event in events(answer.text):
        check(event, {"$ref": "#/components/schemas/ChatCompletionChunk"}, document)


@pytest.mark.parametrize("wrong", ["yes", 1, [], {}])
async def test_an_option_of_another_type_is_refused(api: Running, wrong: object) -> None:
    answer = await api.chat("hi", stream=True, stream_options={"include_steps": wrong})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "stream_options.include_steps")


async def test_a_failure_behind_a_step_that_was_told_is_an_event(api: Running) -> None:
    async def fails(turn: RunningTurn, request: TurnRequest) -> None:
        turn.emit(ToolStarted(call_id="call_1", name="search", arguments="{}", reads_only=True))
        fail(turn, ProviderFailed("The provider hung up."))

    api.turns.play = fails
    text = await stream(api, include_steps=True)
    assert len(steps(text)) == 1
    assert "The provider hung up." in text
    assert "[DONE]" not in text


async def test_the_official_client_passes_them_over(api: Running) -> None:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key="dummy") as client:
        chunks = await client.chat.completions.create(
            model="gpt-test",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            extra_body={"stream_options": {"include_steps": True}},
        )
        words = [choice.delta.content async for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert words == ["let me see"]


async def test_a_served_assistant_tells_its_own_calls(tmp_path: Path) -> None:
    async with ModelServer() as model:
        with live_server(tmp_path, config=with_model(model.url)) as server:
            async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
                said = {"role": "user", "content": "CALLTOOL list_attachments {}"}
                body = {"messages": [said], "stream": True, "stream_options": {"include_steps": True}}
                told = steps((await client.post("/v1/chat/completions", json=body)).text)
                assert [(each["tool"], each["state"]) for each in told] == [
                    ("list_attachments", "started"),
                    ("list_attachments", "finished"),
                ]
                assert told[0]["call"] == told[1]["call"]
