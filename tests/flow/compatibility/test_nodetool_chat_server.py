"""NodeTool's description of its chat server: commands and calls as they are printed, and what it says of them."""

import json
import re
import shlex
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.flow.nanobot_process import Nanobot, Server

from .house import House, opened
from .snippets import PLACES, needs_curl, needs_node, printed, run, snippet
from .witness import check_form

DOCUMENT = "nodetool-chat-server"
TOKEN = "a-token-of-this-test"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    arguments = ["--provider", "custom", "--default-model", "gpt-4"]
    env = {"NANOBOT_API__API_KEY": TOKEN}
    async with opened(tmp_path_factory.mktemp("home"), command="chat-server", args=arguments, key=TOKEN, env=env) as made:
        yield made


def arguments(name: str) -> list[str]:
    """What stands in a command of the document behind `nodetool chat-server`."""
    program, command, *rest = shlex.split(printed(DOCUMENT, name), comments=True)
    assert (program, command) == ("nodetool", "chat-server")
    return rest


async def asked(server: Server, path: str) -> Any:
    async with httpx2.AsyncClient(base_url=server.url) as client:
        return (await client.get(path)).json()


async def test_the_plain_command_serves_on_the_documents_port(tmp_path: Path) -> None:
    assert arguments("01-default.sh") == []
    port = PLACES[DOCUMENT].address.partition(":")[2]
    shown = Nanobot(folder=tmp_path)("chat-server", "--help").stdout
    assert re.search(rf"default:\W+{port};", shown)


async def test_host_and_port_are_taken_and_an_address_for_all_is_refused_without_a_key(tmp_path: Path) -> None:
    given = arguments("02-host-and-port.sh")
    assert given == ["--host", "0.0.0.0", "--port", "3000"]
    refused = Nanobot(folder=tmp_path)("chat-server", *given)
    assert refused.returncode == 1
    assert "0.0.0.0" in refused.stderr
    changed = ["127.0.0.1" if word == "0.0.0.0" else "0" if word == "3000" else word for word in given]
    with Nanobot(folder=tmp_path).serving(*changed, command="chat-server") as server:
        assert (await asked(server, "/health"))["status"] == "ok"


async def test_a_provider_and_a_model_are_taken(tmp_path: Path) -> None:
    given = arguments("03-provider-and-model.sh")
    with Nanobot(folder=tmp_path, env={"OPENAI_API_KEY": "sk-1"}).serving(*given, command="chat-server") as server:
        assert "  model          openai, gpt-4 (the configuration says so)" in server.said.splitlines()
        assert (await asked(server, "/v1/models"))["data"][0]["id"] == "gpt-4"


async def test_the_request_body_is_answered_by_a_stream_that_ends_with_done(house: House) -> None:
    body = json.loads(printed(DOCUMENT, "04-request.json"))
    assert (await house.http.post("/v1/chat/completions", json=body)).status_code == 200
    ([exchange], _) = house.check()
    assert exchange.kind == "text/event-stream"
    assert {json.loads(event)["object"] for event in exchange.events[:-1]} == {"chat.completion.chunk"}
    assert exchange.events[-1] == "[DONE]"


async def test_without_stream_the_answer_has_the_printed_form(house: House) -> None:
    body = {**json.loads(printed(DOCUMENT, "04-request.json")), "stream": False}
    check_form(json.loads(printed(DOCUMENT, "08-answer.json")), (await house.http.post("/v1/chat/completions", json=body)).json())


@needs_curl
async def test_models_and_health_are_told(house: House) -> None:
    listed: Any = json.loads(await run(snippet(DOCUMENT, "05-models.sh", address=house.address, token=TOKEN), "05-models.sh"))
    assert listed["data"][0]["id"] == "gpt-4"
    call = printed(DOCUMENT, "06-health.sh")
    assert "127.0.0.1:8080" in call
    assert json.loads(await run(call.replace("127.0.0.1:8080", house.address), "06-health.sh"))["status"] == "ok"


@needs_node
async def test_the_javascript_prints_the_answer(house: House) -> None:
    said = await run(snippet(DOCUMENT, "07-fetch.mjs", address=house.address, token=TOKEN), "07-fetch.mjs")
    assert said.startswith("AI Response: tok0 \nAI Response: tok1 ")


async def test_without_the_token_it_is_401_and_health_is_public(house: House) -> None:
    nobody = {"authorization": ""}
    for path in ("/v1/models", "/v1/chat/completions"):
        assert (await house.http.get(path, headers=nobody)).status_code == 401
    assert (await house.http.get("/health", headers=nobody)).status_code == 200


async def test_a_failure_is_a_status_before_the_first_word_and_an_event_behind_it(house: House) -> None:
    body = json.loads(printed(DOCUMENT, "04-request.json"))
    house.model.configure(mode="401")
    assert (await house.http.post("/v1/chat/completions", json=body)).status_code == 502
    house.model.configure(mode="midcut")
    assert (await house.http.post("/v1/chat/completions", json=body)).status_code == 200
    (exchanges, _) = house.check()
    assert "error" in json.loads(exchanges[-1].events[-1])
