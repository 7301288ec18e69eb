"""Server Node's description of its API: its config.toml and its calls as they are printed, and what it says of them."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from .house import House, opened
from .snippets import needs_curl, needs_packages, printed, run, snippet
from .witness import check_form

DOCUMENT = "server-node-api"
KEY = "sk-your-secret-key"
"""As the document's config.toml has it."""
ANSWERED = """
[api.models.my-fine-tuned-model]
provider = "custom"
default_temperature = 0.3
[api.models.text-embedding-model]
type = "embedding"
provider = "custom"
[api.models.a-completion-model]
type = "completion"
provider = "custom"
"""
"""Added to the document's [api]: the models that its calls name, answered by the stand-in."""
PAGE = {"origin": "http://localhost:3000"}
CHAT = {"model": "my-fine-tuned-model", "messages": [{"role": "user", "content": "ECHO hi"}]}

pytestmark = pytest.mark.asyncio(loop_scope="module")


def served(home: Path, *, beside: str = ANSWERED) -> AbstractAsyncContextManager[House]:
    """A server by the config.toml of the document."""
    file = home / "node.toml"
    file.write_text(printed(DOCUMENT, "01-api.toml") + beside)
    return opened(home, args=["--config", str(file)], key=KEY)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    async with served(tmp_path_factory.mktemp("home")) as made:
        yield made


async def said(house: House, name: str) -> str:
    """What a snippet prints. The key is the document's own, as its config.toml gives it to the server."""
    return await run(snippet(DOCUMENT, name, address=house.address), name)


@needs_curl
async def test_the_call_is_answered_in_the_printed_form(house: House) -> None:
    check_form(json.loads(printed(DOCUMENT, "08-answer.json")), json.loads(await said(house, "02-chat.sh")))
    asked = house.asked()
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert (asked["temperature"], asked["max_tokens"], "tools" in asked) == (0.7, 150, False)


@needs_curl
async def test_the_stream_is_of_chunks_of_one_id_and_ends_with_done(house: House) -> None:
    *events, last = [line.removeprefix("data: ") for line in (await said(house, "03-stream.sh")).splitlines() if line]
    chunks = [json.loads(event) for event in events]
    assert last == "[DONE]"
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks).startswith("tok0 tok1 ")
    house.check()


@needs_curl
async def test_the_embedding_is_a_list_of_numbers_with_its_usage(house: House) -> None:
    reply = json.loads(await said(house, "04-embeddings.sh"))
    assert (reply["object"], reply["model"], reply["data"][0]["index"]) == ("list", "text-embedding-model", 0)
    assert reply["data"][0]["embedding"] == [43.0, 0.0]
    assert set(reply["usage"]) == {"prompt_tokens", "total_tokens"}


async def test_the_python_client_prints_the_answer(house: House) -> None:
    assert (await said(house, "05-openai.py")).startswith("tok0 tok1 ")


@needs_packages
async def test_the_client_for_node_prints_the_message(house: House) -> None:
    message = await said(house, "06-openai.mjs")
    assert "role: 'assistant'" in message
    assert "content: 'tok0 tok1 " in message


async def test_models_are_listed_and_shown_and_completions_are_made(house: House) -> None:
    listed = [model["id"] for model in (await house.http.get("/v1/models")).json()["data"]]
    assert listed[-3:] == ["my-fine-tuned-model", "text-embedding-model", "a-completion-model"]
    shown = (await house.http.get("/v1/models/text-embedding-model")).json()
    assert (shown["id"], shown["object"], shown["type"]) == ("text-embedding-model", "model", "embedding")
    body = {"model": "a-completion-model", "prompt": "once upon a time", "max_tokens": 7}
    made = (await house.http.post("/v1/completions", json=body)).json()
    assert (made["object"], made["choices"][0]["text"]) == ("text_completion", "ONCE UPON A TIME")


async def test_every_parameter_of_the_table_reaches_the_model(house: House) -> None:
    parameters = {"temperature": 1.5, "max_tokens": 9, "top_p": 0.25, "stop": ["END", "FIN"]}
    assert (await house.http.post("/v1/chat/completions", json={**CHAT, **parameters, "stream": False})).status_code == 200
    asked = house.asked()
    assert {name: asked[name] for name in parameters} == parameters
    assert asked["messages"] == CHAT["messages"]
    too_hot = await house.http.post("/v1/chat/completions", json={**CHAT, "temperature": 2.1})
    assert (too_hot.status_code, too_hot.json()["error"]["param"]) == (400, "temperature")


async def test_a_models_own_temperature_holds_where_none_is_asked_for(house: House) -> None:
    assert (await house.http.post("/v1/chat/completions", json=CHAT)).status_code == 200
    assert house.asked()["temperature"] == 0.3


async def test_without_the_key_it_is_401(house: House) -> None:
    for headers in ({"authorization": ""}, {"authorization": "Bearer sk-another"}):
        refused = await house.http.get("/v1/models", headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_the_page_of_the_configuration_may_call_and_no_other(house: House) -> None:
    answered = await house.http.post("/v1/chat/completions", json=CHAT, headers=PAGE)
    assert (answered.status_code, answered.headers["access-control-allow-origin"]) == (200, PAGE["origin"])
    asking = {**PAGE, "access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type"}
    # asked of the server itself: a preflight's answer has no body, so the wire has nothing to look at
    async with httpx2.AsyncClient(base_url=house.server.url, timeout=30) as page:
        preflight = await page.options("/v1/chat/completions", headers=asking)
    assert preflight.status_code in (200, 204)
    assert preflight.headers["access-control-allow-origin"] == PAGE["origin"]
    other = await house.http.post("/v1/chat/completions", json=CHAT, headers={"origin": "http://localhost:3001"})
    assert (other.status_code, other.json()["error"]["code"]) == (403, "forbidden_origin")


async def test_the_printed_limits_and_models_hold(tmp_path: Path) -> None:
    async with served(tmp_path, beside=printed(DOCUMENT, "07-models.toml") + ANSWERED) as limited:
        await printed_models_are_there(limited)
        left = 60 - 5  # the description was asked for, too
        answered, refused = [await limited.http.post("/v1/chat/completions", json={**CHAT, "max_tokens": 100_000}) for _ in range(2)]
        assert (answered.status_code, answered.headers["x-ratelimit-remaining-requests"]) == (200, str(left - 1))
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert "100000 tokens a minute" in refused.json()["error"]["message"]
        answers = await asyncio.gather(*[limited.http.get("/v1/models") for _ in range(left)])
        assert sorted(answer.status_code for answer in answers) == [200] * (left - 1) + [429]
        [refused] = [answer for answer in answers if answer.status_code == 429]
        assert (refused.headers["x-ratelimit-limit-requests"], refused.headers["x-ratelimit-limit-tokens"]) == ("60", "100000")
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert int(refused.headers["retry-after-ms"]) > 0


async def printed_models_are_there(made: House) -> None:
    """Listed and shown, by four requests. Their files do not exist: a request to one gets the reason."""
    listed = [model["id"] for model in (await made.http.get("/v1/models")).json()["data"]]
    assert {"my-chat-model", "my-embedding-model", "my-completion-model"} <= set(listed)
    chat = (await made.http.get("/v1/models/my-chat-model")).json()
    assert (chat["owned_by"], chat["type"], chat["context_length"]) == ("local", "chat", 4096)
    assert (await made.http.get("/v1/models/my-embedding-model")).json()["dimensions"] == 768
    missing = await made.http.post("/v1/chat/completions", json={**CHAT, "model": "my-chat-model"})
    assert missing.status_code == 502
    assert "/models/chat-model-v1" not in missing.text
