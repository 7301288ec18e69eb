"""Continuations of sessions on SQLite and PostgreSQL: stored once, taken by one process, settled with their turn."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.causes import Cause
from assistant.contracts.continuations import Continuation, TakenContinuation
from assistant.contracts.messages import ToolCall
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.sessions import NewTurn
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .conftest import Opener
from .said import answer, user
from .sent import event

OWNER, SESSION = "telegram:7", "telegram:42"
GROUP = Address(channel="telegram", chat_id="-5", thread_id="7")


def continuation(
    text: str = "goes on", *, owner: str = OWNER, session: str = SESSION, address: Address | None = None, asker: str = ""
) -> Continuation:
    return Continuation(
        id=f"con_{text}",
        owner=owner,
        session=session,
        agent="main",
        cause=Cause(kind="approval", id="apr_1"),
        text=text,
        provenance="system",
        call=ToolCall(id="call_1", name="look", arguments='{"at": "\\u0000"}'),
        approval="apr_1",
        address=address,
        asker=asker,
    )


def notice(taken: TakenContinuation) -> Sequence[OutboundEvent]:
    return [event(f"given up: {taken.continuation.text}", event_id=f"evt_{taken.turn_id}")]


async def taken(store: Store, owner: str = OWNER, session: str = SESSION) -> TakenContinuation:
    found = await store.continuations.take(owner, session)
    assert found is not None
    return found


async def begin(store: Store, turn: str) -> None:
    await store.sessions.begin_turn(NewTurn(id=turn, owner=OWNER, session=SESSION, message=user("goes on")), None)


async def states(store: Store) -> list[tuple[str, str]]:
    rows = await store.database.read(lambda connection: connection.execute("SELECT id, state FROM continuations ORDER BY id"))
    return [(id, state) for id, state in rows]


async def recovered(store: Store) -> tuple[Sequence[TakenContinuation], int]:
    """A server needs a moment to notice that a client has gone."""
    for _ in range(500):
        again, given_up = await store.continuations.recover(notice)
        if again or given_up:
            return again, given_up
        await asyncio.sleep(0.02)
    raise AssertionError("nothing was left")


async def test_it_is_stored_once_and_comes_back_whole_and_in_order(store: Store, clock: TurnedClock) -> None:
    first, second = continuation("b", address=GROUP), continuation("a")
    assert await store.continuations.add(first)
    clock.turn(timedelta(seconds=1))
    assert await store.continuations.add(second)
    assert not await store.continuations.add(first)
    assert await store.continuations.waiting() == [(OWNER, SESSION)]
    found = await taken(store)
    assert found.continuation == first
    assert await store.continuations.take(OWNER, SESSION) is None  # one at a time
    await begin(store, found.turn_id)
    await store.sessions.end_turn(found.turn_id, "finished", [answer("done")], inbound=True)
    assert (await taken(store)).continuation == second
    assert await states(store) == [("con_a", "taken"), ("con_b", "done")]


async def test_sessions_do_not_wait_for_each_other_and_owners_stay_apart(store: Store) -> None:
    for owner in ("anna", "ben"):
        await store.continuations.add(continuation(f"of {owner}", owner=owner))
    assert (await taken(store, "ben")).continuation.owner == "ben"
    assert await store.continuations.take("ben", SESSION) is None
    assert (await taken(store, "anna")).continuation.text == "of anna"


async def test_a_dead_process_leaves_its_turn_to_the_next_and_twice_is_enough(open_again: Opener) -> None:
    store = await open_again()
    await store.continuations.add(continuation())
    turn = (await taken(store)).turn_id
    await begin(store, turn)
    await store.close()
    store = await open_again()
    again, given_up = await recovered(store)
    assert ([each.turn_id for each in again], given_up) == ([turn], 0)
    assert await store.sessions.recover() == 0  # its turn is not settled meanwhile
    assert await store.sessions.resume_turn(turn, None) is not None
    await store.close()
    store = await open_again()
    assert await recovered(store) == ([], 1)
    assert await states(store) == [("con_goes on", "done")]
    assert [stored.message.role for stored in await store.sessions.messages(OWNER, SESSION)] == ["user", "assistant"]
    assert await store.outbox.get(None, f"evt_{turn}") is not None


async def test_what_is_handed_back_is_no_crash(store: Store) -> None:
    await store.continuations.add(continuation())
    for _ in range(4):
        found = (await taken(store)).turn_id if await store.continuations.waiting() else (await recovered(store))[0][0].turn_id
        await store.continuations.hand_back(found)
    assert await states(store) == [("con_goes on", "taken")]


async def test_a_deleted_session_owes_nothing(store: Store) -> None:
    await begin(store, "turn_1")
    await store.sessions.end_turn("turn_1", "finished", [answer("well")])
    await store.continuations.add(continuation())
    await store.continuations.add(continuation("other", session="api:other"))
    assert await store.sessions.delete(OWNER, SESSION)
    assert await states(store) == [("con_other", "waiting")]


async def test_it_follows_a_group_that_moves_and_a_person_who_is_joined(store: Store) -> None:
    old = "telegram:-5"
    await store.continuations.add(continuation("in the group", owner=old, session=f"{old}:7", address=GROUP, asker="telegram:42"))
    await store.continuations.add(continuation("of 42", owner="telegram:42", session="telegram:42"))
    await store.inbox.moved("telegram", "-5", "-100")
    for person in ("telegram:42", "telegram:43"):
        await store.people.of(person)
    await store.links.join("telegram:42", "telegram:43")
    moved = (await taken(store, "telegram:-100", "telegram:-100:7")).continuation
    assert (str(moved.address), moved.asker) == ("telegram:-100:7", "telegram:43")
    assert (await taken(store, "telegram:43", "telegram:42")).continuation.text == "of 42"
    assert await store.continuations.waiting() == []


@pytest.mark.parametrize(("days", "left"), [(1, 1), (3, 0)])
async def test_what_ended_is_removed_in_time(store: Store, clock: TurnedClock, days: int, left: int) -> None:
    await store.continuations.add(continuation())
    turn = (await taken(store)).turn_id
    await begin(store, turn)
    await store.sessions.end_turn(turn, "finished", [answer("done")], inbound=True)
    clock.turn(timedelta(days=days))
    assert await store.continuations.purge(clock.now - timedelta(days=2)) == 1 - left
    assert len(await states(store)) == left
