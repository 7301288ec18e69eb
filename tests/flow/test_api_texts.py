"""POST /v1/completions and /v1/embeddings."""

import base64
import json
import math
import struct
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.doubles import model_script as script
from tests.doubles.model_server import ModelServer

from .api_rig import Running, error_of
from .openapi_check import check
from .test_api_registered import asked, server_with


@pytest.fixture
async def api(tmp_path: Path, upstream: ModelServer) -> AsyncGenerator[Running]:
    async with server_with(tmp_path, upstream, offline=True) as running:
        yield running


@pytest.fixture
async def client(api: Running) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key="dummy", max_retries=0) as made:
        yield made


async def test_a_completion_model_goes_on_with_the_text_itself(upstream: ModelServer, client: openai.AsyncOpenAI) -> None:
    made = await client.completions.create(model="texts", prompt="once upon", max_tokens=5, temperature=0.5, stop=["x"])
    assert (made.object, made.model, made.choices[0].text, made.choices[0].finish_reason) == (
        "text_completion",
        "texts",
        "ONCE UPON",
        "stop",
    )
    assert made.usage is not None
    assert made.usage.total_tokens == 4
    sent = asked(upstream)
    assert (sent["model"], sent["prompt"], sent["max_tokens"], sent["temperature"], sent["stop"]) == ("texts", "once upon", 5, 0.5, ["x"])
    assert "messages" not in sent


async def test_a_chat_model_answers_the_text(upstream: ModelServer, client: openai.AsyncOpenAI) -> None:
    made = await client.completions.create(model="tuned", prompt="ECHO hello")
    assert made.choices[0].text == "hello"
    assert asked(upstream)["messages"] == [{"role": "user", "content": "ECHO hello"}]


async def test_several_prompts_have_their_answers_in_order(client: openai.AsyncOpenAI) -> None:
    made = await client.completions.create(model="texts", prompt=["a", "b c"], n=2)
    assert [(choice.index, choice.text) for choice in made.choices] == [(0, "A"), (1, "A"), (2, "B C"), (3, "B C")]


async def test_a_stream_of_texts(client: openai.AsyncOpenAI) -> None:
    stream = await client.completions.create(model="texts", prompt=["a b", "c"], stream=True, stream_options={"include_usage": True})
    texts = {0: "", 1: ""}
    chunks = [chunk async for chunk in stream]
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == {0: "A B", 1: "C"}
    assert chunks[-1].usage is not None
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop", "stop"]


