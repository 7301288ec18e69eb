"""What happens to a message, from the door to the store."""

import asyncio
from dataclasses import replace

import pytest

from assistant.contracts.errors import SessionBusy
from assistant.contracts.messages import AssistantMessage, ToolMessage, Usage, UserMessage
from assistant.contracts.models import Sampling
from assistant.contracts.turns import ReasoningDelta, TextDelta, TurnFinished, TurnRequest, UserText
from assistant.contracts.util import new_id
from assistant.testing.scripted import ScriptedModel, calling
from tests.flow.turns.house import House, ask, texts


async def test_the_next_turn_sees_what_was_said_before(house: House) -> None:
    model = ScriptedModel("Hello Ada.", "You are Ada.")
    turns = house.turns(model)
    async with asyncio.timeout(30):
        await turns.start(ask("I am Ada.")).result()
        end = await turns.start(ask("Who am I?")).result()
    assert end.text == "You are Ada."
    assert texts(model.requests[1].messages) == ["I am Ada.", "Hello Ada.", "Who am I?"]
    assert texts(await house.kept()) == ["I am Ada.", "Hello Ada.", "Who am I?", "You are Ada."]


async def test_a_new_process_sends_the_model_the_same_bytes_of_history(house: House) -> None:
    first, second = ScriptedModel("one"), ScriptedModel("two")
    async with asyncio.timeout(30):
        await house.turns(first).start(ask("a")).result()
        await house.turns(second).start(ask("b")).result()
    assert second.requests[0].messages[:2] == tuple(await house.kept())[:2]
    assert second.requests[0].instructions == first.requests[0].instructions


async def test_two_processes_that_share_a_session_see_each_other(house: House) -> None:
    model = ScriptedModel("1", "2", "3")
    one, other = house.turns(model), house.turns(model)
    async with asyncio.timeout(30):
        await one.start(ask("a")).result()
        await other.start(ask("b")).result()
        await one.start(ask("c")).result()
    assert texts(model.requests[2].messages) == ["a", "1", "b", "2", "c"]


async def test_instructions_of_a_request_are_heard_and_not_kept(house: House) -> None:
    model = ScriptedModel("Oui.", "Yes.")
    turns = house.turns(model)
    async with asyncio.timeout(30):
        await turns.start(ask("hi", instructions=("Speak French.",))).result()
        await turns.start(ask("hi")).result()
    assert model.requests[0].instructions[1:] == ("Speak French.",)
    assert model.requests[1].instructions[1:] == ()
    assert "Speak French." not in texts(await house.kept())


async def test_turns_of_a_session_run_in_order_and_others_do_not_wait(house: House) -> None:
    model = ScriptedModel("x")
    turns = house.turns(model)
    model.gate.clear()
    first, second, third = turns.start(ask("1")), turns.start(ask("2")), turns.start(ask("3"))
    with pytest.raises(SessionBusy):
        turns.start(ask("4"))
    other = turns.start(ask("other", session="api:t"))
    async with asyncio.timeout(30):
        await model.asked_times(2)
        assert {texts(request.messages)[-1] for request in model.requests} == {"1", "other"}
        model.gate.set()
        await asyncio.gather(*(turn.result() for turn in (first, second, third, other)))
    assert [texts(request.messages)[-1] for request in model.requests if "other" not in texts(request.messages)] == ["1", "2", "3"]


async def test_the_streamed_pieces_joined_are_the_answer_over_all_steps(house: House) -> None:
    model = ScriptedModel(calling(("list_attachments", "{}"), text="Let me look."), ["No ", "files."])
    turn = house.turns(model).start(ask("files?", stream=True))
    async with asyncio.timeout(30):
        events = [event async for batch in turn.events() for event in batch]
    end = events[-1]
    assert isinstance(end, TurnFinished)
    assert end.text == "Let me look.\n\nNo files." == "".join(event.text for event in events if isinstance(event, TextDelta))
    assert [event.kind for event in events if event.kind.startswith("tool")] == ["tool_started", "tool_finished"]
    assert (end.usage.prompt_tokens, end.usage.completion_tokens) == (20, 7)


