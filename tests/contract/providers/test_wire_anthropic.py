"""What goes over Anthropic's wire, and what is made of what comes back."""

import json
from typing import Any

import pytest

from assistant.contracts.messages import AssistantMessage, Json, UserMessage
from assistant.contracts.models import ModelRequest, Sampling
from tests.doubles.model_server import ModelServer

from .samples import PICTURE, ROUND, request, unheard, user, wire_provider

MARK = {"cache_control": {"type": "ephemeral"}}


async def sent(server: ModelServer, asked: ModelRequest, *, model: str = "claude-haiku-4-5") -> dict[str, Any]:
    provider = wire_provider(server, "anthropic", model=model)
    await provider.complete(asked, unheard)
    await provider.close()
    return json.loads(server.bodies[-1])


async def answered(server: ModelServer, *events: dict[str, Any]) -> AssistantMessage:
    data = b"".join(b"event: x\r\ndata: " + json.dumps(event).encode() + b"\r\n\r\n" for event in events)
    server.replies.append(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))
    provider = wire_provider(server, "anthropic")
    try:
        return await provider.complete(request(stream=True), unheard)
    finally:
        await provider.close()


async def test_the_request_is_that_of_the_messages_api(server: ModelServer) -> None:
    body = await sent(server, request("hi", messages=ROUND, sampling=Sampling(temperature=1.5, stop=("END", " "), seed=3)))
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "what does it say?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "call_1", "name": "read_file", "input": {"path": "a"}},
                {"type": "tool_use", "id": "call_2", "name": "x", "input": {"not_json": "{oops"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "forty-two"},
                {"type": "tool_result", "tool_use_id": "call_2", "content": "no such tool", "is_error": True},
                {"type": "text", "text": "hi", **MARK},
            ],
        },
    ]
    assert body["tools"][0]["input_schema"]["type"] == "object"
    assert body["max_tokens"] == 16_384
    assert body["temperature"] == 1.0
    assert body["stop_sequences"] == ["END"]
    assert "seed" not in body
    assert "x-api-key: sk-test-" in server.heads[-1]
    assert "anthropic-version: 2023-06-01" in server.heads[-1]
    assert server.heads[-1].startswith("POST /v1/messages ")


async def test_the_stable_part_of_the_instructions_is_marked_for_the_cache(server: ModelServer) -> None:
    body = await sent(server, ModelRequest(instructions=("stable", "today"), messages=(user("hi"),)))
    assert body["system"] == [{"type": "text", "text": "stable", **MARK}, {"type": "text", "text": "today"}]


async def test_the_mark_moves_on_and_leaves_what_was_kept_as_it_was(server: ModelServer) -> None:
    provider = wire_provider(server, "anthropic")
    await provider.complete(ModelRequest(instructions=(), messages=(user("one", id="m1"),)), unheard)
    said = AssistantMessage(id="m2", text="yes")
    await provider.complete(ModelRequest(instructions=(), messages=(user("one", id="m1"), said, user("two", id="m3"))), unheard)
    first, _, last = json.loads(server.bodies[-1])["messages"]
    assert first["content"] == [{"type": "text", "text": "one"}]
    assert last["content"] == [{"type": "text", "text": "two", **MARK}]
    await provider.close()


async def test_a_picture_is_named_and_then_shown(server: ModelServer) -> None:
    asked = ModelRequest(instructions=(), messages=(UserMessage(id="m", parts=(PICTURE,)),), images={"att_1": b"abc"})
    [message] = (await sent(server, asked))["messages"]
    line, picture = message["content"]
    assert line["text"].startswith("[Image: cat.png")
    assert picture == {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "YWJj"}, **MARK}


async def test_a_message_without_words_is_not_sent_empty(server: ModelServer) -> None:
    body = await sent(server, ModelRequest(instructions=(" ",), messages=(user(" "),)))
    assert body["messages"][0]["content"][0]["text"] == "[No words.]"
    assert "system" not in body


async def test_effort_and_schema_go_where_this_wire_has_them(server: ModelServer) -> None:
    wanted: dict[str, Json] = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    sampling = Sampling(reasoning_effort="minimal", response_format=wanted, temperature=0.1, max_tokens=5)
    body = await sent(server, request(sampling=sampling), model="claude-opus-4-8")
    assert body["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert "temperature" not in body
    assert body["max_tokens"] == 5


async def test_a_plain_json_object_is_asked_for_in_words(server: ModelServer) -> None:
    body = await sent(server, request(sampling=Sampling(response_format={"type": "json_object"})))
    assert "JSON object" in body["system"][-1]["text"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("refusal", "content_filter"),
     ("model_context_window_exceeded", "length")],
)  # fmt: skip
async def test_stop_reasons_are_told_truthfully(server: ModelServer, said: str, meant: str) -> None:
    message = await answered(
        server,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hmm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "message_delta", "delta": {"stop_reason": said}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    )
    assert (message.text, message.finish_reason) == ("x", meant)


async def test_usage_counts_what_the_cache_gave_and_took_as_prompt(server: ModelServer) -> None:
    usage = {"input_tokens": 3, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 7, "output_tokens": 1}
    message = await answered(
        server,
        {"type": "message_start", "message": {"model": "claude-x", "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9, "input_tokens": 0}},
        {"type": "message_stop"},
    )
    assert (message.usage.prompt_tokens, message.usage.cached_tokens, message.usage.completion_tokens) == (50, 40, 9)
    assert message.model == "claude-x"


async def test_a_call_without_arguments_has_an_empty_object(server: ModelServer) -> None:
    message = await answered(
        server,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "now", "input": {}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ""}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    )
    assert [(call.id, call.arguments) for call in message.tool_calls] == [("t", "{}")]


@pytest.mark.parametrize(
    "odd",
    [
        {"type": ["x"]},
        {"type": {"a": 1}},
        {"type": 5},
        {"type": "x_new", "message": "all is well", "id": "1"},
        {"type": "content_block_start", "index": ["a"], "content_block": {"type": ["x"]}},
        {"type": "content_block_start", "index": 9, "content_block": None},
        {"type": "content_block_delta", "index": 9, "delta": {"type": ["x"]}},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "signature_delta", "signature": 5}},
        {"type": "content_block_delta", "index": {"a": 1}, "delta": {"type": "input_json_delta", "partial_json": [1]}},
        {"type": "message_delta", "delta": 5, "usage": [1]},
        {"type": "message_start", "message": {"model": None, "usage": {"input_tokens": "5"}}},
    ],
    ids=json.dumps,
)
async def test_odd_events_say_nothing(server: ModelServer, odd: dict[str, Any]) -> None:
    words = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}
    assert (await answered(server, odd, words, odd, {"type": "message_stop"})).text == "x"
