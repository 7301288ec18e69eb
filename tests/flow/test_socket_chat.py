"""What /chat promises, frame by frame, in front of turns that are played."""

import asyncio
import gc
from base64 import b64encode
from pathlib import Path
from typing import Any

import ormsgpack
import pytest

from assistant.api.settings import ApiSettings
from assistant.contracts.errors import ProviderFailed, ToolFailed, TurnCancelled
from assistant.contracts.tools import ToolContext
from assistant.contracts.turns import TextDelta, ToolFinished, ToolStarted, TurnRequest, UserText
from assistant.turns.handle import RunningTurn

from .api_rig import fail, finish, says, serving
from .socket_client import talking, types, words
from .socket_rig import closed

PNG = b"\x89PNG\r\n\x1a\n-not-really"
CONTEXT = ToolContext(owner="local", session="api:s", turn_id="turn_1", call_id="call_1")
LOOKUP = {"name": "lookup", "description": "Looks things up.", "parameters": {"type": "object", "properties": {"word": {"type": "string"}}}}


def settings(**fields: Any) -> ApiSettings:
    return ApiSettings.model_validate(fields)


async def never(turn: RunningTurn, request: TurnRequest) -> None:
    """A turn that says a word and then nothing."""
    turn.emit(TextDelta(text="Well"))
    await asyncio.Event().wait()


async def with_tool(turn: RunningTurn, request: TurnRequest) -> None:
    """A turn that runs the client's first tool, as a toolbox would."""
    turn.emit(TextDelta(text="Let me see. "))
    turn.emit(ToolStarted(call_id="call_1", name="lookup", arguments='{"word": "x"}', reads_only=False))
    try:
        async with asyncio.timeout(request.tools[0].timeout):
            text, ok = (await request.tools[0].run({"word": "x"}, CONTEXT)).text, True
    except (ToolFailed, TimeoutError) as error:
        text, ok = f"failed: {error}", False
    turn.emit(ToolFinished(call_id="call_1", name="lookup", text=text, ok=ok))
    turn.emit(TextDelta(text="Done."))
    finish(turn, "Let me see. Done.")


@pytest.mark.parametrize("binary", [True, False])
async def test_an_answer_comes_in_chunks_and_then_whole_in_the_kind_that_was_asked_in(tmp_path: Path, binary: bool) -> None:
    async with serving(tmp_path) as api, talking(api.port, binary=binary) as talk:
        *chunks, last, message = await talk.ask("hi", thread_id="t1")
        assert words(chunks) == "Hello there"
        for frame in chunks:
            text = frame["content"]
            assert frame == {
                "type": "chunk", "node_id": None, "content_type": "text", "content": text, "content_metadata": {}, "done": False,
            }  # fmt: skip
        assert (last["type"], last["content"], last["done"]) == ("chunk", "", True)
        assert message == {
            "type": "message", "role": "assistant", "content": "Hello there", "thread_id": "t1", "workflow_id": None, "provider": "openai",
            "model": "gpt-test-1",
        }  # fmt: skip
        assert api.turns.only.session == "api:t1"


async def test_the_kind_may_change_from_frame_to_frame(tmp_path: Path) -> None:
    async with serving(tmp_path) as api, talking(api.port) as talk:
        for talk.binary in (True, False, True):
            await talk.say({"type": "ping"})
            pong = await talk.hear()
            assert pong["type"] == "pong"
            assert pong["ts"] > 1_700_000_000


async def test_a_thread_that_is_missing_is_made_once_and_named(tmp_path: Path) -> None:
    async with serving(tmp_path) as api, talking(api.port) as talk:
        first, second = [(await talk.ask(text))[-1]["thread_id"] for text in ("one", "two")]
        assert first == second
        assert first.startswith("thread_")
        assert {request.session for request in api.turns.requests} == {f"api:{first}"}
        assert (await talk.ask("three", thread_id="other"))[-1]["thread_id"] == "other"


async def test_an_envelope_is_opened(tmp_path: Path) -> None:
    async with serving(tmp_path) as api, talking(api.port, binary=False) as talk:
        await talk.say({"command": "chat_message", "data": {"role": "user", "content": "hi", "thread_id": "t"}})
        assert (await talk.until("message"))[-1]["content"] == "Hello there"
        await talk.say({"command": "ping"})
        assert (await talk.hear())["type"] == "pong"
        await talk.say({"command": "stop", "data": {}})
        assert (await talk.hear())["type"] == "generation_stopped"
        await talk.say({"command": "dance"})
        assert await talk.hear() == {"error": "Unknown command"}


