"""Local models through the front door: a real server, real workers, a stand-in for llama-cpp-python."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import openai
import pytest
import pytest_asyncio

from .served import Served, serving_files, until_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them")
MODELS = {
    "chat": {"path": "models", "contextLength": 300},
    "texts": {"path": "models/tiny.gguf", "type": "completion"},
    "vectors": {"path": "models/tiny.gguf", "type": "embedding"},
    "other-vectors": {"path": "models/tiny.gguf", "type": "embedding", "dimensions": 768},
    "damaged": {"path": "damaged.gguf"},
    "no-gguf": {"path": "no.gguf"},
    "missing": {"path": "secret-folder/x.gguf"},
}
HEADER = b"GGUF\3\0\0\0" + bytes(16)


IN_THE_LOOP_OF_SHARED = pytest.mark.asyncio(loop_scope="module")


def with_files(folder: Path) -> Path:
    (folder / "models").mkdir()
    (folder / "models" / "tiny.gguf").write_bytes(HEADER)
    (folder / "damaged.gguf").write_bytes(HEADER + b"UNLOADABLE")
    (folder / "no.gguf").write_bytes(b"PK\3\4")
    return folder


@pytest.fixture
async def served(tmp_path: Path) -> AsyncGenerator[Served]:
    async with serving_files(with_files(tmp_path), MODELS, stand_in=True) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Served]:
    """One server for the tests that end neither it nor its workers."""
    async with serving_files(with_files(tmp_path_factory.mktemp("shared")), MODELS, stand_in=True) as running:
        yield running


async def pid_of(served: Served, model: str = "chat") -> int:
    """The process id of the model's worker."""
    answer = await served.chat(model, "PID")
    return int(answer.json()["choices"][0]["message"]["content"])


async def test_a_file_answers_chats_texts_and_vectors_each_in_a_worker_of_its_own(served: Served) -> None:
    assert served.workers() == []
    chat = await served.client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "hi"}])
    assert (chat.choices[0].message.content, chat.choices[0].finish_reason, chat.model) == ("tok0 tok1 tok2", "stop", "chat")
    assert chat.usage is not None
    assert (chat.usage.prompt_tokens, chat.usage.completion_tokens) == (len("user: hi\n") + 1, 14)
    text = await served.client.completions.create(model="texts", prompt=["a", "b"], max_tokens=4, stop=" ")
    assert [(choice.text, choice.finish_reason) for choice in text.choices] == [("tok0", "length")] * 2
    made = await served.client.embeddings.create(model="vectors", input=["a", "bb"])
    assert [item.embedding for item in made.data] == [[0, 1, 0, 0], [0, 0, 1, 0]]
    assert len(served.workers()) == 3
    server = await served.http.get("/v1/models/vectors")
    assert (server.json()["owned_by"], server.json()["type"]) == ("local", "embedding")


@IN_THE_LOOP_OF_SHARED
async def test_a_stream_says_what_the_whole_answer_says_and_is_counted(shared: Served) -> None:
    stream = await shared.client.chat.completions.create(
        model="chat", messages=[{"role": "user", "content": "hi"}], stream=True, stream_options={"include_usage": True}, stop=["tok2"]
    )
    chunks = [chunk async for chunk in stream]
    said = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.content or "" for choice in said) == "tok0 tok1 "
    assert [choice.finish_reason for choice in said if choice.finish_reason] == ["stop"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == len("user: hi\n") + 1


@IN_THE_LOOP_OF_SHARED
@pytest.mark.parametrize(
    ("model", "text", "fields", "code", "param"),
    [
        ("chat", "x" * 400, {}, "context_length_exceeded", None),
        ("chat", "FORBIDDEN", {}, "invalid_value", "messages"),
        ("chat", "hi", {"tools": [{"type": "function", "function": {"name": "x"}}]}, "invalid_value", "tools"),
        ("chat", "hi", {"logprobs": True}, "invalid_value", "logprobs"),
    ],
    ids=["too long", "template", "tools", "logprobs"],
)
async def test_what_can_not_be_done_is_refused_and_the_model_goes_on(
    shared: Served, model: str, text: str, fields: dict[str, object], code: str, param: str | None
) -> None:
    refused = await shared.chat(model, text, **fields)
    assert (refused.status_code, refused.json()["error"]["code"], refused.json()["error"]["param"]) == (400, code, param)
    assert (await shared.chat(model, "hi")).status_code == 200


@IN_THE_LOOP_OF_SHARED
@pytest.mark.parametrize("model", ["damaged", "no-gguf", "missing"])
async def test_a_file_that_can_not_be_had_is_502_with_a_reason_and_no_path(shared: Served, model: str) -> None:
    before, folder = shared.workers(), shared.server.log.parent
    for _ in range(3):
        failed = await shared.chat(model, "hi")
        assert (failed.status_code, failed.headers["x-should-retry"]) == (502, "false")
        assert f"The model '{model}' " in failed.json()["error"]["message"]
        assert str(folder) not in failed.text
        assert "secret-folder" not in failed.text
    assert shared.workers() == before


@IN_THE_LOOP_OF_SHARED
async def test_a_length_that_the_vectors_have_not_is_refused(shared: Served) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await shared.client.embeddings.create(model="vectors", input="a", dimensions=3)
    assert refused.value.param == "dimensions"
    made = await shared.client.embeddings.create(model="vectors", input="a", dimensions=4, encoding_format="base64")
    assert len(made.data[0].embedding) > 4
    with pytest.raises(openai.APIStatusError) as failed:
        await shared.client.embeddings.create(model="other-vectors", input="a")
    assert (failed.value.status_code, "768" in failed.value.message) == (502, True)


async def test_a_worker_that_is_killed_fails_its_request_and_the_next_has_another(served: Served) -> None:
    before = await pid_of(served)
    stream = await served.client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "SLOW"}], stream=True)

    async def read() -> None:
        killed = False
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content and not killed:
                os.kill(before, signal.SIGKILL)
                killed = True

    with pytest.raises(openai.APIError, match="ended \\(signal 9\\)"):
        await read()
    assert await pid_of(served) != before


async def test_a_client_that_goes_away_stops_its_answer_and_the_worker_stays(served: Served) -> None:
    before = await pid_of(served)
    stream = await served.client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "SLOW"}], stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    await stream.close()
    async with asyncio.timeout(20):
        assert await pid_of(served) == before


@pytest.mark.parametrize("stopped", [False, True], ids=["runs", "is stopped"])
async def test_a_worker_ends_with_a_server_that_is_killed(served: Served, stopped: bool) -> None:
    worker = await pid_of(served)
    if stopped:
        os.kill(worker, signal.SIGSTOP)
    served.server.process.kill()
    await until_gone(served.server.process.pid, worker)


async def test_a_worker_ends_with_a_server_that_is_asked_to_stop(served: Served) -> None:
    worker = await pid_of(served)
    waiting = asyncio.create_task(served.chat("chat", "STALL"))
    await asyncio.wait([waiting], timeout=0.3)
    served.server.process.send_signal(signal.SIGTERM)
    await until_gone(worker)
    await asyncio.wait([waiting])
    assert waiting.exception() is not None or waiting.result().status_code >= 500
