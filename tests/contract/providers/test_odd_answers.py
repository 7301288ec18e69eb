"""What servers send that OpenAI's own does not: errors in every shape, streams under any type, calls without numbers, fields of theirs."""

import json
from dataclasses import replace
from typing import Any

import pytest

from assistant.contracts.errors import NanobotError, ProviderFailed, RequestRefused
from assistant.contracts.messages import AssistantMessage, Message, ToolMessage
from assistant.contracts.models import ModelRequest
from tests.doubles.model_server import ModelServer

from .samples import request, unheard, user, wire_provider
from .test_wire_openai import answered, choice, streamed, whole

ERRORS: list[dict[str, Any]] = [
    {"error": "it broke"},
    {"error": {"message": "it broke"}},
    {"error": {"code": 500, "message": "it broke"}},
    {"error": {"error": {"message": "it broke"}}},
    {"error": {"message": "Provider returned error", "metadata": {"raw": "it broke"}}},
    {"object": "error", "message": "it broke", "type": "InternalServerError", "code": 500},
    {"type": "error", "error": {"type": "api_error", "message": "it broke"}},
    {"detail": "it broke"},
    {"detail": [{"loc": ["body", "messages"], "msg": "it broke"}]},
    {"detail": {"message": "it broke"}},
    {"code": "InternalError", "message": "it broke", "request_id": "1"},
    {"error_code": 50001, "text": "it broke"},
    {"errors": [{"message": "it broke"}]},
    {"errorCode": "X", "errorMessage": "it broke"},
    {"base_resp": {"status_code": 1013, "status_msg": "it broke"}},
    {"message": "it broke"},
    {"error": True, "message": "it broke"},
    {"code": 1113, "msg": "it broke", "success": False},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 502, "message": "it broke"}}]},
]


@pytest.mark.parametrize(
    "after", [[], [choice({"content": "Half of it"})], [choice({"reasoning_content": "hmm"})]], ids=["at once", "midway", "thinking"]
)
@pytest.mark.parametrize("error", ERRORS, ids=json.dumps)
async def test_an_error_in_any_shape_ends_a_stream(server: ModelServer, error: dict[str, Any], after: list[dict[str, Any]]) -> None:
    with pytest.raises(ProviderFailed, match="it broke"):
        await answered(server, streamed(*after, error, "[DONE]"))


@pytest.mark.parametrize(
    "before", [b"", b"data: %s\n\n" % json.dumps(choice({"content": "Half of it"})).encode()], ids=["at once", "midway"]
)
@pytest.mark.parametrize("kind", [b"text/event-stream", b"text/plain"])
async def test_an_error_in_a_field_of_its_own_ends_a_stream(server: ModelServer, before: bytes, kind: bytes) -> None:
    body = before + b'error: {"code": 500, "message": "it broke", "type": "server_error"}\n\ndata: [DONE]\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
    with pytest.raises(ProviderFailed, match="it broke"):
        await answered(server, head + body)


@pytest.mark.parametrize("error", ERRORS, ids=json.dumps)
async def test_an_error_in_any_shape_is_no_answer(server: ModelServer, error: dict[str, Any]) -> None:
    with pytest.raises(ProviderFailed, match="it broke"):
        await answered(server, whole(error), stream=False)


@pytest.mark.parametrize("error", ERRORS[:-1], ids=json.dumps)
async def test_an_error_in_any_shape_is_quoted_from_a_refusal(server: ModelServer, error: dict[str, Any]) -> None:
    with pytest.raises(NanobotError, match="it broke") as caught:
        await answered(server, whole(error).replace(b"200 OK", b"400 Bad Request"))
    assert type(caught.value) is RequestRefused


@pytest.mark.parametrize(
    "more",
    [
        {"code": 0, "message": "ok"},
        {"code": 200, "message": "success"},
        {"error": None},
        {"error_code": 0},
        {"detail": None},
        {"base_resp": {"status_code": 0, "status_msg": ""}},
        {"status": "ok", "msg": "done"},
        {"service_tier": "default", "system_fingerprint": "fp", "x_groq": {"id": "1"}},
    ],
    ids=json.dumps,
)
async def test_fields_that_say_that_all_is_well_are_no_errors(server: ModelServer, more: dict[str, Any]) -> None:
    assert (await answered(server, streamed({**choice({"content": "x"}), **more}, {**choice({}, "stop"), **more}, "[DONE]"))).text == "x"


TYPES = [
    "text/plain",
    "text/plain; charset=utf-8",
    "application/x-ndjson",
    "application/json",
    "application/octet-stream",
    "text/html",
    "x/y",
]


