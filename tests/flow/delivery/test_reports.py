"""Reports of platforms, in a process that runs: one that is quicker than the receipt is looked up once more, and what fails by one is told."""

import logging

import pytest

from assistant.contracts.metrics import DELIVERIES, Metrics
from assistant.delivery.reports import DeliveryReports
from tests.clocks import TurnedLoop
from tests.doubles.platform import Platform
from tests.flow.delivery.house import House, until


async def test_a_report_that_is_quicker_than_the_receipt_is_not_lost(house: House) -> None:
    loop, telegram, metrics = TurnedLoop(), Platform(), Metrics()
    reports = DeliveryReports(house.store.outbox, metrics=metrics, again_after=60)
    house.dispatcher(telegram)
    telegram.gate.clear()
    event_id = await house.enqueue("hello")
    await telegram.was_tried(1)
    await reports.undelivered("telegram", "1", "blocked", "They blocked the bot.")
    telegram.gate.set()
    await house.until(event_id, "sent")
    loop.turn(60)
    delivery = await house.until_state(event_id, "failed")
    assert delivery.trouble is not None
    assert delivery.trouble.code == "blocked"
    assert metrics.counts[DELIVERIES.name]["telegram", "failed"] == 1
    await reports.close()


async def test_a_report_of_an_unknown_message_is_logged_and_ignored(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reports = DeliveryReports(house.store.outbox, again_after=0.0)
    await reports.undelivered("telegram", "unknown", "blocked", "They blocked the bot.")
    await reports.delivered("telegram", "unknown", read=True)
    await until(lambda: caplog.text.count("delivery.report_of_unknown channel=telegram") == 2)
    assert "They blocked" not in caplog.text
    await reports.close()
    await reports.close()
