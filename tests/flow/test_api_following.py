"""GET /v1/sessions/{id}/stream: a turn that runs, for those that did not ask for it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

import httpx2
import pytest
from openai.types.chat import ChatCompletionChunk

from assistant.api.chat.follow import MOST_STREAMS
from assistant.api.openapi import data_of as data_of_events
from assistant.api.settings import ApiSettings
from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import UserMessage
from assistant.contracts.turns import ReasoningDelta, TextDelta, ToolFinished, ToolStarted, TurnRequest
from assistant.turns.handle import RunningTurn

from .api_rig import Running, fail, finish, serving
from .openapi_check import check
from .test_api_streams import data_of

STREAM: Final = "/v1/sessions/s/stream"
DONE: Final = ("done", "")


class Conducted:
    """A turn whose events are emitted by the test."""

    def __init__(self, api: Running) -> None:
        self.api = api
        self.turn: asyncio.Future[RunningTurn] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()
        api.turns.play = self.play

    async def play(self, turn: RunningTurn, request: TurnRequest) -> None:
        self.turn.set_result(turn)
        await self.over.wait()

    async def begin(self, *, stream: bool = True) -> tuple[RunningTurn, "asyncio.Task[httpx2.Response]"]:
        asked = asyncio.create_task(self.api.chat("hi", session_id="s", stream=stream, stream_options={"include_steps": True}))
        return await self.turn, asked

    def end(self, text: str) -> None:
        finish(self.turn.result(), text)
        self.over.set()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path, ApiSettings(keep_alive_seconds=1)) as running:
        yield running


@pytest.fixture
async def conducted(api: Running) -> Conducted:
    return Conducted(api)


def told(text: str) -> list[object]:
    """The words, thoughts, steps and the end of a stream, in order; words and thoughts that came together are one."""
    found: list[tuple[str, str]] = []
    for data in data_of(text):
        if data == "[DONE]":
            found.append(DONE)
            continue
        if "error" in data:
            found.append(("error", data["error"]["code"]))
        elif "step" in data.get("nanobot", {}):
            found.append((data["nanobot"]["step"]["state"], data["nanobot"]["step"]["tool"]))
        for choice in data.get("choices", ()):
            found += [(kind, choice["delta"].get(field) or "") for kind, field in (("words", "content"), ("thought", "reasoning_content"))]
    found = [each for each in found if each[1] or each == DONE]
    joined = [(kind, [text for _, text in pieces]) for kind, pieces in groupby(found, key=itemgetter(0))]
    return [(kind, "".join(pieces)) for kind, pieces in joined]


@asynccontextmanager
async def following(api: Running) -> AsyncGenerator[httpx2.Response]:
    """A stream of the session's turn that has begun."""
    async with asyncio.timeout(20), api.client.stream("GET", STREAM) as followed:
        assert followed.status_code == 200
        yield followed


async def rest_of(followed: httpx2.Response) -> str:
    await followed.aread()
    return followed.text


def emit_some(turn: RunningTurn) -> None:
    turn.emit(ReasoningDelta(text="hm"))
    turn.emit(ReasoningDelta(text="m"))
    for piece in ("let ", "me ", "see"):
        turn.emit(TextDelta(text=piece))
    turn.emit(ToolStarted(call_id="call_1", name="search", arguments="{}", reads_only=True))


async def test_what_was_said_comes_first_then_what_comes_then_the_end(api: Running, conducted: Conducted) -> None:
    turn, asked = await conducted.begin()
    emit_some(turn)
    async with following(api) as followed:
        assert followed.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines, seen = followed.aiter_lines(), list[str]()
        async for line in lines:
            seen.append(line)
            if "step" in line:
                break
        turn.emit(ToolFinished(call_id="call_1", name="search", text="found", ok=True))
        turn.emit(TextDelta(text=" done"))
        conducted.end("let me see done")
        seen += [line async for line in lines]
    first, second = (await asked).text, "\n".join([*seen, "", ""])
    assert told(first) == told(second)
    assert told(first) == [
        ("thought", "hmm"),
        ("words", "let me see"),
        ("started", "search"),
        ("finished", "search"),
        ("words", " done"),
        DONE,
    ]
    assert len({data["id"] for text in (first, second) for data in data_of(text) if data != "[DONE]"}) == 1
    assert data_of(second)[-2]["usage"]["total_tokens"] == 15


