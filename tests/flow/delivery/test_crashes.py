"""Nothing is lost and nothing doubled: over a crash, a stop in order, and a claim that somebody else has."""

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import pytest

from assistant.contracts.channels import SendLater
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.outbox import Claim, DueLanes, OutboundPart, Receipt, Settlement
from assistant.delivery.sender import LEASE, ClaimLost, Claims
from assistant.delivery.settings import DeliverySettings
from assistant.store.outbox import OutboxStore
from tests.doubles.platform import Platform
from tests.flow.delivery.house import House, until

T = TypeVar("T")


async def test_what_was_cut_off_before_the_platform_saw_it_is_sent_by_the_next_one(house: House, telegram: Platform) -> None:
    telegram.hang("42", accepted=False)
    crashed = house.dispatcher(telegram)
    event = await house.enqueue("hello")
    await telegram.was_tried(1)
    await house.crash(crashed)
    house.dispatcher(telegram)
    assert (await house.until(event, "sent")).maybe_duplicate
    assert telegram.texts() == ["hello"]


async def test_what_was_cut_off_after_the_platform_took_it_is_doubled_only_where_it_is_marked(house: House, telegram: Platform) -> None:
    telegram.hang("two", accepted=True)
    crashed = house.dispatcher(telegram)
    event = await house.enqueue("one|two|three")
    await telegram.posted(2)
    await house.crash(crashed)
    house.dispatcher(telegram)
    assert (await house.until(event, "sent")).maybe_duplicate
    assert telegram.texts() == ["one", "two", "two", "three"]


async def test_where_the_platform_knows_the_key_a_crash_doubles_nothing(house: House) -> None:
    discord = Platform("discord", keyed=True)
    discord.hang("two", accepted=True)
    crashed = house.dispatcher(discord)
    event = await house.enqueue("one|two|three", channel="discord")
    await discord.posted(2)
    await house.crash(crashed)
    house.dispatcher(discord)
    assert not (await house.until(event, "sent")).maybe_duplicate
    assert discord.texts() == ["one", "two", "three"]


async def test_on_hold_what_a_crash_left_is_unknown_and_those_behind_it_go(house: House, telegram: Platform) -> None:
    telegram.hang("42", accepted=True)
    crashed = house.dispatcher(telegram)
    event, behind = await house.enqueue("hello"), await house.enqueue("behind")
    await telegram.posted(1)
    await house.crash(crashed)
    house.dispatcher(telegram, settings=DeliverySettings(ambiguous="hold"))
    unknown = await house.until(event, "unknown")
    await house.until(behind, "sent")
    assert unknown.trouble is not None
    assert (unknown.trouble.code, telegram.texts()) == ("interrupted", ["hello", "behind"])


async def test_a_stop_under_load_loses_and_doubles_nothing(house: House, telegram: Platform) -> None:
    discord = Platform("discord", keyed=True)
    stopped = house.dispatcher(telegram, discord)
    ids = [
        await house.enqueue(f"{chat}-{number}|{chat}-{number}b", str(chat), channel=channel)
        for number in range(10)
        for chat in range(10)
        for channel in ("telegram", "discord")
    ]
    await telegram.posted(20)
    await stopped.close(grace=10)
    states = {(await house.delivery(event)).state for event in ids}
    assert states <= {"queued", "sent"}
    assert "queued" in states
    house.dispatcher(telegram, discord)
    await house.all_sent(ids)
    for platform in (telegram, discord):
        for chat in range(10):
            assert platform.texts(str(chat)) == [text for number in range(10) for text in (f"{chat}-{number}", f"{chat}-{number}b")]
    assert not any([(await house.delivery(event)).maybe_duplicate for event in ids])


async def test_a_stop_lets_the_part_that_is_on_its_way_end_and_begins_no_other(house: House, telegram: Platform) -> None:
    telegram.gate.clear()
    stopped = house.dispatcher(telegram)
    event = await house.enqueue("one|two")
    await telegram.was_tried(1)
    closing = asyncio.create_task(stopped.close(grace=10))
    await asyncio.sleep(0)
    telegram.gate.set()
    await closing
    left = await house.delivery(event)
    assert (left.state, [part.receipt is not None for part in left.parts]) == ("queued", [True, False])
    house.dispatcher(telegram)
    await house.until(event, "sent")
    assert telegram.texts() == ["one", "two"]


