"""Responses that are kept: by whom they can be seen, what a crash leaves of them, and that they are as described."""

import asyncio
import json
import signal
from pathlib import Path

import openai
import pytest

from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_server import ModelServer
from tests.flow.nanobot_process import Nanobot
from tests.flow.openapi_check import check

from .conftest import MODELS, Served
from .test_responses import WEATHER

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_all_that_is_answered_is_as_described(served: Served) -> None:
    document = (await served.http.get("/openapi.json")).json()

    def described(value: object, name: str) -> None:
        check(value, document["components"]["schemas"][name], document)

    made = (await served.send(model="tuned", input="hi", metadata={"a": "b"}, user="u", text={"format": {"type": "json_object"}})).json()
    described(made, "ResponseObject")
    calls = (await served.send(model="tuned", input="CALLTOOL weather {}", tools=[WEATHER], tool_choice="required")).json()
    described(calls, "ResponseObject")
    path = f"/v1/responses/{made['id']}"
    assert (await served.http.get(path)).json() == made
    described((await served.http.get(path + "/input_items")).json(), "InputItemList")
    described((await served.http.delete(path)).json(), "ResponseDeleted")
    for answer in (await served.http.get(path), await served.http.delete(path), await served.http.get("/v1/responses/resp_x")):
        assert answer.status_code == 404
        described(answer.json(), "ErrorAnswer")
        assert answer.json()["error"]["code"] == "response_not_found"
    served.model.configure(mode="midcut")
    streamed = (await served.send(model="tuned", input="hi", stream=True)).text
    for line in streamed.splitlines():
        if line.startswith("data:") and "response" in (event := json.loads(line[5:])):
            described(event["response"], "ResponseObject")


async def test_idempotent_repeats_get_the_same_response(served: Served) -> None:
    key = {"Idempotency-Key": "once-responses"}
    first = await served.sdk.responses.create(model="tuned", input="hi", extra_headers=key)
    again = await served.sdk.responses.create(model="tuned", input="hi", extra_headers=key)
    assert first == again


async def test_another_keys_response_is_not_there_and_nothing_goes_on_from_it(tmp_path: Path) -> None:
    async with ModelServer() as model:
        config = {**with_model(model.url), "models": MODELS, "api": {"apiKey": "owner-key-0123456789"}}
        with live_server(tmp_path / "home", config=config) as server:
            made_key = await asyncio.to_thread(Nanobot(folder=tmp_path), "keys", "create", "other")
            secret = made_key.stdout.strip()
            async with (
                openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="owner-key-0123456789", max_retries=0) as owner,
                openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=secret, max_retries=0) as other,
            ):
                made = await owner.responses.create(model="tuned", input="ECHO secret")
                for call in (other.responses.retrieve, other.responses.delete, other.responses.input_items.list):
                    with pytest.raises(openai.NotFoundError):
                        await call(made.id)
                with pytest.raises(openai.BadRequestError, match="There is no response"):
                    await other.responses.create(model="tuned", input="what was it?", previous_response_id=made.id)
                assert (await owner.responses.retrieve(made.id)).output_text == "secret"


async def test_a_response_that_a_crash_cut_off_says_so_and_what_was_answered_is_there(tmp_path: Path) -> None:
    async with ModelServer() as model:
        config = {**with_model(model.url), "models": MODELS}
        with live_server(tmp_path / "home", config=config) as server:
            async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="dummy", max_retries=0) as sdk:
                whole = await sdk.responses.create(model="tuned", input="ECHO kept")
                model.configure(chunk_delay_ms=200)
                stream = await sdk.responses.create(model="tuned", input="slowly", stream=True)
                created = await anext(aiter(stream))
                server.process.send_signal(signal.SIGKILL)
                await asyncio.to_thread(server.process.wait)
                await stream.close()
        with live_server(tmp_path / "home", config=config) as server:
            async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="dummy", max_retries=0) as sdk:
                assert created.type == "response.created"
                cut = await sdk.responses.retrieve(created.response.id)
                assert cut.status == "failed"
                assert cut.error is not None
                assert "stopped" in cut.error.message
                assert (await sdk.responses.retrieve(whole.id)).output_text == "kept"


async def test_one_that_ended_with_its_client_says_so_and_does_not_blame_the_prompt(tmp_path: Path) -> None:
    async with ModelServer() as model:
        config = {**with_model(model.url), "models": MODELS, "api": {"onDisconnect": "cancel"}}
        with live_server(tmp_path / "home", config=config) as server:
            async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="dummy", max_retries=0) as sdk:
                model.configure(chunk_delay_ms=60_000)
                stream = await sdk.responses.create(model="agent:main", input="slowly", stream=True)
                created = await anext(aiter(stream))
                assert created.type == "response.created"
                await stream.close()
                async with asyncio.timeout(30):
                    while (found := await sdk.responses.retrieve(created.response.id)).status == "in_progress":
                        pass
                assert found.status == "failed"
                assert found.error is not None
                assert (found.error.code, found.error.message) == ("server_error", "The turn was stopped before it ended.")
