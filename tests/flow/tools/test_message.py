"""The message tool: accepted at once and once, and a result that is true."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.outbox import DeliveryError, Origin, Settlement
from assistant.contracts.util import derived_id

from .conftest import API, Desk, in_chat

TO: dict[str, Any] = {"channel": "telegram", "chat_id": "123456789"}


async def test_it_says_that_it_was_sent_only_with_a_receipt(desk: Desk) -> None:
    desk.receipt_wait = 30
    calling = asyncio.create_task(desk.call(content="Done.", **TO))
    await desk.until_kept()
    await desk.outbox.settle("telegram:123456789")
    result = await calling
    assert (result.ok, result.text) == (True, "Message to telegram:123456789: sent (message 42)")


async def test_what_is_not_sent_within_the_wait_is_said_to_be_queued(desk: Desk) -> None:
    result = await desk.call(content="Done.", **TO)
    assert result.text.startswith("Message to telegram:123456789: queued: it has not been sent yet")


async def test_a_refusal_is_told_as_one(desk: Desk) -> None:
    desk.receipt_wait = 30
    calling = asyncio.create_task(desk.call(content="Done.", **TO))
    await desk.until_kept()
    trouble = DeliveryError(code="chat_not_found", words="Telegram knows no such chat.")
    await desk.outbox.settle("telegram:123456789", Settlement(state="failed", trouble=trouble))
    assert (await calling).text == "Message to telegram:123456789: failed: Telegram knows no such chat"


async def test_a_channel_that_is_off_keeps_the_message_and_says_that_nothing_is_delivered(desk: Desk) -> None:
    desk.outbox.enabled.clear()
    desk.receipt_wait = 60
    result = await desk.call(content="Done.", **TO)
    assert "queued, but the telegram channel is not enabled: nothing will be delivered until it is" in result.text
    (kept,) = await desk.kept()
    assert kept.event.origin == Origin(kind="tool", owner="local", session="api:s", turn_id="turn_1")


async def test_the_same_call_made_again_after_a_crash_is_the_same_message(desk: Desk) -> None:
    await desk.call(content="Done.", **TO)
    again = await desk.call(replace(API, call_id="another id of the model"), content="Done.", **TO)
    assert again.ok
    (kept,) = await desk.kept()
    assert kept.event.id == derived_id("evt", "turn_1", "1.0")


async def test_a_call_that_says_something_else_the_second_time_is_told_what_was_sent(desk: Desk) -> None:
    await desk.call(content="Done.", **TO)
    again = await desk.call(content="Something else.", **TO)
    assert "yours was not sent. It began: 'Done.'" in again.text
    assert len(await desk.kept()) == 1


async def test_two_calls_of_a_turn_are_two_messages_in_order(desk: Desk) -> None:
    await desk.call(content="One.", **TO)
    await desk.call(replace(API, call_place="2"), content="Two.", **TO)
    assert [each.event.text for each in await desk.kept()] == ["Two.", "One."]


async def test_an_api_turn_must_say_whom_to(desk: Desk) -> None:
    incomplete: list[dict[str, Any]] = [{"thread_id": "1"}, {"channel": "telegram"}, {"chat_id": "123456789"}]
    for arguments in incomplete:
        result = await desk.call(content="Hi.", **arguments)
        assert not result.ok
        assert "channel and chat_id are both needed here. No channel is enabled" in result.text


async def test_a_chats_turn_writes_to_its_own_chat_and_thread_unless_it_says_otherwise(desk: Desk) -> None:
    desk.policy = "known"
    ctx = in_chat("-100123", "7")
    await desk.call(ctx, content="Here.")
    await desk.call(replace(ctx, call_place="2"), content="Another topic.", thread_id="9")
    await desk.call(replace(ctx, call_place="3"), content="By name.", channel="Telegram", chat_id=-100123)
    assert [each.event.address for each in reversed(await desk.kept())] == [
        Address(channel="telegram", chat_id="-100123", thread_id="7"),
        Address(channel="telegram", chat_id="-100123", thread_id="9"),
        Address(channel="telegram", chat_id="-100123"),
    ]
    elsewhere = await desk.call(replace(ctx, call_place="4"), content="Hi.", channel="discord")
    assert "channel and chat_id are both needed" in elsewhere.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"channel": "pigeon"}, 'There is no channel "pigeon". There are: telegram, discord, webhook, apprise.'),
        ({"channel": "api", "chat_id": "default"}, 'There is no channel "api".'),
        ({"chat_id": "my mother"}, "A Telegram chat_id is a number"),
        ({"content": " "}, "The message is empty"),
        ({"content": "x" * 100_001}, "content: String should have at most 100000 characters"),
        ({"media": ["../secret.txt"]}, "outside of the workspace"),
        ({"media": ["/etc/passwd"]}, "outside of the workspace"),
        ({"media": ["none.pdf"]}, "There is no file 'none.pdf' in the workspace"),
        ({"media": ["a"] * 11}, "media: List should have at most 10 items"),
        ({"buttons": [[{"text": "a", "url": "file:///etc/passwd"}]]}, "buttons.0.0"),
        ({"at": "2026-12-24T18:00:00"}, "does not say where it holds: add the offset from UTC"),
        ({"at": "2020-01-01T00:00:00Z"}, "is past"),
        ({"at": "2999-01-01T00:00:00Z"}, "more than a year away"),
        ({"at": "soon"}, "ISO 8601"),
    ],
)
async def test_what_can_not_be_sent_is_refused_in_words_and_nothing_is_kept(desk: Desk, arguments: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"content": "Hi.", **TO, **arguments}
    result = await desk.call(**given)
    assert not result.ok
    assert words in result.text
    assert await desk.kept() == []


async def test_a_message_for_later_is_scheduled_and_not_waited_for(desk: Desk) -> None:
    desk.receipt_wait = 60
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)
    result = await desk.call(content="Happy birthday!", at=at.isoformat(), **TO)
    assert result.text == "Message to telegram:123456789: scheduled: it will be sent in 5 h"
    (kept,) = await desk.kept()
    assert (kept.event.not_before, kept.event.expires_at) == (at, at + timedelta(hours=24))


async def test_files_and_buttons_go_with_it_as_they_were_when_it_was_accepted(desk: Desk) -> None:
    (desk.workspace / "week.txt").write_text("all is well")
    await desk.call(media=["week.txt"], buttons=[["Yes", {"text": "Look", "url": "https://example.org"}], ["No"]], **TO)
    (desk.workspace / "week.txt").write_text("changed")
    (kept,) = await desk.kept()
    (media,) = kept.event.media
    assert (media.name, media.size) == ("week.txt", 11)
    assert desk.outbox.store.media.path(media).read_text() == "all is well"
    assert [[button.text for button in row] for row in kept.event.buttons] == [["Yes", "Look"], ["No"]]
