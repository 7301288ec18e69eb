"""OpenAI's SDK for Python, pointed at this server and otherwise used as ever, with the wire looked at."""

import base64
import json
import struct
from collections.abc import AsyncGenerator, Awaitable
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from .house import House, opened
from .sdk_house import KEY, MODELS

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "ECHO hello"}]
WEATHER: ChatCompletionToolParam = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    async with opened(tmp_path_factory.mktemp("home"), config={"models": MODELS, "api": {"apiKey": KEY}}, key=KEY) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sdk(house: House) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=house.relay.url, api_key=KEY, max_retries=0) as client:
        yield client


async def test_a_chat_is_answered_with_its_usage(house: House, sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(model="tuned", messages=HELLO)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("hello", "stop")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    ([exchange], _) = house.check()
    assert exchange.asked["model"] == "tuned"


@pytest.mark.parametrize("model", ["tuned", "agent:main", "fake-model"])
async def test_a_stream_brings_its_words_and_then_its_usage(sdk: openai.AsyncOpenAI, model: str) -> None:
    stream = await sdk.chat.completions.create(model=model, messages=HELLO, stream=True, stream_options={"include_usage": True})
    *chunks, last = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello"
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert last.choices == []
    assert last.usage is not None


async def test_the_programs_tools_make_their_round(sdk: openai.AsyncOpenAI) -> None:
    asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": 'CALLTOOL weather {"city": "Graz"}'}]
    message = (await sdk.chat.completions.create(model="tuned", messages=asked, tools=[WEATHER])).choices[0].message
    assert message.tool_calls is not None
    call: Any = message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Graz"})
    said: Any = message.model_dump(exclude_none=True)
    result: ChatCompletionMessageParam = {"role": "tool", "tool_call_id": call.id, "content": "clear"}
    answer = await sdk.chat.completions.create(model="tuned", messages=[*asked, said, result], tools=[WEATHER])
    assert answer.choices[0].message.content == "done"


async def test_vectors_are_the_same_in_each_encoding(house: House, sdk: openai.AsyncOpenAI) -> None:
    for encoding in ("float", "base64", None):
        asked: Any = {} if encoding is None else {"encoding_format": encoding}
        made = await sdk.embeddings.create(model="vectors", input=["a", "bb"], **asked)
        vectors: list[Any] = [item.embedding for item in made.data]
        if encoding == "base64":
            vectors = [list(struct.unpack("<2f", base64.b64decode(vector))) for vector in vectors]
        assert vectors == [[1.0, 0.0], [2.0, 0.0]]
    (asked_for, _) = house.check()
    assert [exchange.asked["encoding_format"] for exchange in asked_for] == ["float", "base64", "base64"]


async def test_texts_are_gone_on_with_whole_and_in_pieces(sdk: openai.AsyncOpenAI) -> None:
    whole = await sdk.completions.create(model="texts", prompt="once upon a time")
    pieces = [chunk async for chunk in await sdk.completions.create(model="texts", prompt="once upon a time", stream=True)]
    assert whole.choices[0].text == "".join(piece.choices[0].text for piece in pieces) == "ONCE UPON A TIME"


async def test_models_are_listed_and_shown(sdk: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in sdk.models.list()] == ["fake-model", "agent:main", "custom/fake-model", *MODELS]
    assert (await sdk.models.retrieve("vectors")).owned_by == "custom"


async def test_responses_are_made_streamed_shown_and_deleted(sdk: openai.AsyncOpenAI) -> None:
    first = await sdk.responses.create(model="tuned", input="ECHO one")
    assert first.output_text == "one"
    events = [
        event async for event in await sdk.responses.create(model="tuned", input="ECHO two", previous_response_id=first.id, stream=True)
    ]
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "two"
    assert (await sdk.responses.retrieve(first.id)).output_text == "one"
    await sdk.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(first.id)


async def test_files_are_uploaded_listed_fetched_and_deleted(sdk: openai.AsyncOpenAI) -> None:
    made = await sdk.files.create(file=("table.csv", b"a,b\n1,2\n"), purpose="user_data")
    assert made.id in [each.id async for each in sdk.files.list()]
    assert (await sdk.files.content(made.id)).content == b"a,b\n1,2\n"
    assert (await sdk.files.delete(made.id)).deleted


async def test_errors_arrive_as_its_own_classes(sdk: openai.AsyncOpenAI) -> None:
    async def raised(kind: type[openai.APIStatusError], call: Awaitable[object]) -> tuple[int, str | None, str | None]:
        with pytest.raises(kind) as caught:
            await call
        assert type(caught.value) is kind
        assert caught.value.request_id is not None
        return caught.value.status_code, caught.value.code, caught.value.param

    chat = sdk.chat.completions.create
    stranger = sdk.with_options(api_key="another").chat.completions.create
    assert await raised(openai.BadRequestError, chat(model="tuned", messages=HELLO, temperature=9)) == (400, "invalid_value", "temperature")
    assert await raised(openai.NotFoundError, chat(model="unheard-of", messages=HELLO)) == (404, "model_not_found", "model")
    assert await raised(openai.AuthenticationError, stranger(model="tuned", messages=HELLO)) == (401, "invalid_api_key", None)
    once = {"idempotency-key": "once"}
    await chat(model="tuned", messages=HELLO, extra_headers=once)
    again = chat(model="texts", messages=HELLO, extra_headers=once)
    assert await raised(openai.UnprocessableEntityError, again) == (422, "idempotency_key_reused", "Idempotency-Key")


async def test_a_model_that_fails_is_raised_and_so_is_a_stream_that_breaks_off(house: House, sdk: openai.AsyncOpenAI) -> None:
    house.model.configure(mode="401")
    with pytest.raises(openai.InternalServerError) as failed:
        await sdk.chat.completions.create(model="tuned", messages=HELLO)
    assert failed.value.status_code == 502
    house.model.configure(mode="midcut")
    stream = await sdk.chat.completions.create(model="tuned", messages=[{"role": "user", "content": "hi"}], stream=True)
    assert (await anext(aiter(stream))).choices[0].delta.role == "assistant"
    with pytest.raises(openai.APIError) as broken:
        _ = [chunk async for chunk in stream]
    assert broken.value.code == "provider_error"
