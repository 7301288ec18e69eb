"""Turns that do not end well: the session says so, and goes on."""

import asyncio
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from assistant.contracts.errors import (
    ContextLengthExceeded,
    NanobotError,
    ProviderFailed,
    SessionNotFound,
    ShuttingDown,
    TurnCancelled,
    TurnTimeout,
    UnreadableFile,
)
from assistant.contracts.messages import AssistantMessage
from assistant.contracts.models import EmitText, ModelRequest
from assistant.contracts.turns import HistoryMessage, TurnFailed, TurnFinished, Upload, UserText
from assistant.contracts.util import new_id
from assistant.documents.reader import ChildReader
from assistant.documents.settings import DocumentSettings
from assistant.store.database import Transaction
from assistant.testing.scripted import ScriptedModel, calling
from assistant.turns.direct import Direct, DirectRequest
from tests.flow.turns.house import House, ask, texts


@pytest.mark.parametrize(("said", "expected"), [((), ""), (("Half an ", "answer"), "Half an answer")])
async def test_a_failure_leaves_the_users_words_and_a_truthful_mark(house: House, said: tuple[str, ...], expected: str) -> None:
    class Failing(ScriptedModel):
        async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
            if not self.requests:
                for piece in said:
                    emit(piece)
                self.requests.append(request)
                raise ProviderFailed("cut")
            return await super().complete(request, emit)

    model = Failing("first", "Here I am.")
    turns = house.turns(model)
    async with asyncio.timeout(30):
        turn = turns.start(ask("hello?", stream=True))
        events = [event async for batch in turn.events() for event in batch]
        assert isinstance(events[-1], TurnFailed)
        assert events[-1].error.code == "provider_error"
        mark = (await house.kept())[-1]
        assert isinstance(mark, AssistantMessage)
        assert (mark.text, mark.cut_off) == (expected, "failed")
        assert (await turns.start(ask("again?")).result()).text == "Here I am."
    assert texts(model.requests[1].messages) == ["hello?", expected, "again?"]


async def test_a_turn_that_takes_too_long_is_ended_and_says_so(house: House) -> None:
    model = ScriptedModel("slow", "quick")
    model.gate.clear()
    may_settle = threading.Event()
    turns = house.turns(model, timeout=1)
    async with asyncio.timeout(30):
        first, waiting = turns.start(ask("1")), turns.start(ask("2"))
        await model.asked_times(1)
        # The first one can't be settled, and leave the lane, before the time of the other is up, too.
        held = asyncio.create_task(house.store.database.write(lambda _: may_settle.wait(30)))
        with pytest.raises(TurnTimeout):
            await waiting.result()
        may_settle.set()
        await held
        with pytest.raises(TurnTimeout):
            await first.result()
    # The one that never left the lane was never accepted into the session.
    messages = await house.kept()
    assert texts(messages)[0] == "1"
    assert isinstance(messages[1], AssistantMessage)
    assert messages[1].cut_off == "timeout"
    assert len(messages) == 2


async def test_a_stopped_turn_keeps_the_words_said_so_far(house: House) -> None:
    model = ScriptedModel(["It was ", "a dark night"])
    model.gate.clear()
    turn = house.turns(model).start(ask("tell me", stream=True))
    async with asyncio.timeout(30):
        await model.asked_times(1)
        turn.cancel()
        with pytest.raises(TurnCancelled):
            await turn.result()
    assert texts(await house.kept()) == ["tell me", "It was "]


async def test_closing_waits_for_running_turns_and_interrupts_the_rest(house: House) -> None:
    model = ScriptedModel("x")
    turns = house.turns(model)
    model.gate.clear()
    turn = turns.start(ask("1"))
    async with asyncio.timeout(30):
        await model.asked_times(1)
        await turns.close(grace=0.05)
        with pytest.raises(ShuttingDown):
            await turn.result()
    with pytest.raises(ShuttingDown):
        turns.start(ask("2"))
    mark = (await house.kept())[-1]
    assert isinstance(mark, AssistantMessage)
    assert mark.cut_off == "interrupted"


async def test_a_message_that_can_not_fit_is_refused_and_not_stored(house: House) -> None:
    turns = house.turns(ScriptedModel("x", context_tokens=1_000))
    async with asyncio.timeout(30):
        with pytest.raises(ContextLengthExceeded):
            await turns.start(ask("long " * 1_000)).result()
    assert await house.kept() == []


