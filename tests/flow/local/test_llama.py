"""A tiny llama file through the front door: a real server, a real worker, the real llama.cpp (`make test-local` installs it)."""

import asyncio
import base64
import json
import math
import struct
from collections.abc import AsyncGenerator
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from .served import Served, serving_files, until_gone
from .tiny import CONTEXT, WIDTH, write_tiny

pytestmark = pytest.mark.local
pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: make test-local installs it")
ASKED: list[ChatCompletionMessageParam] = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello wörld 😀"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncGenerator[Served]:
    write_tiny(tmp_path / "tiny.gguf")
    write_tiny(tmp_path / "plain.gguf", template=None)
    write_tiny(tmp_path / "silent.gguf", ends=True)
    (tmp_path / "damaged.gguf").write_bytes((tmp_path / "tiny.gguf").read_bytes()[:100_000])
    models = {
        "chat": {"path": "tiny.gguf"},
        "long": {"path": "tiny.gguf", "contextLength": 8192},
        "texts": {"path": "tiny.gguf", "type": "completion"},
        "vectors": {"path": "tiny.gguf", "type": "embedding"},
        "plain": {"path": "plain.gguf"},
        "silent": {"path": "silent.gguf"},
        "damaged": {"path": "damaged.gguf"},
        "brief": {"path": "tiny.gguf", "idleSeconds": 0.1},
    }
    async with serving_files(tmp_path, models, stand_in=False) as running:
        yield running


async def test_a_chat_is_answered_plain_and_streamed_and_the_same_seed_says_the_same(served: Served) -> None:
    whole = await served.client.chat.completions.create(model="chat", messages=ASKED, max_tokens=20, seed=5)
    [choice] = whole.choices
    assert choice.message.content
    assert choice.finish_reason == "length"
    assert whole.usage is not None
    assert whole.usage.completion_tokens == len(choice.message.content) == 20
    stream = await served.client.chat.completions.create(
        model="chat", messages=ASKED, max_tokens=20, seed=5, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    said = [piece.delta.content or "" for chunk in chunks for piece in chunk.choices]
    assert "".join(said) == choice.message.content
    assert len([piece for piece in said if piece]) > 1
    assert [piece.finish_reason for chunk in chunks for piece in chunk.choices if piece.finish_reason] == ["length"]
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (whole.usage.prompt_tokens, 20)
    other = await served.client.chat.completions.create(model="chat", messages=ASKED, max_tokens=20, seed=6, n=2)
    assert choice.message.content not in [each.message.content for each in other.choices]


async def test_a_text_is_gone_on_with_up_to_a_stop(served: Served) -> None:
    text = await served.client.completions.create(model="texts", prompt=["once", "upon"], max_tokens=30, temperature=0)
    first, second = text.choices
    assert len(first.text) == len(second.text) == 30
    stop = next(letter for letter in first.text if letter != first.text[0])
    stopped = await served.client.completions.create(model="texts", prompt="once", max_tokens=30, temperature=0, stop=stop)
    assert (stopped.choices[0].text, stopped.choices[0].finish_reason) == (first.text[: first.text.index(stop)], "stop")


async def test_an_answer_keeps_to_json_and_to_a_schema(served: Served) -> None:
    free = await served.client.chat.completions.create(model="chat", messages=ASKED, response_format={"type": "json_object"}, seed=1)
    assert isinstance(json.loads(free.choices[0].message.content or ""), dict)
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    kept = await served.chat("chat", "hi", response_format=form, seed=1)
    assert list(json.loads(kept.json()["choices"][0]["message"]["content"])) == ["a"]
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "https://example.org/x.json"}}}
    refused = await served.chat("chat", "hi", response_format=form)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "response_format")


async def test_vectors_in_both_encodings_are_the_same_and_have_the_length_one(served: Served) -> None:
    texts = ["hello", "world", "hello", *["x y z"] * 40]
    plain = await served.client.embeddings.create(model="vectors", input=texts, encoding_format="float")
    packed = await served.client.embeddings.create(model="vectors", input=texts[:2], encoding_format="base64")
    vectors = [item.embedding for item in plain.data]
    assert [item.index for item in plain.data] == list(range(43))
    assert {len(vector) for vector in vectors} == {WIDTH}
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-5) for vector in vectors)
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-4)
    assert vectors[0] != pytest.approx(vectors[1], abs=1e-2)
    raw = str(packed.data[0].embedding)
    assert struct.unpack(f"<{WIDTH}f", base64.b64decode(raw)) == pytest.approx(vectors[0], abs=1e-4)
    assert plain.usage.prompt_tokens == sum(len(text) + 1 for text in texts)
    assert (await served.client.models.retrieve("vectors")).model_dump()["dimensions"] == WIDTH
    with pytest.raises(openai.BadRequestError) as refused:
        await served.client.embeddings.create(model="vectors", input="x" * (CONTEXT + 1))
    assert refused.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("text", "code"), [("x" * 300, "context_length_exceeded"), ("forbidden", "invalid_value")], ids=["too long", "the template refuses"]
)
async def test_what_the_file_does_not_take_is_400_and_it_goes_on(served: Served, text: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await served.client.chat.completions.create(model="chat", messages=[{"role": "system", "content": text}, *ASKED])
    assert refused.value.code == code
    assert (await served.chat("chat", "hi", max_tokens=3)).status_code == 200


@pytest.mark.parametrize(
    ("model", "words"), [("plain", "no chat template"), ("damaged", "can't be loaded"), ("silent", "empty answer")], ids=lambda each: each
)
async def test_a_file_that_can_not_answer_is_502_with_the_reason(served: Served, model: str, words: str) -> None:
    failed = await served.chat(model, "hi")
    assert failed.status_code == 502
    assert words in failed.json()["error"]["message"]


async def test_a_client_that_goes_away_stops_the_computing(served: Served) -> None:
    stream = await served.client.chat.completions.create(model="long", messages=ASKED, stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    before = served.workers()
    await stream.close()
    async with asyncio.timeout(20):
        assert (await served.chat("long", "hi", max_tokens=3)).status_code == 200
    assert served.workers() == before


async def test_a_file_that_nobody_asks_gives_its_memory_back_and_is_loaded_again(served: Served) -> None:
    assert (await served.chat("brief", "hi", max_tokens=3)).status_code == 200
    await until_gone(*served.workers())
    assert (await served.chat("brief", "hi", max_tokens=3)).status_code == 200
