"""Responses as they come: the documented events in their order, and what a failure says."""

import asyncio
import json
from typing import Any, cast

import openai
import pytest
from openai.types.responses import ResponseStreamEvent

from .conftest import Served
from .test_responses import WEATHER

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def events(served: Served, **fields: Any) -> list[ResponseStreamEvent]:
    stream = await served.sdk.responses.create(stream=True, **fields)
    return [event async for event in stream]


async def raw_events(served: Served, **fields: object) -> list[dict[str, Any]]:
    """The data of each event, having checked that its name is its type."""
    response = await served.send(stream=True, **fields)
    found: list[dict[str, Any]] = []
    for block in response.text.split("\n\n"):
        if block and not block.startswith(":"):
            name, data = block.split("\n")
            found.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {found[-1]['type']}"
    return found


async def test_a_text_comes_in_the_documented_sequence(served: Served) -> None:
    heard = await events(served, model="tuned", input="say three")
    kinds = [event.type for event in heard]
    deltas = kinds.count("response.output_text.delta")
    assert deltas > 1
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in heard] == list(range(len(heard)))
    said = "".join(event.delta for event in heard if event.type == "response.output_text.delta")
    assert said == "".join(f"tok{number} " for number in range(20))
    first, last = heard[0], heard[-1]
    assert first.type == "response.created"
    assert (first.response.status, first.response.output) == ("in_progress", [])
    assert last.type == "response.completed"
    assert (last.response.output_text, last.response.id) == (said, first.response.id)
    assert last.response.usage is not None
    assert last.response.usage.total_tokens == 120
    kept = await served.sdk.responses.retrieve(last.response.id)
    assert kept == last.response


async def test_the_clients_own_helper_puts_a_stream_together(served: Served) -> None:
    async with served.sdk.responses.stream(model="agent:main", input="ECHO hello") as stream:
        final = await stream.get_final_response()
    assert final.output_text == "hello"


async def test_calls_of_functions_come_as_items_of_their_own(served: Served) -> None:
    heard = await events(served, model="tuned", input='CALLTOOL weather {"at": "x"}', tools=[WEATHER])
    assert [event.type for event in heard] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    added, done = [cast("dict[str, Any]", heard[place].to_dict()["item"]) for place in (2, 5)]
    assert added["type"] == done["type"] == "function_call"
    assert (added["arguments"], done["arguments"], added["id"]) == ("", '{"at": "x"}', done["id"])


async def test_a_failure_before_the_first_word_is_a_plain_error(served: Served) -> None:
    served.model.configure(mode="401")
    with pytest.raises(openai.InternalServerError) as failed:
        await served.sdk.responses.create(model="tuned", input="hi", stream=True)
    assert failed.value.status_code == 502


async def test_a_failure_in_the_middle_raises_in_the_client_and_is_kept(served: Served) -> None:
    served.model.configure(mode="midcut")
    heard = await raw_events(served, model="tuned", input="hi")
    failed, error = heard[-2:]
    assert (failed["type"], failed["response"]["status"], failed["response"]["error"]["code"]) == (
        "response.failed",
        "failed",
        "server_error",
    )
    assert (error["type"], error["error"]["code"], error["error"]["message"]) == ("error", "provider_error", error["message"])
    with pytest.raises(openai.APIError):
        await events(served, model="tuned", input="hi")
    kept = await served.sdk.responses.retrieve(failed["response"]["id"])
    assert (kept.status, kept.error is not None) == ("failed", True)
    with pytest.raises(openai.BadRequestError, match="no answer to go on from"):
        await served.sdk.responses.create(model="tuned", input="hi", previous_response_id=kept.id)


async def test_an_answer_that_the_limit_cut_is_incomplete(served: Served) -> None:
    cut = json.dumps(
        {
            "id": "x",
            "object": "chat.completion",
            "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "cut of"}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        }
    ).encode()
    served.model.replies.append(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(cut) + cut)
    made = await served.sdk.responses.create(model="tuned", input="hi", max_output_tokens=2)
    assert (made.status, made.output_text) == ("incomplete", "cut of")
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    await served.sdk.responses.create(model="tuned", input="ECHO on", previous_response_id=made.id)
    assert served.told() == [("user", "hi"), ("assistant", "cut of"), ("user", "ECHO on")]


async def test_a_client_that_goes_away_finds_the_response_later(served: Served) -> None:
    served.model.configure(chunk_delay_ms=1)
    served.model.hold(after=5)
    stream = await served.sdk.responses.create(model="tuned", input="say it", stream=True)
    created = await anext(aiter(stream))
    assert created.type == "response.created"
    assert (await served.sdk.responses.retrieve(created.response.id)).status == "in_progress"
    await stream.close()
    served.model.go_on()
    kept = created.response
    async with asyncio.timeout(30):
        while kept.status == "in_progress":
            kept = await served.sdk.responses.retrieve(created.response.id)
    assert kept.output_text.endswith("tok19 ")
    served.model.configure(chunk_delay_ms=0)


@pytest.mark.parametrize("model", ["tuned", "agent:main"])
@pytest.mark.parametrize("order", ["rrw", "rwr", "rwrwr", "wr", "wrwr"])
async def test_the_pieces_of_thoughts_and_words_make_the_whole_in_any_order(served: Served, model: str, order: str) -> None:
    """`order`: of thoughts (r) and words (w), as a model that thinks again between its words sends them."""
    deltas = [{"reasoning_content" if kind == "r" else "content": f"{kind}{place} "} for place, kind in enumerate(order)]
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    data = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(data)
    served.model.replies.append(head + data)
    heard = await events(served, model=model, input="think")
    for piece, whole in (
        ("response.reasoning_summary_text.delta", "response.reasoning_summary_text.done"),
        ("response.output_text.delta", "response.output_text.done"),
    ):
        said = "".join(cast("Any", event).delta for event in heard if event.type == piece)
        assert [cast("Any", event).text for event in heard if event.type == whole] == [said]
    last = heard[-1]
    assert last.type == "response.completed"
    assert sorted(item.type for item in last.response.output) == ["message", "reasoning"]
    assert [event.sequence_number for event in heard] == list(range(len(heard)))
