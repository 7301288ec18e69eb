"""Lanes: in order within a chat, never waiting for another chat or another channel."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Limit, SendLater, SendRefused
from assistant.contracts.outbox import Claim, DueLanes
from assistant.delivery.settings import DeliverySettings
from assistant.delivery.throttle import MOST_LANES
from assistant.store.database import Database
from assistant.store.media import MediaFolder
from assistant.store.outbox import OutboxStore
from assistant.store.processes import Notifier, Runner
from tests.clocks import ShiftedClock, TurnedLoop
from tests.doubles.platform import Platform
from tests.flow.delivery.house import HOUR, House, until


async def test_a_chat_gets_its_messages_in_the_order_in_which_they_were_accepted(house: House, telegram: Platform) -> None:
    house.dispatcher(telegram)
    ids = [await house.enqueue(str(number), chat) for number in range(20) for chat in ("1", "2", "3")]
    await house.all_sent(ids)
    assert [telegram.texts(chat) for chat in ("1", "2", "3")] == [[str(number) for number in range(20)]] * 3


async def test_one_message_of_a_chat_is_sent_at_a_time(house: House, telegram: Platform) -> None:
    telegram.gate.clear()
    house.dispatcher(telegram)
    ids = [await house.enqueue("a"), await house.enqueue("b"), await house.enqueue("c", "43")]
    await telegram.was_tried(2)
    assert {sending.part.text for sending in telegram.tried} == {"a", "c"}
    telegram.gate.set()
    await house.all_sent(ids)
    assert telegram.texts("42") == ["a", "b"]


async def test_a_chat_that_hangs_or_must_wait_an_hour_holds_up_nobody_else(house: House, telegram: Platform) -> None:
    discord = Platform("discord")
    telegram.hang("hangs", accepted=False)
    telegram.fail("waits", SendLater("flood_wait", "Wait an hour.", retry_after=3600, counts=False))
    house.dispatcher(telegram, discord)
    stuck = [await house.enqueue("x", "hangs"), await house.enqueue("y", "waits"), await house.enqueue("z", "waits")]
    await telegram.was_tried(2)
    ids = [await house.enqueue("hello", str(chat)) for chat in range(300)]
    ids.append(await house.enqueue("hello", "9", channel="discord"))
    await house.all_sent(ids)
    assert [(await house.delivery(event)).state for event in stuck] == ["sending", "queued", "queued"]
    assert (len(telegram.ledger), len(discord.ledger)) == (300, 1)


async def test_a_flood_wait_of_a_whole_channel_stops_that_channel_alone(house: House, telegram: Platform) -> None:
    discord = Platform("discord")
    telegram.fail("1", SendLater("flood_wait", "Wait.", retry_after=3600, counts=False, whole_channel=True))
    house.dispatcher(telegram, discord)
    first = await house.enqueue("a", "1")
    await house.until(first, "queued", trouble="flood_wait")
    second = await house.enqueue("b", "2")
    other = await house.enqueue("c", "2", channel="discord")
    await house.until(other, "sent")
    assert ((await house.delivery(second)).state, len(telegram.tried)) == ("queued", 1)


async def test_a_flood_wait_is_obeyed_to_the_letter(house: House, telegram: Platform) -> None:
    telegram.fail("42", SendLater("flood_wait", "Wait 30 s.", retry_after=30, counts=False))
    house.dispatcher(telegram)
    before = house.clock()
    event = await house.enqueue("hello")
    waits = await house.until(event, "queued", trouble="flood_wait")
    assert timedelta(seconds=30) <= waits.due - before <= timedelta(seconds=32)
    house.turn(timedelta(seconds=31))
    await house.until(event, "sent")
    assert (telegram.texts(), len(telegram.tried)) == (["hello"], 2)


async def test_a_message_that_fails_by_its_own_fault_lets_the_others_pass_after_five_tries(house: House, telegram: Platform) -> None:
    telegram.fail("42", *[SendLater("server_error", "The platform failed.") for _ in range(5)])
    house.dispatcher(telegram)
    poison, behind = await house.enqueue("poison"), await house.enqueue("behind")
    for tries in range(1, 6):
        await telegram.was_tried(tries)
        assert telegram.ledger == []
        if tries < 5:
            await house.until(poison, "queued", trouble="server_error", attempts=tries)
            house.turn(timedelta(seconds=30))
    await house.until(behind, "sent")
    assert (await house.delivery(poison)).state == "queued"
    house.turn(HOUR)
    await house.until(poison, "sent")
    assert telegram.texts() == ["behind", "poison"]


async def test_what_is_refused_for_good_fails_at_once_and_the_next_one_goes(house: House, telegram: Platform) -> None:
    telegram.fail("42", SendRefused("chat_not_found", "There is no such chat."))
    house.dispatcher(telegram)
    first, second = await house.enqueue("a"), await house.enqueue("b")
    failed = await house.until(first, "failed")
    await house.until(second, "sent")
    assert failed.trouble is not None
    assert (failed.trouble.words, failed.attempts, failed.parts[0].started) == ("There is no such chat.", 1, None)


async def test_an_enqueue_is_sent_without_a_poll(house: House, telegram: Platform) -> None:
    house.dispatcher(telegram)
    await asyncio.sleep(0)
    for number in range(5):  # each comes when the dispatcher is idle; its own safety net would take 30 s each
        async with asyncio.timeout(5):
            await house.until(await house.enqueue(str(number)), "sent")


async def test_what_is_scheduled_is_sent_when_its_time_comes_and_holds_up_nothing(house: House, telegram: Platform) -> None:
    house.dispatcher(telegram)
    later, soon = house.event("later", not_before=HOUR), house.event("soon", "43", not_before=timedelta(milliseconds=150))
    await house.store.outbox.enqueue([later, soon])
    now = await house.enqueue("now")
    await house.all_sent([now, soon.id])
    assert (await house.delivery(later.id)).state == "queued"
    house.turn(HOUR)
    await house.until(later.id, "sent")
    assert telegram.texts("42") == ["now", "later"]


async def test_a_flood_wait_is_not_broken_by_hand_or_by_those_behind_it(house: House, telegram: Platform) -> None:
    telegram.fail("42", SendLater("flood_wait", "Wait.", retry_after=600, counts=False))
    house.dispatcher(telegram)
    first, second, third = [await house.enqueue(text) for text in ("a", "b", "c")]
    await house.until(first, "queued", trouble="flood_wait")
    await house.store.outbox.retry(None, first, house.clock() + HOUR)
    await house.store.outbox.cancel(None, second)
    await house.until(await house.enqueue("x", "43"), "sent")
    assert len(telegram.tried) == 2
    house.turn(timedelta(seconds=602))
    await house.all_sent([first, third])
    assert telegram.texts("42") == ["a", "c"]


@pytest.mark.parametrize(
    "failure", [SendLater("x", "It failed."), SendLater("x", "Wait.", retry_after=0.2), SendLater("x", "Off.", counts=False)]
)
async def test_a_retry_comes_by_itself(house: House, telegram: Platform, failure: SendLater) -> None:
    telegram.fail("42", failure)
    house.dispatcher(telegram)
    await house.until(await house.enqueue("hello"), "sent")
    assert len(telegram.tried) == 2


async def test_what_came_while_a_chat_was_looked_at_for_the_last_time_is_sent(house: House, telegram: Platform) -> None:
    store = house.store
    outbox = SlowToSayNothing(store.database, store.runner, store.notifier, store.media, clock=house.clock)
    house.dispatcher(telegram, outbox=outbox)
    await house.until(await house.enqueue("first"), "sent")
    await outbox.found_nothing.wait()
    second = await house.enqueue("second")
    await until(lambda: outbox.looks > 2)
    outbox.say.set()
    await house.until(second, "sent")


class SlowToSayNothing(OutboxStore):
    """The first time that a lane has nothing more, it says so only when it is told to."""

    looks = 0

    def __init__(self, database: Database, runner: Runner, notifier: Notifier, media: MediaFolder, *, clock: ShiftedClock) -> None:
        super().__init__(database, runner, notifier, media, clock=clock)
        self.found_nothing = asyncio.Event()
        self.say = asyncio.Event()

    async def lanes(self, channels: Collection[str]) -> DueLanes:
        due = await super().lanes(channels)
        self.looks += self.found_nothing.is_set() + bool(due.ready)
        return due

    async def claim(self, lane: str, lease: timedelta) -> Claim | datetime | None:
        claim = await super().claim(lane, lease)
        if claim is None:
            self.found_nothing.set()
            await self.say.wait()
        return claim


async def test_a_process_that_stood_still_goes_on_within_a_second(house: House, telegram: Platform) -> None:
    store, loop = house.store, TurnedLoop()
    outbox = StandsStill(store.database, store.runner, store.notifier, store.media, clock=house.clock)
    outbox.loop = loop
    house.dispatcher(telegram, outbox=outbox)
    await house.enqueue("first")
    await outbox.stood.wait()
    second = await house.enqueue("second", "43")
    loop.turn(1)
    await house.until(second, "sent")


class StandsStill(OutboxStore):
    """The first look that finds something takes 17 s, by the event loop's clock."""

    loop: TurnedLoop

    def __init__(self, database: Database, runner: Runner, notifier: Notifier, media: MediaFolder, *, clock: ShiftedClock) -> None:
        super().__init__(database, runner, notifier, media, clock=clock)
        self.stood = asyncio.Event()

    async def lanes(self, channels: Collection[str]) -> DueLanes:
        due = await super().lanes(channels)
        if due.ready and not self.stood.is_set():
            self.loop.turn(17)
            self.stood.set()
        return due