@pytest.mark.parametrize(
    "opening", [b"", b"\xef\xbb\xbf", b"\n\n", b": ping\n\n", b"event: message\n", b"id: 1\n", b"retry: 5\n\n", b"data:\n\n"]
)
@pytest.mark.parametrize("kind", [*TYPES, "text/event-stream"])
async def test_a_stream_is_known_by_its_first_bytes(server: ModelServer, kind: str, opening: bytes) -> None:
    raw = streamed(choice({"content": "x"}), choice({}, "stop"), "[DONE]", close=True)
    head, _, body = raw.partition(b"\r\n\r\n")
    sent = head.replace(b"text/event-stream", kind.encode()) + b"\r\n\r\n" + opening + body
    assert (await answered(server, sent)).text == "x"


async def test_json_under_the_type_of_a_stream_is_read_as_json(server: ModelServer) -> None:
    body = whole({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]})
    assert (await answered(server, body.replace(b"application/json", b"text/event-stream"))).text == "x"


async def test_odd_events_say_nothing(server: ModelServer) -> None:
    odd: list[Any] = [
        "",
        "null",
        "{}",
        {"choices": None},
        {"choices": []},
        {"choices": [None]},
        {"choices": [{}]},
        {"id": "x", "object": "ping"},
    ]
    odd += [
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": None, "tool_calls": None}}]},
        {"choices": [{"delta": {"role": "assistant"}}]},
    ]
    raw = streamed(*odd, choice({"content": "x"}), *odd, choice({}, "stop"), *odd, " [DONE] ")
    assert (await answered(server, raw)).text == "x"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (rb'"caf\ud83d"', "caf\ufffd"),
        (rb'"\ude00 caf"', "\ufffd caf"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (b'"caf\xc3"', "caf\ufffd"),
        (b'"a\x01b\tc"', "a\x01b\tc"),
        (b'"x", "score": NaN, "other": -Infinity', "x"),
        (rb'"a\u0000b"', "a\0b"),
    ],
)
async def test_half_a_character_and_other_loose_json_do_not_cost_the_answer(
    server: ModelServer, raw: bytes, said: str, stream: bool
) -> None:
    made = choice({"content": "@"}) if stream else {"choices": [{"message": {"content": "@"}, "finish_reason": "stop"}]}
    body = json.dumps(made).encode().replace(b'"@"', raw)
    body = b"data: %s\n\ndata: %s\n\ndata: [DONE]\n\n" % (body, json.dumps(choice({}, "stop")).encode()) if stream else body
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    reply = head % (b"text/event-stream" if stream else b"application/json", len(body)) + body
    assert (await answered(server, reply, stream=stream)).text == said


def call(name: str | None, arguments: object, **more: Any) -> dict[str, Any]:
    function = {key: value for key, value in {"name": name, "arguments": arguments}.items() if value is not None}
    return {**more, "function": function}


CALLS: list[tuple[str, list[list[dict[str, Any]]], list[tuple[str, str]]]] = [
    ("number 0, id empty", [[call("a", "{}", index=0, id="")], [call("b", '{"x": 1}', index=0, id="")]], [("a", "{}"), ("b", '{"x": 1}')]),
    ("number 0, no id", [[call("a", "{}", index=0)], [call("b", '{"x": 1}', index=0)]], [("a", "{}"), ("b", '{"x": 1}')]),
    ("neither", [[call("a", "{}")], [call("b", '{"x": 1}')]], [("a", "{}"), ("b", '{"x": 1}')]),
    ("number null", [[call("a", "{}", index=None)], [call("b", "{}", index=None)]], [("a", "{}"), ("b", "{}")]),
    ("the same id twice", [[call("a", "{}", index=0, id="x")], [call("b", "{}", index=0, id="x")]], [("a", "{}"), ("b", "{}")]),
    ("one tool twice", [[call("a", '{"x": 1}', index=0)], [call("a", '{"x": 2}', index=0)]], [("a", '{"x": 1}'), ("a", '{"x": 2}')]),
    ("both at once", [[call("a", "{}", index=0), call("a", "{}", index=0)]], [("a", "{}"), ("a", "{}")]),
    ("both at once, without anything", [[call("a", ""), call("b", "")]], [("a", "{}"), ("b", "{}")]),
    ("no arguments, then another", [[call("a", None, index=0)], [call("b", None, index=0)]], [("a", "{}"), ("b", "{}")]),
    ("objects", [[call("a", {"x": 1}, index=0)], [call("b", {"y": 2}, index=0)]], [("a", '{"x":1}'), ("b", '{"y":2}')]),
    ("pieces, no numbers", [[call("a", '{"x"')], [call(None, ": 1}")], [call("b", "{")], [call(None, "}")]], [("a", '{"x": 1}'), ("b", "{}")]),
    ("pieces by id", [[call("a", "{", id="1")], [call("b", "{", id="2")], [call(None, "}", id="1")], [call(None, "}", id="2")]],
     [("a", "{}"), ("b", "{}")]),
    ("the name in each piece", [[call("a", '{"x"', index=0)], [call("a", ": 1", index=0)], [call("a", "}", index=0)]], [("a", '{"x": 1}')]),
    ("the name once more at the end", [[call("a", '{"x": 1}', index=0)], [call("a", "", index=0)]], [("a", '{"x": 1}')]),
    ("numbers from 1", [[call("a", "{}", index=1, id="1")], [call("b", "{}", index=2, id="2")]], [("a", "{}"), ("b", "{}")]),
    ("numbers as text", [[call("a", "{", index="0")], [call(None, "}", index="0")], [call("b", "{}", index="1")]], [("a", "{}"), ("b", "{}")]),
]  # fmt: skip


