"""What the sender of a message learns, and when."""

import asyncio
from datetime import timedelta

import pytest

from assistant.contracts.channels import SendLater, SendRefused
from assistant.contracts.errors import DeliveryNotFound
from assistant.delivery.service import DeliveryService
from tests.doubles.platform import Platform
from tests.flow.delivery.house import HOUR, House


async def test_a_message_that_is_sent_says_so_with_its_receipt(house: House, telegram: Platform) -> None:
    service = house.service(house.dispatcher(telegram))
    delivery = await service.send(house.event("hello"))
    delivery = await service.outcome(delivery.event.id, 10)
    assert house.words(service, delivery) == "sent (message 1)"


async def test_a_refusal_says_why(house: House, telegram: Platform) -> None:
    telegram.fail("42", SendRefused("chat_not_found", "chat not found"))
    service = house.service(house.dispatcher(telegram))
    delivery = await service.outcome((await service.send(house.event("hello"))).event.id, 10)
    assert house.words(service, delivery) == "failed: chat not found"


async def test_a_wait_says_how_long(house: House, telegram: Platform) -> None:
    telegram.fail("42", SendLater("flood_wait", "Telegram asks to wait.", retry_after=30, counts=False))
    service = house.service(house.dispatcher(telegram))
    delivery = await service.outcome((await service.send(house.event("hello"))).event.id, 10)
    assert house.words(service, delivery) == "queued: attempt 1 met a flood wait, next in 30 s"


async def test_a_channel_that_is_not_enabled_is_said_at_once(house: House, telegram: Platform) -> None:
    service = house.service(house.dispatcher(telegram))
    async with asyncio.timeout(10):
        delivery = await service.outcome((await service.send(house.event("hello", channel="discord"))).event.id, 1000)
    words = "queued, but the discord channel is not enabled: nothing will be delivered until it is (it expires in 24 h)"
    assert house.words(service, delivery) == words


async def test_what_takes_longer_is_told_as_it_stands(house: House, telegram: Platform) -> None:
    telegram.hang("42", accepted=False)
    service = house.service(house.dispatcher(telegram))
    delivery = await service.send(house.event("hello"))
    await telegram.was_tried(1)
    delivery = await service.outcome(delivery.event.id, 0.02)
    assert house.words(service, delivery) == "being sent now: it is not known yet whether it arrives"


async def test_a_process_without_a_dispatcher_looks_for_the_outcome(house: House, telegram: Platform) -> None:
    house.dispatcher(telegram)
    command_line = DeliveryService(house.store.outbox, enabled=lambda _: True)
    delivery = await command_line.outcome((await command_line.send(house.event("hello"))).event.id, 10)
    assert delivery.state == "sent"


async def test_an_event_that_does_not_exist_has_no_outcome(house: House) -> None:
    with pytest.raises(DeliveryNotFound):
        await house.service(house.dispatcher()).outcome("evt_0", 1)


async def test_the_same_event_is_sent_once(house: House, telegram: Platform) -> None:
    service = house.service(house.dispatcher(telegram))
    event = house.event("hello")
    await asyncio.gather(*[service.send(event) for _ in range(10)])
    await service.outcome(event.id, 10)
    await service.send(event)
    await house.until(await house.enqueue("last"), "sent")
    assert telegram.texts() == ["hello", "last"]


async def test_what_is_scheduled_says_when(house: House, telegram: Platform) -> None:
    service = house.service(house.dispatcher(telegram))
    delivery = await service.send(house.event("hello", not_before=2 * HOUR + timedelta(seconds=1)))
    assert house.words(service, delivery) == "scheduled: it will be sent in 2 h"
