"""A provider's refusal of a prompt, as a person with a session sees it: the next message is answered, and so are those after it."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.contract.providers.test_wire_openai import choice, streamed, whole
from tests.doubles.live_server import with_model
from tests.doubles.model_server import ModelServer

from .test_path import running


async def ask(client: httpx2.AsyncClient, content: str) -> httpx2.Response:
    return await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": content}], "session_id": "refused"})


def refusal(status: int, words: str) -> bytes:
    data = json.dumps({"error": {"message": words, "type": "invalid_request_error"}}).encode()
    return b"HTTP/1.1 %d Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(data), data)


def sent(model: ModelServer) -> list[dict[str, Any]]:
    return json.loads(model.bodies[-1])["messages"]


async def test_a_context_smaller_than_thought_is_learned_and_the_short_message_is_answered(tmp_path: Path) -> None:
    words = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."
    async with ModelServer() as model, running(tmp_path, with_model(model.url)) as client:
        for _ in range(9):
            assert (await ask(client, "note " * 800)).status_code == 200
        model.replies.append(refusal(400, words))
        answered = await ask(client, "hi")
        assert answered.status_code == 200
        shortened = sent(model)
        assert len(shortened) < 12
        assert (await ask(client, "and?")).status_code == 200
        assert sent(model)[: len(shortened)] == shortened, "the prompt goes on from what was taken"
        for _ in range(6):
            assert (await ask(client, "note " * 800)).status_code == 200
        assert sum(len(message["content"]) for message in sent(model)) // 4 < 8_192, "later turns keep to what was learned"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_too_long_for_instructions_and_tools_alone_is_not_blamed_on_the_message(tmp_path: Path, stream: bool) -> None:
    async with ModelServer() as model, running(tmp_path, with_model(model.url)) as client:
        model.configure(mode="context")
        response = await client.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}], "session_id": "refused", "stream": stream}
        )
        assert response.status_code == 502
        assert "takes 8,192 tokens" in response.json()["error"]["message"]


async def test_thoughts_are_neither_said_nor_sent_back(tmp_path: Path) -> None:
    async with ModelServer() as model, running(tmp_path, with_model(model.url)) as client:
        model.replies.append(
            streamed(choice({"content": "<th"}), choice({"content": "ink>He says hi.</think>\n\nHello!"}), choice({}, "stop"), "[DONE]")
        )
        assert (await ask(client, "hi")).json()["choices"][0]["message"]["content"] == "Hello!"
        await ask(client, "more")
        assert "think" not in json.dumps(sent(model)[1:])


async def test_a_call_that_another_server_would_refuse_for_ever_goes_back_in_a_form_that_all_take(tmp_path: Path) -> None:
    async with ModelServer() as model, running(tmp_path, with_model(model.url)) as client:
        function = {"name": "functions.list dir", "arguments": '{"path": "a'}
        made = {"id": "call_1", "type": "function", "function": function}
        model.replies.append(whole({"choices": [{"message": {"tool_calls": [made]}, "finish_reason": "tool_calls"}]}))
        assert (await ask(client, "look")).status_code == 200
        assert (await ask(client, "again")).status_code == 200
        calls: list[dict[str, Any]] = [call for message in sent(model) for call in message.get("tool_calls", ())]
        (call,) = calls
        assert json.loads(call["function"]["arguments"]) == {"not_json": '{"path": "a'}
        assert call["function"]["name"].startswith("functions_list_dir_")
