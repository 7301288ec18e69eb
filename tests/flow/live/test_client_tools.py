"""Tools of the client on agents, by the official client and by HTTP: stateless, in sessions, whole and streamed."""

import asyncio
import json
from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from .conftest import Live, Start

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "shell", "description": "Runs it.", "parameters": {"type": "object", "properties": {"run": {"type": "string"}}}},
}
CALL = {"run": "ls"}


def client_of(live: Live) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{live.server.url}/v1", api_key="dummy", max_retries=0)


def words(calls: list[tuple[str, dict[str, str]]]) -> str:
    return f"CALLALL {json.dumps(calls)}"


@pytest.mark.parametrize("model", ["agent:main", "MOLTBOT/main"])
async def test_the_whole_history_comes_along_with_the_results(shared: Live, model: str) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "You are a coder."},
        {"role": "user", "content": words([("shell", CALL), ("list_attachments", {}), ("shell", {"run": "pwd"})])},
    ]
    async with client_of(shared) as client:
        first = await client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
        (choice,) = first.choices
        assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
        calls = choice.message.tool_calls or []
        assert [(call.type, call.function.name, json.loads(call.function.arguments)) for call in calls if call.type == "function"] == [
            ("function", "shell", CALL), ("function", "shell", {"run": "pwd"}),
        ]  # fmt: skip
        messages.append(choice.message.model_dump(exclude_none=True))  # pyright: ignore[reportArgumentType]
        results: list[ChatCompletionMessageParam] = [
            {"role": "tool", "tool_call_id": call.id, "content": f"result {n}"} for n, call in enumerate(calls)
        ]
        messages += results
        second = await client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    assert (second.choices[0].message.content, second.choices[0].finish_reason) == ("done", "stop")
    asked = shared.asked()
    assert [message["role"] for message in asked["messages"]] == ["system", "user", "assistant", "tool", "tool"]
    assert [message["content"] for message in asked["messages"][-2:]] == ["result 0", "result 1"]
    assert [each["function"]["name"] for each in asked["tools"]][-1] == "shell"


async def test_a_session_takes_the_results_alone_and_streams(shared: Live) -> None:
    session = shared.id_of("s")
    async with client_of(shared) as client:
        calls: dict[int, dict[str, str]] = {}
        reason = None
        async for chunk in await client.chat.completions.create(
            model="agent:main",
            messages=[{"role": "user", "content": words([("shell", CALL)])}],
            tools=[TOOL],
            stream=True,
            extra_body={"session_id": session},
        ):
            (choice,) = chunk.choices
            reason = choice.finish_reason or reason
            for call in choice.delta.tool_calls or ():
                assert call.function is not None
                calls[call.index] = {"id": call.id or "", "name": call.function.name or "", "arguments": call.function.arguments or ""}
        assert (reason, calls[0]["name"], json.loads(calls[0]["arguments"])) == ("tool_calls", "shell", CALL)
        said = ""
        async for chunk in await client.chat.completions.create(
            model="agent:main",
            messages=[{"role": "tool", "tool_call_id": calls[0]["id"], "content": "a b c"}],
            tools=[TOOL],
            stream=True,
            extra_body={"session_id": session},
        ):
            said += chunk.choices[0].delta.content or ""
    assert said == "done"
    assert [message["role"] for message in await shared.session()] == ["user", "assistant", "tool", "assistant"]


async def test_the_default_id_takes_the_turn_that_its_calls_belong_to(shared: Live) -> None:
    """What the usual loop of a client sends: the user's message, the answer, the results; the session has the first two."""
    extra = {"session_id": shared.id_of("s")}
    messages: list[Any] = [{"role": "user", "content": words([("shell", CALL)])}]
    async with client_of(shared) as client:
        first = await client.chat.completions.create(model="fake-model", messages=messages, tools=[TOOL], extra_body=extra)
        call = (first.choices[0].message.tool_calls or [])[0]
        messages += [first.choices[0].message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "a"}]
        second = await client.chat.completions.create(model="fake-model", messages=messages, tools=[TOOL], extra_body=extra)
        assert second.choices[0].message.content == "done"
        assert [message["role"] for message in await shared.session()] == ["user", "assistant", "tool", "assistant"]
        messages += [{"role": "assistant", "content": "done"}, {"role": "user", "content": "next"}]
        with pytest.raises(openai.BadRequestError, match=r"agent:main.*api\.history"):
            await client.chat.completions.create(model="fake-model", messages=messages, tools=[TOOL], extra_body=extra)


async def test_results_of_no_call_are_400_in_a_session_and_in_a_history(shared: Live) -> None:
    result = {"role": "tool", "tool_call_id": "call_9", "content": "x"}
    for model, param in (("fake-model", "messages"), ("agent:main", "messages.0.tool_call_id")):
        session = {"session_id": shared.id_of("s")} if model == "fake-model" else {}
        answer = await shared.client.post("/v1/chat/completions", json={"model": model, "messages": [result], **session})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    assert await shared.session() == []


async def test_a_tool_without_arguments_and_a_choice_reach_the_model(shared: Live) -> None:
    bare = {"type": "function", "function": {"name": "now"}}
    named = {"type": "function", "function": {"name": "now"}}
    for choice, sent in (("auto", "auto"), ("required", "required"), ("none", "none"), (named, named)):
        answer = await shared.ask("hi", tools=[bare], tool_choice=choice, parallel_tool_calls=False)
        assert answer.status_code == 200, answer.text
        asked = shared.asked()
        assert asked.get("tool_choice", "auto") == sent
        assert asked["tools"][-1]["function"]["name"] == "now"


async def test_a_repeat_gets_the_same_calls_and_one_turn(shared: Live) -> None:
    body = {"messages": [{"role": "user", "content": words([("shell", CALL)])}], "tools": [TOOL], "session_id": shared.id_of("s")}
    headers = {"idempotency-key": shared.id_of("key")}
    first = await shared.client.post("/v1/chat/completions", json=body, headers=headers)
    again = await shared.client.post("/v1/chat/completions", json=body, headers=headers)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert len(await shared.session()) == 2


@pytest.mark.asyncio(loop_scope="function")
async def test_kill_9_behind_the_results_leaves_a_session_that_takes_them_again(start: Start) -> None:
    live: Live = await start()
    body: dict[str, Any] = {"tools": [TOOL], "session_id": "s"}
    first = await live.client.post(
        "/v1/chat/completions", json={**body, "messages": [{"role": "user", "content": words([("shell", CALL)])}]}
    )
    (call,) = first.json()["choices"][0]["message"]["tool_calls"]
    results = {**body, "messages": [{"role": "tool", "tool_call_id": call["id"], "content": "a"}]}
    live.model.configure(mode="hang")
    asking = asyncio.create_task(live.client.post("/v1/chat/completions", json={**results, "stream": True}))
    await live.model.until(lambda stats: stats.inflight == 1)
    live.server.process.kill()
    live.server.process.wait()
    with pytest.raises(httpx2.TransportError):
        await asking
    live.model.configure(mode="ok")
    other = await start()
    assert [message["cut_off"] for message in await other.session()] == [None, None, None, "interrupted"]
    answer = await other.client.post("/v1/chat/completions", json=results)
    assert answer.json()["choices"][0]["message"]["content"] == "done", answer.text
    assert [message["role"] for message in await other.session()] == ["user", "assistant", "tool", "assistant", "assistant"]
    assert [message["role"] for message in other.asked()["messages"]] == ["system", "user", "assistant", "tool"]