async def test_more_chats_than_are_at_work_at_once_are_all_served(house: House, telegram: Platform) -> None:
    telegram.gate.clear()
    events = [house.event(str(number), str(chat)) for number in range(2) for chat in range(MOST_LANES + 200)]
    await house.store.outbox.enqueue(events)
    house.dispatcher(telegram)
    await telegram.was_tried(256)
    assert sum(task.get_name().startswith("lane-") for task in asyncio.all_tasks()) == MOST_LANES
    telegram.gate.set()
    await telegram.posted(len(events))
    assert all(telegram.texts(str(chat)) == ["0", "1"] for chat in range(0, MOST_LANES + 200, 50))
    assert telegram.most_at_work == 256


async def test_many_busy_chats_do_not_keep_one_out_that_has_waited_longer(house: House, telegram: Platform) -> None:
    for first, more in ((0, MOST_LANES), (MOST_LANES, 1), (0, MOST_LANES), (0, MOST_LANES)):
        await house.store.outbox.enqueue([house.event("x", str(chat)) for chat in range(first, first + more)])
    house.dispatcher(telegram)
    await telegram.posted(3 * MOST_LANES + 1)
    place = [posted.address.chat_id for posted in telegram.ledger].index(str(MOST_LANES))
    assert place < 2 * MOST_LANES


