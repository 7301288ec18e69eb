"""Moltbot's description of its HTTP endpoint: its calls and its configuration as they are printed, and what it says of them."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from .house import House, opened
from .snippets import needs_curl, printed, run, snippet

DOCUMENT = "moltbot-openai-http-api"
TOKEN = "gateway-token-of-this-test"
CHAT = "/v1/chat/completions"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    """Served by the configuration that enables the endpoint, as it is printed; the token and a second agent stand in the environment."""
    folder = tmp_path_factory.mktemp("served")
    env = {"NANOBOT_AUTH__MODE": "token", "CLAWDBOT_GATEWAY_TOKEN": TOKEN, "NANOBOT_AGENTS__BETA__INSTRUCTIONS": "You are beta."}
    async with opened(folder / "home", args=["--config", str(configured(folder, "01-enabled.json5"))], key=TOKEN, env=env) as made:
        yield made


def configured(folder: Path, name: str) -> Path:
    """A configuration of the document, as a file."""
    file = folder / name
    file.write_text(printed(DOCUMENT, name))
    return file


async def ask(house: House, text: str, *, headers: dict[str, str] | None = None, **fields: object) -> httpx2.Response:
    body = {"model": "moltbot", "messages": [{"role": "user", "content": text}], **fields}
    return await house.http.post(CHAT, json=body, headers=headers or {})


def instructions(house: House) -> str:
    return house.asked()["messages"][0]["content"]


@needs_curl
async def test_the_call_that_is_not_streamed_is_answered(house: House) -> None:
    reply = json.loads(await run(snippet(DOCUMENT, "03-whole.sh", address=house.address, token=TOKEN), "03-whole.sh"))
    assert reply["choices"][0]["message"]["content"].startswith("tok0 ")
    assert house.told() == [("user", "hi")]


@needs_curl
async def test_the_streamed_call_is_a_stream_of_data_lines_that_ends_with_done(house: House) -> None:
    said = await run(snippet(DOCUMENT, "04-stream.sh", address=house.address, token=TOKEN), "04-stream.sh")
    lines = [line for line in said.splitlines() if line]
    assert all(line.startswith("data: ") for line in lines)
    assert json.loads(lines[0][6:])["object"] == "chat.completion.chunk"
    assert lines[-1] == "data: [DONE]"
    ([exchange], _) = house.check()
    assert exchange.kind == "text/event-stream"


@needs_curl
async def test_without_its_token_the_call_is_refused(house: House) -> None:
    reply = json.loads(await run(snippet(DOCUMENT, "03-whole.sh", address=house.address, token="another"), "03-whole.sh"))
    assert reply["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("model", ["moltbot:beta", "agent:beta", "moltbot:BETA"])
async def test_the_model_names_the_agent(house: House, model: str) -> None:
    assert (await ask(house, "hi", model=model)).status_code == 200
    assert instructions(house).startswith("You are beta.")


async def test_the_header_names_the_agent_and_without_one_it_is_main(house: House) -> None:
    assert (await ask(house, "hi", headers={"x-moltbot-agent-id": "beta"})).status_code == 200
    assert instructions(house).startswith("You are beta.")
    for model in ("moltbot", "moltbot:main"):
        assert (await ask(house, "hi", model=model)).status_code == 200
        assert not instructions(house).startswith("You are beta.")
    assert (await ask(house, "hi", model="moltbot:nobody")).json()["error"]["code"] == "model_not_found"


async def test_a_session_key_routes_to_its_session(house: House) -> None:
    for text in ("ECHO one", "ECHO two"):
        assert (await ask(house, text, headers={"x-moltbot-session-key": "mine"})).status_code == 200
    assert house.told() == [("user", "ECHO one"), ("assistant", "one"), ("user", "ECHO two")]
    assert (await house.http.get("/v1/sessions/mine")).status_code == 200


async def test_each_request_stands_for_itself(house: House) -> None:
    before = (await house.http.get("/v1/sessions")).json()["data"]
    for text in ("ECHO one", "ECHO two"):
        assert (await ask(house, text)).status_code == 200
    assert house.told() == [("user", "ECHO two")]
    assert (await house.http.get("/v1/sessions")).json()["data"] == before


async def test_a_users_requests_share_a_session(house: House) -> None:
    for user, text in (("anna", "ECHO one"), ("otto", "ECHO two"), ("anna", "ECHO three")):
        assert (await ask(house, text, user=user)).status_code == 200
    assert house.told() == [("user", "ECHO one"), ("assistant", "one"), ("user", "ECHO three")]


async def test_the_endpoint_is_disabled_as_it_is_printed_and_the_password_opens_the_rest(tmp_path: Path) -> None:
    file = configured(tmp_path, "02-disabled.json5")
    env = {"NANOBOT_AUTH__MODE": "password", "CLAWDBOT_GATEWAY_PASSWORD": TOKEN}
    async with opened(tmp_path / "home", args=["--config", str(file)], key=TOKEN, env=env) as made:
        disabled = await ask(made, "hi")
        assert (disabled.status_code, disabled.json()["error"]["code"]) == (404, "not_found")
        assert (await made.http.get("/v1/models")).status_code == 200
        refused = await made.http.get("/v1/models", headers={"authorization": "Bearer another"})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