REFUSED: list[tuple[str, dict[str, Any], int, str | None]] = [
    ("completions", {"model": "texts"}, 400, "prompt"),
    ("completions", {"model": "texts", "prompt": ""}, 400, "prompt"),
    ("completions", {"model": "texts", "prompt": []}, 400, "prompt"),
    ("completions", {"model": "texts", "prompt": ["a", 1]}, 400, "prompt.1"),
    ("completions", {"model": "texts", "prompt": ["a"] * 129}, 400, "prompt"),
    ("completions", {"model": "texts", "prompt": ["a"] * 65, "n": 2}, 400, "n"),
    ("completions", {"model": "tuned", "prompt": "a", "echo": True}, 400, "echo"),
    ("completions", {"model": "tuned", "prompt": "a", "suffix": "x"}, 400, "suffix"),
    ("completions", {"model": "tuned", "prompt": "a", "best_of": 2}, 400, "best_of"),
    ("completions", {"model": "tuned", "prompt": "a", "logprobs": 0}, 400, "logprobs"),
    ("completions", {"model": "tuned", "prompt": [1, 2]}, 400, "prompt"),
    ("completions", {"model": "tuned", "prompt": [[1, 2]]}, 400, "prompt"),
    ("completions", {"model": "texts", "prompt": "a", "max_tokens": 0}, 400, "max_tokens"),
    ("completions", {"model": "texts", "prompt": "a", "logprobs": 21}, 400, "logprobs"),
    ("completions", {"model": "texts", "prompt": [[1], "a"]}, 400, "prompt.1"),
    ("completions", {"model": "texts", "prompt": [1, "a"]}, 400, "prompt"),
    ("completions", {"prompt": "a"}, 400, "model"),
    ("completions", {"model": "gpt-test", "prompt": "a"}, 400, "model"),
    ("completions", {"model": "vectors", "prompt": "a"}, 400, "model"),
    ("completions", {"model": "unheard-of", "prompt": "a"}, 404, "model"),
    ("embeddings", {"model": "vectors"}, 400, "input"),
    ("embeddings", {"model": "vectors", "input": [""]}, 400, "input.0"),
    ("embeddings", {"model": "vectors", "input": [[1], []]}, 400, "input.1"),
    ("embeddings", {"model": "vectors", "input": [[1], [True]]}, 400, "input.1"),
    ("embeddings", {"model": "vectors", "input": [1, -1]}, 400, "input"),
    ("embeddings", {"model": "vectors", "input": [2**31]}, 400, "input"),
    ("embeddings", {"model": "vectors", "input": [1.5]}, 400, "input.0"),
    ("embeddings", {"model": "vectors", "input": [True]}, 400, "input.0"),
    ("embeddings", {"model": "vectors", "input": ["a", 1]}, 400, "input.1"),
    ("embeddings", {"model": "vectors", "input": ["a", [1]]}, 400, "input.1"),
    ("embeddings", {"model": "vectors", "input": [[1]] * 2_049}, 400, "input"),
    ("embeddings", {"model": "offline-embedding", "input": [[1]]}, 400, "input"),
    ("embeddings", {"model": "vectors", "input": ["a"] * 2_049}, 400, "input"),
    ("embeddings", {"model": "vectors", "input": "a", "encoding_format": "hex"}, 400, "encoding_format"),
    ("embeddings", {"model": "tuned", "input": "a"}, 400, "model"),
    ("embeddings", {"model": "agent:nobody", "input": "a"}, 404, "model"),
    ("embeddings", {"model": "offline-embedding", "input": "a", "dimensions": 255}, 400, "dimensions"),
    ("embeddings", {"model": "offline-embedding", "input": "a" * 40_000}, 400, "input"),
]


@pytest.mark.parametrize(("path", "body", "status", "param"), REFUSED, ids=lambda value: str(value)[:60])
async def test_what_can_not_be_answered_is_refused_in_words(
    api: Running, upstream: ModelServer, path: str, body: dict[str, Any], status: int, param: str | None
) -> None:
    response = await api.client.post(f"/v1/{path}", json=body)
    assert response.status_code == status, response.text
    assert error_of(response)["param"] == param
    assert upstream.stats.requests == 0


async def test_only_json_is_taken(api: Running) -> None:
    response = await api.client.post("/v1/embeddings", content=b"{}", headers={"content-type": "text/plain"})
    assert response.status_code == 415


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_vectors_come_in_the_order_of_the_texts(upstream: ModelServer, api: Running, encoding: str) -> None:
    body = {"model": "vectors", "input": ["a" * length for length in range(1, 301)], "encoding_format": encoding, "dimensions": 2}
    response = await api.client.post("/v1/embeddings", json=body)
    assert response.status_code == 200
    answer = response.json()
    vectors = [item["embedding"] for item in answer["data"]]
    if encoding == "base64":
        vectors = [list(struct.unpack("<2f", base64.b64decode(vector))) for vector in vectors]
    assert vectors == [[float(length), 2.0] for length in range(1, 301)]
    assert [item["index"] for item in answer["data"]] == list(range(300))
    assert answer["usage"] == {"prompt_tokens": 300, "total_tokens": 300}
    assert upstream.stats.requests == 3


async def test_a_models_own_length_is_not_asked_for(upstream: ModelServer, client: openai.AsyncOpenAI) -> None:
    await client.embeddings.create(model="vectors", input="x", dimensions=768)
    assert "dimensions" not in asked(upstream)


