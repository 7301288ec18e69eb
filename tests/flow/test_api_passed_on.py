"""A registered model gets what the client sent, in the client's words, and the client gets what the model's provider said."""

import base64
import io
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from PIL import Image

from assistant.contracts.messages import AssistantMessage, ToolCall, Usage
from assistant.contracts.models import ListedModel, OpenedModel, Scored
from assistant.providers.listing import ListedModels
from assistant.providers.registry import ModelRegistry
from assistant.testing.scripted import ScriptedModel
from tests.contract.providers.test_wire_openai import choice, streamed, whole
from tests.doubles import model_script as script
from tests.doubles.model_server import ModelServer

from .api_rig import Running, error_of, serving
from .test_api_registered import TOOL, asked, server_with


@pytest.fixture
async def api(tmp_path: Path, upstream: ModelServer) -> AsyncGenerator[Running]:
    async with server_with(tmp_path, upstream) as running:
        yield running


FIELDS: list[dict[str, Any]] = [
    {"logit_bias": {"50256": -100}},
    {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    {"verbosity": "low"},
    {"service_tier": "flex"},
    {"prediction": {"type": "content", "content": "x"}},
    {"web_search_options": {"search_context_size": "low"}},
    {"metadata": {"a": "b"}},
    {"store": True},
    {"user": "u1"},
    {"safety_identifier": "s", "prompt_cache_key": "k", "prompt_cache_retention": "24h"},
    {"top_k": 40, "min_p": 0.1, "repetition_penalty": 1.1},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"guided_json": {"type": "object"}},
    {"guided_regex": "a+", "ignore_eos": True},
    {"reasoning": {"max_tokens": 100}, "include_reasoning": True},
    {"provider": {"order": ["x"]}, "plugins": [{"id": "web"}]},
    {"thinking": {"type": "enabled", "budget_tokens": 1000}},
    {"cache_prompt": True, "mirostat": 2, "grammar": "root ::= 'a'"},
    {"nested": {"a": [1, 2.5, None, {"b": "ü\u0000"}]}},
    {"reasoning_effort": "max"},
]


@pytest.mark.parametrize("fields", FIELDS, ids=lambda fields: "-".join(fields))
@pytest.mark.parametrize("stream", [False, True])
async def test_fields_of_the_api_and_of_engines_go_on_unchanged(
    api: Running, upstream: ModelServer, fields: dict[str, Any], stream: bool
) -> None:
    answered = await api.chat("hi", model="tuned", stream=stream, **fields)
    assert answered.status_code == 200, answered.text
    assert {name: asked(upstream)[name] for name in fields} == fields


OURS: list[dict[str, Any]] = [
    {"session_id": "mine"}, {"models": ["other"]}, {"api_base": "https://elsewhere.example"}, {"base_url": "https://elsewhere.example"},
    {"api_key": "sk-other"}, {"extra_headers": {"Authorization": "x"}}, {"extra_body": {"model": "other"}}, {"fallbacks": ["other"]},
    {"custom_llm_provider": "x"}, {"input": "other"}, {"prompt": "other"}, {"route": "fallback"}, {"n": 1}, {"logit_bias": None},
]  # fmt: skip


@pytest.mark.parametrize("fields", OURS, ids=lambda fields: "-".join(fields))
async def test_what_is_the_servers_stays_here(api: Running, upstream: ModelServer, fields: dict[str, Any]) -> None:
    answered = await api.chat("hi", model="tuned", **fields)
    assert answered.status_code == 200, answered.text
    sent = asked(upstream)
    assert not set(fields) & set(sent)
    assert (sent["model"], [message["content"] for message in sent["messages"]]) == ("upstream-model", ["hi"])


async def test_an_agent_ignores_what_it_does_not_know(api: Running) -> None:
    answered = await api.chat("hi", top_k=3, logit_bias={"1": 1}, model="gpt-test")
    assert answered.status_code == 200
    assert not hasattr(api.turns.only, "extra_fields")


async def test_messages_keep_their_further_fields(api: Running, upstream: ModelServer) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "hi", "name": "anna", "x_engine": {"a": 1}},
        {"role": "assistant", "content": "hello", "name": "bot"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "cached", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "x"}],
        },
    ]
    answered = await api.client.post("/v1/chat/completions", json={"model": "tuned", "messages": messages})
    assert answered.status_code == 200, answered.text
    first, _, last = asked(upstream)["messages"]
    assert first == messages[0]
    assert last["content"] == messages[2]["content"]


