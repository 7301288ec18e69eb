"""The assistant for other programs' agents: the official client, over HTTP and over stdio, against the real server."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.doubles.model_server import ModelServer

from .nanobot_process import LIMIT, Nanobot, Server

TOOLS = ["ask", "send_message", "deliveries", "remember", "recall", "schedule"]
CONFORMANCE = "@modelcontextprotocol/conformance@0.1.10"
"""The last one that runs on Node 20."""
OWNERS = "a-shared-key-of-the-owner"


@pytest.fixture(scope="module")
def nanobot(tmp_path_factory: pytest.TempPathFactory) -> Nanobot:
    folder = tmp_path_factory.mktemp("mcp")
    (folder / "config.json").write_text(json.dumps({"api": {"apiKey": OWNERS}, "agents": {"defaults": {"provider": "offline"}}}))
    return Nanobot(folder=folder)


@pytest.fixture(scope="module")
def server(nanobot: Nanobot) -> Generator[Server]:
    with nanobot.serving() as server:
        yield server


def new_key(nanobot: Nanobot, name: str, *options: str) -> str:
    made = nanobot("keys", "create", name, *options)
    return next(word for word in made.stdout.split() if word.startswith("nbk_"))


@asynccontextmanager
async def connected(over: str, nanobot: Nanobot, url: str, key: str) -> AsyncGenerator[Client]:
    """`over`: "http" or "stdio", and the way of the first request."""
    transport, mode = over.split()
    if transport == "stdio":
        environment = {**nanobot.environment, "NANOBOT_API_KEY": key}
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "assistant.cli", "mcp-server", "--url", url], env=environment, cwd=str(nanobot.folder)
        )
        async with Client(command, mode=mode) as client:  # pyright: ignore[reportArgumentType]
            yield client
        return
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=LIMIT) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,  # pyright: ignore[reportArgumentType]
    ):
        yield client


async def call(client: Client, name: str, **arguments: Any) -> tuple[bool, str]:
    """(Whether it went well, its words.)"""
    result = await client.call_tool(name, arguments)
    return not result.is_error, "".join(getattr(part, "text", "") for part in result.content)


@pytest.mark.parametrize("over", ["http auto", "http legacy", "stdio auto", "stdio legacy"])
async def test_the_official_client_uses_every_tool(nanobot: Nanobot, server: Server, over: str) -> None:
    key = new_key(nanobot, over.replace(" ", "-"), "--scope", "mcp")
    async with connected(over, nanobot, server.url, key) as client:
        listed = (await client.list_tools()).tools
        assert [tool.name for tool in listed] == TOOLS
        ok, said = await call(client, "ask", message="hello", session_id="talk")
        assert ok
        assert "No model is configured" in said
        ok, kept = await call(client, "remember", text="My locker code is 77-Quokka")
        assert ok
        ok, found = await call(client, "recall", query="locker code")
        assert json.loads(found)["data"][0]["id"] == json.loads(kept)["id"]
        ok, planned = await call(client, "schedule", kind="ask", when="in 10 minutes", text="look")
        assert json.loads(planned)["state"] == "active"
        ok, sent = await call(client, "send_message", channel="telegram", chat_id="42", text="hi")
        assert ok
        ok, listed = await call(client, "deliveries")
        assert [each["id"] for each in json.loads(listed)["data"]] == [json.loads(sent)["id"]]
        for name, wrong, why in (
            ("remember", {"txt": "x"}, "'text' is missing"),
            ("recall", {"limit": 0}, "'limit'"),
            ("deliveries", {"id": "evt_x"}, "no such delivery"),
            ("schedule", {"when": "someday", "text": "x"}, ""),
            ("ask", {"message": "x", "agent": "nowhere"}, "There is no agent 'nowhere'"),
            ("ask", {"message": "x", "session_id": "telegram:42"}, "reserved"),
        ):
            ok, said = await call(client, name, **wrong)
            assert not ok, name
            assert why in said
    for kept in ("memories", "schedules"):  # what a key's holder has is theirs alone
        assert httpx2.get(f"{server.url}/v1/{kept}", headers={"Authorization": f"Bearer {OWNERS}"}).json()["data"] == []


@pytest.mark.parametrize("over", ["http auto", "stdio auto"])
async def test_the_owner_sends_and_sees_what_became_of_it(nanobot: Nanobot, server: Server, over: str) -> None:
    async with connected(over, nanobot, server.url, OWNERS) as client:
        ok, sent = await call(client, "send_message", channel="telegram", chat_id="42", text=f"hi over {over}")
        assert ok
        ok, shown = await call(client, "deliveries", id=json.loads(sent)["id"])
        assert json.loads(shown)["text"] == f"hi over {over}"
        ok, listed = await call(client, "deliveries", state="queued", limit=1)
        assert json.loads(listed)["data"][0]["id"] == json.loads(sent)["id"]


def post(server: Server, message: object, key: str = OWNERS, **headers: str) -> httpx2.Response:
    return httpx2.post(f"{server.url}/mcp", json=message, headers={"Authorization": f"Bearer {key}", **headers}, timeout=LIMIT)


def request(method: str, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}


def test_only_a_key_with_the_scope_gets_in_and_only_from_here(nanobot: Nanobot, server: Server) -> None:
    assert post(server, request("ping"), "wrong").status_code == 401
    assert post(server, request("ping"), new_key(nanobot, "chats", "--scope", "chat")).status_code == 403
    assert post(server, request("ping"), Origin="https://evil.example").status_code == 403
    assert post(server, request("ping"), Host="evil.example", Origin="http://evil.example").status_code == 421
    assert post(server, request("ping")).json() == {"jsonrpc": "2.0", "id": 7, "result": {}}


def test_a_keys_models_and_limits_hold(nanobot: Nanobot, server: Server) -> None:
    ask = request("tools/call", name="ask", arguments={"message": "hello"})
    other = post(server, ask, new_key(nanobot, "narrow", "--scope", "mcp", "--model", "agent:other")).json()["result"]
    assert (other["isError"], "no such model" in str(other)) == (True, True)
    few = new_key(nanobot, "few-tokens", "--scope", "mcp", "--tpm", "1")
    assert post(server, ask, few).json()["result"]["isError"] is False
    refused = post(server, ask, few)
    assert refused.status_code == 429 or refused.json()["result"]["isError"] is True
    once = new_key(nanobot, "once", "--scope", "mcp", "--rpm", "1")
    assert [post(server, request("ping"), once).status_code for _ in range(2)] == [200, 429]


def test_the_protocol_is_kept(server: Server) -> None:
    begun = post(server, request("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "x", "version": "1"}))
    assert begun.json()["result"]["protocolVersion"] == "2025-06-18"
    assert "mcp-session-id" not in begun.headers
    assert post(server, request("initialize", protocolVersion="1999-01-01")).json()["result"]["protocolVersion"] == "2025-11-25"
    told = post(server, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (told.status_code, told.content) == (202, b"")
    assert post(server, {"jsonrpc": "2.0", "id": 1, "result": {}}).status_code == 202
    assert post(server, request("resources/list")).json()["error"]["code"] == -32601
    assert post(server, request("tools/call", name="nothing")).json()["error"]["code"] == -32602
    assert post(server, request("tools/call", name="recall", arguments=[1])).json()["result"]["isError"] is True
    assert post(server, request("ping"), **{"MCP-Protocol-Version": "1999-01-01"}).status_code == 400
    wrongs: list[object] = [
        [request("ping")],
        {"id": 1, "method": "ping"},
        {**request("ping"), "params": [1]},
        {**request("ping"), "id": {}},
    ]
    for wrong in wrongs:
        assert post(server, wrong).status_code == 400
    for method in ("GET", "DELETE"):
        assert httpx2.request(method, f"{server.url}/mcp", headers={"Authorization": f"Bearer {OWNERS}"}).status_code == 405


def test_a_long_answer_keeps_its_connection_open_where_the_client_takes_events(server: Server) -> None:
    ask = request("tools/call", name="ask", arguments={"message": "hello"})
    answered = post(server, ask, Accept="application/json, text/event-stream")
    assert answered.headers["content-type"].startswith("text/event-stream")
    *_, data = [line for line in answered.text.splitlines() if line.startswith("data: ")]
    assert json.loads(data.removeprefix("data: "))["result"]["isError"] is False


async def test_over_stdio_a_long_answer_holds_nothing_else_up(tmp_path: Path) -> None:
    async with ModelServer() as model:
        model.configure(chunks=20, chunk_delay_ms=50)
        env = {"NANOBOT_PROVIDERS__CUSTOM__API_BASE": model.url, "NANOBOT_AGENTS__DEFAULTS__MODEL": "custom/stand-in"}
        nanobot = Nanobot(folder=tmp_path, env=env)
        with nanobot.serving() as server:
            lines = [{**request("tools/call", name="ask", arguments={"message": "hello"}), "id": 1}, request("ping")]
            given = "".join(json.dumps(line) + "\n" for line in lines) + "\nno json\n"
            done = await asyncio.to_thread(nanobot, "mcp-server", "--url", server.url, given=given)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [7, 1]
    assert "tok19" in str(answers[1])


def test_over_stdio_a_server_that_is_not_there_or_refuses_is_said(nanobot: Nanobot, server: Server) -> None:
    line = json.dumps(request("ping")) + "\n"
    gone = json.loads(nanobot("mcp-server", "--url", "http://127.0.0.1:9", given=line).stdout)
    assert (gone["id"], "nanobot serve" in gone["error"]["message"]) == (7, True)
    refused = json.loads(nanobot("mcp-server", "--url", server.url, given=line).stdout)
    assert "A valid API key is needed" in refused["error"]["message"]
    assert nanobot("mcp-server", "--url", "ftp://x").returncode == 1


def test_the_conformance_suite_passes(tmp_path: Path) -> None:
    """Those of its scenarios that need no tools of the suite's own."""
    npx = shutil.which("npx")
    runs = [npx or "npx", "--yes", "--offline", CONFORMANCE]
    if npx is None or subprocess.run([*runs, "--version"], capture_output=True, timeout=LIMIT, check=False).returncode:
        pytest.skip(f"npm has no {CONFORMANCE} in its cache")
    with Nanobot(folder=tmp_path).serving() as server:
        for scenario in ("server-initialize", "ping", "tools-list"):
            command = [*runs, "server", "--url", f"{server.url}/mcp", "--scenario", scenario]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=False)
            assert (done.returncode, "0 failed, 0 warnings" in done.stdout) == (0, True), done.stdout
