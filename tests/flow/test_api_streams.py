"""POST /v1/chat/completions with `stream`: the events, the silences, the failures, and clients that go away."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.types import Message

from assistant.api.settings import ApiSettings
from assistant.api.sse import EventStream
from assistant.contracts.errors import ProviderFailed, ProviderOverloaded
from assistant.contracts.turns import TextDelta, ToolStarted, TurnRequest
from assistant.turns.handle import RunningTurn

from .api_rig import Play, Running, error_of, fail, finish, says, serving


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path) as running:
        yield running


def data_of(stream: str) -> list[Any]:
    """The data of each event, parsed, but for [DONE]."""
    events = [event for event in stream.split("\n\n") if event.startswith("data: ")]
    return [text if (text := event.removeprefix("data: ")) == "[DONE]" else json.loads(text) for event in events]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition is on the other side of a socket
            await asyncio.sleep(0.005)


def waiting(then: Callable[[RunningTurn], None], *first: str) -> tuple[Play, asyncio.Event]:
    """A turn that says something, waits for the event, and ends as told."""
    gate = asyncio.Event()

    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        for piece in first:
            turn.emit(TextDelta(text=piece))
        await gate.wait()
        then(turn)

    return play, gate


async def test_a_stream_is_role_then_words_then_reason_then_done(api: Running) -> None:
    response = await api.chat("hi", stream=True)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-request-id"].startswith("req_")
    assert int(response.headers["openai-processing-ms"]) >= 0
    *chunks, done = data_of(response.text)
    assert done == "[DONE]"
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hello"},
        {"content": " there"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert chunks[0]["id"].startswith("chatcmpl-")
    assert all("usage" not in chunk for chunk in chunks)
    assert api.turns.only.stream is True


async def test_usage_comes_in_a_chunk_of_its_own_where_asked_for(api: Running) -> None:
    response = await api.chat("hi", stream=True, stream_options={"include_usage": True})
    *chunks, usage, _ = data_of(response.text)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 15


async def test_the_official_client_reads_the_stream(api: Running) -> None:
    api.turns.play = says("Grüße, ", "日本語", ' "quoted"\n', finish_reason="length")
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key="dummy") as client:
        stream = await client.chat.completions.create(
            model="gpt-test", messages=[{"role": "user", "content": "hi"}], stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == 'Grüße, 日本語 "quoted"\n'
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 12


async def test_an_upload_can_be_answered_by_a_stream(api: Running) -> None:
    response = await api.client.post(
        "/v1/chat/completions", data={"message": "look", "stream": "true"}, files={"files": ("a.txt", b"text")}
    )
    assert data_of(response.text)[-1] == "[DONE]"


async def test_words_arrive_before_the_turn_has_ended(api: Running) -> None:
    api.turns.play, gate = waiting(lambda turn: finish(turn, "early late"), "early")
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
    async with asyncio.timeout(20), api.client.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = response.aiter_lines()
        async for line in lines:
            if "early" in line:
                break
        gate.set()
        assert [line async for line in lines][-2:] == ["data: [DONE]", ""]


async def test_a_failure_before_the_first_word_is_a_plain_status(api: Running) -> None:
    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        turn.emit(ToolStarted(call_id="call_1", name="search", arguments="{}", reads_only=True))
        fail(turn, ProviderOverloaded(retry_after=3))

    api.turns.play = play
    response = await api.chat("hi", stream=True)
    assert response.status_code == 503
    assert error_of(response)["code"] == "provider_overloaded"
    assert response.headers["retry-after"] == "3"


async def test_a_failure_after_the_first_word_is_an_event_without_done(api: Running) -> None:
    api.turns.play, gate = waiting(lambda turn: fail(turn, ProviderFailed("The provider hung up.")), "half an")
    gate.set()
    response = await api.chat("hi", stream=True)
    assert response.status_code == 200
    assert "[DONE]" not in response.text
    assert data_of(response.text)[-1] == {
        "error": {"message": "The provider hung up.", "type": "server_error", "param": None, "code": "provider_error"}
    }


async def test_the_official_client_raises_on_a_failure_within_the_stream(api: Running) -> None:
    api.turns.play, gate = waiting(lambda turn: fail(turn, ProviderFailed("The provider hung up.")), "half an")
    gate.set()
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key="dummy") as client:
        stream = await client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "hi"}], stream=True)
        with pytest.raises(openai.APIError, match="hung up"):
            _ = [chunk async for chunk in stream]


async def test_a_silent_stream_is_kept_alive_by_comments(tmp_path: Path) -> None:
    play, gate = waiting(lambda turn: finish(turn, "late"))
    async with serving(tmp_path, ApiSettings(keep_alive_seconds=0.05), play=play) as api:
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with asyncio.timeout(20), api.client.stream("POST", "/v1/chat/completions", json=body) as response:
            comments = 0
            line = None
            async for line in response.aiter_lines():
                comments += line == ": keep-alive"
                if comments == 3:
                    gate.set()
            assert comments >= 3
            assert line == ""


async def test_no_comment_follows_the_last_event() -> None:
    sent: list[bytes] = []

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message.get("body", b""))

    async def end() -> None:
        await asyncio.sleep(0.01)
        await stream.write(b"last", last=True)

    with EventStream(send, keep_alive=0.02) as stream:
        ending = asyncio.create_task(end())
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 - both timers are due at once: the comment's task begins while the last event is sent
        await ending
        await asyncio.sleep(0.05)
    assert sent[-1] == b"last"


async def test_a_failure_after_a_comment_is_an_event(tmp_path: Path) -> None:
    play, gate = waiting(lambda turn: fail(turn, ProviderFailed()))
    async with serving(tmp_path, ApiSettings(keep_alive_seconds=0.02), play=play) as api:
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with asyncio.timeout(20), api.client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.status_code == 200
            gate.set()
            text = (await response.aread()).decode()
    assert data_of(text)[-1]["error"]["code"] == "provider_error"


async def leave_early(api: Running, *, stream: bool) -> None:
    """Send a request, and hang up as soon as its turn runs."""
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(head.encode() + body)
    await until(lambda: bool(api.turns.turns))
    writer.transport.abort()


@pytest.mark.parametrize("stream", [True, False])
async def test_the_turn_of_a_client_that_went_away_runs_to_its_end(api: Running, stream: bool) -> None:
    api.turns.play, gate = waiting(lambda turn: finish(turn, "said to nobody"), "said")
    await leave_early(api, stream=stream)
    assert (await api.client.get("/health")).status_code == 200
    (turn,) = api.turns.turns
    assert turn.task is not None
    assert not turn.task.done()
    gate.set()
    async with asyncio.timeout(20):
        await turn.task
    assert not turn.task.cancelled()
    assert turn.stopped is None


@pytest.mark.parametrize("stream", [True, False])
async def test_the_turn_of_a_client_that_went_away_is_cancelled_if_so_configured(tmp_path: Path, stream: bool) -> None:
    play, _ = waiting(lambda turn: finish(turn, "never"), "said")
    async with serving(tmp_path, ApiSettings(on_disconnect="cancel"), play=play) as api:
        await leave_early(api, stream=stream)
        await until(lambda: api.turns.turns[0].stopped == "cancelled")


async def test_a_client_that_stays_is_not_taken_for_one_that_left(tmp_path: Path) -> None:
    async with serving(tmp_path, ApiSettings(on_disconnect="cancel")) as api:
        for stream in (True, False):
            assert (await api.chat("hi", stream=stream)).status_code == 200
        assert [turn.stopped for turn in api.turns.turns] == [None, None]


async def test_a_reader_that_never_reads_holds_up_no_turn_and_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        for _ in range(400):
            turn.emit(TextDelta(text="x" * 50_000))
            await asyncio.sleep(0)
        finish(turn, "")

    settings = ApiSettings.model_validate({"timeouts": {"unread": 0.2}})
    async with serving(tmp_path, settings, play=play) as api:
        body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": True}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1024)
        writer.write(head.encode() + body)
        await until(lambda: bool(api.turns.turns))
        (turn,) = api.turns.turns
        assert turn.task is not None
        async with asyncio.timeout(20):
            await turn.task
        await until(lambda: "api.unread" in caplog.text)
        received = bytearray()
        async with asyncio.timeout(20):
            while piece := await reader.read(1024 * 1024):
                received += piece
        writer.close()
    assert len(received) < 20_000_000
    assert b"[DONE]" not in received
