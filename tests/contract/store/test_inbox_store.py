"""What InboxStore promises, and SessionStore of the turns that answer it, on SQLite and PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import Command, InboundFile, InboundMessage, Quote, Recovered, Sender, Taken
from assistant.contracts.messages import Text
from assistant.contracts.sessions import CachedUpTo, NewTurn
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .came_in import message, notice, place, texts
from .conftest import Opener
from .said import answer, result, user
from .sent import event
from .test_crashes import recovered as settled
from .test_outbox_store import ODD

OWNER, SESSION = "telegram:7", "telegram:42"


async def taken(store: Store, session: str = SESSION) -> Taken:
    found = await store.inbox.take(OWNER, session)
    assert found is not None
    return found


async def test_a_flood_is_taken_in_turns_that_can_be_answered(store: Store) -> None:
    for number in range(130):
        await store.inbox.accept(message(f"{number}"), place())
    await store.inbox.accept(message("x" * 150_000), place())
    await store.inbox.accept(message("last"), place())
    sizes: list[tuple[int, bool]] = []
    said: list[str] = []
    while (some := await store.inbox.take(OWNER, SESSION)) is not None:
        sizes.append((len(some.messages), some.more))
        said += [each.text[:5] for each in some.messages]
        await store.inbox.hand_back(some.turn_id)
        await store.database.write(lambda connection: connection.execute("UPDATE inbox SET state = 'answered' WHERE state = 'taken'"))
    assert sizes == [(100, True), (30, True), (1, True), (1, False)]
    assert said == [*map(str, range(130)), "xxxxx", "last"]


async def begin(store: Store, turn_id: str, text: str = "hello") -> None:
    await store.sessions.begin_turn(NewTurn(id=turn_id, owner=OWNER, session=SESSION, message=user(text)), None)


async def states(store: Store) -> list[str]:
    rows = await store.database.read(lambda connection: connection.execute("SELECT state FROM inbox ORDER BY seq"))
    return [state for (state,) in rows]


async def dies(store: Store) -> None:
    """End a process as far as others can see, whatever it was doing."""
    await store.close()


async def recovered(store: Store) -> Recovered:
    """A server needs a moment to notice that a client has gone."""
    for _ in range(500):
        found = await store.inbox.recover(notice)
        if found.again or found.set_aside:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("nothing was left")


async def recovered_turns(store: Store) -> tuple[list[str], int]:
    found = await recovered(store)
    return [turn.turn_id for turn in found.again], found.set_aside


async def test_a_message_is_kept_once_and_comes_back_as_it_was(store: Store) -> None:
    full = InboundMessage(
        external_id=ODD,
        address=Address(channel="telegram", chat_id=ODD, thread_id=ODD),
        sender=Sender(id=ODD, name=ODD),
        private=False,
        text=ODD * 10_000,
        quote=Quote(text=ODD, author=ODD, kind="forward"),
        files=(InboundFile(name=ODD, kind="voice", media_type=ODD, size=None, ref=ODD),),
        command=Command(name=ODD, arguments=ODD),
        message_id=ODD,
        trusted=False,
        at=message().at,
    )
    first = await store.inbox.accept(full, place(ODD, owner=ODD))
    assert first.new
    again = await store.inbox.accept(replace(full, text="other words"), place())
    assert (again.id, again.new) == (first.id, False)
    assert await store.inbox.waiting() == [(ODD, ODD)]
    found = await store.inbox.take(ODD, ODD)
    assert found is not None
    assert (found.messages, found.place, found.preview) == ((full,), place(ODD, owner=ODD), None)
    assert await store.inbox.last_seen("telegram") == {ODD: ODD}


async def test_the_same_id_on_another_channel_is_another_message(store: Store) -> None:
    assert (await store.inbox.accept(message(external_id="1"), place())).new
    assert (await store.inbox.accept(message(external_id="1", channel="discord"), place())).new


async def test_a_lone_surrogate_does_not_lose_a_message(store: Store) -> None:
    await store.inbox.accept(message("cut \ud83d", external_id="\ud83d"), place())
    assert not (await store.inbox.accept(message("cut \ud83d", external_id="\ud83d"), place())).new
    assert texts(await taken(store)) == ["cut \ufffd"]


async def test_what_waits_is_taken_together_in_order_and_none_while_a_turn_runs(store: Store) -> None:
    for text in ("one", "two"):
        await store.inbox.accept(message(text), place())
    await store.inbox.accept(message("elsewhere"), place("telegram:8"))
    assert await store.inbox.waiting() == [(OWNER, SESSION), (OWNER, "telegram:8")]
    first = await taken(store)
    assert texts(first) == ["one", "two"]
    await store.inbox.accept(message("three"), place())
    assert await store.inbox.take(OWNER, SESSION) is None
    assert texts(await taken(store, "telegram:8")) == ["elsewhere"]
    await store.sessions.end_turn(first.turn_id, "finished", [], inbound=True)
    second = await taken(store)
    assert (texts(second), second.turn_id != first.turn_id) == (["three"], True)
    assert await store.inbox.waiting() == []


async def test_no_turn_is_taken_beside_one_of_another_process_that_lives(open_again: Opener) -> None:
    left, right = await open_again(), await open_again()
    await left.inbox.accept(message("one"), place())
    await taken(left)
    await left.inbox.accept(message("two"), place())
    assert await right.inbox.take(OWNER, SESSION) is None
    assert (await right.inbox.recover(notice)).again == ()
    await right.inbox.accept(message("three"), place("telegram:8"))
    both = await asyncio.gather(left.inbox.take(OWNER, "telegram:8"), right.inbox.take(OWNER, "telegram:8"))
    assert sum(found is not None for found in both) == 1


async def test_a_turn_of_several_people_has_the_role_that_all_of_them_have(store: Store) -> None:
    await store.inbox.accept(message(), place(role="owner"))
    first = await taken(store)
    assert first.place.role == "owner"
    await store.sessions.end_turn(first.turn_id, "finished", [], inbound=True)
    await store.inbox.accept(message(), place(role="owner"))
    await store.inbox.accept(message(), place(role="user"))
    assert (await taken(store)).place.role == "user"


async def test_a_command_is_kept_as_answered_with_its_reply(store: Store) -> None:
    asked = message("/id")
    accepted = await store.inbox.accept(asked, place(), answered=True, outbound=[event("42", event_id="evt_id")])
    assert accepted.new
    assert await store.inbox.waiting() == []
    again = await store.inbox.accept(asked, place(), answered=True, outbound=[event("42", event_id="evt_other")])
    assert not again.new
    assert [delivery.event.id for delivery in await store.outbox.list(None)] == ["evt_id"]


async def test_the_end_of_a_turn_answers_its_messages_and_enqueues_its_reply(store: Store) -> None:
    await store.inbox.accept(message(), place())
    turn = await taken(store)
    await begin(store, turn.turn_id)
    reply = event("the answer", event_id="evt_reply")
    assert await store.sessions.end_turn(turn.turn_id, "finished", [answer("the answer")], outbound=[reply], inbound=True) == 2
    assert await states(store) == ["answered"]
    assert await store.sessions.end_turn(turn.turn_id, "finished", [answer("again")], outbound=[reply], inbound=True) == 0
    assert [delivery.event for delivery in await store.outbox.list(None)] == [reply]


async def test_a_turn_that_was_never_begun_still_answers_its_messages(store: Store) -> None:
    await store.inbox.accept(message(), place())
    turn = await taken(store)
    assert await store.sessions.end_turn(turn.turn_id, "failed", [], outbound=[event("too long")], inbound=True) == 0
    assert await states(store) == ["answered"]
    assert [delivery.event.text for delivery in await store.outbox.list(None)] == ["too long"]


async def test_a_turn_of_a_process_that_died_is_taken_over_and_goes_on_behind_its_last_step(open_again: Opener) -> None:
    first, second = await open_again(), await open_again()
    await first.inbox.accept(message("hello"), place())
    turn = await taken(first)
    await begin(first, turn.turn_id)
    step = [answer("", tokens=(1, 2, 3)), result("c1", "found")]
    await first.sessions.append_step(turn.turn_id, step)
    await first.inbox.note_preview(turn.turn_id, "m1")
    await first.inbox.accept(message("later"), place())
    await dies(first)
    found = await recovered(second)
    assert found.again == (replace(turn, preview="m1"),)
    assert await second.sessions.recover() == 0
    assert await second.inbox.take(OWNER, SESSION) is None
    history = await second.sessions.resume_turn(turn.turn_id, None)
    assert history is not None
    assert history.fresh
    assert history.messages[0].role == "user"
    assert (list(history.messages[1:]), history.seq) == (step, 4)
    known = await second.sessions.resume_turn(turn.turn_id, CachedUpTo(row=history.row, seq=1))
    assert known is not None
    assert (known.fresh, list(known.messages)) == (False, step)
    all_known = await second.sessions.resume_turn(turn.turn_id, CachedUpTo(row=history.row, seq=3))
    assert all_known is not None
    assert (all_known.fresh, all_known.messages) == (False, ())
    assert await second.sessions.end_turn(turn.turn_id, "finished", [answer("done")], inbound=True) == 4
    assert texts(await taken(second)) == ["later"]


async def test_a_turn_that_was_never_begun_or_has_ended_is_not_resumed(store: Store) -> None:
    assert await store.sessions.resume_turn("turn_1", None) is None
    await begin(store, "turn_1")
    await store.sessions.end_turn("turn_1", "finished", [])
    assert await store.sessions.resume_turn("turn_1", None) is None


async def test_a_turn_whose_process_died_twice_is_set_aside_with_a_notice(open_again: Opener) -> None:
    stores = [await open_again() for _ in range(3)]
    await stores[0].inbox.accept(message("poison"), place())
    turn = await taken(stores[0])
    await begin(stores[0], turn.turn_id, "poison")
    await dies(stores[0])
    assert await recovered_turns(stores[1]) == ([turn.turn_id], 0)
    await dies(stores[1])
    assert await recovered_turns(stores[2]) == ([], 1)
    last = stores[2]
    assert await states(last) == ["aside"]
    (told,) = await last.outbox.list(None)
    assert told.event == notice(turn)
    said = [stored.message for stored in await last.sessions.messages(OWNER, SESSION)]
    assert [getattr(each, "cut_off", None) for each in said] == [None, "interrupted"]
    await last.inbox.accept(message("harmless"), place())
    assert texts(await taken(last)) == ["harmless"]


async def test_a_turn_that_was_handed_back_did_not_die(open_again: Opener) -> None:
    await (store := await open_again()).inbox.accept(message("long work"), place())
    turn = await taken(store)
    for _ in range(4):
        await store.inbox.hand_back(turn.turn_id)
        await dies(store)
        store = await open_again()
        assert await recovered_turns(store) == ([turn.turn_id], 0)
    assert await states(store) == ["taken"]


async def test_turns_that_are_no_ones_inbox_are_still_settled_as_interrupted(open_again: Opener) -> None:
    first, second = await open_again(), await open_again()
    await begin(first, "turn_api")
    await first.inbox.accept(message(), place())
    await begin(first, (await taken(first)).turn_id)
    await dies(first)
    assert await settled(second) == 1


async def test_who_wrote_is_known_after_the_purge_and_nobody_else_is(store: Store, clock: TurnedClock) -> None:
    await store.inbox.accept(message(external_id="1"), place(), answered=True)
    await store.inbox.accept(message(external_id="2"), place(), answered=True)
    await store.inbox.accept(message(external_id="9", channel="discord"), place())
    clock.turn(timedelta(days=3))
    assert await store.inbox.purge(clock.now) == 2
    wrote = Address(channel="telegram", chat_id="42", thread_id="5")
    assert await store.inbox.wrote(wrote)
    assert not await store.inbox.wrote(replace(wrote, chat_id="43"))
    assert not await store.inbox.wrote(replace(wrote, channel="webhook"))
    assert await store.inbox.last_seen("telegram") == {"42": "2"}
    clock.turn(timedelta(days=30))
    assert await store.inbox.last_seen("telegram") == {}
    assert await store.inbox.wrote(wrote)


async def test_a_purge_keeps_what_waits_and_what_may_still_be_repeated(store: Store, clock: TurnedClock) -> None:
    await store.inbox.accept(message(external_id="answered"), place(), answered=True)
    await store.inbox.accept(message(external_id="waits"), place())
    clock.turn(timedelta(hours=47))
    assert await store.inbox.purge(clock.now) == 0
    assert not (await store.inbox.accept(message(external_id="answered"), place())).new
    clock.turn(timedelta(hours=2))
    assert await store.inbox.purge(clock.now) == 1
    assert texts(await taken(store)) == ["hello"]


async def test_starting_over_hides_what_was_said_also_from_who_remembers_it(store: Store) -> None:
    await begin(store, "turn_1", "old words")
    await store.sessions.end_turn("turn_1", "finished", [answer("old answer")])
    before = await store.sessions.begin_turn(NewTurn(id="turn_2", owner=OWNER, session=SESSION, message=user("more")), None)
    await store.sessions.end_turn("turn_2", "finished", [])
    assert await store.sessions.start_over(OWNER, SESSION)
    assert not await store.sessions.start_over(OWNER, "telegram:none")
    new = NewTurn(id="turn_3", owner=OWNER, session=SESSION, message=user("new"))
    history = await store.sessions.begin_turn(new, CachedUpTo(row=before.row, seq=before.seq))
    assert (history.fresh, history.messages, history.context_from) == (True, (), 4)
    assert len(await store.sessions.messages(OWNER, SESSION)) == 4


async def test_words_that_were_passed_on_stay_marked(store: Store) -> None:
    quoted = Text(text="theirs", quoted=True)
    await store.sessions.begin_turn(NewTurn(id="turn_1", owner=OWNER, session=SESSION, message=user(quoted, "mine")), None)
    (kept,) = await store.sessions.messages(OWNER, SESSION)
    assert kept.message.role == "user"
    assert kept.message.parts == (quoted, Text(text="mine"))
