"""Pure passes over a transcript."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from assistant.contracts.messages import AssistantMessage, Image, Message, Text, ToolCall, ToolMessage, UserMessage
from assistant.contracts.sessions import CachedUpTo, History, SessionCut
from assistant.contracts.transcripts import NO_RESULT, cut, fit, heal, message_tokens, shortened
from assistant.turns.prompt import Transcript


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


def picture(name: str) -> Image:
    return Image(attachment_id=name, name=name, media_type="image/png", width=9, height=9, size=9, original="PNG, 9×9")


def test_a_cut_takes_pictures_and_calls_along_whole_and_counts_what_is_left() -> None:
    said: list[Message] = []
    for number in range(6):
        said += [UserMessage(id=f"u{number}", parts=(Text(text=f"q{number}"), picture(f"att_{number}"))), says("", f"c{number}")]
        said += [result(f"c{number}", "x" * 1_000), says(f"a{number}")]
    history = History(row=3, fresh=True, context_from=1, messages=tuple(said), seq=25)
    made = SessionCut(seq=13, text="## Who and what\n- Anna", results_from=17, tokens=5, made_by="", at=datetime(2026, 11, 29, tzinfo=UTC))
    grown = Transcript(history)
    grown.begin_with(made, 1)
    read = Transcript(replace(history, context_from=13, messages=tuple(said[12:]), revision=1, cut=made))
    for transcript in (grown, read):
        summary, *rest = transcript.messages
        assert summary.id == "sum_3_13_1"
        assert [message.id for message in rest] == [message.id for message in said[12:]]
        assert [image.attachment_id for image in transcript.images] == ["att_3", "att_4", "att_5"]
        results = [message for message in rest if isinstance(message, ToolMessage)]
        assert results == [shortened(result("c3", "x" * 1_000)), result("c4", "x" * 1_000), result("c5", "x" * 1_000)]
        assert transcript.tokens == sum(map(message_tokens, transcript.messages)) == sum(transcript.costs)
        assert heal(transcript.messages) == transcript.messages
        assert transcript.known == CachedUpTo(row=3, seq=24, revision=1)
    assert (grown.messages, grown.size) == (read.messages, read.size)


def test_what_is_left_out_of_a_prompt_is_never_the_summary() -> None:
    summary = UserMessage(id="sum_1_5_1", parts=(Text(text="what was"),))
    kept = fit([summary, *[message for number in range(20) for message in turn(number)]], 2_000)
    assert kept[0] == summary
    assert 1 < len(kept) < 60