PARTS: list[dict[str, Any]] = [
    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    {"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}},
    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    {"type": "image_url", "image_url": {"url": "HTTPS://example.org/a.png", "detail": "low"}},
    {"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png", "detail": "high"}},
    {"type": "audio_url", "audio_url": {"url": "https://example.org/a.wav"}},
    {"type": "document", "document": {"data": {"text": "x"}}},
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part["type"])
async def test_parts_that_are_no_files_go_on_as_they_are(api: Running, upstream: ModelServer, part: dict[str, Any]) -> None:
    answered = await api.chat([{"type": "text", "text": "see"}, part], model="tuned")
    assert answered.status_code == 200, answered.text
    assert asked(upstream)["messages"][0]["content"] == [{"type": "text", "text": "see"}, part]
    refused = await api.chat([{"type": "text", "text": "see"}, part], model="gpt-test")
    assert (refused.status_code, error_of(refused)["code"]) == (400, "unsupported_content")


async def test_another_wire_says_what_it_does_not_take(api: Running, upstream: ModelServer) -> None:
    for part in PARTS:
        refused = await api.chat([{"type": "text", "text": "see"}, part], model="claude")
        assert refused.status_code == 400, refused.text
        assert part["type"] in str(error_of(refused)["message"])
    assert upstream.stats.requests == 0