@pytest.mark.parametrize(("pieces", "calls"), [each[1:] for each in CALLS], ids=[each[0] for each in CALLS])
async def test_calls_side_by_side_stay_apart(server: ModelServer, pieces: list[list[dict[str, Any]]], calls: list[tuple[str, str]]) -> None:
    message = await answered(server, streamed(*[choice({"tool_calls": piece}) for piece in pieces], choice({}, "tool_calls"), "[DONE]"))
    assert [(each.name, each.arguments) for each in message.tool_calls] == calls
    assert len({each.id for each in message.tool_calls}) == len(calls)


async def test_done_without_a_reason_is_the_end_of_what_is_whole(server: ModelServer) -> None:
    assert (await answered(server, streamed(choice({"content": "x"}), "[DONE]"))).text == "x"
    step = await answered(server, streamed(choice({"tool_calls": [call("a", "{}", index=0)]}), "[DONE]"))
    assert step.finish_reason == "tool_calls"
    for cut in (choice({"tool_calls": [call("a", '{"x": "y', index=0)]}), choice({})):
        with pytest.raises(ProviderFailed):
            await answered(server, streamed(cut, "[DONE]"))


SIGNED = {"google": {"thought_signature": "SIG"}}
BACK: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("up", {}, {"extra_content": SIGNED}, {}),
    ("gemini", {}, {"extra_content": SIGNED}, {}),
    ("up", {"extra_content": SIGNED}, {}, {"extra_content": SIGNED}),
    ("up", {"reasoning_content": "I list."}, {}, {"reasoning_content": "I list."}),
    ("deepseek", {"reasoning_content": "I list."}, {}, {"reasoning_content": "I list."}),
    ("deepseek", {}, {}, {"reasoning_content": ""}),
    ("moonshot", {}, {}, {"reasoning_content": ""}),
    ("openrouter", {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "id": "r1"}]}, {},
     {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "id": "r1"}]}),
    ("openrouter", {"reasoning": "hmm", "reasoning_details": [{"type": "reasoning.text", "text": "hmm", "signature": "S"}]}, {},
     {"reasoning_details": [{"type": "reasoning.text", "text": "hmm", "signature": "S"}]}),
    ("up", {"thinking_blocks": [{"type": "thinking", "thinking": "x", "signature": "S"}]}, {},
     {"thinking_blocks": [{"type": "thinking", "thinking": "x", "signature": "S"}]}),
    ("up", {}, {"provider_specific_fields": {"thought_signature": "S"}}, {}),
]  # fmt: skip


def after(step: AssistantMessage) -> ModelRequest:
    results: list[Message] = [ToolMessage(id=f"r{each.id}", call_id=each.id, name=each.name, text="ok") for each in step.tool_calls]
    return replace(request("and?", messages=(user("look", id="u"), step, *results)), conversation="s")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("provider", "beside", "of_call", "back"), BACK)