async def test_any_number_follow_and_each_gets_all(api: Running, conducted: Conducted) -> None:
    turn, asked = await conducted.begin()
    async with AsyncExitStack() as open_ones:
        followers: list[httpx2.Response] = []
        for piece in "abcde":
            turn.emit(TextDelta(text=piece))
            followers.append(await open_ones.enter_async_context(following(api)))
        conducted.end("abcde")
        for followed in followers:
            assert told(await rest_of(followed)) == [("words", "abcde"), DONE]
    assert told((await asked).text) == [("words", "abcde"), DONE]


async def test_a_turn_that_does_not_stream_is_told_whole_at_its_end(api: Running, conducted: Conducted) -> None:
    turn, asked = await conducted.begin(stream=False)
    async with following(api) as followed:
        turn.emit(ToolStarted(call_id="call_1", name="search", arguments="{}", reads_only=True))
        turn.emit(ToolFinished(call_id="call_1", name="search", text="no", ok=False))
        conducted.end("It is not there.")
        assert told(await rest_of(followed)) == [("started", "search"), ("failed", "search"), ("words", "It is not there."), DONE]
    assert (await asked).json()["choices"][0]["message"]["content"] == "It is not there."


async def test_a_failure_ends_the_stream_with_an_error_and_without_done(api: Running, conducted: Conducted) -> None:
    turn, asked = await conducted.begin()
    turn.emit(TextDelta(text="half"))
    async with following(api) as followed:
        fail(turn, ProviderFailed("The provider hung up."))
        conducted.over.set()
        assert told(await rest_of(followed)) == [("words", "half"), ("error", "provider_error")]
    assert told((await asked).text) == [("words", "half"), ("error", "provider_error")]


async def test_one_that_does_not_read_delays_neither_the_turn_nor_others_and_misses_nothing(api: Running, conducted: Conducted) -> None:
    turn, asked = await conducted.begin()
    async with following(api) as slow, following(api) as quick:
        for _ in range(200):
            turn.emit(TextDelta(text="x" * 100_000))
            await asyncio.sleep(0)
        conducted.end("x" * 20_000_000)
        for text in ((await asked).text, await rest_of(quick), await rest_of(slow)):
            assert told(text) == [("words", "x" * 20_000_000), DONE]


async def test_a_person_follows_at_most_sixteen_at_once(api: Running, conducted: Conducted) -> None:
    _, asked = await conducted.begin()
    async with AsyncExitStack() as open_ones:
        for _ in range(MOST_STREAMS):
            await open_ones.enter_async_context(following(api))
        refused = await api.client.get(STREAM)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    async with asyncio.timeout(20):  # until the server has seen that they are gone
        while True:
            async with api.client.stream("GET", STREAM) as followed:
                if followed.status_code == 200:
                    break
    conducted.end("x")
    await asked


async def test_without_a_turn_there_is_nothing_to_follow(api: Running) -> None:
    assert (await api.client.get(STREAM)).status_code == 404
    api.sessions.keep("api:s", UserMessage(id="msg_1", parts=()))
    nothing = await api.client.get(STREAM)
    assert (nothing.status_code, nothing.content) == (204, b"")
    assert (await api.client.head(STREAM)).status_code == 204


async def test_a_stop_ends_what_is_followed(api: Running, conducted: Conducted) -> None:
    turn, asked = await conducted.begin()
    turn.emit(TextDelta(text="half"))
    async with following(api) as followed:
        assert (await api.client.post("/v1/sessions/s/stop")).json()["stopped"] == 1
        assert told(await rest_of(followed)) == [("words", "half"), ("error", "turn_cancelled")]
    assert told((await asked).text) == [("words", "half"), ("error", "turn_cancelled")]


async def test_its_events_are_described_and_those_of_the_official_client(api: Running, conducted: Conducted) -> None:
    turn, asked = await conducted.begin()
    emit_some(turn)
    async with following(api) as followed:
        conducted.end("let me see")
        events = [data for data in data_of(await rest_of(followed)) if data != "[DONE]"]
    await asked
    document = (await api.client.get("/openapi.json")).json()
    content = document["paths"]["/v1/sessions/{session_id}/stream"]["get"]["responses"]["200"]["content"]
    schema = data_of_events(content["text/event-stream"])
    assert schema is not None
    for event in events:
        check(event, schema, document)
        ChatCompletionChunk.model_validate(event)