async def test_a_tool_of_ours_is_told_of_when_it_starts_and_when_it_ends(tmp_path: Path) -> None:
    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        turn.emit(ToolStarted(call_id="c1", name="message", arguments='{"text": "x"}', reads_only=False))
        await asyncio.sleep(0)
        turn.emit(ToolFinished(call_id="c1", name="message", text="sent", ok=True))
        turn.emit(TextDelta(text="Sent."))
        finish(turn, "Sent.")

    async with serving(tmp_path, play=play) as api, talking(api.port) as talk:
        call, result, *rest = await talk.ask("send it", thread_id="t")
        assert call == {"type": "tool_call", "tool_call_id": "c1", "name": "message", "args": {"text": "x"}, "thread_id": "t"}
        assert result == {"type": "tool_result", "tool_call_id": "c1", "name": "message", "result": "sent", "thread_id": "t"}
        assert types(rest) == ["chunk", "message"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"result": "found", "ok": True}, "found"),
        ({"result": {"hits": [1, 2]}, "ok": True}, '{"hits":[1,2]}'),
        ({"result": None, "ok": False, "error": "no such word"}, "failed: no such word"),
    ],
)
async def test_a_tool_of_the_client_is_run_by_the_client(tmp_path: Path, answer: dict[str, object], told: str) -> None:
    async with serving(tmp_path, play=with_tool) as api, talking(api.port) as talk:
        await talk.say({"type": "client_tools_manifest", "tools": [LOOKUP]})
        await talk.say({"role": "user", "content": "look it up"})
        assert (await talk.until("tool_call"))[-1]["args"] == {"word": "x"}
        await talk.say({"type": "tool_result", "tool_call_id": "call_1", **answer})
        frames = await talk.until("message")
        assert types(frames) == ["tool_result", "chunk", "message"]
        assert frames[0]["result"] == told
        (tool,) = api.turns.only.tools
        assert tool.spec.parameters == LOOKUP["parameters"]


async def test_a_tool_of_the_client_that_does_not_answer_fails_and_the_turn_goes_on(tmp_path: Path) -> None:
    async with serving(tmp_path, settings(sockets={"toolSeconds": 0.1}), play=with_tool) as api, talking(api.port) as talk:
        await talk.say({"type": "client_tools_manifest", "tools": [LOOKUP]})
        frames = await talk.ask("look it up")
        assert "failed: " in next(frame["result"] for frame in frames if frame["type"] == "tool_result")
        error = await talk.refused({"type": "tool_result", "tool_call_id": "call_1", "result": "late", "ok": True})
        assert error["error"] == "No call 'call_1' waits for a result."


async def test_a_client_that_goes_away_fails_its_tools_and_its_turn_goes_on(tmp_path: Path) -> None:
    async with serving(tmp_path, play=with_tool) as api:
        async with talking(api.port) as talk:
            await talk.say({"type": "client_tools_manifest", "tools": [LOOKUP]})
            await talk.say({"role": "user", "content": "look it up"})
            await talk.until("tool_call")
        async with asyncio.timeout(30):
            assert (await api.turns.turns[0].result()).text == "Let me see. Done."


async def test_a_new_message_stops_the_turn_that_runs_and_nothing_more_is_heard_of_it(tmp_path: Path) -> None:
    async with serving(tmp_path, play=never) as api, talking(api.port) as talk:
        await talk.say({"role": "user", "content": "think", "thread_id": "t"})
        assert (await talk.hear())["content"] == "Well"
        api.turns.play = says("Now")
        frames = await talk.ask("never mind", thread_id="t")
        assert words(frames) == "Now"
        assert types(frames) == ["chunk", "message"]
        assert [turn.stopped for turn in api.turns.turns] == ["cancelled", None]


async def test_stop_stops_the_turn_and_says_so_and_the_next_one_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path, play=never) as api, talking(api.port) as talk:
        await talk.say({"role": "user", "content": "think"})
        await talk.hear()
        await talk.say({"type": "stop"})
        stopped = await talk.hear()
        assert set(stopped) == {"type", "message"}
        assert stopped["type"] == "generation_stopped"
        api.turns.play = says("Now")
        assert words(await talk.ask("again")) == "Now"


async def test_a_turn_that_fails_is_an_error_with_its_code_and_the_socket_stays(tmp_path: Path) -> None:
    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        turn.emit(TextDelta(text="Well"))
        fail(turn, ProviderFailed("The provider is down."))

    async with serving(tmp_path, play=play) as api, talking(api.port) as talk:
        await talk.say({"role": "user", "content": "hi"})
        frames = await talk.until("error")
        assert types(frames) == ["chunk", "error"]
        assert frames[-1]["message"] == frames[-1]["error"] == "The provider is down."
        assert frames[-1]["error_type"] == "provider_error"
        api.turns.play = says("Back")
        assert words(await talk.ask("again")) == "Back"


