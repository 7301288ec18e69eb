"""What SessionStore promises of results of the client's tools, on SQLite and PostgreSQL."""

from dataclasses import replace

import pytest

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import AssistantMessage, Message, Text, ToolCall, ToolMessage, UserMessage
from assistant.contracts.sessions import NewTurn
from assistant.store.store import Store

from .said import turn


def _result(call: str, text: str = "found") -> ToolMessage:
    return ToolMessage(id=f"msg_{call}{text}", call_id=call, name="", text=text)


def _results(number: int, *results: ToolMessage, words: str = "", history: tuple[Message, ...] = ()) -> NewTurn:
    message = UserMessage(id=f"msg_user{number}", parts=(Text(text=words),)) if words else None
    return NewTurn(id=f"turn_{number}", owner="local", session="api:s", message=message, results=results, history=history)


_ASKS = AssistantMessage(id="msg_asks", tool_calls=tuple(ToolCall(id=call, name="look", arguments="{}") for call in ("a", "b", "c")))


async def test_results_of_the_clients_tools_are_appended_where_they_answer_calls(store: Store) -> None:
    await store.sessions.begin_turn(turn("turn_1", "go", session="api:s", owner="local"), None)
    ours = ToolMessage(id="msg_ours", call_id="b", name="look", text="ours")
    await store.sessions.end_turn("turn_1", "finished", [_ASKS, ours])
    for refused in ([_result("a")], [_result("a"), _result("c"), _result("x")], [_result("b")]):
        with pytest.raises(InvalidRequest):
            await store.sessions.begin_turn(_results(2, *refused), None)
    assert len(await store.sessions.messages("local", "api:s")) == 3
    begun = await store.sessions.begin_turn(_results(3, _result("c"), _result("a")), None)
    assert begun.seq == 4
    assert [(message.call_id, message.name, message.from_client) for message in begun.said if isinstance(message, ToolMessage)] == [
        ("a", "look", True),
        ("c", "look", True),
    ]
    assert [message.role for message in begun.messages] == ["user", "assistant", "tool"]
    stored = await store.sessions.messages("local", "api:s")
    assert [each.seq for each in stored] == [1, 2, 3, 4, 5]
    assert tuple(each.message for each in stored[3:]) == begun.said
    assert await store.sessions.end_turn("turn_3", "failed", [AssistantMessage(id="msg_mark", cut_off="failed")]) == 6
    again = await store.sessions.begin_turn(_results(4, _result("c", "other"), _result("a")), None)
    assert (again.said, again.seq, len(again.messages)) == ((), 7, 6)
    assert await store.sessions.end_turn("turn_4", "finished", [AssistantMessage(id="msg_done", text="done")]) == 7
    with pytest.raises(InvalidRequest, match="waits for a result"):
        await store.sessions.begin_turn(_results(5, _result("c"), _result("a")), None)


async def test_results_before_a_message_are_taken_where_they_fit(store: Store) -> None:
    await store.sessions.begin_turn(turn("turn_1", "go", session="api:s", owner="local"), None)
    await store.sessions.end_turn("turn_1", "finished", [_ASKS])
    begun = await store.sessions.begin_turn(_results(2, _result("b"), _result("x"), words="never mind"), None)
    assert [message.role for message in begun.said] == ["tool", "user"]
    assert (begun.seq, [each.seq for each in await store.sessions.messages("local", "api:s")]) == (3, [1, 2, 3, 4])


async def test_a_new_session_begins_with_a_history_and_results(store: Store) -> None:
    asked = UserMessage(id="msg_first", parts=(Text(text="go"),))
    begun = await store.sessions.begin_turn(_results(1, *map(_result, "abc"), history=(asked, _ASKS)), None)
    assert (begun.seq, len(begun.messages), len(begun.said)) == (3, 2, 3)
    with pytest.raises(InvalidRequest):
        await store.sessions.begin_turn(replace(_results(2, *map(_result, "ab"), history=(asked, _ASKS)), session="api:other"), None)
    assert await store.sessions.get("local", "api:other") is None