async def test_a_stop_waits_no_longer_than_its_grace(house: House, telegram: Platform) -> None:
    telegram.hang("42", accepted=True)
    stopped = house.dispatcher(telegram)
    event = await house.enqueue("hello")
    await telegram.posted(1)
    async with asyncio.timeout(5):
        await stopped.close(grace=0.05)
    left = await house.delivery(event)
    assert (left.state, left.parts[0].started is not None, left.parts[0].receipt) == ("sending", True, None)


async def test_a_claim_that_is_lost_stops_its_sender_and_what_it_still_writes_is_refused(
    house: House, telegram: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.hang("one", accepted=True)
    house.dispatcher(telegram)
    event = await house.enqueue("one|two")
    await telegram.posted(1)
    # Another process finds the lease lapsed, takes the event, and sends it all.
    house.clock.turn(timedelta(seconds=16))
    await house.store.outbox.recover()
    claim = await house.store.outbox.claim("telegram:42", LEASE)
    assert isinstance(claim, Claim)
    telegram.answer()
    await until(lambda: "delivery.claim_lost" in caplog.text)
    left = await house.delivery(event)
    assert (left.state, left.parts[0].receipt, telegram.texts()) == ("sending", None, ["one"])


async def test_a_process_that_was_stopped_for_longer_than_its_lease_finds_out_before_it_sends(house: House) -> None:
    passed = 0.0
    claims = Claims(house.store.outbox, monotonic=lambda: passed)
    await house.enqueue("hello")
    claim = await claims.take("telegram:42")
    assert isinstance(claim, Claim)
    with claims.hold(claim):
        passed = 14
        claims.check(claim)
        await claims.renew()
        passed = 28
        claims.check(claim)
        passed = 30
        with pytest.raises(ClaimLost):
            claims.check(claim)


async def test_a_claim_that_is_found_lost_when_it_is_renewed_cuts_its_send_off(house: House, telegram: Platform) -> None:
    telegram.hang("42", accepted=False)
    dispatcher = house.dispatcher(telegram)
    await house.enqueue("hello")
    await telegram.was_tried(1)
    house.clock.turn(timedelta(seconds=16))
    await house.store.outbox.recover()
    assert isinstance(await house.store.outbox.claim("telegram:42", LEASE), Claim)
    await dispatcher.tend()
    await until(lambda: not telegram.at_work)


async def test_a_send_that_outlasts_its_lease_keeps_its_claim(house: House, telegram: Platform) -> None:
    telegram.hang("42", accepted=False)
    dispatcher = house.dispatcher(telegram)
    event = await house.enqueue("hello")
    await telegram.was_tried(1)
    for _ in range(3):
        house.clock.turn(timedelta(seconds=12))
        await dispatcher.tend()
    telegram.answer()
    sent = await house.until(event, "sent")
    assert (sent.attempts, sent.maybe_duplicate, telegram.texts()) == (1, False, ["hello"])


async def test_a_channel_that_is_enabled_later_delivers_what_waited(house: House, telegram: Platform) -> None:
    discord = Platform("discord")
    without = house.dispatcher(discord)
    event = await house.enqueue("hello")
    await house.until(await house.enqueue("x", channel="discord"), "sent")
    assert ((await house.delivery(event)).state, without.enabled("telegram")) == ("queued", False)
    await without.close(grace=1)
    house.dispatcher(telegram, discord)
    await house.until(event, "sent")
    assert telegram.texts() == ["hello"]


async def test_what_met_no_connection_goes_when_the_channel_is_connected(house: House, telegram: Platform) -> None:
    telegram.fail_always("42", SendLater("not_connected", "There is no connection to Telegram.", counts=False))
    dispatcher = house.dispatcher(telegram)
    event = await house.enqueue("hello")
    waits = await house.until(event, "queued", trouble="not_connected")
    tried = len(telegram.tried)
    await house.until(await house.enqueue("hello", "43"), "sent")
    telegram.fail_always("42", None)
    dispatcher.connected("telegram")
    await house.until(event, "sent")
    assert (waits.due <= house.clock(), len(telegram.tried)) == (True, tried + 2)


async def test_a_channel_that_is_cut_off_waits_as_a_whole_until_it_is_connected(house: House, telegram: Platform) -> None:
    telegram.fail("1", *[SendLater("network", "Telegram can't be reached.", counts=False, whole_channel=True)] * 3)
    dispatcher = house.dispatcher(telegram)
    first = await house.enqueue("a", "1")
    await house.until(first, "queued", trouble="network", attempts=3)
    second = await house.enqueue("b", "2")
    dispatcher.connected("telegram")
    await house.all_sent([first, second])
    assert len(telegram.tried) == 5


async def test_two_dispatchers_on_one_store_send_everything_once(house: House, telegram: Platform) -> None:
    house.dispatcher(telegram)
    house.dispatcher(telegram)
    ids = [await house.enqueue(str(number), str(number % 7)) for number in range(100)]
    async with asyncio.timeout(20):
        for event in ids:
            await house.until_state(event, "sent")
    assert sorted(telegram.texts(), key=int) == [str(number) for number in range(100)]
    for chat in range(7):
        assert telegram.texts(str(chat)) == [str(number) for number in range(chat, 100, 7)]


class Failing(OutboxStore):
    """A store that can't be read or written while `broken`; or nothing can be claimed while `unclaimable`."""

    broken = False
    unclaimable = False
    refused = 0

    async def lanes(self, channels: Collection[str]) -> DueLanes:
        return await self._unless_broken(super().lanes(channels))

    async def claim(self, lane: str, lease: timedelta) -> Claim | datetime | None:
        return await self._unless_broken(super().claim(lane, lease), broken=self.unclaimable)

    async def note(
        self,
        claim: Claim,
        *,
        plan: Sequence[OutboundPart] | None = None,
        receipt: tuple[int, Receipt] | None = None,
        start: int | None = None,
        maybe_duplicate: bool = False,
        settle: Settlement | None = None,
    ) -> bool:
        writing = super().note(claim, plan=plan, receipt=receipt, start=start, maybe_duplicate=maybe_duplicate, settle=settle)
        return await self._unless_broken(writing)

    async def recover(self) -> int:
        return await self._unless_broken(super().recover())

    async def _unless_broken(self, call: Coroutine[object, object, T], *, broken: bool = False) -> T:
        if not self.broken and not broken:
            return await call
        call.close()
        self.refused += 1
        raise StoreUnavailable


async def test_a_receipt_waits_for_a_store_that_can_not_be_written(house: House, telegram: Platform) -> None:
    store = house.store
    outbox = Failing(store.database, store.runner, store.notifier, store.media, clock=house.clock)
    telegram.gate.clear()
    dispatcher = house.dispatcher(telegram, outbox=outbox)
    event = await house.enqueue("one|two")
    await telegram.was_tried(1)
    outbox.broken = True
    telegram.gate.set()
    await until(lambda: outbox.refused > 2)
    other = await house.enqueue("other", "43")
    await dispatcher.tend()
    outbox.broken = False
    sent = await house.until(event, "sent")
    await house.until(other, "sent")
    assert (sorted(telegram.texts()), sent.maybe_duplicate, sent.attempts) == (["one", "other", "two"], False, 1)


async def test_what_could_not_be_claimed_is_claimed_when_the_store_is_back(house: House, telegram: Platform) -> None:
    store = house.store
    outbox = Failing(store.database, store.runner, store.notifier, store.media, clock=house.clock)
    outbox.unclaimable = True
    house.dispatcher(telegram, outbox=outbox)
    event = await house.enqueue("hello")
    await until(lambda: outbox.refused > 0)
    outbox.unclaimable = False
    await house.until(event, "sent")