async def test_what_a_provider_wants_back_goes_back_to_it_alone(
    server: ModelServer, provider: str, beside: dict[str, Any], of_call: dict[str, Any], back: dict[str, Any], stream: bool
) -> None:
    made = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "read_file", "arguments": "{}"}, **of_call}
    if stream:
        server.replies.append(streamed(choice(beside), choice({"tool_calls": [made]}), choice({}, "tool_calls"), "[DONE]"))
    else:
        server.replies.append(whole({"choices": [{"message": {**beside, "tool_calls": [made]}, "finish_reason": "tool_calls"}]}))
    own, other = wire_provider(server, provider), wire_provider(server, "groq")
    step = await own.complete(request(stream=stream), unheard)
    await own.complete(after(step), unheard)
    sent = json.loads(server.bodies[-1])["messages"][2]
    assert {name: value for name, value in sent.items() if name not in {"role", "content", "tool_calls"}} == back
    assert sent["tool_calls"] == [{name: value for name, value in made.items() if name != "index"}]
    await other.complete(after(step), unheard)
    foreign = json.loads(server.bodies[-1])["messages"][2]
    assert foreign.keys() == {"role", "content", "tool_calls"}
    assert foreign["tool_calls"][0].keys() == {"id", "type", "function"}
    for each in (own, other):
        await each.close()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "told", [{"annotations": [{"type": "url_citation"}]}, {"audio": {"id": "a", "data": "x"}}, {"images": [{"index": 0}]}]
)
async def test_what_is_for_a_client_alone_is_no_part_of_a_conversation(server: ModelServer, told: dict[str, Any], stream: bool) -> None:
    said = {"content": "x", **told}
    reply = streamed(choice(said), choice({}, "stop"), "[DONE]") if stream else None
    server.replies.append(reply or whole({"choices": [{"message": said, "finish_reason": "stop"}]}))
    provider = wire_provider(server)
    step = await provider.complete(replace(request(stream=stream), conversation="s"), unheard)
    assert (type(step), step.extras) == (AssistantMessage, {})
    await provider.complete(after(step), unheard)
    assert json.loads(server.bodies[-1])["messages"][2] == {"role": "assistant", "content": "x"}
    await provider.close()


async def test_pieces_of_reasoning_details_are_joined_by_their_number(server: ModelServer) -> None:
    pieces: list[dict[str, Any]] = [
        {"type": "reasoning.text", "text": "I ", "index": 0, "format": "anthropic"},
        {"type": "reasoning.text", "text": "list.", "index": 0},
        {"type": "reasoning.text", "signature": "SIG", "index": 0},
        {"type": "reasoning.encrypted", "data": "x", "index": 1},
        {"type": "reasoning.encrypted", "data": "y", "index": 2},
    ]
    events = [choice({"reasoning_details": [piece]}) for piece in pieces]
    message = await answered(server, streamed(*events, choice({"content": "x"}), choice({}, "stop"), "[DONE]"))
    assert message.reasoning == "I list."
    assert message.extras["reasoning_details"] == [
        {"type": "reasoning.text", "text": "I list.", "index": 0, "format": "anthropic", "signature": "SIG"},
        {"type": "reasoning.encrypted", "data": "x", "index": 1},
        {"type": "reasoning.encrypted", "data": "y", "index": 2},
    ]


async def test_mistrals_thoughts_go_back_as_parts(server: ModelServer) -> None:
    part = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    server.replies.append(
        streamed(choice({"content": [part]}), choice({"content": [part]}), choice({"content": "x"}), choice({}, "stop"), "[DONE]")
    )
    provider = wire_provider(server, "mistral")
    step = await provider.complete(request(stream=True), unheard)
    await provider.complete(after(step), unheard)
    await provider.close()
    first, last = json.loads(server.bodies[-1])["messages"][2]["content"]
    assert first["type"] == "thinking"
    assert "".join(each["text"] for each in first["thinking"]) == "hmhm" == step.reasoning
    assert last == {"type": "text", "text": "x"}


async def test_anthropics_thinking_goes_back_in_its_place(server: ModelServer) -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "redacted_thinking", "data": "opaque"},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "toolu_1", "name": "read_file", "input": {}},
    ]
    deltas: list[tuple[int, dict[str, Any]]] = [
        (0, {"type": "thinking_delta", "thinking": "I "}),
        (0, {"type": "thinking_delta", "thinking": "list."}),
        (0, {"type": "signature_delta", "signature": "SIG"}),
        (2, {"type": "text_delta", "text": "Let me look."}),
        (3, {"type": "input_json_delta", "partial_json": '{"path": "a"}'}),
    ]
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {"model": "claude"}}]
    for index, block in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": at, "delta": delta} for at, delta in deltas if at == index]
    events += [{"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"}]
    server.replies.append(streamed(*events))
    own = wire_provider(server, "anthropic")
    step = await own.complete(request(stream=True), unheard)
    assert (step.reasoning, step.text) == ("I list.", "Let me look.")
    await own.complete(after(step), unheard)
    sent = json.loads(server.bodies[-1])["messages"][1]["content"]
    assert sent == [
        {"type": "thinking", "thinking": "I list.", "signature": "SIG"},
        {"type": "redacted_thinking", "data": "opaque"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "toolu_1", "name": "read_file", "input": {"path": "a"}},
    ]
    await own.close()
