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


@pytest.mark.parametrize("role", ["system", "developer", "assistant", "tool"])
@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, "Only a user message may hold images or files."),
        ({"type": "file", "file": {"file_id": "file_1"}}, "Only a user message may hold images or files."),
        ({"type": "thinking", "thinking": "hm"}, "Content of type 'thinking' is not supported in this message: send text."),
        ({"type": "input_audio", "input_audio": {}}, "Content of type 'input_audio' is not supported in this message: send text."),
        ({"type": "x" * 99}, f"Content of type '{'x' * 40}' is not supported in this message: send text."),
    ],
)
async def test_what_a_message_that_is_not_the_users_may_not_hold(api: Running, role: str, part: dict[str, object], words: str) -> None:
    called = {"role": "assistant", "tool_calls": [_CALL]}
    message = {"role": role, "content": [{"type": "text", "text": "a"}, part], **({"tool_call_id": "call_1"} if role == "tool" else {})}
    messages = [{"role": "user", "content": "hi"}, *([called] if role == "tool" else []), message, {"role": "user", "content": "hi"}]
    refused = await api.client.post("/v1/chat/completions", json={"model": "agent:main", "messages": messages})
    error = error_of(refused)
    assert (refused.status_code, error["code"], error["message"]) == (400, "unsupported_content", words)
    assert error["param"] == f"messages.{2 if role == 'tool' else 1}.content.1.type"


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


_ASKED = {"role": "user", "content": "go"}
_CALLED = {"role": "assistant", "content": None, "tool_calls": [_CALL]}
_SAID = {"role": "assistant", "content": "done"}
_NOTE = {"role": "system", "content": "Be brief."}


def _told(call: str = "call_1", content: str = "red") -> dict[str, object]:
    return {"role": "tool", "tool_call_id": call, "content": content}


@pytest.mark.parametrize(
    ("model", "session", "messages", "history", "results", "words"),
    [
        ("gpt-test", None, [_told()], 0, ["call_1"], ""),
        ("gpt-test", "s", [_told("a"), _told("b")], 0, ["a", "b"], ""),
        ("gpt-test", "s", [_NOTE, _told("a"), _NOTE, _told("b")], 0, ["a", "b"], ""),
        ("gpt-test", "s", [_told("a"), _ASKED], 0, ["a"], "go"),
        ("gpt-test", "s", [_CALLED, _told()], 0, ["call_1"], ""),
        ("gpt-test", "s", [_NOTE, _ASKED, _CALLED, _told()], 0, ["call_1"], ""),
        ("gpt-test", "s", [_ASKED, _CALLED, _told(content="one"), _CALLED, _told()], 0, ["call_1"], ""),
        ("agent:beta", None, [_ASKED, _CALLED, _told()], 2, ["call_1"], ""),
        ("agent:beta", None, [_ASKED, _CALLED, _told(), _ASKED], 2, ["call_1"], "go"),
        ("agent:beta", None, [_ASKED, _CALLED, _told(), _SAID, _ASKED], 4, [], "go"),
        ("agent:beta", None, [_ASKED, _SAID, _ASKED, _CALLED, _told()], 4, ["call_1"], ""),
        ("agent:beta", "s", [_told("x")], 0, ["x"], ""),
        ("agent:beta", "s", [_ASKED, _CALLED, _told()], 2, ["call_1"], ""),
        ("Moltbot/beta", "s", [_told("x"), _ASKED], 0, ["x"], "go"),
    ],
)
async def test_results_of_the_clients_tools_are_apart_from_history_and_words(
    api: Running, model: str, session: str | None, messages: list[object], history: int, results: list[str], words: str
) -> None:
    body = {"model": model, "messages": messages, "tools": [{"type": "function", "function": {"name": "look"}}]}
    response = await api.client.post("/v1/chat/completions", json=body if session is None else {**body, "session_id": session})
    assert response.status_code == 200, response.text
    request = api.turns.only
    assert len(request.history) == history
    assert [(result.call_id, result.from_client) for result in request.results] == [(call, True) for call in results]
    assert request.content == ((UserText(text=words),) if words else ())
    assert [spec.name for spec in request.client_tools] == ["look"]


@pytest.mark.parametrize(
    ("model", "session", "messages", "param"),
    [
        ("gpt-test", "s", [_ASKED, _CALLED, _told(), _SAID, _ASKED], "messages.0.role"),
        ("gpt-test", "s", [_ASKED, _ASKED, _CALLED, _told()], "messages.0.role"),
        ("gpt-test", "s", [_ASKED, _CALLED, _told(), _ASKED], "messages.0.role"),
        ("gpt-test", "s", [_ASKED, _CALLED], "messages.1.role"),
        ("gpt-test", "s", [_told(), _NOTE], "messages.0.role"),
        ("gpt-test", "s", [_told(""), _ASKED], "messages.0.tool_call_id"),
        ("agent:beta", None, [_told()], "messages.0.tool_call_id"),
        ("agent:beta", "s", [_ASKED, _told()], "messages.1.tool_call_id"),
        ("agent:beta", "s", [_ASKED, _CALLED], "messages"),
        ("agent:beta", None, [_ASKED, _CALLED, _told("other")], "messages.2.tool_call_id"),
        ("agent:beta", None, [_ASKED, _CALLED, _told(), _told()], "messages.3.tool_call_id"),
    ],
)
async def test_what_can_not_be_gone_on_with_is_refused_where_it_is_wrong(
    api: Running, model: str, session: str | None, messages: list[object], param: str
) -> None:
    body = {"model": model, "messages": messages}
    response = await api.client.post("/v1/chat/completions", json=body if session is None else {**body, "session_id": session})
    assert (response.status_code, error_of(response)["param"]) == (400, param), response.text
    assert api.turns.requests == []
