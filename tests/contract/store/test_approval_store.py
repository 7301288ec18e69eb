"""Approvals on SQLite and PostgreSQL: asked once, answered once, started once, bound to the call."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.approvals import Approval, ApprovalNotFound
from assistant.contracts.causes import Cause
from assistant.contracts.continuations import Continuation
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.sessions import NewTurn
from assistant.store.approvals import MOST_WAITING, Outcome
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .conftest import Opener
from .said import answer, user
from .sent import claimed, event, parts, receipt
from .test_moves import conversation

CHAT = Address(channel="telegram", chat_id="42")


def approval(owner: str, clock: TurnedClock, number: int = 1, *, session: str = "api:default", asked: Address | None = None) -> Approval:
    return Approval(
        id=f"apr_{owner}{number}",
        code=f"K7M2Q{number}",
        owner=owner,
        session=session,
        person=owner,
        agent="main",
        tool="press",
        arguments='{"what": "\\u0000 bell", "big": 1' + "0" * 40 + "}",
        digest=f"{number:064x}",
        like="bell",
        text="press\nwhat: bell",
        why="It rings.",
        turn_id=f"turn_{owner}",
        place=f"0.{number}",
        address=CHAT,
        asked=asked,
        caller="",
        created=clock.now,
        expires_at=clock.now + timedelta(hours=1),
    )


def yes(found: Approval) -> Outcome:
    go = Continuation(
        id=f"con_{found.id}",
        owner=found.owner,
        session=found.session,
        agent=found.agent,
        cause=Cause(kind="approval", id=found.id),
        text="Approved.",
        provenance="system",
    )
    return Outcome(state="approved", edit="✓", go=go)


def no(_: Approval) -> Outcome:
    return Outcome(state="denied", edit="✗")


def asks(approval: Approval) -> OutboundEvent:
    return event("May I?", event_id=approval.question)


async def test_a_question_is_stored_once_with_its_message_and_comes_back_whole(store: Store, clock: TurnedClock) -> None:
    asked = approval("anna", clock, asked=CHAT)
    for _ in range(2):
        assert await store.approvals.add(asked, asks(asked)) == asked
    assert [delivery.event.id for delivery in await store.outbox.list(None)] == [asked.question]
    assert await store.approvals.get("anna", asked.code) == await store.approvals.get(None, asked.id) == asked


async def test_another_call_at_the_same_place_takes_its_place(store: Store, clock: TurnedClock) -> None:
    first = approval("anna", clock)
    second = replace(approval("anna", clock, 2), place=first.place)
    await store.approvals.add(first, None)
    await store.approvals.add(second, None)
    assert [(each.id, each.state) for each in await store.approvals.list("anna")] == [(second.id, "waiting"), (first.id, "void")]


async def test_processes_that_answer_at_once_answer_once(open_again: Opener, clock: TurnedClock) -> None:
    stores = [await open_again() for _ in range(3)]
    asked = approval("anna", clock)
    await stores[0].approvals.add(asked, None)
    both = await asyncio.gather(*[store.approvals.answer("anna", asked.id, "once", yes, edit=True) for store in stores * 2])
    assert sorted(counted for _, counted in both) == [False] * 5 + [True]
    assert {found.state for found, _ in both} == {"approved"}
    assert await stores[0].continuations.waiting() == [("anna", "api:default")]


async def test_the_call_starts_once_and_again_only_where_that_does_no_harm(store: Store, clock: TurnedClock) -> None:
    asked = approval("anna", clock)
    await store.approvals.add(asked, None)
    assert await store.approvals.start(asked.id, asked.digest, again=False) == "void"  # not approved
    await store.approvals.answer("anna", asked.id, "once", yes, edit=True)
    assert await store.approvals.start(asked.id, "f" * 64, again=True) == "void"
    assert await store.approvals.start(asked.id, asked.digest, again=False) == "run"
    assert await store.approvals.start(asked.id, asked.digest, again=False) == "cut off"
    assert await store.approvals.start(asked.id, asked.digest, again=True) == "run"


@pytest.mark.parametrize(("starts", "state"), [(True, "done"), (False, "void")])
async def test_it_ends_with_the_turn_that_ran_it(store: Store, clock: TurnedClock, starts: bool, state: str) -> None:
    asked = approval("anna", clock)
    await store.approvals.add(asked, None)
    await store.approvals.answer("anna", asked.id, "once", yes, edit=True)
    taken = await store.continuations.take("anna", "api:default")
    assert taken is not None
    await store.sessions.begin_turn(NewTurn(id=taken.turn_id, owner="anna", session="api:default", message=user("Approved.")), None)
    if starts:
        await store.approvals.start(asked.id, asked.digest, again=False)
    await store.sessions.end_turn(taken.turn_id, "finished", [answer("done")], inbound=True)
    ended = await store.approvals.get("anna", asked.id)
    assert (ended.state, ended.answer, ended.ended) == (state, "once", clock.now)
    clock.turn(timedelta(days=2))
    assert await store.approvals.purge(clock.now - timedelta(days=1)) == 1


async def test_an_end_changes_the_message_that_asked(store: Store, clock: TurnedClock) -> None:
    asked = approval("anna", clock, asked=CHAT)
    await store.approvals.add(asked, asks(asked))
    claim = await claimed(store, "telegram:42")
    await store.outbox.note(claim, plan=parts("May I?", "the buttons"))
    for place, message in enumerate(("m1", "m2")):
        await store.outbox.note(claim, receipt=(place, receipt(message, clock.now)))
    await store.approvals.answer("anna", asked.id, "deny", no, edit=True)
    closing = (await store.outbox.list(None))[0].event
    assert (closing.text, closing.replaces, closing.buttons, str(closing.address)) == ("✗", "m2", (), "telegram:42")


async def test_pages_of_a_person_and_nothing_of_others(store: Store, clock: TurnedClock) -> None:
    for number in range(4):
        clock.turn(timedelta(seconds=1))
        await store.approvals.add(approval("ben" if number == 1 else "anna", clock, number), None)
    mine = ["apr_anna3", "apr_anna2", "apr_anna0"]
    first = await store.approvals.list("anna", limit=2)
    assert [each.id for each in (*first, *await store.approvals.list("anna", before=first[-1].id))] == mine
    assert len(await store.approvals.list(None)) == 4
    for wanted in ("apr_ben1", "K7M2Q1", "apr_none"):
        with pytest.raises(ApprovalNotFound):
            await store.approvals.get("anna", wanted)
        with pytest.raises(ApprovalNotFound):
            await store.approvals.answer("anna", wanted, "once", yes, edit=True)
    clock.turn(timedelta(hours=1))
    assert await store.approvals.list("anna", waiting=True) == []
    assert await store.approvals.expire(lambda _: Outcome(state="expired")) == 4
    assert await store.approvals.expire(lambda _: Outcome(state="expired")) == 0


async def test_a_person_is_asked_so_much_at_once(store: Store, clock: TurnedClock) -> None:
    for number in range(MOST_WAITING):
        assert await store.approvals.add(approval("anna", clock, number), None)
    assert await store.approvals.add(approval("anna", clock, 99), None) is None
    assert await store.approvals.add(approval("ben", clock, 99), None)


async def test_a_grant_holds_for_its_session_person_agent_and_tool(store: Store, clock: TurnedClock) -> None:
    await conversation(store, "anna", "api:default", "hello")
    asked = approval("anna", clock)
    await store.approvals.add(asked, None)
    await store.approvals.answer("anna", asked.id, "session", yes, edit=True)
    names = ("anna", "api:default", "anna", "main", "press")
    assert await store.approvals.allows(*names, ["bell"])
    assert not await store.approvals.allows(*names, ["alarm"])
    for place in range(5):
        owner, session, person, agent, tool = ("other" if number == place else name for number, name in enumerate(names))
        assert not await store.approvals.allows(owner, session, person, agent, tool, ["bell"])
    await store.sessions.start_over("anna", "api:default")
    assert not await store.approvals.allows(*names, ["bell"])


async def test_questions_follow_a_group_that_moves_and_a_person_who_is_joined(store: Store, clock: TurnedClock) -> None:
    there = Address(channel="telegram", chat_id="-5")
    group = replace(approval("telegram:-5", clock, session="telegram:-5", asked=there), address=there, person="telegram:42")
    await store.approvals.add(group, None)
    await store.inbox.moved("telegram", "-5", "-100")
    for person in ("telegram:42", "telegram:43"):
        await store.people.of(person)
    await store.links.join("telegram:42", "telegram:43")
    found = await store.approvals.get("telegram:43", group.id)
    assert (found.owner, found.session, str(found.address), str(found.asked)) == ("telegram:-100",) * 4