async def test_a_chat_that_has_used_up_its_limit_waits_without_a_claim_and_alone(house: House) -> None:
    def limits(address: Address) -> list[Limit]:
        return [Limit(key="all", amount=100, seconds=1), Limit(key=f"chat:{address.chat_id}", amount=2, seconds=3600)]

    telegram = Platform("telegram", limits=limits)
    dispatcher = house.dispatcher(telegram)
    event = await house.enqueue("one|two|three")
    await telegram.posted(2)
    await house.all_sent([await house.enqueue("x", str(chat)) for chat in range(20)])
    waits = await house.until(event, "queued")
    assert (telegram.texts("42"), waits.trouble) == (["one", "two"], None)
    assert (await house.store.outbox.cancel(None, event)).state == "cancelled"
    async with asyncio.timeout(10):
        await dispatcher.close(grace=100)  # nothing runs that is worth a wait


async def test_parts_that_waited_for_the_limits_follow_in_order(house: House) -> None:
    telegram = Platform("telegram", limits=lambda _: [Limit(key="all", amount=1, seconds=0.01)])
    house.dispatcher(telegram)
    sent = await house.until(await house.enqueue("one|two|three"), "sent")
    assert (telegram.texts(), sent.maybe_duplicate) == (["one", "two", "three"], False)


async def test_without_rate_limits_nothing_waits_for_them(house: House) -> None:
    telegram = Platform("telegram", limits=lambda _: [Limit(key="all", amount=1, seconds=3600)])
    house.dispatcher(telegram, settings=DeliverySettings(rate_limits=False))
    await house.all_sent([await house.enqueue("one|two"), await house.enqueue("three", "43")])
