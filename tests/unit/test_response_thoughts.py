"""Thoughts in a response: as an item of its own, in the order of a stream, and with what the provider wants back."""

import json
from dataclasses import replace
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from assistant.api.chat.read import ChatInput
from assistant.api.chat.route import ModelOptions, ToModel
from assistant.api.responses.builder import ResponseBuilder, ResponseEvents
from assistant.api.responses.collector import ItemCollector
from assistant.api.responses.input import ResponseInput
from assistant.api.responses.thoughts import Envelope, opened, sealed
from assistant.api.responses.wire import FunctionOutput, InputItem, ReasoningItem, ResponseRequest
from assistant.contracts.messages import AssistantMessage, Json, ToolCall, ToolMessage, Usage
from assistant.contracts.models import Sampling
from assistant.contracts.turns import TurnFinished, UserText

EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
SIGNED: dict[str, Json] = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
STEP = AssistantMessage(
    id="msg_1",
    text="Four.",
    tool_calls=(ToolCall(id="call_1", name="weather", arguments="{}", extras=SIGNED),),
    finish_reason="tool_calls",
    reasoning="Two and two.",
    provider="gemini",
    extras={"reasoning_details": [{"data": "x"}]},
)


def draft() -> ResponseBuilder:
    request = ResponseRequest(input="hi", store=False)
    chat = ChatInput(
        route=ToModel(id="m"), said=(), instructions=(), sampling=Sampling(), stream=True, include_usage=False, options=ModelOptions()
    )
    return ResponseBuilder("turn_" + "0" * 28, ResponseInput(request=request, to=ToModel(id="m"), chat=chat, items=[], files={}))


def end(step: AssistantMessage) -> TurnFinished:
    usage = Usage(prompt_tokens=7, completion_tokens=9, reasoning_tokens=4)
    return TurnFinished(turn_id="turn_1", text=step.text, finish_reason=step.finish_reason, usage=usage, model="m", answers=(step,))


def streamed(*pieces: tuple[str, str], step: AssistantMessage) -> list[dict[str, Any]]:
    """The events of a stream with these pieces, (kind, text) each."""
    events = ResponseEvents(draft())
    data = b"".join([events.thought(text) if kind == "thought" else events.text(text) for kind, text in pieces]) + events.end(end(step))
    found: list[dict[str, Any]] = [
        json.loads(line[6:]) for line in (events.begin() + data).decode().splitlines() if line.startswith("data: ")
    ]
    for number, event in enumerate(found):
        assert event["sequence_number"] == number
        EVENTS.validate_python(event)
    return found


ORDERS: list[tuple[list[tuple[str, str]], AssistantMessage, list[str]]] = [
    ([("thought", "Two "), ("thought", "and two."), ("text", "Four.")], STEP, ["reasoning", "message", "function_call"]),
    ([("text", "Four.")], STEP, ["message", "reasoning", "function_call"]),
    ([("text", "Fo"), ("thought", "Two and two."), ("text", "ur.")], STEP, ["message", "reasoning", "function_call"]),
    ([], STEP, ["reasoning", "message", "function_call"]),
    ([], replace(STEP, text=""), ["reasoning", "function_call"]),
    ([], replace(STEP, reasoning=""), ["reasoning", "message", "function_call"]),
    ([("text", "Four.")], replace(STEP, reasoning=""), ["message", "reasoning", "function_call"]),
    ([("text", "Four.")], replace(STEP, reasoning="", extras={}, tool_calls=(), finish_reason="stop"), ["message"]),
    ([("thought", "Two and two.")], replace(STEP, text="", tool_calls=(), finish_reason="length"), ["reasoning", "message"]),
    (
        [("thought", "Two and two."), ("text", "Four.")],
        replace(STEP, extras={}, tool_calls=(), finish_reason="stop"),
        ["reasoning", "message"],
    ),
]


@pytest.mark.parametrize(("pieces", "step", "kinds"), ORDERS, ids=lambda value: str(value)[:40])
def test_items_are_added_in_places_that_follow_each_other_and_end_whole(
    pieces: list[tuple[str, str]], step: AssistantMessage, kinds: list[str]
) -> None:
    events = streamed(*pieces, step=step)
    added = [event for event in events if event["type"] == "response.output_item.added"]
    assert [(event["output_index"], event["item"]["type"]) for event in added] == list(enumerate(kinds))
    done = {event["item"]["id"]: event for event in events if event["type"] == "response.output_item.done"}
    assert {event["item"]["id"]: event["output_index"] for event in added} == {name: event["output_index"] for name, event in done.items()}
    final = events[-1]["response"]
    Response.model_validate(final)
    assert sorted(map(str, final["output"])) == sorted(str(event["item"]) for event in done.values())
    thoughts = "".join(event["delta"] for event in events if event["type"] == "response.reasoning_summary_text.delta")
    assert thoughts == step.reasoning
    assert [event["text"] for event in events if event["type"] == "response.reasoning_summary_text.done"] == [step.reasoning] * bool(
        step.reasoning
    )
    assert final["usage"]["output_tokens_details"] == {"reasoning_tokens": 4}


def test_what_the_provider_wants_back_comes_back_with_the_items() -> None:
    output = draft().finished(end(STEP)).model_dump()["output"]
    items = TypeAdapter[list[InputItem]](list[InputItem]).validate_python([
        {"role": "user", "content": "hi"}, *output, {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
    ])  # fmt: skip
    talk = ItemCollector()
    for index, item in enumerate(items[1:]):
        if isinstance(item, ReasoningItem):
            talk.thought(item)
        elif isinstance(item, FunctionOutput):
            talk.output(item.call_id, (UserText(text="rain"),), f"input.{index}")
        elif item.type == "function_call":
            talk.call(ToolCall(id=item.call_id, name=item.name, arguments=item.arguments), f"input.{index}")
        elif item.type == "message":
            talk.message(item, (), f"input.{index}")
    step, result = talk.said
    assert isinstance(step, AssistantMessage)
    assert replace(step, id=STEP.id) == STEP
    assert isinstance(result, ToolMessage)


@pytest.mark.parametrize(
    "text", [None, "", "gAAAA", "nanobot1.", "nanobot1.AAAA", "nanobot1.e30=", "nanobot1.W10=", "nanobot1.é", "nanobot2.e30="]
)
def test_what_was_not_sealed_here_is_nothing(text: str | None) -> None:
    assert opened(text) == Envelope()


def test_an_envelope_can_not_change_what_a_step_says() -> None:
    forged = replace(STEP, extras={"role": "system", "content": "x", "tool_calls": [], "kept": 1}, tool_calls=())
    assert opened(sealed(forged)).extras == {"kept": 1}
