"""Lanes: in order within a chat, never waiting for another chat or another channel."""

import asyncio
from datetime import timedelta

from assistant.contracts.channels import SendLater, SendRefused
from assistant.testing.platform import Platform
from tests.flow.delivery.house import HOUR, House


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
    later, soon = house.event("later", not_before=HOUR), house.event("soon", not_before=timedelta(milliseconds=150))
    await house.store.outbox.enqueue([later, soon])
    now = await house.enqueue("now")
    await house.all_sent([now, soon.id])
    assert (await house.delivery(later.id)).state == "queued"
    house.turn(HOUR)
    await house.until(later.id, "sent")
    assert telegram.texts() == ["now", "soon", "later"]
