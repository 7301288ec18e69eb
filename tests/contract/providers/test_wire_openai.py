"""What goes over OpenAI's wire, and what is made of what comes back."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from assistant.contracts.errors import ProviderFailed
from assistant.contracts.messages import AssistantMessage, Json, UserMessage
from assistant.contracts.models import ModelRequest, Sampling
from tests.doubles.model_server import ModelServer

from .samples import PICTURE, REPORT, ROUND, into, request, target, unheard, user, wire_provider


async def sent(
    server: ModelServer, asked: ModelRequest, *, wire: str = "openai", model: str = "some-model", **settings: object
) -> dict[str, Any]:
    provider = wire_provider(server, wire, model=model, **settings)
    await provider.complete(asked, unheard)
    await provider.close()
    return json.loads(server.bodies[-1])


def whole(body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)


def streamed(*events: dict[str, Any] | str, close: bool = False) -> bytes:
    data = b"".join(b"data: " + (event if isinstance(event, str) else json.dumps(event)).encode() + b"\n\n" for event in events)
    ending = b"Connection: close\r\n\r\n" if close else b"Content-Length: %d\r\n\r\n" % len(data)
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + ending + data


def choice(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


async def answered(server: ModelServer, raw: bytes, *, stream: bool = True) -> AssistantMessage:
    server.replies.append(raw)
    provider = wire_provider(server)
    try:
        return await provider.complete(request(stream=stream), unheard)
    finally:
        await provider.close()


async def test_fields_of_the_client_go_along_and_never_replace_ours(server: ModelServer) -> None:
    extra: dict[str, Json] = {"top_k": 40, "model": "another", "chat_template_kwargs": {"enable_thinking": False}}
    body = await sent(server, replace(request(), extra_fields=extra))
    assert (body["top_k"], body["chat_template_kwargs"]) == (40, {"enable_thinking": False})
    assert body["model"] == "some-model"


async def test_the_request_is_that_of_chat_completions(server: ModelServer) -> None:
    sampling = Sampling(
        temperature=0.5, top_p=0.9, max_tokens=7, stop=("END",), seed=3, reasoning_effort="low", response_format={"type": "json_object"}
    )
    body = await sent(server, request("hi", messages=ROUND, stream=True, sampling=sampling))
    assert body["messages"] == [
        {"role": "system", "content": "You are kind."},
        {"role": "user", "content": "what does it say?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "read_file", "arguments": '{"path": "a"}'}},
                {"id": "call_2", "type": "function", "function": {"name": "x", "arguments": '{"not_json":"{oops"}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "forty-two"},
        {"role": "tool", "tool_call_id": "call_2", "content": "Failed: no such tool"},
        {"role": "user", "content": "hi"},
    ]
    assert body["tools"][0]["function"]["name"] == "read_file"
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert body["max_completion_tokens"] == 7
    wanted = {
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 3,
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
    }
    assert {name: body[name] for name in wanted} == wanted


async def test_what_nobody_asked_for_is_not_sent(server: ModelServer) -> None:
    asked = ModelRequest(instructions=(), messages=(user("hi"),))
    assert await sent(server, asked) == {"model": "some-model", "messages": [{"role": "user", "content": "hi"}]}


async def test_other_servers_get_max_tokens_under_its_old_name(server: ModelServer) -> None:
    body = await sent(server, request(sampling=Sampling(max_tokens=7)), wire="deepseek")
    assert body["max_tokens"] == 7
    assert "max_completion_tokens" not in body


async def test_models_that_reason_are_not_sent_a_temperature_that_they_refuse(server: ModelServer) -> None:
    body = await sent(server, request(sampling=Sampling(temperature=0.1, top_p=0.5)), model="gpt-5-mini")
    assert "temperature" not in body
    assert "top_p" not in body


async def test_the_key_and_the_extra_headers_query_and_body_are_sent(server: ModelServer) -> None:
    body = await sent(server, request(), extraHeaders={"APP-Code": "abc"}, extraQuery={"api-version": "1"}, extraBody={"route": "fast"})
    assert "Authorization: Bearer sk-test-" in server.heads[-1]
    assert "APP-Code: abc" in server.heads[-1]
    assert "/chat/completions?api-version=1 " in server.heads[-1]
    assert body["route"] == "fast"


async def test_a_picture_is_named_and_then_shown(server: ModelServer) -> None:
    asked = ModelRequest(instructions=(), messages=(UserMessage(id="m", parts=(REPORT, PICTURE)),), images={"att_1": b"\x89PNG"})
    [message] = (await sent(server, asked))["messages"]
    document, line, picture = message["content"]
    assert document["text"].startswith('<file name="report.pdf"')
    assert line["text"] == "[Image: cat.png (PNG, 4×3, 2.0 kB)]"
    assert picture["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()


@pytest.mark.parametrize(("vision", "images", "why"), [(False, {"att_1": b"x"}, "does not take images"), (True, {}, "no longer kept")])
async def test_a_picture_that_is_not_shown_is_named_with_the_reason(
    server: ModelServer, vision: bool, images: dict[str, bytes], why: str
) -> None:
    asked = ModelRequest(instructions=(), messages=(UserMessage(id="m", parts=(PICTURE,)),), images=images)
    [message] = (await sent(server, asked, vision=vision))["messages"]
    assert why in message["content"]


async def test_a_body_of_many_megabytes_arrives_whole(server: ModelServer) -> None:
    data = bytes(range(256)) * 4 * 4096
    asked = ModelRequest(instructions=(), messages=(UserMessage(id="m", parts=(PICTURE,)),), images={"att_1": data})
    [message] = (await sent(server, asked))["messages"]
    assert base64.b64decode(message["content"][1]["image_url"]["url"].partition(",")[2]) == data


async def test_the_same_history_is_the_same_bytes_every_time(server: ModelServer) -> None:
    provider = wire_provider(server)
    for text in ("one", "two"):
        await provider.complete(request(text, messages=ROUND), unheard)
    first, second = [body.partition(b'"content":"%s"' % text)[0] for body, text in zip(server.bodies, (b"one", b"two"), strict=True)]
    assert first == second
    assert len(first) > 300
    await provider.close()


async def test_tool_calls_in_fragments_are_put_together_by_index(server: ModelServer) -> None:
    pieces = [
        choice({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "one", "arguments": ""}}]}),
        choice({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "two", "arguments": '{"x"'}}]}),
        choice({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}, {"index": 1, "function": {"arguments": ": 1}"}}]}),
        choice({}, "tool_calls"),
        "[DONE]",
    ]
    message = await answered(server, streamed(*pieces))
    assert [(call.id, call.name, call.arguments) for call in message.tool_calls] == [("a", "one", "{}"), ("b", "two", '{"x": 1}')]


@pytest.mark.parametrize("index", [{"index": 0}, {}])
async def test_whole_calls_that_are_all_numbered_alike_stay_apart(server: ModelServer, index: dict[str, int]) -> None:
    calls = [choice({"tool_calls": [{**index, "id": name, "function": {"name": name, "arguments": {}}}]}) for name in ("a", "b")]
    message = await answered(server, streamed(*calls, choice({}, "stop"), "[DONE]"))
    assert [call.name for call in message.tool_calls] == ["a", "b"]
    assert message.finish_reason == "tool_calls"


async def test_calls_without_ids_or_with_the_same_get_ids_of_their_own(server: ModelServer) -> None:
    function = {"name": "x", "arguments": "{}"}
    calls = [{"function": function}, {"function": function}, {"id": "same", "function": function}, {"id": "same", "function": function}]
    body = {"choices": [{"message": {"content": None, "tool_calls": calls}, "finish_reason": "tool_calls"}]}
    message = await answered(server, whole(body), stream=False)
    ids = [call.id for call in message.tool_calls]
    assert len(set(ids)) == 4
    assert all(ids)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("stop", "stop"), ("length", "length"), ("max_tokens", "length"), ("content_filter", "content_filter"), ("eos", "stop"),
     ("content_filter: SAFETY", "content_filter"), ("function_call", "stop")],
)  # fmt: skip
async def test_finish_reasons_are_told_truthfully(server: ModelServer, said: str, meant: str) -> None:
    message = await answered(server, streamed(choice({"content": "x"}), choice({}, said), "[DONE]"))
    assert message.finish_reason == meant


async def test_an_answer_broken_off_by_the_provider_is_a_failure(server: ModelServer) -> None:
    with pytest.raises(ProviderFailed, match="broke its answer off"):
        await answered(server, streamed(choice({"content": "x"}), choice({}, "error"), "[DONE]"))


async def test_a_stream_that_ends_after_its_finish_reason_is_whole_without_done(server: ModelServer) -> None:
    assert (await answered(server, streamed(choice({"content": "x"}), choice({}, "stop"), close=True))).text == "x"


async def test_a_stream_that_ends_with_done_alone_is_whole(server: ModelServer) -> None:
    assert (await answered(server, streamed(choice({"content": "x"}), "[DONE]"))).finish_reason == "stop"


async def test_words_of_reasoning_are_not_the_answer(server: ModelServer) -> None:
    message = await answered(
        server, streamed(choice({"reasoning_content": "hmm", "content": None}), choice({"content": "x"}), choice({}, "stop"), "[DONE]")
    )
    assert message.text == "x"


async def test_an_answer_cut_by_its_length_may_be_empty(server: ModelServer) -> None:
    message = await answered(server, streamed(choice({}, "length"), "[DONE]"))
    assert (message.text, message.finish_reason) == ("", "length")


async def test_usage_comes_with_what_the_cache_gave(server: ModelServer) -> None:
    usage = {"prompt_tokens": 50, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 40}}
    message = await answered(server, streamed(choice({"content": "x"}, "stop"), {"choices": [], "usage": usage}, "[DONE]"))
    assert (message.usage.prompt_tokens, message.usage.completion_tokens, message.usage.cached_tokens) == (50, 5, 40)


async def test_usage_that_nobody_counts_is_estimated_by_characters(server: ModelServer) -> None:
    message = await answered(server, streamed(choice({"content": "12345678"}, "stop"), "[DONE]"))
    assert message.usage.completion_tokens == 2
    assert message.usage.prompt_tokens == 5  # 18 characters


async def test_a_server_that_does_not_stream_is_heard_in_one_piece(server: ModelServer) -> None:
    server.replies.append(whole({"choices": [{"message": {"content": "all of it"}, "finish_reason": "stop"}]}))
    provider, heard = wire_provider(server), list[str]()
    await provider.complete(request(stream=True), into(heard))
    assert heard == ["all of it"]
    await provider.close()


def test_what_is_known_of_a_model_is_told() -> None:
    def info(provider: str, model: str, **settings: object) -> tuple[int, bool]:
        reached = target(ModelServer(), provider, model=model, **settings).info
        return reached.context_tokens, reached.vision

    assert info("openai", "gpt-5-mini") == (400_000, True)
    assert info("openrouter", "openai/gpt-4o") == (128_000, True)
    assert info("ollama", "qwen3:8b") == (32_768, False)
    assert info("ollama", "qwen3:8b", contextTokens=40_000, vision=True) == (40_000, True)
    assert info("mine", "unheard-of") == (128_000, True)