def drawn(form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("P" if form == "GIF" else "RGB", (20, 20)).save(file, form, **options)
    return file.getvalue()


EXIF = Image.Exif()
EXIF[0x0112] = 6
PICTURES: list[tuple[str, bytes]] = [
    ("image/png", drawn("PNG")),
    ("image/jpeg", drawn("JPEG", quality=70)),
    ("image/jpeg", drawn("JPEG", exif=EXIF)),
    ("image/gif", drawn("GIF")),
    ("image/webp", drawn("WEBP")),
]


@pytest.mark.parametrize(("media_type", "data"), PICTURES, ids=lambda value: str(value)[:11])
@pytest.mark.parametrize("detail", [None, "low", "high"])
async def test_a_picture_arrives_without_words_of_ours_and_with_its_own_bytes(
    api: Running, upstream: ModelServer, media_type: str, data: bytes, detail: str | None
) -> None:
    url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    image: dict[str, Any] = {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}
    answered = await api.chat([{"type": "text", "text": "see"}, image], model="tuned")
    assert answered.status_code == 200, answered.text
    assert asked(upstream)["messages"][0]["content"] == [{"type": "text", "text": "see"}, image]
    alone = await api.chat([image], model="tuned")
    assert alone.status_code == 200
    assert asked(upstream)["messages"][0]["content"] == [image]


async def test_a_picture_whose_address_lies_about_it_gets_its_own_type_and_other_formats_are_changed(
    api: Running, upstream: ModelServer
) -> None:
    lied = base64.b64encode(drawn("JPEG")).decode()
    await api.chat([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{lied}"}}], model="tuned")
    assert asked(upstream)["messages"][0]["content"][0]["image_url"]["url"] == f"data:image/jpeg;base64,{lied}"
    claude = await api.chat([{"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{lied}"}}], model="claude")
    assert claude.status_code == 200
    [block] = asked(upstream)["messages"][0]["content"]
    assert block["source"] == {"type": "base64", "media_type": "image/jpeg", "data": lied}


REFUSALS: list[tuple[int, bytes, str]] = [
    (400, b'{"error": {"message": "Unsupported value: top_k", "type": "invalid_request_error"}}', "Unsupported value: top_k"),
    (400, b'{"message": "Unknown name \\"verbosity\\": Cannot find field."}', "Cannot find field."),
    (422, b'{"detail": "extra_forbidden: top_k"}', "extra_forbidden: top_k"),
    (400, b'{"error": "bad tools"}', "bad tools"),
    (413, b'{"error": {"message": "too many images"}}', "too many images"),
    (400, b"", "refused the request (400)"),
    (422, b"<html>", "refused the request (422)"),
]


@pytest.mark.parametrize(("status", "said", "words"), REFUSALS, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_providers_refusal_is_the_clients_400(
    api: Running, upstream: ModelServer, status: int, said: bytes, words: str, stream: bool
) -> None:
    upstream.replies.append(script.head(f"{status} No", len(said)) + said)
    refused = await api.chat("hi", model="tuned", stream=stream)
    assert (refused.status_code, refused.headers["x-should-retry"]) == (400, "false")
    assert refused.headers["content-type"] == "application/json"
    error = error_of(refused)
    assert (error["type"], error["code"]) == ("invalid_request_error", "provider_refused")
    assert words in str(error["message"])
    assert upstream.stats.requests == 1


async def test_a_refusal_in_a_stream_before_its_first_word_is_a_400_too_and_holds_no_key(api: Running, upstream: ModelServer) -> None:
    event = b'data: {"error": {"message": "bad param, key sk-1234567890123456", "type": "BadRequestError", "code": 400}}\n\n'
    upstream.replies.append(script.SSE_HEAD + script.chunked(event) + script.LAST_CHUNK)
    refused = await api.chat("hi", model="tuned", stream=True)
    assert refused.status_code == 400, refused.text
    assert "bad param" in str(error_of(refused)["message"])
    assert "sk-1234" not in refused.text


@pytest.mark.parametrize(("status", "answered"), [(401, 502), (403, 502), (404, 502), (409, 502), (500, 502), (503, 503), (429, 503)])
async def test_other_failures_of_a_provider_stay_the_servers(api: Running, upstream: ModelServer, status: int, answered: int) -> None:
    said = b'{"error": {"message": "no", "type": "x"}}'
    head = script.head(f"{status} No", len(said), extra="Retry-After: 60\r\n")
    upstream.replies.extend([head + said] * 3)
    assert (await api.chat("hi", model="tuned")).status_code == answered


THINKS = AssistantMessage(
    id="msg_1",
    text="Four.",
    reasoning="Two and two.",
    provider="scripted",
    extras={"reasoning_details": [{"type": "reasoning.text", "text": "Two and two."}], "reasoning_content": "Two and two."},
    usage=Usage(prompt_tokens=10, completion_tokens=9, cached_tokens=3, reasoning_tokens=5),
    model="scripted",
)
CALLS = replace(
    THINKS,
    text="",
    tool_calls=(
        ToolCall(id="call_1", name="weather", arguments="{}", extras={"extra_content": {"google": {"thought_signature": "c2ln"}}}),
    ),
    finish_reason="tool_calls",
)


@asynccontextmanager
async def thinking(folder: Path, *replies: AssistantMessage) -> AsyncGenerator[tuple[Running, ScriptedModel]]:
    """A server whose registered model `deep` thinks."""
    model = ScriptedModel(*replies)

    class Registry(ModelRegistry):
        async def open(self, model_id: str) -> OpenedModel:
            return OpenedModel(listed=ListedModel(id=model_id, type="chat", provider="scripted"), writes=model)

    async def nothing(model: str, provider: str) -> Any:
        raise AssertionError((model, provider))

    async with serving(folder, registry=Registry({}, ListedModels({}), nothing, offline=False)) as running:
        yield running, model


async def test_thoughts_are_answered_apart_from_the_words_with_their_tokens(tmp_path: Path) -> None:
    async with thinking(tmp_path, THINKS) as (api, _):
        body = (await api.chat("hi", model="deep")).json()
        ChatCompletion.model_validate(body)
        message = body["choices"][0]["message"]
        assert (message["content"], message["reasoning_content"]) == ("Four.", "Two and two.")
        assert message["reasoning_details"] == THINKS.extras["reasoning_details"]
        assert body["usage"]["completion_tokens_details"] == {"reasoning_tokens": 5}
        assert body["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}


async def test_thoughts_are_streamed_before_the_words(tmp_path: Path) -> None:
    async with thinking(tmp_path, replace(CALLS, text="Four.")) as (api, _):
        text = (await api.chat("hi", model="deep", stream=True, tools=[TOOL])).text
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    said = [(name, delta[name]) for delta in deltas for name in ("reasoning_content", "content") if delta.get(name)]
    assert "".join(words for _, words in said) == "Two and two.Four."
    names = [name for name, _ in said]
    assert "reasoning_content" not in names[names.index("content") :]
    [calls] = [delta["tool_calls"] for delta in deltas if "tool_calls" in delta]
    assert calls[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert [delta["reasoning_details"] for delta in deltas if "reasoning_details" in delta] == [THINKS.extras["reasoning_details"]]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_what_a_client_sends_back_reaches_the_model_as_its_own(tmp_path: Path, name: str) -> None:
    async with thinking(tmp_path, CALLS, THINKS) as (api, model):
        first = (await api.chat("hi", model="deep", tools=[TOOL])).json()["choices"][0]["message"]
        thoughts = first.pop("reasoning_content")
        history: list[dict[str, Any]] = [
            {"role": "user", "content": "hi"},
            {**first, name: thoughts, "annotations": [], "audio": None},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        ]
        answered = await api.client.post("/v1/chat/completions", json={"model": "deep", "messages": history, "tools": [TOOL]})
        assert answered.status_code == 200, answered.text
        step = model.requests[-1].messages[1]
        assert isinstance(step, AssistantMessage)
        assert (step.reasoning, step.provider) == ("Two and two.", "scripted")
        assert step.extras == {"reasoning_details": THINKS.extras["reasoning_details"], name: "Two and two."}
        assert step.tool_calls[0].extras == CALLS.tool_calls[0].extras


async def test_logprobs_and_thoughts_go_together(tmp_path: Path) -> None:
    fields: dict[str, Any] = {field: getattr(THINKS, field) for field in AssistantMessage.__dataclass_fields__}
    async with thinking(tmp_path, Scored(**fields, logprobs={"content": []})) as (api, _):
        message = (await api.chat("hi", model="deep")).json()["choices"][0]["message"]
        assert message["reasoning_content"] == "Two and two."


CITED = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 4, "title": "A", "url": "https://example.org/a"}}
SOUND = {"id": "audio_1", "data": "UklGRg==", "expires_at": 1, "transcript": "Four."}
PAINTED = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
TOLD: list[dict[str, Any]] = [
    {"content": "Four.", "annotations": [CITED]},
    {"content": "Four.", "annotations": [CITED, CITED], "audio": None},
    {"content": None, "audio": SOUND},
    {"content": "", "audio": SOUND, "annotations": []},
    {"content": "Here.", "images": PAINTED},
    {"content": None, "images": PAINTED},
    {"content": None, "images": PAINTED, "audio": SOUND},
    {"content": "Four.", "annotations": [], "audio": None, "images": []},
    {"content": "Four.", "reasoning_content": "hm", "annotations": [CITED]},
]


@pytest.mark.parametrize("said", TOLD, ids=str)
async def test_what_a_provider_tells_besides_words_reaches_the_client(api: Running, upstream: ModelServer, said: dict[str, Any]) -> None:
    told = {name: said[name] for name in ("annotations", "audio", "images") if said.get(name)}
    upstream.replies.append(whole({"choices": [{"index": 0, "message": {"role": "assistant", **said}, "finish_reason": "stop"}]}))
    body = (await api.chat("hi", model="tuned")).json()
    ChatCompletion.model_validate(body)
    message = body["choices"][0]["message"]
    assert {name: message[name] for name in told} == told
    assert message.keys() == {"role", "content", "refusal", *told, *(said.keys() & {"reasoning_content"})}
    assert message["content"] == (said["content"] or "")


async def test_what_a_provider_tells_besides_words_is_streamed_as_it_came(api: Running, upstream: ModelServer) -> None:
    pieces: list[dict[str, Any]] = [
        {"audio": {"id": "audio_1", "transcript": "Fo"}},
        {"audio": {"data": "UklGRg=="}},
        {"audio": {"data": "AAA=", "transcript": "ur."}},
        {"audio": {"expires_at": 1}, "annotations": [CITED]},
    ]
    upstream.replies.append(streamed(choice({"role": "assistant"}), *map(choice, pieces), choice({}, "stop"), "[DONE]"))
    text = (await api.chat("hi", model="tuned", stream=True)).text
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    deltas = [each["delta"] for chunk in chunks for each in chunk["choices"]]
    assert [delta for delta in deltas if "audio" in delta] == pieces
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("content", [None, "", " "])
async def test_sources_of_nothing_are_no_answer(api: Running, upstream: ModelServer, content: str | None) -> None:
    empty = {"choices": [{"index": 0, "message": {"content": content, "annotations": [CITED]}, "finish_reason": "stop"}]}
    upstream.replies += [whole(empty)] * 3
    assert (await api.chat("hi", model="tuned")).status_code == 502


async def test_refusals_of_an_assistant_are_part_of_a_history(api: Running, upstream: ModelServer) -> None:
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I can't."}]},
        {"role": "user", "content": "b"},
    ]
    for model in ("tuned", "agent:main"):
        answered = await api.client.post("/v1/chat/completions", json={"model": model, "messages": history})
        assert answered.status_code == 200, answered.text
    assert asked(upstream)["messages"][1]["content"] == "I can't."
    wrong = await api.chat([{"type": "refusal", "refusal": "x"}], model="tuned")
    assert wrong.status_code == 400


async def test_the_official_client_sees_no_difference(upstream: ModelServer, api: Running) -> None:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key="dummy", max_retries=2) as client:
        said = b'{"error": {"message": "no"}}'
        upstream.replies.append(script.head("400 Bad", len(said)) + said)
        with pytest.raises(openai.BadRequestError, match="no"):
            await client.chat.completions.create(model="tuned", messages=[{"role": "user", "content": "hi"}])
        assert upstream.stats.requests == 1
