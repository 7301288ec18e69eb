"""Parts, receipts, and what may have arrived."""

from datetime import timedelta

import pytest

from assistant.contracts.channels import SendLater, SendRefused, SendUnclear
from assistant.contracts.outbox import OutboundEvent
from assistant.delivery.sender import part_key
from assistant.delivery.settings import DeliverySettings
from tests.doubles.platform import Platform
from tests.flow.delivery.house import HOUR, House

HOLD = DeliverySettings(ambiguous="hold")
NOT_NOW = SendLater("server_error", "The platform failed.")
NO_ANSWER = SendUnclear("timeout", "No answer came.")


async def test_every_part_has_a_receipt_of_its_own(house: House, telegram: Platform) -> None:
    house.dispatcher(telegram)
    sent = await house.until(await house.enqueue("one|two|three"), "sent")
    assert [part.receipt.message_id for part in sent.parts if part.receipt] == ["1", "2", "3"]
    assert (telegram.texts(), sent.trouble, sent.maybe_duplicate, sent.attempts) == (["one", "two", "three"], None, False, 1)


async def test_a_retry_goes_on_at_the_part_that_failed(house: House, telegram: Platform) -> None:
    house.dispatcher(telegram)
    telegram.fail("three", NOT_NOW, NO_ANSWER)
    event = await house.enqueue("one|two|three|four")
    waits = await house.until(event, "queued", trouble="server_error")
    assert [part.receipt is not None for part in waits.parts] == [True, True, False, False]
    house.turn(HOUR)
    await house.until(event, "queued", trouble="timeout")
    house.turn(HOUR)
    sent = await house.until(event, "sent")
    assert telegram.texts() == ["one", "two", "three", "four"]
    assert [sending.first for sending in telegram.tried] == [None, *["1"] * (len(telegram.tried) - 1)]
    assert sent.maybe_duplicate  # "three" may have arrived by the try that got no answer


async def test_a_message_is_planned_once(house: House, telegram: Platform) -> None:
    planned: list[str] = []
    telegram.planning = lambda event: planned.append(event.text)
    telegram.fail("two", NOT_NOW)
    house.dispatcher(telegram)
    event = await house.enqueue("one|two")
    await house.until(event, "queued", trouble="server_error")
    house.turn(HOUR)
    await house.until(event, "sent")
    assert planned == ["one|two"]


async def test_a_plan_that_can_not_be_made_fails_in_its_own_words(house: House, telegram: Platform) -> None:
    def refuse(_: OutboundEvent) -> None:
        raise SendRefused("too_large", "The file is too large for Telegram.")

    telegram.planning = refuse
    house.dispatcher(telegram)
    failed = await house.until(await house.enqueue("hello"), "failed", trouble="too_large")
    assert failed.trouble is not None
    assert (failed.trouble.words, telegram.tried) == ("The file is too large for Telegram.", [])


