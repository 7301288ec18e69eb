"""/chat of the real process: with a model that calls tools, beside HTTP, in JavaScript, and when its key is taken back."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.doubles.live_server import LiveServer
from tests.flow.nanobot_process import Nanobot
from tests.flow.socket_client import Talk, talking, types, words
from tests.flow.socket_rig import closed

from .conftest import Live, Start

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def live(shared: Live) -> Live:
    return shared


WEATHER = {
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def port_of(server: LiveServer) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port


async def test_one_conversation_goes_on_over_http_and_socket(live: Live) -> None:
    assert (await live.ask("ECHO first", session="shared")).status_code == 200
    async with talking(port_of(live.server)) as talk:
        frames = await talk.ask("ECHO second", thread_id=live.id_of("shared"))
        assert words(frames) == frames[-1]["content"] == "second"
        assert frames[-1]["provider"] == "custom"
        assert frames[-1]["model"] == "fake-model"
    asked = [message["content"] for message in live.asked()["messages"] if message["role"] != "system"]
    assert asked == ["ECHO first", "first", "ECHO second"]
    assert [message["content"] for message in await live.session("shared")] == ["ECHO first", "first", "ECHO second", "second"]


async def test_a_tool_of_the_client_is_offered_to_the_model_and_its_result_read(live: Live) -> None:
    async with talking(port_of(live.server)) as talk:
        await talk.say({"type": "client_tools_manifest", "tools": [WEATHER]})
        await talk.say({"role": "user", "content": 'CALLTOOL weather {"city": "Graz"}', "tools": ["weather"]})
        (call,) = await talk.until("tool_call")
        assert (call["name"], call["args"]) == ("weather", {"city": "Graz"})
        offered = live.asked()["tools"]
        assert [tool["function"]["name"] for tool in offered] == ["weather"]
        assert offered[0]["function"]["parameters"] == WEATHER["parameters"]
        await talk.say({"type": "tool_result", "tool_call_id": call["tool_call_id"], "result": {"sky": "clear"}, "ok": True})
        frames = await talk.until("message")
        assert types(frames) == ["tool_result", "chunk", "message"]
        assert words(frames) == "done"
    assert live.asked()["messages"][-1]["content"] == '{"sky":"clear"}'


async def test_a_tool_of_the_client_is_of_that_socket_only(live: Live) -> None:
    async with talking(port_of(live.server)) as first, talking(port_of(live.server), binary=False) as second:
        await first.say({"type": "client_tools_manifest", "tools": [WEATHER]})
        await first.ask("hi", thread_id=live.id_of("t"))
        names = [tool["function"]["name"] for tool in live.asked()["tools"]]
        assert names[-1] == "weather"
        await second.ask("hi", thread_id=live.id_of("t"))
        assert [tool["function"]["name"] for tool in live.asked()["tools"]] == names[:-1]


async def test_no_tools_means_that_none_is_called(live: Live) -> None:
    async with talking(port_of(live.server)) as talk:
        await talk.ask("hi", tools=[])
        assert live.asked()["tool_choice"] == "none"


async def test_a_stopped_turn_is_marked_in_its_session(live: Live) -> None:
    live.model.configure(latency_ms=20_000)
    async with talking(port_of(live.server)) as talk:
        await talk.say({"role": "user", "content": "think", "thread_id": live.id_of("t")})
        await live.model.until(lambda stats: stats.inflight == 1)
        await talk.say({"type": "stop"})
        assert (await talk.hear())["type"] == "generation_stopped"
        live.model.configure(latency_ms=0)
        assert words(await talk.ask("ECHO now", thread_id=live.id_of("t"))) == "now"
    assert [message["cut_off"] for message in await live.session("t") if message["role"] == "assistant"] == ["cancelled", None]


@pytest.mark.asyncio(loop_scope="function")
async def test_a_key_that_is_taken_back_closes_its_sockets_and_no_others(start: Start, tmp_path: Path) -> None:
    live: Live = await start(auth={"mode": "keys"})
    cli = Nanobot(folder=tmp_path)
    kept, taken = [await _key(cli, name) for name in ("kept", "taken")]
    port = port_of(live.server)
    async with talking(port, path=f"/chat?api_key={taken}") as lost, talking(port, path=f"/chat?api_key={kept}") as other:
        for talk in (lost, other):
            await _hello(talk)
        assert (await asyncio.to_thread(cli, "keys", "revoke", "taken")).returncode == 0
        assert (await closed(lost.socket))[0] == 1008
        await _hello(other)


async def _hello(talk: Talk) -> None:
    assert words(await talk.ask("ECHO hello")) == "hello"


async def _key(cli: Nanobot, name: str) -> str:
    created = await asyncio.to_thread(cli, "keys", "create", name)
    assert created.returncode == 0, created.stderr
    return next(word for word in created.stdout.split() if word.startswith("nbk_"))
