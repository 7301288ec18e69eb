"""Turns of several agents, and of requests that bring their history along."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assistant.contracts.errors import ModelNotFound
from assistant.contracts.messages import AssistantMessage, ToolCall, ToolMessage
from assistant.contracts.turns import HistoryMessage, TurnRequest, Upload, UserText
from assistant.contracts.util import new_id
from assistant.testing.scripted import ScriptedModel, calling

from .house import House, ask, texts


def once(text: str, *history: HistoryMessage | AssistantMessage | ToolMessage) -> TurnRequest:
    """A request that stands for itself."""
    request = ask(text)
    return replace(request, session=f"once:{request.id}", history=history)


def said(text: str) -> AssistantMessage:
    return AssistantMessage(id=new_id("msg"), text=text)


async def test_each_agent_answers_with_its_own_model_and_instructions(house: House) -> None:
    main, beta = ScriptedModel("I am main."), ScriptedModel("I am beta.")
    turns = house.turns(main, others={"beta": beta})
    assert (await turns.start(replace(ask("Who?"), agent="beta")).result()).text == "I am beta."
    assert (await turns.start(ask("Who?")).result()).text == "I am main."
    assert beta.requests[0].instructions[0].startswith("You are beta.")
    with pytest.raises(ModelNotFound):
        turns.start(replace(ask("Who?"), agent="gamma"))


async def test_the_history_of_a_request_is_what_the_model_sees(house: House) -> None:
    call = ToolCall(id="call_1", name="look", arguments="{}")
    history = (
        HistoryMessage(content=(UserText(text="First?"),)),
        AssistantMessage(id=new_id("msg"), tool_calls=(call,), finish_reason="tool_calls"),
        ToolMessage(id=new_id("msg"), call_id="call_1", name="look", text="42"),
        said("It is 42."),
    )
    model = ScriptedModel("Yes.")
    await house.turns(model).start(once("Sure?", *history)).result()
    assert texts(model.requests[0].messages) == ["First?", "", "42", "It is 42.", "Sure?"]
    assert model.requests[0].messages[1:4] == history[1:]


async def test_requests_that_stand_for_themselves_know_nothing_of_each_other(house: House) -> None:
    model = ScriptedModel("Yes.")
    turns = house.turns(model)
    await turns.start(once("One")).result()
    await turns.start(once("Two")).result()
    assert texts(model.requests[1].messages) == ["Two"]
    assert await house.store.sessions.list("local") == []


async def test_a_file_of_an_earlier_message_is_read_and_can_be_paged_through(house: House, tmp_path: Path) -> None:
    text = "\n".join(f"line {number}" for number in range(400))
    path = tmp_path / "long.txt"
    path.write_text(text)
    upload = Upload(name="long.txt", path=path, size=len(text), digest=hashlib.sha256(text.encode()).hexdigest())
    model = ScriptedModel(calling(("list_attachments", "{}")), "Seen.")
    history = (HistoryMessage(content=(UserText(text="Read this."), upload)), said("Read."))
    await house.turns(model).start(once("What is in it?", *history)).result()
    listed = model.requests[1].messages[-1]
    assert isinstance(listed, ToolMessage)
    assert "long.txt" in listed.text
    assert not path.exists()


async def test_a_history_begins_a_session_that_is_new_and_no_other(house: House) -> None:
    model = ScriptedModel("Yes.")
    turns = house.turns(model)
    history = (HistoryMessage(content=(UserText(text="Before"),)), said("Known."))
    await turns.start(replace(ask("One"), history=history)).result()
    await turns.start(replace(ask("Two"), history=(HistoryMessage(content=(UserText(text="Other"),)), said("Else.")))).result()
    assert texts(model.requests[1].messages) == ["Before", "Known.", "One", "Yes.", "Two"]
    assert texts(await house.kept()) == ["Before", "Known.", "One", "Yes.", "Two", "Yes."]


async def test_what_one_request_left_is_removed_after_its_time(house: House) -> None:
    turns = house.turns(ScriptedModel("Yes."))
    request = once("One", HistoryMessage(content=(UserText(text="Before"),)), said("Known."))
    await turns.start(request).result()
    await turns.start(ask("kept")).result()
    sessions = house.store.sessions
    assert await sessions.purge(datetime.now(UTC) - timedelta(days=1)) == 0
    assert len(await sessions.messages("local", request.session)) == 4
    assert await sessions.purge(datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert await sessions.get("local", request.session) is None
    assert await sessions.get("local", "api:s") is not None