def answering(upstream: ModelServer, body: object) -> None:
    """The upstream's next answer is this JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    upstream.replies.append(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize(
    "data",
    [
        [{"index": 1, "embedding": [0.5]}],
        [{"index": 0, "embedding": [0.5]}, {"index": 2, "embedding": [0.5]}],
        [{"index": 0, "embedding": [0.5]}, {"index": 0, "embedding": [0.5]}],
        [{"index": 0, "embedding": [0.5]}, {"index": 1, "embedding": [0.5, 0.5]}],
        [{"index": 0, "embedding": [0.5]}, {"index": 1, "embedding": []}],
        [{"index": 0, "embedding": [0.5]}, {"index": 1, "embedding": ["0.5"]}],
        [{"index": 0, "embedding": [0.5]}, {"index": 1, "embedding": [None]}],
        [{"index": 0, "embedding": [0.5]}, {"index": 1, "embedding": [True]}],
        [{"index": 0, "embedding": [0.5]}, {"index": 1, "embedding": [1e300]}],
        [{"index": 0, "embedding": [0.5]}, {"index": 1, "embedding": [-1e39]}],
        [{"index": 0, "embedding": [0.5]}, {"index": 1, "embedding": "AAAAPw=="}],
        [{"index": 0, "embedding": [0.5]}, 7],
        {},
        None,
    ],
    ids=str,
)
async def test_vectors_that_are_missing_or_are_none_are_a_failure(upstream: ModelServer, api: Running, data: object, encoding: str) -> None:
    answering(upstream, {"object": "list", "data": data})
    response = await api.client.post("/v1/embeddings", json={"model": "vectors", "input": ["a", "b"], "encoding_format": encoding})
    assert response.status_code == 502
    assert error_of(response)["code"] == "provider_error"


async def test_a_length_that_was_asked_for_and_not_given_is_a_failure(upstream: ModelServer, api: Running) -> None:
    answering(upstream, {"data": [{"index": 0, "embedding": [0.5, 0.5]}]})
    response = await api.client.post("/v1/embeddings", json={"model": "vectors", "input": "a", "dimensions": 3})
    assert response.status_code == 502


async def test_what_is_no_number_in_an_answer_is_a_failure(upstream: ModelServer, api: Running) -> None:
    answering(upstream, b'{"data": [{"index": 0, "embedding": [NaN]}]}')
    upstream.replies.append(upstream.replies[0])
    upstream.replies.append(upstream.replies[0])
    assert (await api.client.post("/v1/embeddings", json={"model": "vectors", "input": "a"})).status_code == 502


@pytest.mark.parametrize("tokens", [1e300, -5, 2**70, "many", None, [1]])
async def test_a_usage_that_can_not_be_meant_is_estimated(upstream: ModelServer, api: Running, tokens: object) -> None:
    usage = {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": tokens}
    answering(upstream, {"choices": [{"text": "b", "finish_reason": "stop"}], "usage": usage})
    response = await api.client.post("/v1/completions", json={"model": "texts", "prompt": "a"})
    assert response.status_code == 200
    answering(upstream, {"data": [{"index": 0, "embedding": [0.5]}], "usage": usage})
    response = await api.client.post("/v1/embeddings", json={"model": "vectors", "input": "a"})
    assert response.json()["usage"] == {"prompt_tokens": 1, "total_tokens": 1}


async def test_the_stand_ins_are_listed_as_what_they_are(client: openai.AsyncOpenAI) -> None:
    listed = {model.id: model.owned_by async for model in client.models.list()}
    assert listed["offline-completion"] == listed["offline-embedding"] == "offline"
    made = await client.completions.create(model="offline-completion", prompt="Once upon a time")
    assert made.choices[0].text.startswith("No model is configured")


async def test_offline_vectors_are_near_where_words_are_shared(client: openai.AsyncOpenAI) -> None:
    texts = [
        "The quick brown fox jumps over the lazy dog",
        "A quick brown fox jumped over a lazy dog",
        "Quarterly revenue rose by four percent",
    ]
    made = await client.embeddings.create(model="offline-embedding", input=texts, dimensions=256)
    one, near, far = [item.embedding for item in made.data]
    assert [len(vector) for vector in (one, near, far)] == [256] * 3
    assert math.isclose(sum(value * value for value in one), 1, rel_tol=1e-5)
    assert _product(one, near) > 0.4 > 0.2 > abs(_product(one, far))
    again = await client.embeddings.create(model="offline-embedding", input=texts[0], dimensions=256)
    assert again.data[0].embedding == one
    whole = await client.embeddings.create(model="offline-embedding", input="!")
    assert len(whole.data[0].embedding) == 1536


def _product(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_answers_are_as_they_are_described(api: Running) -> None:
    document = (await api.client.get("/openapi.json")).json()
    for path, body in (
        ("/v1/completions", {"model": "texts", "prompt": "a"}),
        ("/v1/embeddings", {"model": "vectors", "input": "a"}),
        ("/v1/embeddings", {"model": "vectors", "input": "a", "encoding_format": "base64"}),
        ("/v1/chat/completions", {"model": "tuned", "messages": [{"role": "user", "content": 'CALLTOOL x {"a": 1}'}]}),
    ):
        answer = await api.client.post(path, json=body)
        described = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        check(answer.json(), described, document)
    shown = document["paths"]["/v1/models/{model_id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    check((await api.client.get("/v1/models/tuned")).json(), shown, document)


TOKENS: list[tuple[object, list[list[int]]]] = [
    ([1, 2, 3], [[1, 2, 3]]),
    ([0], [[0]]),
    ([2**31 - 1], [[2**31 - 1]]),
    ([[1, 2], [3]], [[1, 2], [3]]),
    ([[7]], [[7]]),
    ([[i] for i in range(200)], [[i] for i in range(200)]),
    ([list(range(8_191))], [list(range(8_191))]),
    ([5] * 3_000, [[5] * 3_000]),
]


@pytest.mark.parametrize(("sent", "got"), TOKENS, ids=lambda value: str(value)[:20])
async def test_tokens_reach_the_embedding_model_as_they_are(
    upstream: ModelServer, api: Running, sent: object, got: list[list[int]]
) -> None:
    response = await api.client.post("/v1/embeddings", json={"model": "vectors", "input": sent, "user": "u1", "input_type": "query"})
    assert response.status_code == 200, response.text
    passed = [json.loads(body) for body in upstream.bodies]
    assert [item for body in passed for item in body["input"]] == got
    assert all((body["user"], body["input_type"], body["encoding_format"]) == ("u1", "query", "float") for body in passed)
    assert [item["embedding"][0] for item in response.json()["data"]] == [float(len(item)) for item in got]


async def test_langchains_embeddings_by_their_defaults(upstream: ModelServer, client: openai.AsyncOpenAI) -> None:
    """What its OpenAIEmbeddings sends: tokens of texts cut to the model's length, to be answered in base64."""
    made = await client.embeddings.create(model="vectors", input=[[15339, 1917], [9906]], encoding_format="base64")
    assert len(made.data) == 2
    assert asked(upstream)["input"] == [[15339, 1917], [9906]]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_only_completions_have_reaches_a_completion_model(upstream: ModelServer, api: Running, stream: bool) -> None:
    own: dict[str, Any] = {
        "echo": True,
        "suffix": "end",
        "best_of": 3,
        "logprobs": 2,
        "max_tokens": 0,
        "logit_bias": {"50256": -100},
        "top_k": 7,
    }
    response = await api.client.post("/v1/completions", json={"model": "texts", "prompt": [[11, 12]], "stream": stream, **own})
    assert response.status_code == 200, response.text
    sent = asked(upstream)
    assert {name: sent[name] for name in own} == own
    assert sent["prompt"] == [11, 12]
    answers = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")] if stream else [response.json()]
    choices: list[dict[str, Any]] = [choice for answer in answers for choice in answer["choices"]]
    assert "".join(choice["text"] for choice in choices) == "token11 token12"
    scores: list[dict[str, Any]] = [choice["logprobs"] for choice in choices if choice["logprobs"]]
    assert [name for each in scores for name in each["tokens"]] == ["token11", "token12"]
    if not stream:
        openai.types.Completion.model_validate(answers[0])


@pytest.mark.parametrize(
    ("path", "body"), [("completions", {"model": "texts", "prompt": "a"}), ("embeddings", {"model": "vectors", "input": "a"})]
)
async def test_a_providers_refusal_of_a_text_is_the_clients_400(
    upstream: ModelServer, api: Running, path: str, body: dict[str, Any]
) -> None:
    said = b'{"error": {"message": "logit_bias is not a map. Key sk-1234567890123456", "type": "invalid_request_error"}}'
    upstream.replies.append(script.head("400 Bad Request", len(said)) + said)
    response = await api.client.post(f"/v1/{path}", json=body)
    assert (response.status_code, response.headers["x-should-retry"]) == (400, "false")
    error = error_of(response)
    assert (error["code"], error["type"]) == ("provider_refused", "invalid_request_error")
    assert "logit_bias is not a map" in str(error["message"])
    assert "sk-1234" not in str(error["message"])
    assert upstream.stats.requests == 1
