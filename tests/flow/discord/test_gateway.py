"""The connection: lost, taken up again, refused; and what was written meanwhile."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from assistant.contracts.channels import ChannelFailed
from channels.discord.rest import Waits
from tests.doubles.discord_api.server import DiscordApi
from tests.doubles.live_server import free_port
from tests.flow.discord.conftest import QUICK, Kept, Rig, sending


async def test_a_lost_connection_is_taken_up_where_it_was(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    async with rig.running() as (_, kept):
        assert kept.states == [("connected", f"nanobot ({world.me['id']})")]
        world.write(chat, alice, "one")
        await kept.has("one")
        await rig.api.gateway.drop()
        world.write(chat, alice, "two")
        await kept.has("one", "two")
        await kept.until(lambda: [state for state, _ in kept.states] == ["connected", "degraded", "connected"])
        await rig.api.gateway.ask_to_reconnect()
        await rig.api.until(lambda: rig.api.gateway.resumed == 2)
        world.write(chat, alice, "three")
        await kept.has("one", "two", "three")
    assert len(rig.api.gateway.identified) == 1


async def test_what_a_lost_session_did_not_tell_is_asked_for_before_what_comes_next(rig: Rig) -> None:
    world = rig.api.world
    alice, me = world.user("alice"), world.me["id"]
    chat = world.dm(alice)
    guild = world.guild("Home")
    room, other = world.text_channel(guild, "general"), world.text_channel(guild, "other")
    thread = world.thread(room, "topic")
    async with rig.running() as (_, kept):
        world.write(chat, alice, "one")
        await kept.has("one")
        await rig.api.gateway.drop(resumable=False)
        world.write(chat, alice, "two")
        world.write(thread, alice, f"<@{me}> three")
        world.write(room, alice, "not for us")
        world.write(other, alice, f"<@{me}> four")
        world.write(chat, alice, "five")
        await rig.api.until(lambda: len(rig.api.gateway.identified) == 2)
        world.write(chat, alice, "six")
        messages = await kept.has("one", "two", "three", "four", "five", "six")
    assert [message.private for message in messages] == [True, True, False, False, True, True]
    assert messages[2].address.thread_id == thread["id"]


async def test_a_session_that_is_lost_at_once_leaves_nothing_that_fails(rig: Rig) -> None:
    async with rig.running(waits=replace(QUICK, guilds=0.3)) as (_, kept):
        await rig.api.gateway.drop(resumable=False)
        await kept.until(lambda: [state for state, _ in kept.states] == ["connected", "degraded", "connected"])
    left = [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == "_delay_ready"]
    assert await asyncio.gather(*left, return_exceptions=True) == [None] * len(left)


async def test_an_invalid_session_is_made_anew(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    async with rig.running() as (_, kept):
        world.write(chat, alice, "one")
        await kept.has("one")
        await rig.api.gateway.invalidate()
        world.write(chat, alice, "two")
        await kept.has("one", "two")
    assert len(rig.api.gateway.identified) == 2


async def test_after_a_restart_what_came_since_is_asked_for_but_not_what_is_old(rig: Rig) -> None:
    world, now = rig.api.world, datetime.now(UTC)
    alice, bob = world.user("alice"), world.user("bob")
    chat, quiet = world.dm(alice), world.dm(bob)
    kept = Kept()
    accepted = world.write(chat, alice, "answered", at=now - timedelta(hours=30))
    heard = world.write(quiet, bob, "answered too", at=now - timedelta(hours=2))
    kept.before = {chat["id"]: accepted["id"], quiet["id"]: heard["id"], "1187654321098765432": "1187654321098765433"}
    world.write(chat, alice, "yesterday", at=now - timedelta(hours=25))
    for number in range(250):
        world.write(chat, alice, f"missed {number}", at=now - timedelta(hours=1) + timedelta(seconds=number))
    edited = world.write(chat, alice, "a first word", at=now - timedelta(minutes=2))
    world.edit(edited, "edited since")
    async with rig.running(kept):
        await kept.until(lambda: len(kept.messages) >= 251)
    assert kept.texts == [*[f"missed {number}" for number in range(250)], "edited since"]
    assert f"GET /channels/{quiet['id']}/messages" not in rig.api.faults.seen, "it has nothing new"


async def test_at_the_first_start_nothing_old_is_dug_up(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    room = world.text_channel(world.guild("Home"), "general")
    world.write(room, alice, f"<@{world.me['id']}> long before you came")
    async with rig.running() as (_, kept):
        world.write(room, alice, f"<@{world.me['id']}> now")
        await kept.has("now")


async def test_a_history_that_cannot_be_read_at_once_is_asked_for_again(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    kept = Kept()
    kept.before = {chat["id"]: world.write(chat, alice, "answered", at=datetime.now(UTC) - timedelta(hours=1))["id"]}
    world.write(chat, alice, "missed", at=datetime.now(UTC) - timedelta(minutes=5))
    rig.api.faults.add("answer", f"GET /channels/{chat['id']}", status=503, times=2)
    rig.api.faults.add("reset", f"GET /channels/{chat['id']}/messages", times=2)
    async with rig.running(kept):
        world.write(chat, alice, "live")
        await kept.has("missed", "live")


async def test_a_server_that_is_out_of_reach_is_never_taken_for_a_private_chat(rig: Rig) -> None:
    world = rig.api.world
    alice, me = world.user("alice"), world.me["id"]
    room = world.text_channel(world.guild("Home"), "general")
    kept = Kept()
    kept.before = {room["id"]: world.write(room, alice, "answered", at=datetime.now(UTC) - timedelta(hours=1))["id"]}
    world.write(room, alice, f"<@{me}> missed")
    rig.api.gateway.out_of_reach = True
    async with rig.running(kept):
        world.write(world.dm(alice), alice, "meanwhile")
        await kept.has("meanwhile")
        rig.api.gateway.reach(world)
        _, missed = await kept.has("meanwhile", "missed")
    assert not missed.private


async def test_a_broken_message_stops_nobody(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    kept = Kept()
    kept.before = {chat["id"]: world.write(chat, alice, "answered", at=datetime.now(UTC) - timedelta(hours=1))["id"]}
    world.write(chat, alice, "broken", at=datetime.now(UTC) - timedelta(minutes=5))["author"] = {"id": "not a number"}
    world.write(chat, alice, "whole", at=datetime.now(UTC) - timedelta(minutes=4))
    async with rig.running(kept):
        await kept.has("whole")


async def test_a_message_that_meets_a_bug_each_time_is_given_up(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    kept = Kept()
    kept.bug_at = "poison"
    kept.before = {chat["id"]: world.write(chat, alice, "answered", at=datetime.now(UTC) - timedelta(hours=1))["id"]}
    world.write(chat, alice, "poison")
    world.write(chat, alice, "behind it")
    async with rig.open() as channel, asyncio.timeout(60):
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await channel.run(kept)
        run = asyncio.create_task(channel.run(kept))
        await kept.has("behind it")
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def test_a_gateway_that_says_no_goodbye_is_left_all_the_same(rig: Rig) -> None:
    async with asyncio.timeout(20):  # discord.py of itself waits 30 s
        async with rig.running():
            rig.api.gateway.says_goodbye = False


async def test_a_refused_token_is_fatal_and_says_what_to_do(rig: Rig) -> None:
    failed = await rig.failing(token="wrong")
    assert failed.fatal
    assert "channels.discord.token" in str(failed)
    rig.api.gateway.closes_with = 4004
    assert (await rig.failing()).fatal


async def test_a_token_revoked_while_connected_is_fatal(rig: Rig) -> None:
    kept = Kept()
    async with rig.open() as channel, asyncio.timeout(60):
        run = asyncio.create_task(channel.run(kept))
        await kept.until(lambda: kept.states)
        await rig.api.revoke()
        with pytest.raises(ChannelFailed, match=r"channels\.discord\.token") as failed:
            await run
    assert failed.value.fatal


async def test_a_missing_intent_is_fatal_and_named(rig: Rig) -> None:
    rig.api.gateway.content_allowed = False
    failed = await rig.failing()
    assert failed.fatal
    assert "Message Content Intent" in str(failed)


async def test_what_can_be_reached_later_is_not_fatal(rig: Rig) -> None:
    async with DiscordApi(port=free_port()) as gone:
        nowhere = gone.settings()
    assert not (await rig.failing(apiBase=nowhere["apiBase"])).fatal
    rig.api.faults.add("answer", "GET /users/@me", status=503)
    assert not (await rig.failing()).fatal
    rig.api.gateway.refuses = True
    assert not (await rig.failing()).fatal
    rig.api.gateway.refuses = False
    async with rig.running():
        pass


async def test_a_connection_that_stays_lost_is_given_up_for_a_new_one(rig: Rig) -> None:
    kept = Kept()
    async with rig.open(Waits(lost=0.3)) as channel, asyncio.timeout(60):
        run = asyncio.create_task(channel.run(kept))
        await kept.until(lambda: kept.states)
        rig.api.gateway.refuses = True
        await rig.api.gateway.drop()
        with pytest.raises(ChannelFailed, match="no connection") as failed:
            await run
    assert not failed.value.fatal
    assert [state for state, _ in kept.states] == ["connected", "degraded"]


async def test_a_gateway_that_breaks_off_every_connection_is_left_alone(rig: Rig) -> None:
    kept = Kept()
    async with rig.open() as channel, asyncio.timeout(60):
        run = asyncio.create_task(channel.run(kept))
        await kept.until(lambda: kept.states)
        rig.api.gateway.closes_with = 4000
        await rig.api.gateway.drop()
        with pytest.raises(ChannelFailed, match="every connection"):
            await run
    assert rig.api.gateway.connections < 40


async def test_sending_needs_no_gateway(rig: Rig) -> None:
    rig.api.gateway.refuses = True
    async with rig.open() as channel:
        await channel.send(sending(rig.api.world.dm(rig.api.world.user("alice"))))
    assert len(rig.api.world.ledger) == 1
    assert rig.api.gateway.connections == 0
