"""GGUF files through the model and embedding ports: requests, the queue, cancellation. The worker is a stand-in."""

import asyncio
import json

import pytest

from assistant.contracts.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    NanobotError,
    ProviderFailed,
    ProviderOverloaded,
    UnsupportedContent,
)
from assistant.contracts.messages import UserMessage
from assistant.contracts.models import ModelRequest, Sampling

from .gguf_models import Opens, asked, fails, within
from .samples import PICTURE, ROUND, TOOL, unheard, user


async def test_the_first_request_starts_the_worker_and_one_worker_serves_all(opens: Opens) -> None:
    model = opens()
    assert model.workers == []
    assert await model.ask("PID") == await model.ask("PID") == str(model.workers[0])
    assert len(model.workers) == 1


async def test_messages_and_sampling_reach_the_worker(opens: Opens) -> None:
    request = ModelRequest(
        instructions=("Be kind.", "Be brief."),
        messages=(*ROUND, user("ORDER")),
        sampling=Sampling(temperature=0.5, max_tokens=7, stop=("x",), seed=3, response_format={"type": "json_object"}),
    )
    async with within():
        sent = json.loads((await opens().writes.complete(request, unheard)).text)
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "user", "user", "user"]
    assert sent["messages"][0]["content"] == "Be kind.\n\nBe brief."
    assert 'read_file with {"path": "a"}' in sent["messages"][2]["content"]
    assert "forty-two" in sent["messages"][3]["content"]
    wanted = {name: value for name, value in sent["sampling"].items() if value is not None}
    assert wanted == {"temperature": 0.5, "max_tokens": 7, "stop": ["x"], "seed": 3, "response_format": {"type": "json_object"}}


async def test_an_answer_has_the_workers_usage_and_finish_reason(opens: Opens) -> None:
    async with within():
        answer = await opens().writes.complete(asked("ECHO length"), unheard)
    assert (answer.text, answer.finish_reason, answer.model) == ("length", "length", "tiny")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.cached_tokens) == (9, 1, 4)


async def test_a_completion_sends_the_text_as_it_is(opens: Opens) -> None:
    assert await opens(kind="completion").ask("ECHO once upon  a time") == "once upon  a time"


async def test_vectors_come_in_order_with_usage(opens: Opens) -> None:
    async with within():
        made = await opens(kind="embedding").embeds.embed(["a", "bb", "ccc"], None)
    assert made.vectors == ((1, 0, 1), (2, 0, 1), (3, 0, 1))
    assert (made.prompt_tokens, made.model) == (9, "tiny")


async def test_an_unreadable_vector_is_a_failure(opens: Opens) -> None:
    await fails(opens(kind="embedding").embeds.embed(["a", "UNREADABLE"], None), ProviderFailed)


async def test_an_empty_answer_is_a_failure(opens: Opens) -> None:
    assert "empty" in str(await fails(opens().ask("NOTHING"), ProviderFailed))


@pytest.mark.parametrize(("marker", "error", "param"), [("LONG", ContextLengthExceeded, None), ("ODD", InvalidRequest, "messages")])
async def test_a_refusal_of_the_worker_is_passed_on_and_the_worker_stays(
    opens: Opens, marker: str, error: type[NanobotError], param: str | None
) -> None:
    model = opens()
    refused = await fails(model.ask(marker), error)
    assert refused.message.startswith("The model 'tiny' ")
    assert (type(refused), refused.param) == (error, param)
    await model.ask("hello")
    assert len(model.workers) == 1


async def test_tools_and_images_are_refused_before_a_worker_starts(opens: Opens) -> None:
    model = opens()
    tools = ModelRequest(instructions=(), messages=(user("hi"),), tools=(TOOL,))
    assert (await fails(model.writes.complete(tools, unheard), InvalidRequest)).param == "tools"
    shown = ModelRequest(instructions=(), messages=(UserMessage(id="msg_1", parts=(PICTURE,)),), images={"att_1": b"\x89PNG"})
    await fails(model.writes.complete(shown, unheard), UnsupportedContent)
    assert model.workers == []
    async with within():
        assert await model.writes.complete(
            ModelRequest(instructions=(), messages=(user("hi"),), tools=(TOOL,), tool_choice="none"), unheard
        )


async def test_a_full_queue_refuses_at_once_and_the_rest_is_answered_in_order(opens: Opens) -> None:
    model = opens()
    running, heard = model.begin("WAIT")
    async with within():
        await heard.wait()
    order: list[str] = []

    async def waits(name: str) -> None:
        order.append(await model.ask(f"ECHO {name}"))

    waiting = [asyncio.create_task(waits(name)) for name in "abc"]
    await asyncio.sleep(0)
    overloaded = await fails(model.ask("hello"), ProviderOverloaded)
    assert (overloaded.retry_after or 0) >= 1
    running.cancel()
    async with within():
        await asyncio.gather(*waiting)
    assert order == ["a", "b", "c"]
    assert len(model.workers) == 1


async def test_a_cancelled_waiting_request_leaves_the_queue(opens: Opens) -> None:
    model = opens()
    running, heard = model.begin("WAIT")
    async with within():
        await heard.wait()
    gone = [asyncio.create_task(model.ask("PID")) for _ in range(3)]
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    await asyncio.wait(gone)
    kept = asyncio.create_task(model.ask("ECHO kept"))
    await asyncio.sleep(0)
    running.cancel()
    async with within():
        assert await kept == "kept"


async def test_a_cancelled_answer_stops_and_the_worker_stays(opens: Opens) -> None:
    model = opens()
    running, heard = model.begin("WAIT")
    async with within():
        await heard.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await model.ask("PID") == str(model.workers[0])
    assert len(model.workers) == 1
