"""A person's yes or no, in chats: it counts once, from that person, in time, for exactly the call that was asked for."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from assistant.contracts.approvals import Approval
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.messages import ToolMessage
from assistant.contracts.outbox import OutboundEvent
from assistant.testing.scripted import Reply, ScriptedModel, calling
from tests.flow.approvals.bells import WHY, AskingGate, Press, Renewed
from tests.flow.inbound.chat import ALICE, BOB, EVE, said
from tests.flow.inbound.conftest import rig as rig
from tests.flow.inbound.rig import Rig, Server, words

ASKS = calling(("press", '{"what": "bell"}'))
WAITS = "I have asked you."
DONE = "The bell rang."
GROUP = "-5"


@asynccontextmanager
async def asking(rig: Rig, *more: Reply, group: str | None = None) -> AsyncGenerator[tuple[Server, Approval, ScriptedModel]]:
    """A server whose model called the tool for Alice; its question waits."""
    model = ScriptedModel(ASKS, WAITS, *(more or (DONE,)))
    async with rig.server(model, tools=[Press(rig.folder / "log")], gate=AskingGate()) as server:
        await server.hear(said("ring the bell", group=group))
        await server.told(2)
        (approval,) = await server.book.list(None, waiting=True)
        yield server, approval, model


def runs(folder: Path) -> list[str]:
    log = folder / "log"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


async def answered(server: Server, *messages: InboundMessage, events: int) -> list[OutboundEvent]:
    """What goes out for these messages, so many events."""
    before = len(await server.store.outbox.list(None, limit=1000))
    await server.hear(*messages)
    return (await server.told(before + events))[before:]


async def noted(server: Server, words_of_it: str) -> None:
    """Once the session holds it."""
    async with asyncio.timeout(30):
        while not any(words_of_it in text for text in words(await server.kept())):  # noqa: ASYNC110 - it comes by itself
            await asyncio.sleep(0.01)


def press(command: str, message: InboundMessage | None = None) -> InboundMessage:
    """A button of the message that asked."""
    return replace(message or said(command), chosen=True, message_id="42")


async def test_a_call_that_needs_a_yes_is_asked_and_runs_after_it_and_the_turn_goes_on(rig: Rig) -> None:
    async with asking(rig) as (server, approval, model):
        question, reply = (await server.told(2))[:2]
        assert reply.text == WAITS
        assert WHY in question.text
        assert "press\nwhat: bell\ntimes: 1" in question.text
        assert [button.given for row in question.buttons for button in row] == [
            f"/approve {approval.code}",
            f"/approve session {approval.code}",
            f"/deny {approval.code}",
        ]
        assert runs(rig.folder) == []
        closed, done = await answered(server, press(f"/approve {approval.code}"), events=2)
        assert (closed.replaces, closed.text.splitlines()[-1]) == ("42", "✓ Approved: it runs now.")
        assert (done.text, done.origin.kind, str(done.address)) == (f"{DONE}\n\n✓ pressed bell", "reply", "chat:1")
        assert runs(rig.folder) == ["bell 1"]
        assert (await server.book.get(None, approval.id)).state == "done"
        *_, result, last = await server.kept()
        assert isinstance(result, ToolMessage)
        assert (result.text, last.role) == ("pressed bell", "assistant")
        assert "Not run yet" in words(model.requests[1].messages)[-1]


@pytest.mark.parametrize("times", [2, 5])
async def test_a_press_that_comes_again_is_one(rig: Rig, times: int) -> None:
    async with asking(rig) as (server, approval, _):
        presses = [press(f"/approve {approval.code}") for _ in range(times)]
        told = await answered(server, *presses, events=times + 1)
        assert sum("✓ Approved" in event.text or "It was approved" in event.text for event in told) == times
    assert runs(rig.folder) == ["bell 1"]


@pytest.mark.parametrize(("word", "then"), [("approve", "deny"), ("deny", "approve"), ("approve session", "approve")])
async def test_the_first_answer_holds(rig: Rig, word: str, then: str) -> None:
    async with asking(rig) as (server, approval, _):
        await answered(server, said(f"/{word} {approval.code}"), events=1 + (word != "deny"))
        (told,) = await answered(server, said(f"/{then} {approval.code}"), events=1)
        assert told.text in ("Denied: it does not run.", "It was approved, and has run.")
    assert runs(rig.folder) == ([] if word == "deny" else ["bell 1"])


async def test_no_is_no_and_the_next_turn_knows_it(rig: Rig) -> None:
    async with asking(rig) as (server, approval, model):
        (closed,) = await answered(server, press(f"/deny {approval.code}"), events=1)
        assert closed.text.endswith("✗ Denied: it does not run.")
        await noted(server, "denied it")
        await answered(server, said("and?"), events=1)
        assert "[Not run, because the person denied it: press what: bell times: 1]" in words(model.requests[-1].messages)
        assert len(model.requests) == 3  # none for the no
    assert runs(rig.folder) == []


@pytest.mark.parametrize("how", ["press", "write", "nothing"])
async def test_too_late_is_no_and_the_next_turn_knows_it(rig: Rig, how: str) -> None:
    async with asking(rig) as (server, approval, model):
        rig.clock.now += timedelta(hours=1)
        if how == "nothing":
            assert await server.book.expire() == 1
            assert await server.book.expire() == 0
        else:
            message = said(f"/approve {approval.code}")
            (told,) = await answered(server, press("", message) if how == "press" else message, events=1)
            assert told.text.startswith("Too late")
        await noted(server, "did not answer in time")
        await answered(server, said("and?"), events=1)
        assert any("did not answer in time" in text for text in words(model.requests[-1].messages))
        (late,) = await answered(server, said(f"/approve {approval.code}"), events=1)
        assert late.text.startswith("Too late")
    assert runs(rig.folder) == []


@pytest.mark.parametrize("word", ["approve", "approve session", "deny"])
async def test_only_the_one_who_asked_answers_in_a_group(rig: Rig, word: str) -> None:
    async with asking(rig, group=GROUP) as (server, approval, _):
        assert (approval.owner, approval.person) == (f"chat:{GROUP}", "chat:1")
        (told,) = await answered(server, press("", said(f"/{word} {approval.code}", BOB, group=GROUP)), events=1)
        assert told.text == "Only the person who asked for it can answer this."
        assert runs(rig.folder) == []
        told, done = await answered(server, said(f"/approve {approval.code}", ALICE, group=GROUP), events=2)
        assert "✓ Approved" in told.text
        assert str(done.address) == f"chat:{GROUP}"
    assert runs(rig.folder) == ["bell 1"]


@pytest.mark.parametrize("sender", [BOB, EVE])
async def test_another_person_does_not_even_learn_that_there_is_a_question(rig: Rig, sender: object) -> None:
    async with asking(rig) as (server, approval, _):
        told = await answered(server, said(f"/approve {approval.code}", BOB if sender is BOB else EVE), events=1)
        assert "bell" not in told[0].text
        assert (await server.book.get(None, approval.id)).state == "waiting"
        (listed,) = await answered(server, said("/approvals", BOB), events=1)
        assert listed.text == "Nothing waits for you."
    assert runs(rig.folder) == []


async def test_it_is_answered_from_another_chat_of_the_person_and_goes_on_where_it_was_asked(rig: Rig) -> None:
    async with asking(rig, group=GROUP) as (server, approval, _):
        told, done = await answered(server, said(f"/approve {approval.code}"), events=2)
        assert [str(event.address) for event in (told, done)] == ["chat:1", f"chat:{GROUP}"]
        # The question was not sent yet: it is not sent any more.
        question = await server.store.outbox.get(None, approval.question)
        assert question is not None
        assert question.state == "cancelled"
    assert runs(rig.folder) == ["bell 1"]


async def test_for_this_session_its_like_needs_no_other_question_until_the_conversation_is_new(rig: Rig) -> None:
    again, other = calling(("press", '{"what": "bell", "times": 2}')), calling(("press", '{"what": "alarm"}'))
    replies = (DONE, again, "twice", other, "asked", again, "asked again")
    async with asking(rig, *replies) as (server, approval, _):
        await answered(server, said(f"/approve session {approval.code}"), events=2)
        (twice,) = await answered(server, said("again"), events=1)
        assert twice.text == "twice\n\n✓ pressed bell"
        question, _ = await answered(server, said("and the alarm"), events=2)
        assert "what: alarm" in question.text
        await answered(server, said("/new"), events=1)
        question, _ = await answered(server, said("again"), events=2)
        assert "what: bell" in question.text
    assert runs(rig.folder) == ["bell 1", "bell 2"]


CHANGED: dict[str, tuple[list[type[Press]], str]] = {
    "arguments": ([Press], "void"),
    "folder": ([Press], "void"),
    "schema": ([Renewed], "void"),
    "gone": ([], "void"),
}


@pytest.mark.parametrize("change", CHANGED)
async def test_a_changed_call_is_void_after_a_restart(rig: Rig, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(rig) as (_, approval, _):
        pass
    if change == "arguments":
        statement = "UPDATE approvals SET payload = REPLACE(payload, 'bell', 'bomb')"
        await rig.store.database.write(lambda connection: connection.execute(statement))
    if change == "folder":
        monkeypatch.setattr("tests.flow.inbound.rig.FOLDER", "/elsewhere")
    kinds, state = CHANGED[change]
    tools = [kind(rig.folder / "log") for kind in kinds]
    async with rig.server(ScriptedModel("Hm."), tools=tools, gate=AskingGate()) as server:
        (told,) = await answered(server, said(f"/approve {approval.code}"), events=1)
        assert "has changed" in told.text
        assert (await server.book.get(None, approval.id)).state == state
    assert runs(rig.folder) == []


async def test_what_the_rules_refuse_by_now_does_not_run(rig: Rig) -> None:
    async with asking(rig) as (_, approval, _):
        pass
    gate = AskingGate(asks=(), refuses=("press",))
    async with rig.server(ScriptedModel("It is not allowed."), tools=[Press(rig.folder / "log")], gate=gate) as server:
        _, done = await answered(server, said(f"/approve {approval.code}"), events=2)
        assert done.text == "It is not allowed."
        assert (await server.book.get(None, approval.id)).state == "void"
    assert runs(rig.folder) == []


async def test_a_yes_before_a_restart_or_while_no_server_runs_counts_after_it(rig: Rig) -> None:
    async with asking(rig) as (server, approval, _):
        book = server.book
    await book.answer("chat:1", approval.code.lower().upper(), "once")
    async with rig.server(ScriptedModel(DONE), tools=[Press(rig.folder / "log")], gate=AskingGate()) as server:
        await server.told(3)
    async with rig.server(ScriptedModel(DONE), tools=[Press(rig.folder / "log")], gate=AskingGate()) as server:
        (told,) = await answered(server, said(f"/approve {approval.code}"), events=1)
        assert "It was approved, and has run." in told.text
    assert runs(rig.folder) == ["bell 1"]


@pytest.mark.parametrize("text", ["please /approve {code}", "`/approve {code}`", "I approve {code}"])
async def test_words_that_hold_a_command_are_none(rig: Rig, text: str) -> None:
    async with asking(rig, text.format(code="ABCDEF")) as (server, approval, _):
        await answered(server, said(text.format(code=approval.code)), events=1)
        await answered(server, said(f"/approve {approval.code}", trusted=False), events=1)
        assert (await server.book.get(None, approval.id)).state == "waiting"
    assert runs(rig.folder) == []


@pytest.mark.parametrize(
    "arguments", ['{"what": "bell"}', '{"what": "' + "x" * 9_000 + '"}', '{"what": "a```\\u202e\\u0000[click](https://evil)"}']
)
async def test_the_whole_call_can_be_read(rig: Rig, arguments: str) -> None:
    model = ScriptedModel(calling(("press", arguments)), WAITS)
    async with rig.server(model, tools=[Press(rig.folder / "log")], gate=AskingGate()) as server:
        await server.hear(said("ring"))
        question, _ = await server.told(2)
        (approval,) = await server.book.list(None)
        whole = orjson.loads(arguments.replace("\\\\", "\\"))["what"]
        seen = whole.replace("\u202e", "\\u202e").replace("\0", "\\u0000")
        (told,) = await answered(server, said(f"/approvals {approval.code}"), events=1)
        assert seen in told.text
        assert (seen in question.text) == (len(whole) < 3_000)
        assert (f"/approvals {approval.code}" in question.text) == (len(whole) >= 3_000)
        fence = question.text.split("\n\n")[1].splitlines()[0]
        assert set(fence) == {"`"}
        assert question.text.count(fence) == 2


async def test_a_deleted_session_runs_nothing(rig: Rig) -> None:
    async with asking(rig) as (server, approval, _):
        await server.turns.delete_session("chat:1", "chat:1")
        (told,) = await answered(server, said(f"/approve {approval.code}"), events=1)
        assert "its conversation is gone" in told.text
    assert runs(rig.folder) == []


async def test_a_chatty_model_can_not_fill_the_list(rig: Rig) -> None:
    many = calling(*[("press", f'{{"what": "{number}"}}') for number in range(30)])
    model = ScriptedModel(many, many, WAITS)
    async with rig.server(model, tools=[Press(rig.folder / "log")], gate=AskingGate()) as server:
        await server.hear(said("ring"))
        await server.told(51)
        assert len(await server.book.list("chat:1", waiting=True, limit=100)) == 50
        assert "50 questions wait" in words(model.requests[-1].messages)[-1]