async def test_thoughts_are_kept_apart_from_what_is_said(house: House) -> None:
    model = ScriptedModel(
        replace(calling(("list_attachments", "{}"), text="Let me look."), reasoning="A file?"),
        AssistantMessage(id="msg_end", text="No files.", reasoning="None."),
    )
    turns = house.turns(model)
    running = turns.start(replace(ask("Any files?"), stream=True))
    events = [event async for batch in running.events() for event in batch]
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "A file?\n\nNone."
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Let me look.\n\nNo files."
    end = events[-1]
    assert isinstance(end, TurnFinished)
    assert (end.text, end.reasoning) == ("Let me look.\n\nNo files.", "A file?\n\nNone.")


async def test_a_model_that_only_calls_tools_is_asked_for_words_in_the_end(house: House) -> None:
    model = ScriptedModel(*[calling(("list_attachments", "{}"))] * 2, "Enough.")
    async with asyncio.timeout(30):
        end = await house.turns(model, max_steps=2).start(ask("loop")).result()
    assert (end.text, end.finish_reason) == ("Enough.", "length")
    assert [request.may_call for request in model.requests] == [True, True, False]
    assert [message.role for message in await house.kept()] == ["user", "assistant", "tool", "assistant", "tool", "assistant"]


async def test_the_model_is_told_what_was_wrong_with_its_call(house: House) -> None:
    model = ScriptedModel(calling(("read_attachment", '{"offset": -1}'), ("fly", "{}"), ("read_attachment", "{")), "ok")
    async with asyncio.timeout(30):
        await house.turns(model).start(ask("go")).result()
    results = [message for message in await house.kept() if isinstance(message, ToolMessage)]
    assert [result.ok for result in results] == [False] * 3
    assert "id: Field required" in results[0].text
    assert "offset: Input should be greater than or equal to 0" in results[0].text
    assert "no tool 'fly'" in results[1].text
    assert "JSON" in results[2].text


async def test_long_history_is_cut_at_a_turn_and_the_cut_is_kept(house: House) -> None:
    model = ScriptedModel("answer " * 10, context_tokens=2_000)
    turns = house.turns(model)
    async with asyncio.timeout(30):
        for number in range(60):
            await turns.start(ask(f"question {number} " + "word " * 20)).result()
        prompts = [request.messages for request in model.requests if request.conversation]
        beginnings = [texts(prompt)[0] for prompt in prompts]
        assert all(isinstance(prompt[0], UserMessage) for prompt in prompts)
        assert 3 <= len(set(beginnings)) <= 12
        assert len(await house.kept()) == 120
        again = ScriptedModel("x", context_tokens=2_000)
        await house.turns(again).start(ask("after a restart")).result()
    assert texts(again.requests[0].messages)[0] == beginnings[-1]
    assert len(again.requests[0].messages) == len(prompts[-1]) + 2


async def test_how_the_answer_is_drawn_reaches_the_model(house: House) -> None:
    model = ScriptedModel("x")
    request = TurnRequest(
        id=new_id("turn"), owner="local", session="api:s", content=(UserText(text="hi"),), sampling=Sampling(temperature=0.3, stop=("END",))
    )
    async with asyncio.timeout(30):
        await house.turns(model).start(request).result()
    assert model.requests[0].sampling == request.sampling


async def test_what_the_provider_counts_corrects_the_estimate(house: House) -> None:
    """A model that counts eight tokens where four characters were taken for one: history is cut all the earlier."""

    def cut_after(tokens: int) -> ScriptedModel:
        usage = Usage(prompt_tokens=tokens, completion_tokens=1)
        return ScriptedModel(AssistantMessage(id="msg_a", text="x", usage=usage), context_tokens=4_000)

    lengths: list[int] = []
    for session, model in (("api:low", cut_after(1)), ("api:high", cut_after(100_000))):
        turns = house.turns(model)
        async with asyncio.timeout(20):
            for _ in range(12):
                await turns.start(ask("word " * 100, session)).result()
        lengths.append(len(model.requests[-1].messages))
    assert lengths[0] == 23
    assert lengths[1] < 8