async def test_a_bug_in_a_plan_fails_its_event_alone_and_is_logged_without_words(
    house: House, telegram: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(event: OutboundEvent) -> None:
        if event.text == "private":
            raise LookupError(event.text)

    telegram.planning = break_down
    house.dispatcher(telegram)
    bad, good = await house.enqueue("private"), await house.enqueue("fine")
    await house.until(bad, "failed", trouble="internal_error")
    await house.until(good, "sent")
    assert f"delivery.plan_bug event={bad} error=LookupError at" in caplog.text
    assert "private" not in caplog.text


async def test_a_bug_in_a_send_may_have_sent_it(house: House, telegram: Platform, caplog: pytest.LogCaptureFixture) -> None:
    telegram.fail("42", LookupError("private"), accepted=True)
    house.dispatcher(telegram)
    event = await house.enqueue("hello")
    waits = await house.until(event, "queued", trouble="internal_error")
    assert waits.parts[0].started is not None
    house.turn(HOUR)
    assert (await house.until(event, "sent")).maybe_duplicate
    assert "delivery.send_bug" in caplog.text
    assert "private" not in caplog.text


async def test_where_the_platform_knows_the_key_a_repeat_gives_no_second_message(house: House) -> None:
    discord = Platform("discord", keyed=True)
    discord.fail("42", NO_ANSWER, accepted=True)
    house.dispatcher(discord, settings=HOLD)
    event = await house.enqueue("hello", channel="discord")
    waits = await house.until(event, "queued", trouble="timeout")
    house.turn(timedelta(seconds=5))
    sent = await house.until(event, "sent")
    first, second = discord.tried
    assert (first.key, first.again, second.again) == (second.key, None, waits.parts[0].started)
    assert (len(discord.ledger), sent.maybe_duplicate) == (1, False)


@pytest.mark.parametrize("keyed", [True, False])
async def test_later_tries_do_not_make_an_earlier_one_certain(house: House, keyed: bool) -> None:
    platform = Platform("discord", keyed=keyed)
    platform.fail("42", NO_ANSWER, NOT_NOW, NO_ANSWER)
    house.dispatcher(platform)
    event = await house.enqueue("hello", channel="discord")
    first = (await house.until(event, "queued", trouble="timeout")).parts[0].started
    for attempts, code in ((2, "server_error"), (3, "timeout")):
        house.turn(HOUR)
        waits = await house.until(event, "queued", trouble=code, attempts=attempts)
        assert waits.parts[0].started == first is not None
    house.turn(HOUR)
    await house.until(event, "sent")
    assert [sending.again for sending in platform.tried] == [None, first, first, first]


async def test_an_answer_that_never_came_is_sent_again_and_marked(house: House, telegram: Platform) -> None:
    telegram.fail("42", NO_ANSWER, accepted=True)
    house.dispatcher(telegram)
    event = await house.enqueue("hello")
    waits = await house.until(event, "queued", trouble="timeout")
    assert not waits.maybe_duplicate
    house.turn(HOUR)
    assert (await house.until(event, "sent")).maybe_duplicate
    assert telegram.texts() == ["hello", "hello"]


async def test_on_hold_it_is_not_sent_again_until_somebody_says_so(house: House, telegram: Platform) -> None:
    telegram.fail("42", NO_ANSWER)
    house.dispatcher(telegram, settings=HOLD)
    event = await house.enqueue("hello")
    unknown = await house.until(event, "unknown")
    assert (unknown.trouble is not None and unknown.trouble.code, unknown.maybe_duplicate) == ("timeout", False)
    await house.until(await house.enqueue("next"), "sent")
    assert telegram.texts() == ["next"]
    await house.store.outbox.retry(None, event, house.clock() + HOUR)
    assert (await house.until(event, "sent")).maybe_duplicate
    assert telegram.texts() == ["next", "hello"]


async def test_an_edit_is_harmless_to_repeat(house: House, telegram: Platform) -> None:
    house.dispatcher(telegram, settings=HOLD)
    await house.until(await house.enqueue("draft"), "sent")
    telegram.fail("42", NO_ANSWER, accepted=True)
    event = house.event("final|more", replaces="1")
    await house.store.outbox.enqueue([event])
    await house.until(event.id, "queued", trouble="timeout")
    house.turn(HOUR)
    sent = await house.until(event.id, "sent")
    assert (telegram.texts(), sent.maybe_duplicate) == (["final", "more"], False)
    assert [sending.replaces for sending in telegram.tried] == [None, "1", "1", None]


async def test_what_was_to_replace_a_message_that_is_gone_comes_twice_only_where_it_is_marked(house: House, telegram: Platform) -> None:
    telegram.fail("42", NO_ANSWER, accepted=True)
    house.dispatcher(telegram)
    event = house.event("final", replaces="99")
    await house.store.outbox.enqueue([event])
    await house.until(event.id, "queued", trouble="timeout")
    house.turn(HOUR)
    await house.until(event.id, "queued", trouble="preview_gone")
    house.turn(HOUR)
    sent = await house.until(event.id, "sent")
    assert (telegram.texts(), sent.maybe_duplicate) == (["final", "final"], True)


async def test_on_hold_it_is_not_sent_at_all(house: House, telegram: Platform) -> None:
    telegram.fail("42", NO_ANSWER, accepted=True)
    house.dispatcher(telegram, settings=HOLD)
    event = house.event("final", replaces="99")
    await house.store.outbox.enqueue([event])
    await house.until(event.id, "queued", trouble="timeout")
    house.turn(HOUR)
    await house.until(event.id, "unknown", trouble="preview_gone")
    assert telegram.texts() == ["final"]
    await house.store.outbox.retry(None, event.id, house.clock() + HOUR)
    assert (await house.until(event.id, "sent")).maybe_duplicate


async def test_what_could_not_be_sent_in_time_expires(house: House, telegram: Platform) -> None:
    telegram.fail_always("42", NOT_NOW)
    house.dispatcher(telegram)
    event = await house.enqueue("hello", expires=2 * HOUR)
    await house.until(event, "queued", trouble="server_error")
    tried = len(telegram.tried)
    house.turn(3 * HOUR)
    service_view = await house.until_state(event, "expired")
    assert (len(telegram.tried), service_view.ended is not None) == (tried, True)


def test_the_key_of_a_part_is_its_own_and_short() -> None:
    keys = {part_key(event, place) for event in ("evt_1", "evt_2") for place in range(3)}
    assert len(keys) == 6
    assert all(len(key) <= 25 and key.isalnum() for key in keys)
    assert part_key("evt_1", 0) == part_key("evt_1", 0)
