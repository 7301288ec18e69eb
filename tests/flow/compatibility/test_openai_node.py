"""OpenAI's SDK for Node, pointed at this server and otherwise used as ever; what it is told to do stands in `node/sdk.mjs`."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from .house import House, opened
from .sdk_house import KEY, MODELS
from .snippets import NODE, needs_packages

pytestmark = [pytest.mark.asyncio(loop_scope="module"), needs_packages]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    async with opened(tmp_path_factory.mktemp("home"), config={"models": MODELS, "api": {"apiKey": KEY}}, key=KEY) as made:
        yield made


async def node(house: House, what: str) -> Any:
    done = await asyncio.to_thread(
        subprocess.run,
        ["node", NODE / "sdk.mjs", what],
        env={**os.environ, "NANOBOT_URL": house.relay.url, "NANOBOT_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_a_chat_is_answered_with_its_usage_and_the_requests_id(house: House) -> None:
    answer = await node(house, "chat")
    assert (answer["content"], answer["reason"]) == ("hello", "stop")
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    ([exchange], _) = house.check()
    assert answer["id"] == exchange.answer["x-request-id"]


async def test_a_stream_brings_its_words_and_then_its_usage(house: House) -> None:
    streamed = await node(house, "stream")
    assert streamed["content"] == "hello"
    assert streamed["last"]["choices"] == []
    assert streamed["last"]["usage"]["prompt_tokens"] == 100


async def test_the_programs_tools_make_their_round(house: House) -> None:
    assert await node(house, "tools") == {
        "finish_reason": "tool_calls",
        "name": "weather",
        "arguments": '{"city": "Graz"}',
        "content": "done",
    }


async def test_vectors_are_the_same_in_each_encoding(house: House) -> None:
    made = await node(house, "embeddings")
    assert made["float"] == [[1.0, 0.0], [2.0, 0.0]]
    assert made["unsaid"] == made["base64"] == made["float"]


async def test_texts_are_gone_on_with_whole_and_in_pieces(house: House) -> None:
    made = await node(house, "completions")
    assert made["whole"] == "".join(made["pieces"]) == "ONCE UPON A TIME"
    assert len(made["pieces"]) > 3


async def test_models_are_listed_and_shown(house: House) -> None:
    models = await node(house, "models")
    assert models["listed"] == ["fake-model", "agent:main", "custom/fake-model", *MODELS]
    assert (models["shown"]["id"], models["shown"]["owned_by"]) == ("vectors", "custom")


async def test_responses_are_made_streamed_shown_and_deleted(house: House) -> None:
    made = await node(house, "responses")
    assert made["text"] == made["shown"] == "one"
    assert (made["types"][0], made["types"][-1]) == ("response.created", "response.completed")
    assert "response.output_text.delta" in made["types"]
    assert (made["gone"]["kind"], made["gone"]["code"]) == ("NotFoundError", "response_not_found")


async def test_files_are_uploaded_listed_fetched_and_deleted(house: House) -> None:
    assert await node(house, "files") == {"name": "table.csv", "bytes": 8, "listed": True, "text": "a,b\n1,2\n", "deleted": True}


async def test_errors_arrive_as_its_own_classes(house: House) -> None:
    errors = await node(house, "errors")
    assert {name: (error["kind"], error["status"], error["code"]) for name, error in errors.items()} == {
        "wrong": ("BadRequestError", 400, "invalid_value"),
        "unheard": ("NotFoundError", 404, "model_not_found"),
        "stranger": ("AuthenticationError", 401, "invalid_api_key"),
        "large": ("APIError", 413, "request_too_large"),
        "unsupported": ("APIError", 415, "unsupported_media_type"),
    }
    assert errors["wrong"]["param"] == "temperature"
    assert all(error["id"].startswith("req_") for error in errors.values())


async def test_a_model_that_fails_is_raised_and_so_is_a_stream_that_breaks_off(house: House) -> None:
    house.model.configure(mode="401")
    failed = await node(house, "failures")
    assert (failed["kind"], failed["status"], failed["code"]) == ("InternalServerError", 502, "provider_error")
    house.model.configure(mode="midcut")
    broken = await node(house, "brokenStream")
    assert broken["heard"]
    assert (broken["error"]["kind"], broken["error"]["code"]) == ("APIError", "provider_error")
