"""The connection to Telegram: nothing is acknowledged before it is kept, and whatever breaks is waited out."""

import asyncio

import pytest

from assistant.contracts.channels import ChannelFailed
from tests.doubles.telegram_api.faults import Fault
from tests.doubles.telegram_api.server import TelegramServer
from tests.doubles.telegram_api.thread import telegram_in_thread
from tests.flow.telegram.rig import Rig, event


async def test_the_offset_moves_behind_what_was_accepted_only(rig: Rig, server: TelegramServer):
    rig.link.refuse = 2
    await rig.run()
    server.say(42, "one")
    server.say(42, "two")
    await rig.link.received(2)
    assert [message.text for message in rig.link.messages] == ["one", "two"]
    assert "store" in await rig.link.state("degraded")
    await server.until(lambda: not server.updates)
    assert rig.link.states[-1] == ("connected", "@test_bot (123456)")


async def test_what_a_stopped_process_had_not_acknowledged_comes_again_with_the_same_id(rig: Rig, server: TelegramServer):
    await rig.run()
    await server.until(lambda: len(server.asked_offsets) > 0)  # the poll that will bring it
    said = server.say(42, "one")
    server.fail(Fault(method="getUpdates", code=500))  # the answer that would have acknowledged it
    await rig.link.received(1)
    await rig.stop()
    assert [update["message"] for update in server.updates] == [said]
    await rig.run()
    first, again = await rig.link.received(2)
    assert first.external_id == again.external_id


async def test_an_update_that_cannot_be_read_is_in_nobodys_way(rig: Rig, server: TelegramServer, caplog: pytest.LogCaptureFixture):
    await rig.run()
    server.deliver_raw({"update_id": 900, "message": {"message_id": "x"}})
    server.deliver_raw({"update_id": 901, "message": {"message_id": 1, "date": 10**30, "chat": {"id": 1, "type": "private"}}})
    server.deliver_raw({"update_id": 902, "message": ["no", "message"]})
    server.deliver_raw({"update_id": 903, "message": None})
    server.say(42, "fine")
    assert [message.text for message in await rig.link.received(1)] == ["fine"]
    await server.until(lambda: not server.updates)
    assert caplog.text.count("telegram.bad_update") == 3


async def test_an_update_that_breaks_the_inbox_each_time_is_given_up(rig: Rig, server: TelegramServer, caplog: pytest.LogCaptureFixture):
    channel = rig.open()
    rig.link.breaks_on = "poison"
    server.say(42, "poison")
    server.say(42, "behind it")
    for _ in range(3):
        with pytest.raises(LookupError):
            await rig.start(channel)
    rig.start(channel)
    assert [message.text for message in await rig.link.received(1)] == ["behind it"]
    assert "channel.message_given_up channel=telegram" in caplog.text


async def test_a_lost_network_is_waited_out(rig: Rig, server: TelegramServer):
    await rig.run()
    await server.vanish()
    assert "can't be reached" in await rig.link.state("degraded")
    await server.come_back()
    server.say(42, "while you were away")
    await rig.link.received(1)
    await rig.link.until(lambda: rig.link.states[-1][0] == "connected")


async def test_another_poller_is_named_as_what_it_is(rig: Rig, server: TelegramServer):
    server.fail(Fault(method="getUpdates", code=409, description="Conflict: terminated by other getUpdates request"))
    await rig.run()
    assert "Another program asks for this bot's messages" in await rig.link.state("degraded")
    await rig.link.until(lambda: rig.link.states[-1][0] == "connected")


async def test_the_second_poller_ends_the_wait_of_the_first(rig: Rig, server: TelegramServer):
    await rig.run()
    await server.until(lambda: len(server.asked_offsets) == 1)
    await rig.run()
    assert "Another program" in await rig.link.state("degraded")


async def test_a_webhook_that_somebody_had_set_is_removed_at_the_start_and_named_later(rig: Rig, server: TelegramServer):
    server.webhook = {"url": "https://elsewhere.example"}
    await rig.run()
    assert server.webhook == {}
    server.webhook = {"url": "https://elsewhere.example"}
    server.woken()
    server.say(42, "hello")
    assert "webhook" in await rig.link.state("degraded")
    server.webhook = {}
    await rig.link.received(1)


async def test_a_token_that_is_not_known_ends_the_channel_for_good(rig: Rig):
    with pytest.raises(ChannelFailed) as failed:
        await rig.start(rig.open(token="123456:another"))
    assert failed.value.fatal
    assert "@BotFather" in str(failed.value)


async def test_a_token_that_is_revoked_while_it_is_used_ends_the_channel_for_good(rig: Rig, server: TelegramServer):
    channel = rig.open()
    running = rig.start(channel)
    await rig.link.state("connected")
    server.fail(Fault(method="getUpdates", code=401, description="Unauthorized", times=None))
    server.say(42, "hello")  # ends the wait
    with pytest.raises(ChannelFailed) as failed:
        async with asyncio.timeout(30):
            await running
    assert failed.value.fatal


async def test_where_telegram_is_not_reached_at_the_start_it_is_said(rig: Rig, server: TelegramServer):
    await server.vanish()
    with pytest.raises(ChannelFailed) as failed:
        await rig.start(rig.open())
    assert not failed.value.fatal


async def test_messages_go_out_before_and_without_a_connection(rig: Rig, server: TelegramServer):
    await rig.send(rig.open(), event())
    assert server.texts(42) == ["hello"]


async def test_closing_twice_does_no_harm(rig: Rig):
    channel = rig.open()
    await channel.close()
    await channel.close()


async def test_the_stand_in_serves_from_a_thread_too(rig: Rig):
    def work() -> list[str]:
        with telegram_in_thread(latency=0.001) as server:
            server.fail(Fault.flood(1))

            async def talk() -> None:
                other = Rig(server, rig.files.path(rig.files.add("a", b"a", "text/plain")).parent)
                channel = await other.run()
                server.say(42, "hello")
                await other.link.received(1)
                with pytest.raises(Exception, match="wait 1 s"):
                    await other.send(channel, event("one"))
                await other.send(channel, event("two"))
                await other.stop()

            asyncio.run(talk())
            return server.texts(42)

    assert await asyncio.to_thread(work) == ["two"]
