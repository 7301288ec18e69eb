"""NodeTool's description of its chat server: commands and calls as they are printed, and what it says of them."""

import json
import shlex
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from .house import House, opened
from .snippets import needs_curl, needs_node, printed, run, snippet
from .witness import check_form

DOCUMENT = "nodetool-chat-server"
TOKEN = "a-token-of-this-test"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    """Served by the commands of the document: the options of both together, with host and port changed."""
    changed = {"0.0.0.0": "127.0.0.1", "3000": "0"}
    args = [changed.get(word, word) for word in (*arguments("02-host-and-port.sh"), *arguments("03-provider-and-model.sh"))]
    assert args == ["--host", "127.0.0.1", "--port", "0", "--provider", "openai", "--default-model", "gpt-4"]
    env = {"NANOBOT_API__API_KEY": TOKEN}
    async with opened(tmp_path_factory.mktemp("home"), command="chat-server", args=args, key=TOKEN, env=env) as made:
        yield made


def arguments(name: str) -> list[str]:
    """The arguments after `nodetool chat-server` in a command of the document."""
    program, command, *rest = shlex.split(printed(DOCUMENT, name), comments=True)
    assert (program, command) == ("nodetool", "chat-server")
    return rest


async def test_the_first_command_has_no_options() -> None:
    assert arguments("01-default.sh") == []


async def test_the_request_body_is_answered_by_a_stream_that_ends_with_done(house: House) -> None:
    body = json.loads(printed(DOCUMENT, "04-request.json"))
    assert (await house.http.post("/v1/chat/completions", json=body)).status_code == 200
    ([exchange], _) = house.check()
    assert exchange.kind == "text/event-stream"
    assert house.asked()["model"] == "gpt-4"
    assert {json.loads(event)["object"] for event in exchange.events[:-1]} == {"chat.completion.chunk"}
    assert exchange.events[-1] == "[DONE]"


async def test_without_stream_the_answer_has_the_printed_form(house: House) -> None:
    body = {**json.loads(printed(DOCUMENT, "04-request.json")), "stream": False}
    check_form(json.loads(printed(DOCUMENT, "08-answer.json")), (await house.http.post("/v1/chat/completions", json=body)).json())


@needs_curl
async def test_models_and_health_are_told(house: House) -> None:
    listed: Any = json.loads(await run(snippet(DOCUMENT, "05-models.sh", address=house.address, token=TOKEN), "05-models.sh"))
    assert listed["data"][0]["id"] == "gpt-4"
    assert json.loads(await run(snippet(DOCUMENT, "06-health.sh", address=house.address), "06-health.sh"))["status"] == "ok"


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
