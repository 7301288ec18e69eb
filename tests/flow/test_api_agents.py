"""Agents by their names: the client's own history, and whose session keeps a conversation."""

import base64
from collections.abc import AsyncGenerator
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageFunctionToolCallParam

from assistant.contracts.messages import AssistantMessage, ToolMessage
from assistant.contracts.turns import HistoryMessage, Upload, UserText

from .api_rig import Running, error_of, serving


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Running]:
    async with serving(tmp_path, agents=("main", "beta")) as running:
        yield running


async def test_a_named_agent_takes_the_clients_history_and_keeps_nothing_between_requests(api: Running) -> None:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key="dummy") as client:
        answer = await client.chat.completions.create(
            model="moltbot:beta",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "What is it?"},
                {"role": "assistant", "content": None, "tool_calls": [_CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": "42"},
                {"role": "assistant", "content": "It is 42."},
                {"role": "developer", "content": "Speak French."},
                {"role": "user", "content": "And now?"},
            ],
        )
    assert answer.model == "agent:beta"
    request = api.turns.only
    assert (request.agent, request.instructions) == ("beta", ("Be brief.", "Speak French."))
    assert request.session == f"once:{request.id}"
    assert request.content == (UserText(text="And now?"),)
    first, called, result, said = request.history
    assert first == HistoryMessage(content=(UserText(text="What is it?"),))
    assert isinstance(called, AssistantMessage)
    assert [(call.id, call.name, call.arguments) for call in called.tool_calls] == [("call_1", "look", "{}")]
    assert isinstance(result, ToolMessage)
    assert (result.call_id, result.name, result.text) == ("call_1", "look", "42")
    assert isinstance(said, AssistantMessage)
    assert said.text == "It is 42."


_CALL: ChatCompletionMessageFunctionToolCallParam = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


async def test_files_of_earlier_messages_come_along(api: Running) -> None:
    note = {"type": "file", "file": {"filename": "a.txt", "file_data": base64.b64encode(b"earlier").decode()}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Read"}, note]},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": "Again"},
    ]
    response = await api.client.post("/v1/chat/completions", json={"model": "agent:main", "messages": messages})
    assert response.status_code == 200
    earlier = api.turns.only.history[0]
    assert isinstance(earlier, HistoryMessage)
    assert [part.name for part in earlier.content if isinstance(part, Upload)] == ["a.txt"]


async def test_the_header_beats_the_model_and_names_a_session(api: Running) -> None:
    headers = {"x-openclaw-agent-id": "beta", "x-moltbot-session-key": "theirs"}
    body = {"model": "agent:main", "user": "bob", "messages": [{"role": "user", "content": "hi"}]}
    response = await api.client.post("/v1/chat/completions", json=body, headers=headers)
    assert response.json()["model"] == "agent:beta"
    assert (api.turns.only.agent, api.turns.only.session) == ("beta", "api:theirs")


async def test_a_user_has_a_session_of_an_agent(api: Running) -> None:
    await api.chat("hi", model="agent:beta", user="bob")
    assert api.turns.only.session == "agent:beta:openai-user:bob"


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}], "messages"),
        ([{"role": "system", "content": "hi"}], "messages"),
        ([{"role": "tool", "tool_call_id": "call_1", "content": "x"}, {"role": "user", "content": "hi"}], "messages.0.tool_call_id"),
        ([{"role": "assistant", "tool_calls": [_CALL]}, {"role": "user", "content": "hi"}], "messages.1"),
        ([{"role": "assistant", "tool_calls": [_CALL, _CALL]}, {"role": "user", "content": "hi"}], "messages.0.tool_calls"),
        ([{"role": "assistant", "tool_calls": [{"id": "x"}]}, {"role": "user", "content": "hi"}], "messages.0.tool_calls.0.function"),
        ([{"role": "function", "content": "x"}, {"role": "user", "content": "hi"}], "messages.0.role"),
        ([{"role": "user", "content": " "}, {"role": "user", "content": "hi"}], "messages.0.content"),
    ],
    ids=str,
)
async def test_a_history_that_can_not_be_one_is_refused_where_it_is_wrong(api: Running, messages: list[object], param: str) -> None:
    response = await api.client.post("/v1/chat/completions", json={"model": "agent:beta", "messages": messages})
    assert response.status_code == 400
    assert error_of(response)["param"] == param
    assert api.turns.requests == []
    assert api.spooled == []


@pytest.mark.parametrize("model", ["agent:nobody", "gpt-other"])
async def test_an_agent_or_model_that_is_not_there_is_404(api: Running, model: str) -> None:
    response = await api.chat("hi", model=model)
    assert response.status_code == 404
    assert error_of(response) == {
        "message": error_of(response)["message"],
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


async def test_every_agent_is_listed_under_its_name(api: Running) -> None:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{api.port}/v1", api_key="dummy") as client:
        assert [model.id async for model in client.models.list()] == ["gpt-test", "agent:main", "agent:beta"]
        assert (await client.models.retrieve("agent:beta")).owned_by == "nanobot"
