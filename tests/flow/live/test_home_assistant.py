"""What Home Assistant's OpenAI-compatible conversation integrations send, by the official client that they use: docs/channels/home-assistant.md.

https://github.com/jekalmin/extended_openai_conversation, https://github.com/skye-harris/hass_local_openai_llm
"""

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from .conftest import Live

pytestmark = pytest.mark.asyncio(loop_scope="module")

TURN_ON = {
    "type": "function",
    "function": {
        "name": "HassTurnOn",
        "description": "Turns on a device or entity.",
        "parameters": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "domain": {"type": "array", "items": {"type": "string"}}},
        },
    },
}
EXTENDED = {"stream_options": {"include_usage": True}, "max_tokens": 500, "top_p": 1, "temperature": 0.5, "tool_choice": "auto"}
NEWER = {"stream_options": {"include_usage": True}, "max_completion_tokens": 500, "reasoning_effort": "low", "service_tier": "auto"}
LOCAL = {"temperature": 0.6, "parallel_tool_calls": True, "user": "01KA6XH5W2S0M3F9YB7N8T4QZC"}
STYLES = pytest.mark.parametrize(("extra", "parts"), [(EXTENDED, False), (NEWER, False), (LOCAL, True)], ids=["extended", "newer", "local"])


def content(text: str, *, parts: bool) -> Any:
    return [{"type": "text", "text": text}] if parts else text


async def streamed(live: Live, messages: list[Any], **extra: Any) -> tuple[str, list[dict[str, Any]]]:
    """(what is spoken, the calls), read as the integrations read a stream."""
    said, calls = "", dict[int, dict[str, Any]]()
    async with openai.AsyncOpenAI(base_url=f"{live.server.url}/v1", api_key="dummy", max_retries=0) as client:
        body: dict[str, Any] = {"model": "agent:main", "messages": messages, "stream": True, **extra}
        create: Any = client.chat.completions.create
        stream: openai.AsyncStream[ChatCompletionChunk] = await create(**body)
        async for chunk in stream:
            for choice in chunk.choices:
                said += choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    assert call.function is not None
                    function = {"name": call.function.name, "arguments": ""}
                    found = calls.setdefault(call.index, {"id": call.id, "type": "function", "function": function})
                    found["function"]["arguments"] += call.function.arguments or ""
    return said, list(calls.values())


@STYLES
async def test_assist_calls_a_device_and_goes_on_with_its_history(shared: Live, extra: dict[str, Any], *, parts: bool) -> None:
    wish = f"CALLALL {json.dumps([('HassTurnOn', {'name': 'kitchen light'})])}"
    messages: list[Any] = [
        {"role": "system", "content": "You are a voice assistant for Home Assistant.\nStatic Context: …"},
        {"role": "user", "content": content(wish, parts=parts)},
    ]
    _, calls = await streamed(shared, messages, tools=[TURN_ON], **extra)
    assert [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls] == [
        ("HassTurnOn", {"name": "kitchen light"})
    ]
    messages += [{"role": "assistant", "tool_calls": calls} | ({"content": None} if parts else {})]
    messages += [{"role": "tool", "tool_call_id": call["id"], "content": '{"speech":{},"response_type":"action_done"}'} for call in calls]
    said, more = await streamed(shared, messages, tools=[TURN_ON], **extra)
    assert (said, more) == ("done", [])
    messages += [{"role": "assistant", "content": said}, {"role": "user", "content": content("hello", parts=parts)}]
    said, _ = await streamed(shared, messages, tools=[TURN_ON], **extra)
    assert said
    asked = shared.asked()
    assert [each["role"] for each in asked["messages"]] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert "voice assistant for Home Assistant" in asked["messages"][0]["content"]
    assert "HassTurnOn" in [each["function"]["name"] for each in asked["tools"]]


async def test_its_set_up_lists_the_models(shared: Live) -> None:
    async with openai.AsyncOpenAI(base_url=f"{shared.server.url}/v1", api_key="dummy", max_retries=0) as client:
        assert "agent:main" in [model.id async for model in client.models.list()]


async def test_the_default_model_says_why_it_takes_no_history(shared: Live) -> None:
    """Home Assistant shows this text: it names the model to choose."""
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    with pytest.raises(openai.BadRequestError, match=r"agent:main"):
        await streamed(shared, history, model="fake-model")
