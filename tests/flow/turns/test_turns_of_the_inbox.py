"""Turns that answer a chat: they end together with their reply, go on where they were left, and are left where the server ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel

from assistant.contracts.addresses import Address
from assistant.contracts.errors import ShuttingDown, TurnCancelled, UnreadableFile
from assistant.contracts.inbox import InboundMessage, Sender, SessionRef, Taken
from assistant.contracts.messages import AssistantMessage, Text, UserMessage
from assistant.contracts.models import EmitText, ModelRequest
from assistant.contracts.outbox import Origin, OutboundEvent
from assistant.contracts.sessions import SessionCut
from assistant.contracts.tools import ToolContext, ToolResult
from assistant.contracts.turns import TextDelta, TurnFailed, TurnFinished, TurnRequest, Upload
from assistant.contracts.util import derived_id, new_id
from assistant.testing.scripted import ScriptedModel, calling
from tests.flow.turns.house import House, ask, texts

CHAT = Address(channel="chat", chat_id="1")


class Halting(ScriptedModel):
    """Stands still at its second call."""

    async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
        if self.requests:
            self.gate.clear()
        return await super().complete(request, emit)


@dataclass(frozen=True, slots=True)
class Told:
    """A `Reply` that tells everything."""

    turn_id: str

    async def outbound(self, end: TurnFinished | TurnFailed) -> Sequence[OutboundEvent]:
        text = end.text if isinstance(end, TurnFinished) else end.error.code
        expires = datetime.now(UTC) + timedelta(days=1)
        origin = Origin(kind="reply", owner="local", turn_id=self.turn_id)
        return [OutboundEvent(id=derived_id("evt", self.turn_id), address=CHAT, text=text, expires_at=expires, origin=origin)]

    def of_cut(self, cut: SessionCut) -> OutboundEvent:
        expires = datetime.now(UTC) + timedelta(days=1)
        origin = Origin(kind="notice", owner="local", turn_id=self.turn_id)
        return OutboundEvent(id=new_id("evt"), address=CHAT, text=f"cut at {cut.seq}", expires_at=expires, origin=origin)


class Nothing(BaseModel):
    pass


class Places:
    """A tool that notes where it was called."""

    name: ClassVar[str] = "note"
    description: ClassVar[str] = "Note."
    params: ClassVar[type[BaseModel]] = Nothing
    reads_only: ClassVar[bool] = False
    timeout: ClassVar[float] = 5

    def __init__(self) -> None:
        self.noted: list[str] = []

    async def run(self, params: Nothing, ctx: ToolContext) -> ToolResult:
        self.noted.append(ctx.call_place)
        return ToolResult(text="noted")


async def taken(house: House, text: str = "hello") -> TurnRequest:
    """A message, accepted and taken: the request that answers it."""
    message = InboundMessage(external_id=text, address=CHAT, sender=Sender(id="1", name=""), private=True, text=text, at=datetime.now(UTC))
    await house.store.inbox.accept(message, SessionRef(owner="local", session="api:s", role="user"))
    work = await house.store.inbox.take("local", "api:s")
    assert work is not None
    return again(work)


def again(work: Taken) -> TurnRequest:
    return replace(ask(work.messages[0].text), id=work.turn_id, address=CHAT, reply=Told(work.turn_id))


async def told(house: House) -> list[str]:
    return [delivery.event.text for delivery in await house.store.outbox.list(None)]


async def left(house: House) -> bool:
    """Whether the message still waits for its answer."""
    await house.store.inbox.hand_back((await house.store.sessions.messages("local", "api:s"))[0].turn_id)
    return bool((await house.store.inbox.recover(_no_notice)).again)


def _no_notice(work: Taken) -> OutboundEvent:
    raise AssertionError("nothing is set aside here")


NOTE = calling(("note", "{}"), text="I note it.")


async def test_an_end_is_stored_together_with_its_reply_and_settles_its_messages(house: House) -> None:
    async with asyncio.timeout(30):
        await house.turns(ScriptedModel("Hello.")).start(await taken(house)).result()
        assert (await told(house), await left(house)) == (["Hello."], False)


async def test_a_turn_goes_on_behind_the_steps_that_were_stored(house: House) -> None:
    request = replace(await taken(house), stream=True)
    first = Halting(NOTE, "never said")
    places = Places()
    async with asyncio.timeout(30):
        turns = house.turns(first, tools=[places])
        turn = turns.start(request)
        await first.asked_times(2)
        turn.cancel("interrupted")
        with pytest.raises(ShuttingDown):
            await turn.result()
        assert turn.unsettled
    assert texts(await house.kept()) == ["hello", "I note it.", "noted"]
    second = ScriptedModel(NOTE, "Done.")
    async with asyncio.timeout(30):
        turn = house.turns(second, tools=[places]).start(request)
        events = [event async for batch in turn.events() for event in batch]
    end = events[-1]
    assert isinstance(end, TurnFinished)
    assert end.text == "I note it.\n\nI note it.\n\nDone."
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == end.text
    assert texts(second.requests[0].messages) == ["hello", "I note it.", "noted"]
    assert places.noted == ["0.0", "1.0"]
    assert await told(house) == [end.text]
    assert sum(isinstance(message, UserMessage) for message in await house.kept()) == 1


async def test_steps_of_before_count_towards_the_limit(house: House) -> None:
    request = await taken(house)
    first, places = Halting(NOTE, "never said"), Places()
    async with asyncio.timeout(30):
        turn = house.turns(first, tools=[places], max_steps=2).start(request)
        await first.asked_times(2)
        turn.cancel("interrupted")
        with pytest.raises(ShuttingDown):
            await turn.result()
        second = ScriptedModel(NOTE)
        await house.turns(second, tools=[places], max_steps=2).start(request).result()
    assert [request.may_call for request in second.requests] == [True, False]


async def test_a_turn_of_the_inbox_that_a_shutdown_cuts_off_is_left_without_a_mark(house: House) -> None:
    model = ScriptedModel("x")
    model.gate.clear()
    turns = house.turns(model)
    turn = turns.start(await taken(house))
    async with asyncio.timeout(30):
        await model.asked_times(1)
        await turns.close(grace=0)
    assert turn.unsettled
    assert (texts(await house.kept()), await told(house), await left(house)) == (["hello"], [], True)


async def test_a_turn_that_is_stopped_before_it_began_ends_and_gives_its_lane_back(house: House) -> None:
    turns = house.turns(ScriptedModel("x", "y"))
    request = await taken(house)
    async with asyncio.timeout(30):
        turn = turns.start(request)
        turn.cancel()
        with pytest.raises(TurnCancelled):
            await turn.result()
        assert await told(house) == ["turn_cancelled"]
        assert (await turns.start(ask("next")).result()).text == "x"


async def test_a_reply_is_sent_though_its_session_was_deleted_meanwhile(house: House) -> None:
    model = ScriptedModel("Hello all the same.")
    model.gate.clear()
    turn = house.turns(model).start(await taken(house))
    async with asyncio.timeout(30):
        await model.asked_times(1)
        assert await house.store.sessions.delete("local", "api:s")
        model.gate.set()
        assert (await turn.result()).text == "Hello all the same."
    assert (await told(house), await house.kept()) == (["Hello all the same."], [])


async def test_a_conversation_that_was_started_over_is_new_to_a_process_that_remembers_it(house: House) -> None:
    model = ScriptedModel("ok")
    one, other = house.turns(model), house.turns(model)
    async with asyncio.timeout(30):
        await one.start(ask("my name is Anna")).result()
        assert await other.start_over("local", "api:s")
        await one.start(ask("who am I?")).result()
        await one.start(ask("still nobody?")).result()
        assert not await other.start_over("local", "api:none")
    assert [texts(request.messages) for request in model.requests[1:]] == [["who am I?"], ["who am I?", "ok", "still nobody?"]]
    assert len(await house.kept()) == 6


async def test_a_turn_cut_off_by_a_new_conversation_and_then_by_a_crash_is_not_gone_on_with(house: House) -> None:
    request = await taken(house)
    first, places = Halting(NOTE, "never said"), Places()
    async with asyncio.timeout(30):
        turns = house.turns(first, tools=[places])
        turn = turns.start(request)
        await first.asked_times(2)
        await turns.start_over("local", "api:s")
        turn.cancel("interrupted")
        with pytest.raises(ShuttingDown):
            await turn.result()
        second = ScriptedModel("Who?")
        with pytest.raises(TurnCancelled):
            await house.turns(second).start(request).result()
        assert second.requests == []
        await house.turns(second).start(ask("anew")).result()
    assert texts(second.requests[0].messages) == ["anew"]
    mark = (await house.kept())[-3]
    assert isinstance(mark, AssistantMessage)
    assert mark.cut_off == "cancelled"


async def test_a_file_that_can_not_be_read_becomes_words_in_a_chat_and_an_error_elsewhere(house: House, tmp_path: Path) -> None:
    def upload() -> Upload:
        path = tmp_path / "bad"
        path.write_bytes(b"%PDF-1.4 broken")
        return Upload(name="bad.pdf", path=path, size=15, digest=sha256(b"%PDF-1.4 broken").hexdigest())

    request = await taken(house)
    turns = house.turns(ScriptedModel("I can't read it."))
    async with asyncio.timeout(30):
        with pytest.raises(UnreadableFile):
            await turns.start(ask("look", uploads=(upload(),))).result()
        await turns.start(replace(request, content=(*request.content, upload()))).result()
    message = (await house.kept())[0]
    assert isinstance(message, UserMessage)
    note = message.parts[-1]
    assert isinstance(note, Text)
    assert note.quoted
    assert "bad.pdf can't be read as a PDF" in note.text
