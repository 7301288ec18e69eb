"""How deliveries end and begin anew, on SQLite and PostgreSQL: expiry, retry and cancel by hand, lists, purge."""

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from assistant.contracts.errors import DeliveryConflict, DeliveryNotFound
from assistant.contracts.outbox import Claim, Delivery, DeliveryError, DeliveryState, Media, OutboundEvent, Settlement
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .conftest import Opener
from .sent import LEASE, again, claimed, event, failed, parts, receipt, send_all

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def get(store: Store, event_id: str) -> Delivery:
    delivery = await store.outbox.get(None, event_id)
    assert delivery is not None
    return delivery


async def test_what_has_expired_is_passed_by_a_claim(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event("old", event_id="evt_1", expires=HOUR), event("older", event_id="evt_2", expires=HOUR), event("new")])
    clock.turn(HOUR)
    assert await send_all(store) == ["new"]
    old = await get(store, "evt_1")
    assert (old.state, old.ended, old.trouble) == (
        "expired",
        clock.now,
        DeliveryError(code="expired", words="It expired before it could be sent."),
    )
    assert (await get(store, "evt_2")).state == "expired"


async def test_what_waits_for_a_retry_expires_and_keeps_the_reason(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event("old", event_id="evt_1", expires=HOUR), event("new")])
    assert await store.outbox.note(await claimed(store), settle=again(clock.now + 2 * HOUR, counts=False, code="flood_wait"))
    clock.turn(HOUR)
    assert await send_all(store) == ["new"]
    old = await get(store, "evt_1")
    assert (old.state, old.trouble and old.trouble.code) == ("expired", "flood_wait")


async def test_recovery_settles_what_expired_also_on_channels_that_nobody_serves(store: Store, clock: TurnedClock) -> None:
    later = clock.now + 2 * HOUR
    await store.outbox.enqueue(
        [event(event_id="evt_1", channel="off", expires=HOUR), event(event_id="evt_2", not_before=later, expires=HOUR)]
    )
    assert await store.outbox.recover() == 0
    assert (await get(store, "evt_1")).state == "queued"
    clock.turn(HOUR)
    assert await store.outbox.recover() == 0
    assert [(await get(store, name)).state for name in ("evt_1", "evt_2")] == ["expired", "expired"]


async def test_what_may_have_arrived_when_it_expired_is_unknown_and_not_expired(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event(event_id="evt_1", expires=HOUR), event(chat="7", event_id="evt_2", expires=HOUR)])
    assert await store.outbox.note(await claimed(store), plan=parts("a", "b"), start=0)
    sure = await claimed(store, "telegram:7")
    assert await store.outbox.note(sure, plan=parts("a", "b"), start=0, receipt=(0, receipt("m1", clock.now)))
    clock.turn(HOUR)
    assert await store.outbox.recover() == 2
    unknown, expired = await get(store, "evt_1"), await get(store, "evt_2")
    assert (unknown.state, unknown.trouble and unknown.trouble.code) == ("unknown", "interrupted")
    assert expired.state == "expired"
    queued = await store.outbox.retry(None, "evt_1", clock.now + DAY)
    assert (queued.state, queued.maybe_duplicate, queued.parts[0].started is not None) == ("queued", True, True)
    assert not (await store.outbox.retry(None, "evt_2", clock.now + DAY)).maybe_duplicate


@pytest.mark.parametrize("end", ["failed", "expired", "cancelled", "unknown"])
async def test_what_ended_unsent_is_sent_again_by_hand_behind_its_receipts(
    store: Store, clock: TurnedClock, end: Literal["failed", "expired", "cancelled", "unknown"]
) -> None:
    await store.outbox.enqueue([event("by hand", event_id="evt_1")])
    claim = await claimed(store)
    assert await store.outbox.note(claim, plan=parts("a", "b"), start=0, receipt=(0, receipt("m1", clock.now)))
    if end == "cancelled":
        assert await store.outbox.note(claim, settle=again(clock.now + HOUR))
        assert (await store.outbox.cancel(None, "evt_1")).state == "cancelled"
    else:
        assert await store.outbox.note(claim, settle=Settlement(state=end, trouble=DeliveryError(code="x", words="x")))
    assert (await get(store, "evt_1")).ended == clock.now
    clock.turn(2 * DAY)
    queued = await store.outbox.retry("anna", "evt_1", clock.now + DAY)
    assert (queued.state, queued.due, queued.ended, queued.trouble) == ("queued", clock.now, None, None)
    assert (queued.event.expires_at, queued.maybe_duplicate) == (clock.now + DAY, False)
    holder = await claimed(store)
    assert (holder.held, holder.attempts, holder.event) == (0, 2, queued.event)
    assert [part.receipt and part.receipt.message_id for part in holder.parts] == ["m1", None]
    assert not await store.outbox.note(claim, settle=failed())


async def test_a_queued_one_is_due_at_once_by_hand(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event("later", event_id="evt_1", not_before=clock.now + HOUR)])
    assert (await store.outbox.lanes(["telegram"])).ready == ()
    assert (await store.outbox.retry(None, "evt_1", clock.now + DAY)).due == clock.now
    assert await send_all(store) == ["later"]


