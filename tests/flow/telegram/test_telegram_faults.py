"""What goes wrong on the way to Telegram, and what it means: refused, later, or not known."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from assistant.contracts.channels import ChannelFailed, SendFailed, SendLater, SendRefused, SendUnclear, SendUndecided
from tests.doubles.telegram_api.faults import Fault
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.telegram.rig import Rig, event, sending


async def failure(rig: Rig, **settings: Any) -> SendFailed:
    with pytest.raises(SendFailed) as failed:
        await rig.send(rig.open(**settings), event("a secret"))
    assert rig.server.token not in failed.value.trouble.words
    assert "a secret" not in failed.value.trouble.words
    return failed.value


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (400, "Bad Request: chat not found", "chat_not_found"),
        (400, "Bad Request: message thread not found", "thread_not_found"),
        (400, "Bad Request: not enough rights to send text messages to the chat", "no_rights"),
        (400, "Bad Request: something new", "refused"),
        (403, "Forbidden: bot was blocked by the user", "blocked"),
        (403, "Forbidden: user is deactivated", "user_deactivated"),
        (403, "Forbidden: bot was kicked from the supergroup chat", "kicked"),
        (403, "Forbidden: bot can't initiate conversation with a user", "never_started"),
        (413, "Request Entity Too Large", "too_large"),
    ],
)
async def test_what_telegram_will_never_take_is_refused(rig: Rig, server: TelegramServer, code: int, said: str, expected: str):
    server.fail(Fault(code=code, description=said))
    refused = await failure(rig)
    assert isinstance(refused, SendRefused)
    assert refused.trouble.code == expected
    assert server.ledger == []


async def test_who_has_not_written_first_is_said_to_have_to(rig: Rig, server: TelegramServer):
    server.fail(Fault(code=400, description="Bad Request: chat not found"))
    words = (await failure(rig)).trouble.words
    assert words.startswith("Telegram refused it: chat not found (a bot can write only to people who have written to it first")


async def test_a_flood_wait_is_told_to_the_second(rig: Rig, server: TelegramServer):
    server.fail(Fault.flood(3600))
    later = await failure(rig)
    assert isinstance(later, SendLater)
    assert (later.trouble.code, later.retry_after, later.counts, later.whole_channel) == ("flood_wait", 3600, False, False)


@pytest.mark.parametrize(("code", "counts"), [(500, True), (503, True), (429, False)])
async def test_what_telegram_did_not_take_now_is_for_later(rig: Rig, server: TelegramServer, code: int, counts: bool):
    server.fail(Fault(code=code, description="no"))
    later = await failure(rig)
    assert isinstance(later, SendLater)
    assert (later.retry_after, later.counts) == (None, counts)
    assert server.ledger == []


async def test_a_revoked_token_stops_the_channel_and_loses_no_message(rig: Rig, server: TelegramServer):
    later = await failure(rig, token="123456:another")
    assert isinstance(later, SendLater)
    assert (later.trouble.code, later.counts, later.whole_channel) == ("unauthorized", False, True)


async def test_without_a_network_nothing_was_accepted(rig: Rig, server: TelegramServer):
    await server.vanish()
    later = await failure(rig)
    assert isinstance(later, SendLater)
    assert (later.trouble.code, later.counts, later.whole_channel) == ("network", False, True)


async def test_a_proxy_is_used_and_where_it_is_not_there_nothing_was_accepted(rig: Rig, server: TelegramServer):
    elsewhere: dict[str, Any] = {"apiBase": "http://api.telegram.invalid", "extraHeaders": {"X-Door": "open"}}
    await rig.send(rig.open(proxy=server.url, **elsewhere), event())
    assert server.texts(42) == ["hello"]
    assert server.last_headers["X-Door"] == "open"
    assert server.last_headers["User-Agent"].startswith("nanobot/")
    await server.vanish()
    assert isinstance(await failure(rig, proxy=server.url, **elsewhere), SendLater)


@pytest.mark.parametrize(
    ("fault", "arrived"),
    [
        (Fault(kind="reset_before"), 0),
        (Fault(kind="reset_after"), 1),
        (Fault(kind="garbage"), 1),
        (Fault(code=502, description="Bad Gateway"), 0),
        (Fault(code=504, description="Gateway Timeout"), 0),
    ],
    ids=["reset before", "reset after", "garbage", "502", "504"],
)
async def test_where_no_answer_came_it_is_not_known(rig: Rig, server: TelegramServer, fault: Fault, arrived: int):
    server.fail(replace(fault))
    assert isinstance(await failure(rig), SendUnclear)
    assert len(server.ledger) == arrived


@pytest.mark.parametrize(("fault", "arrived"), [(Fault(kind="hang_before"), 0), (Fault(kind="hang_after"), 1)], ids=["before", "after"])
async def test_a_request_that_hangs_is_given_up_and_not_known(rig: Rig, server: TelegramServer, fault: Fault, arrived: int):
    server.fail(replace(fault))
    assert isinstance(await failure(rig, answer_seconds=0.5), SendUnclear)
    await server.until(lambda: len(server.ledger) >= arrived)
    assert len(server.ledger) == arrived


async def test_an_edit_that_is_not_known_may_be_done_again(rig: Rig, server: TelegramServer):
    channel = rig.open()
    (preview,) = await rig.send(channel, event("hel"))
    server.fail(Fault(kind="reset_after", method="edit"))
    final = event("hello", replaces=preview.message_id)
    with pytest.raises(SendLater):
        await rig.send(channel, final)
    await rig.send(channel, final)
    assert server.texts(42) == ["hello"]


async def test_what_takes_the_place_of_a_preview_that_is_gone_is_not_sent_twice_without_a_decision(rig: Rig, server: TelegramServer):
    channel, final = rig.open(), event("hello", replaces="77")
    server.fail(Fault(kind="reset_after", method="sendMessage"))
    with pytest.raises(SendUnclear):
        await rig.send(channel, final)
    again = replace(sending(final, channel.plan(final)[0]), again=datetime.now(UTC))
    with pytest.raises(SendUndecided):
        await channel.send(again)
    assert server.texts(42) == ["hello"]
    await channel.send(replace(again, repeat=True))
    assert server.texts(42) == ["hello", "hello"]


async def test_one_blocked_chat_is_refused_and_others_are_not(rig: Rig, server: TelegramServer):
    server.fail(Fault.blocked(42))
    channel = rig.open()
    for _ in range(2):
        with pytest.raises(SendRefused):
            await rig.send(channel, event())
    await rig.send(channel, event(chat_id=43))
    assert server.texts(43) == ["hello"]


async def test_a_slow_request_does_not_hold_up_another_chat(rig: Rig, server: TelegramServer):
    server.fail(Fault(kind="hang_before", chat_id=42))
    channel = rig.open()
    stuck = asyncio.create_task(rig.send(channel, event()))
    await server.until(lambda: len(server.requests) == 1)
    await rig.send(channel, event(chat_id=43))
    assert server.texts(43) == ["hello"]
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)


async def test_who_the_token_belongs_to_is_told_or_why_not(rig: Rig, server: TelegramServer):
    assert await rig.open().identity() == "@test_bot (123456)"
    with pytest.raises(ChannelFailed) as failed:
        await rig.open(token="123456:another").identity()
    assert failed.value.fatal
    await server.vanish()
    with pytest.raises(ChannelFailed) as failed:
        await rig.open().identity()
    assert not failed.value.fatal


async def test_no_log_holds_the_token_or_what_was_said(rig: Rig, server: TelegramServer, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    channel = await rig.run()
    server.say(42, "a secret")
    await rig.link.received(1)
    await rig.send(channel, event("a secret"))
    server.fail(Fault(kind="garbage"), Fault(code=400, description="Bad Request: can't parse entities: no"))
    with pytest.raises(SendUnclear):
        await rig.send(channel, event("a secret"))
    await rig.send(channel, event("a secret"))
    server.deliver_raw({"update_id": 5000, "message": {"text": "a secret"}})
    server.say(42, "behind it")
    await rig.link.received(2)
    assert "forms.refused" in caplog.text
    assert "bad_update" in caplog.text
    assert server.token not in caplog.text
    assert "a secret" not in caplog.text
