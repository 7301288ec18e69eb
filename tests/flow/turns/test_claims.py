"""An answer that says what nothing was done for: one step to put it right, then a sentence that says so."""

from dataclasses import replace
from typing import ClassVar

import pytest
from pydantic import BaseModel

from assistant.contracts.messages import AssistantMessage, UserMessage
from assistant.contracts.models import EmitText, ModelRequest
from assistant.contracts.people import UnknownPeople
from assistant.contracts.tools import ToolContext, ToolResult
from assistant.contracts.turns import MAIN, TextDelta, TurnFinished, TurnRequest
from assistant.testing.scripted import ScriptedModel, calling
from assistant.turns.service import Turns
from tests.doubles.keeping import Keeping, KeepTool, kept
from tests.flow.turns.house import House, ask, texts
from tools.files.change import WriteFile
from tools.files.space import SpaceFiles

CLAIM = "Sure! I've made a note of that."
MARK = "[Not done: nothing was saved to memory.]"
KEEP = calling(("keep", "{}"))


async def ends(turns: Turns, request: TurnRequest) -> tuple[TurnFinished, str]:
    """The end, and what was streamed."""
    events = [event async for batch in turns.start(request).events() for event in batch]
    assert isinstance(events[-1], TurnFinished)
    return events[-1], "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_the_model_may_still_do_it_and_the_false_words_are_gone(house: House) -> None:
    model = ScriptedModel(CLAIM, KEEP, "Now I've made a note of it.", "Hm.")
    turns = house.turns(model, tools=[KeepTool()])
    finished = await turns.start(ask("I like tea.")).result()
    assert (finished.text, finished.effects) == ("Now I've made a note of it.", (kept("tea"),))
    note = model.requests[1].messages[-1]
    assert isinstance(note, UserMessage)
    assert "I've made a note of that." in texts([note])[0]
    assert "nothing was saved to memory" in texts([note])[0]
    assert texts(model.requests[2].messages) == ["I like tea.", CLAIM, "", "Kept."]
    assert texts(await house.kept()) == ["I like tea.", CLAIM, "", "Kept.", "Now I've made a note of it."]
    assert finished.usage.prompt_tokens == 30
    await turns.start(ask("And?")).result()
    assert texts(model.requests[3].messages)[:5] == texts(await house.kept())[:5]


async def test_the_model_may_correct_itself(house: House) -> None:
    model = ScriptedModel(CLAIM, "I can't save that: I have no tool for it.")
    finished = await house.turns(model).start(ask("I like tea.")).result()
    assert finished.text == "I can't save that: I have no tool for it."


async def test_what_was_streamed_stays_and_the_correction_follows(house: House) -> None:
    finished, streamed = await ends(house.turns(ScriptedModel(CLAIM, "I could not save it.")), ask("I like tea.", stream=True))
    assert finished.text == streamed == f"{CLAIM}\n\nI could not save it."


@pytest.mark.parametrize("stream", [False, True])
async def test_a_claim_that_stays_is_marked(house: House, stream: bool) -> None:
    model = ScriptedModel(CLAIM, "Yes, I've saved it.")
    finished, streamed = await ends(house.turns(model), ask("remember that I like tea", stream=stream))
    assert finished.text == (f"{CLAIM}\n\n" if stream else "") + f"Yes, I've saved it.\n\n{MARK}"
    assert streamed == (finished.text if stream else "")
    assert texts(await house.kept())[-1] == f"Yes, I've saved it.\n\n{MARK}"
    assert len(model.requests) == 2


async def test_the_last_step_is_marked_at_once(house: House) -> None:
    model = ScriptedModel(KEEP, "Done, I've sent it to Bob.")
    finished = await house.turns(model, tools=[KeepTool()], max_steps=1).start(ask("hello")).result()
    assert finished.text == "Done, I've sent it to Bob.\n\n[Not done: no message was sent.]"


async def test_what_an_earlier_turn_did_may_be_told_again_but_is_not_done_for_a_new_request(house: House) -> None:
    model = ScriptedModel(KEEP, CLAIM, CLAIM, CLAIM, "Hm, I could not.")
    turns = house.turns(model, tools=[KeepTool()])
    await turns.start(ask("I like tea.")).result()
    assert (await turns.start(ask("Thanks!")).result()).text == CLAIM
    assert (await turns.start(ask("remember that I like milk, too")).result()).text == "Hm, I could not."


class ActTool:
    """It changes something and does not report it."""

    name: ClassVar[str] = "act"
    description: ClassVar[str] = "Act."
    params: ClassVar[type[BaseModel]] = Keeping
    reads_only: ClassVar[bool] = False
    timeout: ClassVar[float] = 5.0

    async def run(self, params: Keeping, ctx: ToolContext) -> ToolResult:
        return ToolResult(text="Acted.")


async def test_where_a_tool_ran_that_does_not_tell_what_it_did_nothing_is_doubted(house: House) -> None:
    model = ScriptedModel(calling(("act", "{}")), CLAIM)
    assert (await house.turns(model, tools=[ActTool()]).start(ask("I like tea.")).result()).text == CLAIM


async def test_an_agent_without_the_check_says_what_it_likes(house: House) -> None:
    turns = house.turns(ScriptedModel(CLAIM))
    turns.agents = {MAIN: replace(turns.agents[MAIN], claim_check=False)}
    assert (await turns.start(ask("I like tea.")).result()).text == CLAIM


class HaltingAtSecond(ScriptedModel):
    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        if self.requests:
            self.gate.clear()
        return await super().complete(request, emit)


async def test_a_turn_resumed_behind_a_doubtful_answer_costs_no_second_correction(house: House) -> None:
    first, request = HaltingAtSecond(CLAIM, "never said"), replace(ask("I like tea."), resumable=True)
    turns = house.turns(first)
    turn = turns.start(request)
    await first.asked_times(2)
    await turns.close(0)
    assert turn.unsettled
    finished = await house.turns(ScriptedModel("Yes, I've saved it.")).start(request).result()
    assert finished.text == f"Yes, I've saved it.\n\n{MARK}"


async def test_what_was_saved_to_a_file_is_saved(house: House) -> None:
    files = SpaceFiles(house.folder, UnknownPeople())
    model = ScriptedModel(calling(("write_file", '{"path": "notes.txt", "content": "tea"}')), "Saved.")
    finished = await house.turns(model, tools=[WriteFile(files)]).start(ask("save this to notes.txt: tea")).result()
    assert finished.text == "Saved."
    untrue = await house.turns(ScriptedModel("Saved."), tools=[WriteFile(files)]).start(ask("save this to notes.txt: tea")).result()
    assert MARK in untrue.text
