"""Servers over HTTP: sessions that are forgotten, floods, headers; and the whole way through a served assistant."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx2
import pytest

from assistant.contracts.errors import ToolFailed
from assistant.mcp.settings import McpServer
from tests.doubles.live_server import live_server, offline, with_model
from tests.doubles.mcp_http import McpOverHttp
from tests.doubles.mcp_program import tool
from tests.doubles.model_server import ModelServer

from .conftest import TOOLS, Rig, call, count, lists, names


def at(server: McpOverHttp, **more: object) -> McpServer:
    return McpServer.model_validate({"url": server.url, **more})


def met(home: Path, config: Mapping[str, object]) -> None:
    """`nanobot mcp test one`, after which a server knows the tools at its first turn."""
    home.mkdir()
    (home / "config.json").write_text(json.dumps(config))
    line = [sys.executable, "-m", "assistant.cli", "mcp", "test", "one", "--config", str(home / "config.json")]
    done = subprocess.run(line, cwd=home, env={**os.environ, "NANOBOT_HOME": str(home)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("streams", [False, True])
async def test_tools_are_called_and_a_forgotten_session_is_begun_anew(rig: Rig, streams: bool) -> None:
    folder = rig.program()
    async with McpOverHttp(folder, streams=streams) as server:
        servers = rig.open(one=at(server, headers={"X-Key": "k"}))
        assert (await call(servers, "mcp_one_note", {"text": "a"})).text == 'note {"text": "a"}'
        assert all(headers["X-Key"] == "k" for headers in server.headers)
        server.sessions.clear()  # as after a restart: 404
        assert (await call(servers, "mcp_one_note", {"text": "b"})).text == 'note {"text": "b"}'
        assert count(folder, "calls") == 2


@pytest.mark.parametrize("streams", [False, True])
async def test_a_flood_ends_the_call(rig: Rig, streams: bool) -> None:
    async with McpOverHttp(rig.program(), streams=streams) as server:
        servers = rig.open(one=at(server))
        assert await names(servers)
        server.mode = "flood"
        with pytest.raises(ToolFailed, match=r"more than 16 MB|too large|too much"):
            await call(servers, "mcp_one_note", {})
        server.mode = ""
        assert (await call(servers, "mcp_one_note", {})).text == "note {}"


async def test_one_that_is_gone_fails_in_words_and_works_when_it_is_back(rig: Rig) -> None:
    folder = rig.program()
    async with McpOverHttp(folder) as server:
        servers = rig.open(one=at(server))
        assert await names(servers)
    with pytest.raises(ToolFailed, match=r"nothing answers at its address|connection"):
        await call(servers, "mcp_one_look_up", {})
    servers.servers["one"].link.forgive()
    async with McpOverHttp(folder, port=int(server.base.rpartition(":")[2])):
        assert (await call(servers, "mcp_one_look_up", {})).text == "look_up {}"


async def test_one_that_wants_a_login_says_so(rig: Rig) -> None:
    async with McpOverHttp(rig.program(), guarded=True) as server:
        servers = rig.open(one=at(server))
        assert await names(servers) == []
        assert "nanobot mcp login one" in servers.servers["one"].link.fault


async def test_a_pasted_block_works_through_the_front_door(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    lists(folder, TOOLS)
    async with McpOverHttp(folder) as server, ModelServer() as model, httpx2.AsyncClient(timeout=60) as client:
        config = {**with_model(model.url), "mcpServers": {"one": {"type": "streamable-http", "url": server.url}}}
        await asyncio.to_thread(met, tmp_path / "home", config)
        with live_server(tmp_path / "home", config=config) as live:
            ask = {"model": "agent:main", "messages": [{"role": "user", "content": 'CALLTOOL mcp_one_look_up {"what": "tea"}'}]}
            answer = (await client.post(f"{live.url}/v1/chat/completions", json=ask)).json()
            assert answer["choices"][0]["message"]["content"] == "done"
            first, last = model.bodies[0], model.bodies[-1]
            assert b"mcp_one_note" in first
            assert 'look_up {"what": "tea"}' in json.loads(last)["messages"][-1]["content"]


async def test_a_helper_has_the_tools_of_its_parents_servers(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    lists(folder, TOOLS)
    async with McpOverHttp(folder) as server, ModelServer() as model, httpx2.AsyncClient(timeout=60) as client:
        config = {**with_model(model.url), "mcpServers": {"one": {"url": server.url}}}
        await asyncio.to_thread(met, tmp_path / "home", config)
        with live_server(tmp_path / "home", config=config) as live:
            task = {"task": 'CALLTOOL mcp_one_look_up {"what": "tea"}'}
            ask = {"model": "agent:main", "messages": [{"role": "user", "content": f"CALLTOOL delegate {json.dumps(task)}"}]}
            assert (await client.post(f"{live.url}/v1/chat/completions", json=ask)).status_code == 200
            results = [each["content"] for body in model.bodies for each in json.loads(body)["messages"] if each["role"] == "tool"]
        assert any('look_up {"what": "tea"}' in result for result in results)


async def test_a_yes_runs_the_call_of_a_server_s_tool(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    lists(folder, TOOLS)
    async with McpOverHttp(folder) as server, ModelServer() as model, httpx2.AsyncClient(timeout=60) as client:
        asks = {"agents": {"defaults": {"provider": "custom", "model": "fake-model", "permissions": [{"action": "sends", "do": "ask"}]}}}
        config = {**with_model(model.url), **asks, "mcpServers": {"one": {"url": server.url}}}
        await asyncio.to_thread(met, tmp_path / "home", config)
        with live_server(tmp_path / "home", config=config) as live:
            words = 'CALLTOOL mcp_one_note {"text": "tea"}'
            ask = {"model": "agent:main", "session_id": "s", "messages": [{"role": "user", "content": words}]}
            (waiting,) = (await client.post(f"{live.url}/v1/chat/completions", json=ask)).json()["nanobot"]["pending"]
            assert count(folder, "calls") == 0
            path = f"{live.url}/v1/approvals/{waiting['id']}"
            answered = await client.post(path, json={"answer": "once"})
            assert answered.status_code == 200, answered.text
            async with asyncio.timeout(20):
                while (await client.get(path)).json()["state"] != "done":  # noqa: ASYNC110 - it ends by itself
                    await asyncio.sleep(0.05)
        assert count(folder, "calls") == 1


async def test_what_is_found_is_offered_from_the_next_step_on_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    lists(folder, [tool(f"job_{n}", f"Does job {n}.") for n in range(40)] + [tool("weather", "Rain or sun?", place="string")])
    async with McpOverHttp(folder) as server, ModelServer() as model, httpx2.AsyncClient(timeout=60) as client:
        config = {**with_model(model.url), "mcpServers": {"one": {"url": server.url}}}
        await asyncio.to_thread(met, tmp_path / "home", config)
        with live_server(tmp_path / "home", config=config) as live:

            async def say(words: str) -> None:
                ask = {"model": "agent:main", "session_id": "s", "messages": [{"role": "user", "content": words}]}
                assert (await client.post(f"{live.url}/v1/chat/completions", json=ask)).status_code == 200

            calls = [["find_tools", {"query": "rain"}], ["mcp_one_weather", {"place": "Graz"}]]
            await say(f"CALLTOOLS {json.dumps(calls)}")
            await say("ECHO hello")
        prompts = [json.loads(body) for body in model.bodies]
        offered = [[each["function"]["name"] for each in prompt["tools"]] for prompt in prompts]
        assert "find_tools" in offered[0]
        assert not [name for name in offered[0] if name.startswith("mcp_one")]
        assert [set(names) - set(offered[0]) for names in offered[1:]] == [{"mcp_one_weather"}] * 3
        assert 'weather {"place": "Graz"}' in prompts[2]["messages"][-1]["content"]
        assert prompts[1]["tools"] == prompts[2]["tools"] == prompts[3]["tools"]
        assert prompts[3]["messages"][: len(prompts[2]["messages"])] == prompts[2]["messages"]


PLAIN = """
import asyncio, sys
from pathlib import Path
from assistant.app.services import open_services
from assistant.config import load_config
from assistant.contracts.turns import TurnRequest, UserText

async def main():
    async with open_services(load_config(Path(sys.argv[1]), {"NANOBOT_HOME": sys.argv[2]})) as services:
        turn = services.turns.start(TurnRequest(id="turn_1", owner="local", session="api:s", content=(UserText(text="hello"),)))
        async for _ in turn.events():
            pass
    print(sorted({name.partition(".")[0] for name in sys.modules} & {"mcp", "mcp_types", "httpx2", "jsonschema"}))

asyncio.run(main())
"""


def test_a_plain_turn_imports_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(offline()))
    line = [sys.executable, "-c", PLAIN, str(tmp_path / "config.json"), str(tmp_path / "home")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
