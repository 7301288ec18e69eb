"""A provider's refusal of a prompt, as a person with a session sees it: the next message is answered, and so are those after it."""

import base64
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


PIXEL = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\3\1\1\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82"
).decode()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Could not process image"),
        (400, "At most 0 image(s) may be provided in one prompt."),
        (404, "No endpoints found that support image input"),
        (413, "Request Entity Too Large"),
        (415, "Unsupported Media Type"),
        (422, "content.1: Input should be a valid string"),
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
        (500, "this model does not support multimodal requests"),
        (501, "Vision is not implemented"),
    ],
)
async def test_a_picture_that_a_provider_refuses_does_not_end_the_session(tmp_path: Path, status: int, words: str) -> None:
    async with ModelServer() as model:
        config = with_model(model.url)
        config["providers"] = {"custom": {"apiBase": model.url, "apiKey": "not-a-secret", "vision": True}}
        async with running(tmp_path, config) as client:
            model.replies.append(refusal(status, words))
            shown = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]
            asked = {"messages": [{"role": "user", "content": shown}], "session_id": "refused"}
            answered = await client.post("/v1/chat/completions", json=asked)
            assert answered.status_code == 200, answered.text
            before = len(model.bodies)
            assert "image_url" in model.bodies[-2].decode()
            assert (await ask(client, "and?")).status_code == 200
            assert len(model.bodies) == before + 1, "what is taken is remembered"
            assert "image_url" not in model.bodies[-1].decode()


async def test_an_answer_longer_than_a_small_context_is_asked_for_shorter(tmp_path: Path) -> None:
    words = "max_tokens is too large: 8192. This model's maximum context length is 4096 tokens and your request has 900 input tokens"
    async with ModelServer() as model, running(tmp_path, with_model(model.url)) as client:
        model.replies.append(refusal(400, words))
        asked = {"messages": [{"role": "user", "content": "hi"}], "session_id": "refused", "max_tokens": 8192}
        for _ in range(2):
            answered = await client.post("/v1/chat/completions", json=asked)
            assert answered.status_code == 200, answered.text
        limits = [json.loads(body)["max_tokens"] for body in model.bodies]
        assert limits == [8192, 1024, 1024]
