"""What OutboxStore promises of accepting, order and claims, on SQLite and PostgreSQL."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.outbox import Button, Claim, Media, Origin, OutboundEvent, OutboundPart, Settlement
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .conftest import Opener
from .gate import behind_a_gate
from .sent import LEASE, again, claimed, event, failed, parts, receipt, send_all

MINUTE = timedelta(minutes=1)
ODD = "NUL \0, a \\0, \u202e, 🦊👩‍👩‍👧‍👦, '; DROP TABLE outbox; --, %s %(name)s :name, \u2028\ufeff"


def full_event(text: str = ODD) -> OutboundEvent:
    return OutboundEvent(
        id=f"evt_{text}",
        address=Address(channel=f"telegram{text}", chat_id=f"42{text}", thread_id=text),
        text=text,
        media=(Media(name=text, media_type=text, size=2**53, digest="a" * 64),),
        buttons=((Button(text=text, url=text), Button(text="b")), (Button(text="c"),)),
        reply_to=text,
        replaces=text,
        expires_at=event().expires_at,
        origin=Origin(kind="reply", owner=text, session=text, turn_id=text),
    )


async def test_what_is_accepted_comes_back_as_it_was(store: Store, clock: TurnedClock) -> None:
    sent = full_event()
    (accepted,) = await store.outbox.enqueue([sent])
    assert (accepted.event, accepted.state, accepted.attempts, accepted.parts) == (sent, "queued", 0, ())
    assert (accepted.created, accepted.due, accepted.ended, accepted.trouble) == (clock.now, clock.now, None, None)
    assert await store.outbox.get(ODD, sent.id) == accepted
    assert await store.outbox.list(ODD, channel=sent.address.channel) == [accepted]
    assert (await store.outbox.lanes([sent.address.channel])).ready == (sent.address.lane,)
    claim = await claimed(store, sent.address.lane)
    assert claim.event == sent
    part = OutboundPart(text=ODD, plain=ODD, media=sent.media, buttons=sent.buttons)
    assert await store.outbox.note(claim, plan=[part], start=0, receipt=(0, receipt(ODD, clock.now)), settle=failed(ODD))
    kept = await store.outbox.get(None, sent.id)
    assert kept is not None
    assert kept.trouble is not None
    assert (kept.parts[0].part, kept.parts[0].receipt, kept.trouble.code) == (part, receipt(ODD, clock.now), ODD)


async def test_a_lone_surrogate_is_replaced_and_loses_nothing_else(store: Store) -> None:
    for number, text in enumerate(("a\ud83db", "\udc00", "end\ud83d", "\ud83d\ud83e\udd8a")):
        sent = replace(full_event(text), id=f"evt_{number}")
        (accepted,) = await store.outbox.enqueue([sent])
        mended = ("a\ufffdb", "\ufffd", "end\ufffd", "\ufffd🦊")[number]
        assert (accepted.event.text, accepted.event.buttons[0][0].text) == (mended, mended)
        assert (await claimed(store, sent.address.lane)).event.text == mended


async def test_an_id_that_is_known_is_not_accepted_again(store: Store, clock: TurnedClock) -> None:
    first = event("first", event_id="evt_1")
    await store.outbox.enqueue([first])
    assert await send_all(store) == ["first"]
    clock.turn(MINUTE)
    known, new = await store.outbox.enqueue([event("again", event_id="evt_1"), event("new", event_id="evt_2")])
    assert (known.event, known.state) == (first, "sent")
    assert (new.event.text, new.state) == ("new", "queued")
    twice = await store.outbox.enqueue([event("a", event_id="evt_3"), event("b", event_id="evt_3")])
    assert [delivery.event.text for delivery in twice] == ["a", "a"]
    assert await send_all(store) == ["new", "a"]


async def test_all_events_of_a_call_are_accepted_or_none(store: Store) -> None:
    with pytest.raises(InvalidRequest):
        await store.outbox.enqueue([event("fits"), event("too long", chat="4" * 3000)])
    assert await store.outbox.list(None) == []


async def test_a_lane_is_sent_in_the_order_of_acceptance_one_at_a_time(store: Store) -> None:
    await store.outbox.enqueue([event("1"), event("other", chat="7"), event("2")])
    first = await claimed(store)
    assert (first.event.text, first.attempts, first.held, first.fence) == ("1", 1, 0, 1)
    assert await store.outbox.claim("telegram:42", LEASE) is None
    assert (await claimed(store, "telegram:7")).event.text == "other"
    assert await store.outbox.note(first, settle=Settlement(state="sent"))
    assert await send_all(store) == ["2"]
    assert await store.outbox.claim("telegram:42", LEASE) is None


async def test_what_waits_for_a_retry_holds_its_lane_until_it_was_held_five_times(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event("poison"), event("behind")])
    for _ in range(4):
        claim = await claimed(store)
        assert claim.event.text == "poison"
        assert await store.outbox.note(claim, settle=again(clock.now + MINUTE))
        assert await store.outbox.claim("telegram:42", LEASE) == clock.now + MINUTE
        assert (await store.outbox.lanes(["telegram"])).next_at == clock.now + MINUTE
        clock.turn(MINUTE)
    claim = await claimed(store)
    assert (claim.held, claim.attempts) == (4, 5)
    assert await store.outbox.note(claim, settle=again(clock.now + MINUTE))
    assert await send_all(store) == ["behind"]
    assert await store.outbox.claim("telegram:42", LEASE) == clock.now + MINUTE
    clock.turn(MINUTE)
    assert await send_all(store) == ["poison"]


async def test_a_flood_wait_holds_its_lane_however_often_it_comes(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event("waits"), event("behind")])
    for _ in range(7):
        claim = await claimed(store)
        assert (claim.event.text, claim.held) == ("waits", 0)
        assert await store.outbox.note(claim, settle=again(clock.now + MINUTE, counts=False))
        assert await store.outbox.claim("telegram:42", LEASE) == clock.now + MINUTE
        clock.turn(MINUTE)
    assert await send_all(store) == ["waits", "behind"]


async def test_what_is_for_later_is_in_nobodys_way_and_keeps_its_place_when_it_is_due(store: Store, clock: TurnedClock) -> None:
    later = clock.now + MINUTE
    await store.outbox.enqueue([event("later", not_before=later), event("now")])
    assert await send_all(store) == ["now"]
    assert await store.outbox.claim("telegram:42", LEASE) == later
    assert await store.outbox.lanes(["telegram"]) == await store.outbox.lanes({"telegram", "discord"})
    assert (await store.outbox.lanes(["telegram"])).next_at == later
    clock.turn(MINUTE)
    await store.outbox.enqueue([event("behind")])
    assert (await store.outbox.lanes(["telegram"])).ready == ("telegram:42",)
    assert await send_all(store) == ["later", "behind"]


async def test_lanes_are_those_of_the_channels_asked_for_the_longest_waiting_first(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event(chat="2", not_before=clock.now + 3 * MINUTE), event(chat="3", not_before=clock.now + 9 * MINUTE)])
    clock.turn(MINUTE)
    await store.outbox.enqueue([event(chat="9")])
    clock.turn(MINUTE)
    await store.outbox.enqueue([event(chat="1"), event(chat="1"), event(channel="discord"), event(chat="5")])
    clock.turn(MINUTE)
    await claimed(store, "telegram:5")
    due = await store.outbox.lanes(["telegram"])
    assert due.ready == ("telegram:9", "telegram:1", "telegram:2")
    assert due.next_at == clock.now + 6 * MINUTE
    assert (await store.outbox.lanes(["discord"])).ready == ("discord:42",)
    assert (await store.outbox.lanes([])).ready == ()


async def test_a_claim_that_was_lost_writes_nothing(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event("one")])
    lost = await claimed(store)
    assert await store.outbox.note(lost, plan=parts("a", "b"), start=0)
    clock.turn(LEASE)
    assert await store.outbox.recover() == 1
    await writes_nothing(store, lost)
    holder = await claimed(store)
    assert holder.fence > lost.fence
    await writes_nothing(store, lost)
    assert await store.outbox.note(holder, settle=again(clock.now))
    await writes_nothing(store, holder)
    await writes_nothing(store, lost)


async def writes_nothing(store: Store, lost: Claim) -> None:
    before = await store.outbox.get(None, lost.event.id)
    assert before is not None
    given = receipt("m1", before.created)
    assert not await store.outbox.note(lost, plan=parts("other"), receipt=(0, given), maybe_duplicate=True, settle=failed())
    assert not await store.outbox.note(lost, start=1)
    assert not await store.outbox.unstart(lost, 0)
    assert await store.outbox.renew({lost.event.id: lost.fence}, LEASE) == {lost.event.id}
    assert await store.outbox.get(None, lost.event.id) == before


async def test_a_lease_that_is_renewed_is_not_taken(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event("one"), event("two", chat="7")])
    kept, dropped = await claimed(store), await claimed(store, "telegram:7")
    clock.turn(LEASE * 0.9)
    assert await store.outbox.renew({kept.event.id: kept.fence}, LEASE) == set()
    clock.turn(LEASE * 0.9)
    assert await store.outbox.recover() == 1
    assert await store.outbox.note(kept, settle=Settlement(state="sent"))
    assert not await store.outbox.note(dropped, settle=Settlement(state="sent"))


async def test_parts_keep_their_receipts_and_what_was_started_over_a_loss(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event("long")])
    first = await claimed(store)
    assert await store.outbox.note(first, plan=parts("a", "b", "c"), start=0)
    assert await store.outbox.note(first, receipt=(0, receipt("m1", clock.now)), start=1)
    started = clock.now
    clock.turn(LEASE)
    await store.outbox.recover()
    second = await claimed(store)
    assert [part.part.text for part in second.parts] == ["a", "b", "c"]
    assert [part.receipt for part in second.parts] == [receipt("m1", started), None, None]
    assert [part.started for part in second.parts] == [started, started, None]
    assert (second.attempts, second.held, second.maybe_duplicate) == (2, 0, False)
    assert await store.outbox.note(second, plan=parts("other", "plan"), maybe_duplicate=True, start=1)
    assert await store.outbox.unstart(second, 1)
    assert await store.outbox.note(second, receipt=(1, receipt(None, clock.now)), settle=Settlement(state="sent"))
    kept = await store.outbox.get(None, second.event.id)
    assert kept is not None
    assert ([part.part.text for part in kept.parts], kept.parts[1].receipt) == (["a", "b", "c"], receipt(None, clock.now))
    assert (kept.state, kept.ended, kept.maybe_duplicate, kept.trouble) == ("sent", clock.now, True, None)


async def test_claims_that_wait_together_share_a_transaction(store: Store) -> None:
    await store.outbox.enqueue([event(chat=str(number)) for number in range(50)])
    transactions: set[object] = set()

    async def claim(number: int) -> None:
        assert isinstance(await store.outbox.claim(f"telegram:{number}", LEASE), Claim)

    gate, held = await behind_a_gate(store.database)
    waiting = [asyncio.create_task(claim(number)) for number in range(50)]
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(held, *waiting)
    if store.database.dialect == "postgresql":
        rows = await store.database.read(lambda connection: connection.execute("SELECT DISTINCT xmin::text FROM outbox"))
        transactions |= set(rows)
        assert len(transactions) == 1
    assert (await store.outbox.lanes(["telegram"])).ready == ()


async def test_two_processes_on_one_store_claim_nothing_twice(open_again: Opener) -> None:
    left, right = await open_again(), await open_again()
    await left.outbox.enqueue([event(f"{chat}-{number}", chat=str(chat)) for chat in range(8) for number in range(10)])
    sent: Counter[str] = Counter()

    async def work(store: Store) -> None:
        while ready := (await store.outbox.lanes(["telegram"])).ready:
            for lane in ready:
                sent.update(await send_all(store, lane))

    await asyncio.gather(*(work(store) for store in (left, right, left, right)))
    assert sent == Counter({f"{chat}-{number}": 1 for chat in range(8) for number in range(10)})
