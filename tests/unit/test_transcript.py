"""Pure passes over a transcript."""

from hypothesis import given
from hypothesis import strategies as st

from assistant.contracts.messages import AssistantMessage, Message, Text, ToolCall, ToolMessage, UserMessage
from assistant.contracts.transcripts import NO_RESULT, cut, fit, heal, message_tokens


def user(text: str) -> UserMessage:
    return UserMessage(id=f"msg_{text[:8]}", parts=(Text(text=text),))


def says(text: str, *calls: str) -> AssistantMessage:
    return AssistantMessage(
        id=f"msg_{text[:8]}", text=text, tool_calls=tuple(ToolCall(id=call, name="look", arguments="{}") for call in calls)
    )


def result(call_id: str, text: str = "found") -> ToolMessage:
    return ToolMessage(id=f"msg_{call_id}", call_id=call_id, name="look", text=text)


def turn(number: int, length: int = 400) -> list[Message]:
    return [user(f"q{number} " + "x" * length), says("", f"c{number}"), result(f"c{number}"), says(f"a{number}")]


def costs(messages: list[Message]) -> list[int]:
    return [message_tokens(message) for message in messages]


def test_a_transcript_that_fits_is_left_alone() -> None:
    messages = [*turn(1), *turn(2)]
    assert cut(messages, costs(messages), sum(costs(messages))) == 0


def test_the_cut_falls_before_a_user_message_and_leaves_half_the_budget_free() -> None:
    messages = [message for number in range(20) for message in turn(number)]
    budget = sum(costs(messages)) - 1
    start = cut(messages, costs(messages), budget)
    assert isinstance(messages[start], UserMessage)
    assert sum(costs(messages)[start:]) <= budget // 2
    assert sum(costs(messages)[start - 4 :]) > budget // 2


def test_the_last_turn_is_kept_whatever_it_costs() -> None:
    messages = [*turn(1), *turn(2, length=100_000)]
    assert cut(messages, costs(messages), 50) == 4


def test_after_a_cut_the_beginning_stays_the_same_for_many_turns() -> None:
    messages: list[Message] = []
    cuts = 0
    for number in range(60):
        messages += turn(number)
        start = cut(messages, costs(messages), 3_000)
        cuts += start > 0
        messages = messages[start:]
    assert 1 <= cuts <= 6


@given(st.lists(st.integers(min_value=0, max_value=2_000), min_size=1, max_size=30), st.integers(min_value=10, max_value=5_000))
def test_what_fits_never_holds_a_result_without_its_call(lengths: list[int], budget: int) -> None:
    messages = [message for number, length in enumerate(lengths) for message in turn(number, length)]
    kept = fit(messages, budget)
    assert heal(kept) == list(kept)
    assert kept[-1] == messages[-1]


def test_a_turn_that_outgrows_the_context_loses_its_older_results_first() -> None:
    messages = [user("go"), says("", "a"), result("a", "A" * 4_000), says("", "b"), result("b", "B" * 4_000)]
    kept = fit(messages, 1_500)
    assert [message.text[:5] for message in kept if isinstance(message, ToolMessage)] == ["[This", "BBBBB"]


def test_a_call_without_a_result_is_answered_truthfully() -> None:
    healed = heal([user("go"), says("", "a", "b"), result("b"), user("next")])
    assert [getattr(message, "call_id", message.role) for message in healed] == ["user", "assistant", "b", "a", "user"]
    answer = healed[3]
    assert isinstance(answer, ToolMessage)
    assert (answer.text, answer.ok) == (NO_RESULT, False)


def test_a_result_without_a_call_is_left_out() -> None:
    assert heal([user("go"), result("a"), says("done")]) == [user("go"), says("done")]