async def test_a_session_is_deleted_after_the_turn_that_runs(house: House) -> None:
    model = ScriptedModel("x")
    turns = house.turns(model)
    model.gate.clear()
    turn = turns.start(ask("1"))
    async with asyncio.timeout(30):
        await model.asked_times(1)
        deletion = asyncio.create_task(turns.delete_session("local", "api:s"))
        model.gate.set()
        assert (await turn.result()).text == "x"
        await deletion
        assert await house.kept() == []
        with pytest.raises(SessionNotFound):
            await turns.delete_session("local", "api:s")
        await turns.start(ask("anew")).result()
    assert texts(model.requests[-1].messages) == ["anew"]


async def test_an_unexpected_fault_of_a_provider_is_an_error_of_ours_and_the_session_goes_on(house: House) -> None:
    class Broken(ScriptedModel):
        async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
            if not self.requests:
                self.requests.append(request)
                raise ZeroDivisionError("a bug with a secret in it")
            return await super().complete(request, emit)

    turns = house.turns(Broken("x", "fine"))
    async with asyncio.timeout(30):
        with pytest.raises(NanobotError) as caught:
            await turns.start(ask("hi")).result()
        assert "secret" not in caught.value.message
        assert (await turns.start(ask("hi")).result()).text == "fine"


async def test_the_log_of_an_unexpected_fault_tells_where_and_quotes_nothing(house: House, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ScriptedModel):
        async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
            raise ValueError(texts(request.messages)[-1])

    async with asyncio.timeout(30):
        with pytest.raises(NanobotError):
            await house.turns(Broken()).start(ask("somebody's words")).result()
    assert "ValueError" in caplog.text
    assert "in complete" in caplog.text
    assert "somebody's words" not in caplog.text


async def test_whoever_waits_is_told_of_a_failure_that_can_not_be_stored(house: House) -> None:
    """The tables are gone, which no answer of the store foresees."""
    model = ScriptedModel("x")
    model.gate.clear()
    turn = house.turns(model).start(ask("1"))
    async with asyncio.timeout(30):
        await model.asked_times(1)
        await house.store.database.write(lambda connection: connection.execute("ALTER TABLE turns RENAME TO gone"))
        model.gate.set()
        with pytest.raises(NanobotError):
            await turn.result()
        await house.store.database.write(lambda connection: connection.execute("ALTER TABLE gone RENAME TO turns"))


async def test_a_turn_that_is_being_settled_can_not_be_stopped_any_more(house: House) -> None:
    """A stop would end its task before anybody is told; the one who waits would wait for ever."""
    settling, may_settle = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        settling.set()
        may_settle.wait(30)

    class Failing(ScriptedModel):
        async def complete(self, request: ModelRequest, emit: EmitText) -> AssistantMessage:
            self.held = asyncio.create_task(house.store.database.write(hold))
            await asyncio.to_thread(settling.wait, 30)
            raise ProviderFailed("cut")

    model = Failing()
    turn = house.turns(model).start(ask("1"))
    async with asyncio.timeout(30):
        await asyncio.to_thread(settling.wait, 30)
        while not turn.sealed:  # noqa: ASYNC110 - the turn gets there by itself
            await asyncio.sleep(0.005)
        turn.cancel()
        may_settle.set()
        await model.held
        with pytest.raises(ProviderFailed):
            await turn.result()


async def test_a_file_of_a_refused_message_is_not_shown_to_later_turns(house: House, tmp_path: Path) -> None:
    model = ScriptedModel(calling(("list_attachments", "{}")), "none")
    turns = house.turns(model)
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(b"words")
    bad.write_bytes(b"%PDF-1.4 broken")
    uploads = tuple(
        Upload(name=path.name, path=path, size=path.stat().st_size, digest=sha256(path.read_bytes()).hexdigest()) for path in (good, bad)
    )
    async with asyncio.timeout(30):
        with pytest.raises(UnreadableFile):
            await turns.start(ask("look", uploads=uploads)).result()
        await turns.start(ask("which files are there?")).result()
    assert "There are no files in this conversation." in texts(await house.kept())


async def test_a_direct_answer_that_is_being_stored_is_not_stopped_any_more() -> None:
    storing, may_store = asyncio.Event(), asyncio.Event()

    async def keep(end: TurnFinished | TurnFailed) -> None:
        storing.set()
        await may_store.wait()

    direct = Direct(reader=ChildReader(DocumentSettings()), document_chars=1_000, timeout=10)
    said = HistoryMessage(content=(UserText(text="hi"),))
    asked = ModelRequest(instructions=(), messages=(), tools=())
    request = DirectRequest(id=new_id("turn"), model=ScriptedModel("whole"), conversations=((said,),), ask=asked, keep=keep)
    async with asyncio.timeout(30):
        turn = direct.start(request)
        await storing.wait()
        turn.cancel()
        closing = asyncio.create_task(direct.close())
        may_store.set()
        assert (await turn.result()).text == "whole"
        await closing
