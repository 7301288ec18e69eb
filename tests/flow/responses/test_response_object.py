"""The response object by the public schema of Open Responses: whole, with defaults and echoes, stored and streamed alike."""

import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from .conftest import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBER = (int, float)
REQUIRED: dict[str, tuple[type, ...]] = {
    "id": (str,), "object": (str,), "created_at": (int,), "completed_at": (int, type(None)), "status": (str,),
    "incomplete_details": (dict, type(None)), "model": (str,), "previous_response_id": (str, type(None)), "instructions": (str, type(None)),
    "output": (list,), "error": (dict, type(None)), "tools": (list,), "tool_choice": (str, dict), "truncation": (str,),
    "parallel_tool_calls": (bool,), "text": (dict,), "top_p": NUMBER, "presence_penalty": NUMBER, "frequency_penalty": NUMBER,
    "top_logprobs": (int,), "temperature": NUMBER, "reasoning": (dict, type(None)), "user": (str, type(None)), "usage": (dict, type(None)),
    "max_output_tokens": (int, type(None)), "max_tool_calls": (int, type(None)), "store": (bool,), "background": (bool,),
    "service_tier": (str,), "metadata": (dict,), "safety_identifier": (str, type(None)), "prompt_cache_key": (str, type(None)),
}  # fmt: skip
"""The required fields of Open Responses' ResponseResource, and their types."""
DEFAULTS: dict[str, object] = {
    "temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "top_logprobs": 0, "max_output_tokens": None,
    "max_tool_calls": None, "service_tier": "default", "safety_identifier": None, "prompt_cache_key": None, "prompt_cache_retention": None,
    "text": {"format": {"type": "text"}}, "reasoning": {"effort": None, "summary": None}, "truncation": "disabled", "metadata": {},
    "tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "store": True, "background": False, "user": None, "notices": [],
}  # fmt: skip
EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
HEART = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather.",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
}
CASES: dict[str, dict[str, Any]] = {
    "basic": {"input": [{"type": "message", "role": "user", "content": "Say hello in exactly 3 words."}]},
    "system": {
        "input": [
            {"type": "message", "role": "system", "content": "You are a pirate."},
            {"type": "message", "role": "user", "content": "Say hello."},
        ]
    },
    "tools": {
        "input": [{"type": "message", "role": "user", "content": 'CALLTOOL get_weather {"location": "Bonn"}'}],
        "tools": [WEATHER],
    },
    "image": {
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": HEART}],
            }
        ]
    },
    "turns": {
        "input": [
            {"type": "message", "role": "user", "content": "My name is Alice."},
            {"type": "message", "role": "assistant", "content": "Hello Alice!"},
            {"type": "message", "role": "user", "content": "What is my name?"},
        ]
    },
}
"""What the suite of Open Responses asks over HTTP."""


def whole(response: dict[str, Any]) -> None:
    """Raises where a response is not as the schema and the SDK have it."""
    for name, kinds in REQUIRED.items():
        assert name in response, name
        assert type(response[name]) in kinds, (name, response[name])
    Response.model_validate(response, strict=True)
    for item in response["output"]:
        assert isinstance(item["id"], str)
        assert item["type"] in ("message", "function_call", "reasoning")
        assert None not in [value for name, value in item.items() if name == "encrypted_content"]
    for tool in response["tools"]:
        assert set(tool) == {"type", "name", "description", "parameters", "strict"}
    if response["usage"]:
        assert isinstance(response["usage"]["output_tokens_details"]["reasoning_tokens"], int)
        assert isinstance(response["usage"]["input_tokens_details"]["cached_tokens"], int)


def events_of(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    for event in found:
        EVENTS.validate_python(event)
    return found


@pytest.mark.parametrize("model", ["tuned", "agent:main"])
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_suites_requests_are_answered_by_whole_responses(served: Served, case: str, model: str) -> None:
    if case == "tools" and model != "tuned":
        pytest.skip("an agent's tools are tested with agents")
    made = await served.send(model=model, **CASES[case])
    assert made.status_code == 200, made.text
    response = made.json()
    whole(response)
    assert response["status"] == "completed"
    assert response["output"][0]["type"] == ("function_call" if case == "tools" else "message")
    kept = (await served.http.get(f"/v1/responses/{response['id']}")).json()
    assert kept == response
    streamed = events_of((await served.send(model=model, stream=True, **CASES[case])).text)
    for event in streamed:
        if "response" in event:
            whole(event["response"])
    last = streamed[-1]["response"]
    assert {name: last[name] for name in DEFAULTS} == {name: response[name] for name in DEFAULTS}
    kinds = [event["type"] for event in streamed]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    if case == "tools":
        assert {"response.function_call_arguments.delta", "response.function_call_arguments.done"} <= set(kinds)


async def test_what_was_not_asked_for_has_openais_defaults(served: Served) -> None:
    response = (await served.send(model="agent:main", input="ECHO hi")).json()
    assert {name: response[name] for name in DEFAULTS} == DEFAULTS


ECHOED: list[dict[str, Any]] = [
    {"temperature": 0.5}, {"top_p": 0.25}, {"presence_penalty": -1.5}, {"frequency_penalty": 2}, {"max_output_tokens": 77},
    {"max_tool_calls": 3}, {"service_tier": "flex"}, {"safety_identifier": "user-1"}, {"prompt_cache_key": "k"},
    {"prompt_cache_retention": "24h"}, {"metadata": {"a": "b"}}, {"truncation": "auto"}, {"parallel_tool_calls": False},
    {"reasoning": {"effort": "max", "summary": "detailed"}}, {"text": {"format": {"type": "text"}, "verbosity": "low"}},
    {"instructions": "Be brief."}, {"store": False}, {"text": {"format": {"type": "json_object"}}},
]  # fmt: skip


@pytest.mark.parametrize("fields", ECHOED, ids=lambda fields: "-".join(fields))
@pytest.mark.parametrize("model", ["tuned", "agent:main"])
async def test_what_was_sent_comes_back_and_is_kept(served: Served, fields: dict[str, Any], model: str) -> None:
    made = await served.send(model=model, input="ECHO hi", **fields)
    assert made.status_code == 200, made.text
    response = made.json()
    whole(response)
    assert {name: response[name] for name in fields} == fields
    streamed = events_of((await served.send(model=model, input="ECHO hi", stream=True, **fields)).text)
    for event in streamed:
        if "response" in event:
            assert {name: event["response"][name] for name in fields} == fields
    if fields != {"store": False}:
        kept = (await served.http.get(f"/v1/responses/{response['id']}")).json()
        assert {name: kept[name] for name in fields} == fields


async def test_the_choice_of_allowed_tools_comes_back(served: Served) -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_weather"}]}
    response = (await served.send(model="tuned", input="ECHO hi", tools=[WEATHER], tool_choice=choice)).json()
    whole(response)
    assert response["tool_choice"] == choice


async def test_a_hint_that_a_provider_does_not_know_is_left_out_where_it_refuses_it_by_name(served: Served) -> None:
    said = json.dumps({"message": "extra_forbidden: body.prompt_cache_key", "detail": "Extra inputs are not permitted"}).encode()
    head = b"HTTP/1.1 422 Unprocessable Entity\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    served.model.replies.append(head % len(said) + said)
    made = await served.send(model="tuned", input="ECHO hi", prompt_cache_key="k", top_k=3)
    assert made.status_code == 200, made.text
    assert "prompt_cache_key" not in served.asked()
    assert served.asked()["top_k"] == 3
    served.model.replies.append(head % len(said) + said)
    refused = await served.send(model="tuned", input="ECHO hi", top_k=3)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "provider_refused")