async def test_what_cannot_be_done_by_hand_is_refused_in_words(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event(event_id="evt_1")])
    for owner, event_id in (("anna", "evt_none"), ("bob", "evt_1"), (None, "evt_\0")):
        with pytest.raises(DeliveryNotFound):
            await store.outbox.retry(owner, event_id, clock.now + DAY)
        with pytest.raises(DeliveryNotFound):
            await store.outbox.cancel(owner, event_id)
        assert await store.outbox.get(owner, event_id) is None
    claim = await claimed(store)
    for words in ("being sent", "sent"):
        with pytest.raises(DeliveryConflict, match=words):
            await store.outbox.retry("anna", "evt_1", clock.now + DAY)
        with pytest.raises(DeliveryConflict, match=words):
            await store.outbox.cancel("anna", "evt_1")
        await store.outbox.note(claim, settle=Settlement(state="sent"))
    assert (await get(store, "evt_1")).state == "sent"


async def test_a_cancelled_one_holds_up_nobody(store: Store) -> None:
    await store.outbox.enqueue([event("one", event_id="evt_1"), event("two")])
    await store.outbox.cancel("anna", "evt_1")
    assert await send_all(store) == ["two"]


async def test_lists_are_by_owner_state_and_channel_the_latest_first_in_pages(store: Store) -> None:
    await store.outbox.enqueue([event(event_id=f"evt_{number}", channel=("telegram", "discord")[number % 2]) for number in range(6)])
    await store.outbox.enqueue([event(event_id="evt_bob", owner="bob")])
    assert await store.outbox.note(await claimed(store), settle=failed())

    async def ids(
        owner: str | None, *, state: DeliveryState | None = None, channel: str | None = None, limit: int = 50, before: str | None = None
    ) -> list[str]:
        found = await store.outbox.list(owner, state=state, channel=channel, limit=limit, before=before)
        return [delivery.event.id for delivery in found]

    assert await ids("anna", limit=2) == ["evt_5", "evt_4"]
    assert await ids("anna", limit=3, before="evt_4") == ["evt_3", "evt_2", "evt_1"]
    assert await ids(None, limit=1) == ["evt_bob"]
    assert await ids("bob") == ["evt_bob"]
    assert await ids("anna", state="failed") == ["evt_0"]
    assert await ids("anna", state="queued", channel="telegram") == ["evt_4", "evt_2"]
    assert await ids("anna", before="evt_none") == []
    assert await store.outbox.counts() == {("telegram", "failed"): 1, ("telegram", "queued"): 3, ("discord", "queued"): 3}


async def kept(store: Store, tmp_path: Path, words: str) -> Media:
    source = tmp_path / "source.txt"
    source.write_text(words)
    return await store.media.keep(source, "source.txt")


async def test_a_purge_removes_what_ended_with_its_files_and_nothing_else(store: Store, clock: TurnedClock, tmp_path: Path) -> None:
    own, shared, unsent = [await kept(store, tmp_path, words) for words in ("own", "shared", "unsent")]
    await store.outbox.enqueue(
        [with_media("evt_1", own, shared), with_media("evt_2", shared, shared), with_media("evt_3", unsent, chat="7")]
    )
    assert await store.outbox.note(await claimed(store), plan=parts("a"), settle=Settlement(state="sent"))
    clock.turn(DAY / 2)
    assert await store.outbox.note(await claimed(store), settle=failed())
    files = [store.media.path(media) for media in (own, shared, unsent)]
    age(*files)
    assert await store.outbox.purge(clock.now - HOUR) == 1
    assert await store.outbox.get(None, "evt_1") is None
    assert [path.exists() for path in files] == [False, True, True]
    assert await store.database.read(lambda connection: connection.execute("SELECT COUNT(*) FROM outbox_parts")) == [(0,)]
    clock.turn(HOUR)
    assert await store.outbox.purge(clock.now) == 1
    assert [path.exists() for path in files] == [False, False, True]
    with pytest.raises(DeliveryNotFound):
        await store.outbox.retry(None, "evt_2", clock.now + DAY)


def with_media(event_id: str, *media: Media, chat: str = "42") -> OutboundEvent:
    return replace(event(event_id=event_id, chat=chat), media=media)


def age(*files: Path) -> None:
    """Make files as old as the tests' clock is."""
    for path in files:
        os.utime(path, (0, 0))


async def test_a_purge_of_much_goes_in_slices(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event(event_id=f"evt_{number}", expires=HOUR) for number in range(1201)])
    clock.turn(HOUR)
    await store.outbox.recover()
    clock.turn(HOUR)
    assert await store.outbox.purge(clock.now) == 1201
    assert await store.outbox.counts() == {}


async def test_claims_go_on_while_all_others_do_their_work(open_again: Opener) -> None:
    """Enqueue, claim, settle, recover and list side by side: each lane in order, nothing twice."""
    left, right = await open_again(), await open_again()
    sent: dict[str, list[str]] = {f"telegram:{chat}": [] for chat in range(4)}
    done = asyncio.Event()

    async def enqueue() -> None:
        for number in range(15):
            await asyncio.gather(*(left.outbox.enqueue([event(str(number), chat=str(chat))]) for chat in range(4)))
        done.set()

    async def work(store: Store) -> None:
        while not done.is_set() or (await store.outbox.lanes(["telegram"])).ready:
            for lane in (await store.outbox.lanes(["telegram"])).ready:
                if isinstance(claim := await store.outbox.claim(lane, LEASE), Claim):
                    sent[lane].append(claim.event.text)
                    assert await store.outbox.note(claim, settle=Settlement(state="sent"))
            await store.outbox.recover()
            await store.outbox.list(None, limit=5)

    async with asyncio.timeout(60):
        await asyncio.gather(enqueue(), work(left), work(right))
    assert sent == {lane: [str(number) for number in range(15)] for lane in sent}