async def test_an_error_of_the_turns_before_they_start_is_told_and_its_files_go(tmp_path: Path) -> None:
    async with serving(tmp_path) as api, talking(api.port) as talk:
        api.turns.refusal = ProviderFailed("Not now.")
        part = {"type": "image_url", "image": {"data": PNG}}
        assert (await talk.refused({"role": "user", "content": [part]}))["message"] == "Not now."
        assert api.spooled == []


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + b64encode(PNG).decode()}},
        {"type": "image_url", "image": {"type": "image", "uri": "data:image/png;base64," + b64encode(PNG).decode()}},
        {"type": "image_url", "image": {"type": "image", "data": PNG}},
        {"type": "image", "image": {"data": b64encode(PNG).decode()}},
        {"type": "file", "file": {"file_data": PNG, "filename": "a.png"}},
        {"type": "file", "file": {"file_data": b64encode(PNG).decode(), "filename": "a.png"}},
    ],
)
async def test_images_and_files_come_as_data_urls_or_as_they_are(tmp_path: Path, part: dict[str, object]) -> None:
    async with serving(tmp_path) as api, talking(api.port) as talk:
        await talk.ask([{"type": "text", "text": "what is it?"}, part])
        assert api.turns.files == [PNG]
        assert isinstance(api.turns.only.content[0], UserText)


async def test_the_tools_that_may_be_used_can_be_named(tmp_path: Path) -> None:
    async with serving(tmp_path) as api, talking(api.port) as talk:
        await talk.ask("hi")
        await talk.ask("hi", tools=["message"])
        await talk.ask("hi", tools=[])
        assert [request.only_tools for request in api.turns.requests] == [None, {"message"}, frozenset()]
        error = await talk.refused({"role": "user", "content": "hi", "tools": ["google_search"]})
        assert error["message"] == "There is no tool 'google_search'. The tools are: message, read_attachment."


async def test_the_server_pings_in_messagepack_until_it_knows_better(tmp_path: Path) -> None:
    async with serving(tmp_path, settings(sockets={"pingSeconds": 0.3})) as api, talking(api.port) as talk:
        async with asyncio.timeout(30):
            ping = ormsgpack.unpackb(bytes(await talk.socket.recv(decode=False)))
            assert set(ping) == {"type", "ts"}
            assert ping["type"] == "ping"
            await talk.socket.send('{"type":"pong"}')
            while not isinstance(await talk.socket.recv(), str):
                pass


async def test_when_the_server_ends_a_running_answer_is_said_and_then_sockets_are_closed(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def play(turn: RunningTurn, request: TurnRequest) -> None:
        turn.emit(TextDelta(text="Wait"))
        await gate.wait()
        finish(turn, "Wait for it")

    async with serving(tmp_path, play=play, grace=5) as api, talking(api.port) as talk, talking(api.port) as idle:
        await talk.say({"role": "user", "content": "hi"})
        await talk.hear()
        api.stop.set()
        assert (await closed(idle.socket))[0] == 1001
        await talk.say({"type": "ping"})
        assert (await talk.hear())["type"] == "pong"
        gate.set()
        assert (await talk.until("message"))[-1]["content"] == "Wait for it"
        assert (await closed(talk.socket))[0] == 1001


async def test_what_outlasts_the_grace_is_closed_with_1001_as_well(tmp_path: Path) -> None:
    async with serving(tmp_path, play=never, grace=0.2) as api, talking(api.port) as talk:
        await talk.say({"role": "user", "content": "hi"})
        await talk.hear()
        api.stop.set()
        assert (await closed(talk.socket))[0] == 1001


async def test_what_outlasts_the_grace_and_its_client_is_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path, play=never, grace=0.2) as api, talking(api.port) as talk:
        await talk.say({"role": "user", "content": "hi"})
        await talk.hear()
    gc.collect()
    assert "api.cut_off" in caplog.text
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


async def test_with_on_disconnect_cancel_the_turn_goes_with_its_client(tmp_path: Path) -> None:
    async with serving(tmp_path, settings(onDisconnect="cancel"), play=never) as api:
        async with talking(api.port) as talk:
            await talk.say({"role": "user", "content": "hi"})
            await talk.hear()
        with pytest.raises(TurnCancelled):
            async with asyncio.timeout(30):
                await api.turns.turns[0].result()
