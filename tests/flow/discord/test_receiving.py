"""In: what people write, and what of it is for the assistant."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import COMMANDS, WITH_ARGUMENTS, Command, Quote
from tests.doubles.mutated import mutations
from tests.flow.discord.conftest import QUICK, Rig


async def test_a_direct_message_is_taken_in(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    async with rig.running() as (_, kept):
        written = world.write(world.dm(alice), alice, "hi")
        [message] = await kept.has("hi")
    assert message.external_id == message.message_id == written["id"]
    assert message.address == Address(channel="discord", chat_id=world.dm(alice)["id"])
    assert (message.sender.id, message.sender.name, message.private) == (alice["id"], "alice", True)
    assert message.command is None
    assert datetime.now(UTC) - message.at < timedelta(minutes=1)


async def test_in_a_server_only_what_is_for_us_is_taken_in(rig: Rig) -> None:
    world = rig.api.world
    alice, bob, me = world.user("alice"), world.user("bob"), world.me
    guild = world.guild("Home")
    room = world.text_channel(guild, "general")
    async with rig.running() as (_, kept):
        ours = world.write(room, me, "I said this.")
        world.write(room, alice, "among ourselves")
        world.write(room, alice, f"hello <@{bob['id']}>")
        world.write(room, alice, f"<@{me['id']}> what about <@{bob['id']}> <:smile:123456>?")
        world.write(room, alice, f"<@&{guild['roles'][1]['id']}> by the role")
        world.write(room, bob, "to your words", reply_to=ours["id"])
        world.write(room, alice, "@everyone look")
        world.write(room, alice, f"<@{me['id']}>")
        messages = await kept.has("what about @bob :smile:?", "by the role", "to your words", "@nanobot")
    assert {message.private for message in messages} == {False}
    assert {message.address for message in messages} == {Address(channel="discord", chat_id=room["id"])}
    assert messages[2].quote == Quote(text="I said this.", author="nanobot")


async def test_a_name_among_somebodys_words_is_no_address(rig: Rig) -> None:
    world = rig.api.world
    alice, eve = world.user("alice"), world.user("@1187654321098765432")
    room = world.text_channel(world.guild("Home"), "general")
    async with rig.running() as (_, kept):
        world.write(room, alice, f"<@{world.me['id']}> ask <@{eve['id']}> <:x1187654321098765432:123456>")
        await kept.has("ask @… :x…:")


async def test_which_servers_messages_are_heard_is_set(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    guild = world.guild("Home")
    room, other = world.text_channel(guild, "general"), world.text_channel(guild, "other")
    async with rig.running(groupPolicy="open", allowChannels=[room["id"]]) as (_, kept):
        world.write(other, alice, f"<@{world.me['id']}> elsewhere")
        world.write(room, alice, "anything")
        world.write(world.thread(room, "topic"), alice, "in a thread of it")
        await kept.has("anything", "in a thread of it")
    async with rig.running(groups="off") as (_, kept):
        world.write(room, alice, f"<@{world.me['id']}> hello")
        world.command(room, alice, "help")
        world.write(world.dm(alice), alice, "private")
        await kept.has("private")


async def test_bots_hooks_and_discord_itself_are_not_answered(rig: Rig) -> None:
    world = rig.api.world
    alice, other = world.user("alice"), world.user("other", bot=True)
    chat = world.dm(alice)
    async with rig.running() as (_, kept):
        world.write(chat, other, "from a machine")
        world.write(chat, world.me, "from ourselves")
        world.write(chat, alice, "from a hook", webhook_id="1187654321098765432")
        world.write(chat, alice, "pinned something", type=6)
        world.write(chat, alice, "from a person")
        await kept.has("from a person")


@pytest.mark.parametrize("told", [True, False])
async def test_a_thread_is_a_conversation_of_its_own_in_its_channel(rig: Rig, told: bool) -> None:
    world = rig.api.world
    alice = world.user("alice")
    room = world.text_channel(world.guild("Home"), "general")
    async with rig.running() as (channel, kept):
        thread = world.thread(room, "topic", told=told)
        world.write(thread, alice, f"<@{world.me['id']}> here")
        [message] = await kept.has("here")
        assert message.address == Address(channel="discord", chat_id=room["id"], thread_id=thread["id"])
        await channel.conversation.typing(message.address)
    assert world.typings == [thread["id"]]


async def test_files_stickers_voice_and_what_is_passed_on_come_along(rig: Rig) -> None:
    world = rig.api.world
    alice, bob = world.user("alice"), world.user("bob")
    chat = world.dm(alice)
    files = [
        ("a.png", "image/png", b"1"),
        ("b.pdf", "application/pdf", b"22"),
        ("c.mp4", "video/mp4", b"3"),
        ("d.txt", "text/plain; charset=utf-8", b"4"),
    ]
    sticker = {"id": "1187654321098765432", "name": "wave", "format_type": 1}
    async with rig.running() as (_, kept):
        said = world.write(chat, bob, "bob's words", files=[("plan.pdf", "application/pdf", b"x")])
        world.messages[chat["id"]][said["id"]]["author"] = {**bob, "bot": False}
        world.write(chat, alice, "", files=files)
        world.write(chat, alice, "", sticker_items=[sticker])
        world.write(chat, alice, "see", forwards="what somebody else said")
        world.write(chat, alice, "about this", reply_to=said["id"])
        messages = await kept.has("bob's words", "", "", "see", "about this")
    assert [(file.name, file.kind, file.media_type, file.size) for file in messages[1].files] == [
        ("a.png", "image", "image/png", 1),
        ("b.pdf", "document", "application/pdf", 2),
        ("c.mp4", "video", "video/mp4", 1),
        ("d.txt", "document", "text/plain", 1),
    ]
    assert [(file.name, file.kind, file.media_type) for file in messages[2].files] == [("wave", "sticker", "image/png")]
    assert messages[3].quote == Quote(text="what somebody else said", author="", kind="forward")
    quote = messages[4].quote
    assert quote is not None
    assert (quote.text, quote.author, quote.author_id) == ("bob's words\n[file: plan.pdf]", "bob", bob["id"])
    assert [(file.name, file.media_type, file.size) for file in quote.files] == [("plan.pdf", "application/pdf", 1)]


async def test_a_voice_message_is_one(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    async with rig.running() as (_, kept):
        chat = world.dm(alice)
        written = world.write(chat, alice, "", files=[("voice-message.ogg", "audio/ogg", b"1")])
        voice = {**written["attachments"][0], "duration_secs": 2.0, "waveform": "AAAA"}
        world.write(chat, alice, "", attachments=[voice], flags=1 << 13)
        messages = await kept.has("", "")
    assert [message.files[0].kind for message in messages] == ["audio", "voice"]


async def test_an_edit_is_a_message_of_its_own_if_the_words_changed(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    old = world.write(chat, alice, "long ago", at=datetime.now(UTC) - timedelta(days=3))
    old["edited_timestamp"] = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    async with rig.running() as (_, kept):
        written = world.write(chat, alice, "helo")
        await kept.has("helo")
        world.edit(written, embeds=[{"type": "link", "url": "https://example.org/"}])
        world.edit(written, "helo", attachments=[])
        world.edit(written, "hello")
        world.edit(written, pinned=True)
        world.edit(old, pinned=True)
        world.write(chat, alice, "next")
        messages = await kept.has("helo", "hello", "next")
    assert messages[1].external_id.startswith(f"{written['id']}:")
    assert messages[1].message_id == written["id"]


async def test_a_message_that_was_edited_before_it_was_read_is_one_message(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    async with rig.running() as (_, kept):
        kept.unavailable = 1
        world.write(chat, alice, "first")
        written = world.write(chat, alice, "helo")
        world.edit(written, "hello")
        await kept.has("first", "hello")


async def test_a_slash_command_is_kept_and_then_answered_to_its_user_alone(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    async with rig.running() as (_, kept):
        assert [command["name"] for command in world.commands] == list(COMMANDS)
        interaction = world.command(world.dm(alice), alice, "status")
        [message] = await kept.has("/status")
        await rig.api.until(lambda: world.callbacks)
    assert (message.external_id, message.command, message.private) == (interaction, Command(name="status"), True)
    assert message.sender.id == alice["id"]
    assert world.callbacks == {interaction: [{"type": 4, "data": {"content": "/status", "flags": 64}}]}


async def test_the_words_of_a_slash_command_come_along(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    async with rig.running() as (_, kept):
        assert {command["name"] for command in world.commands if command.get("options")} == WITH_ARGUMENTS
        world.command(world.dm(alice), alice, "link", words=" ABCD2345 ")
        [message] = await kept.has("/link ABCD2345")
    assert message.command == Command(name="link", arguments="ABCD2345")


async def test_a_slash_command_takes_words_where_it_needs_some(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    async with rig.running() as (_, kept):
        offered = {command["name"]: [option["name"] for option in command.get("options") or ()] for command in world.commands}
        assert (offered["snooze"], offered["stop"]) == (["words"], [])
        world.command(world.dm(alice), alice, "snooze", words="tomorrow at 9")
        [message] = await kept.has("/snooze tomorrow at 9")
    assert message.command == Command(name="snooze", arguments="tomorrow at 9")


async def test_a_written_command_is_one_too(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    room = world.text_channel(world.guild("Home"), "general")
    async with rig.running() as (_, kept):
        world.write(room, alice, f"<@{world.me['id']}> /new  about the garden")
        [message] = await kept.has("/new  about the garden")
        thread = world.thread(room, "topic")
        world.command(thread, alice, "stop")
        await kept.until(lambda: len(kept.messages) == 2)
    assert message.command == Command(name="new", arguments="about the garden")
    [*_, last] = kept.messages.values()
    assert last.address == Address(channel="discord", chat_id=room["id"], thread_id=thread["id"])


async def test_an_event_with_any_value_in_any_place_is_taken(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    async with rig.running() as (_, kept):
        message = world.write(chat, alice, "w1", files=[("a.png", "image/png", b"png")])
        press: dict[str, Any] = {
            "id": world.new_id(),
            "application_id": world.me["id"],
            "token": "t",
            "version": 1,
            "type": 3,
            "user": alice,
        }
        press |= {"data": {"custom_id": "do:1:/new", "component_type": 2}, "message": message, "channel_id": chat["id"], "channel": chat}
        given = {"data": {"id": "1", "name": "new", "type": 1, "options": [{"type": 3, "name": "words", "value": "x"}]}, "type": 2}
        told = {**message, "channel_type": 1}
        for name, base in (("MESSAGE_CREATE", told), ("INTERACTION_CREATE", press | given)):
            for made in mutations(base):
                rig.api.gateway.emit(name, made)
        world.write(chat, alice, "last")
        await kept.until(lambda: "last" in kept.texts)
    for found in kept.messages.values():
        assert found.address.chat_id.isdecimal()
        assert found.sender.id.isdecimal()
        assert all(file.size is None or 0 <= file.size < 1 << 45 for file in found.files)


async def test_commands_are_registered_once(rig: Rig) -> None:
    for _ in range(2):
        async with rig.running():
            pass
    assert [each.split()[0] for each in rig.api.faults.seen if each.endswith("/commands")] == ["GET", "PUT", "GET"]


async def test_a_pressed_button_says_its_words(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    async with rig.running() as (_, kept):
        asked = world.accept(chat, {"content": "Shall I?"}, [], False)
        interaction = world.press(asked["id"], alice, "say:0:Yes: please")
        stranger = world.press(asked["id"], alice, "somebody-elses")
        [message] = await kept.has("Yes: please")
        await rig.api.until(lambda: len(world.callbacks) == 2)
    assert (message.external_id, message.message_id, message.sender.id) == (interaction, asked["id"], alice["id"])
    assert message.chosen
    assert world.callbacks[interaction] == [{"type": 6}]
    assert world.callbacks[stranger][0]["type"] == 4


async def test_a_pressed_button_gives_its_command_and_shows_nothing_more(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    async with rig.running() as (_, kept):
        asked = world.accept(chat, {"content": "stretch"}, [], False)
        interaction = world.press(asked["id"], alice, "do:1:/snooze 10m occ_1")
        [message] = await kept.has("/snooze 10m occ_1")
        await rig.api.until(lambda: bool(world.callbacks))
    assert (message.command, message.chosen, message.message_id) == (Command(name="snooze", arguments="10m occ_1"), True, asked["id"])
    assert world.callbacks[interaction] == [{"type": 6}]


async def test_what_the_store_cannot_take_waits_in_order_and_a_command_is_refused(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    async with rig.running() as (_, kept):
        kept.unavailable = 3
        world.write(chat, alice, "one")
        world.write(chat, alice, "two")
        await kept.has("one", "two")
        assert [state for state, _ in kept.states] == ["connected", "degraded", "degraded", "degraded", "connected"]
        kept.unavailable = 1
        interaction = world.command(chat, alice, "new")
        await rig.api.until(lambda: world.callbacks)
        assert "Not accepted" in world.callbacks[interaction][0]["data"]["content"]
        assert kept.texts == ["one", "two"]


async def test_a_command_that_discord_has_given_up_is_not_done_later(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    async with rig.running(waits=replace(QUICK, answerable=0.4)) as (_, kept):
        kept.unavailable = 6
        world.write(chat, alice, "one")
        interaction = world.command(chat, alice, "new")
        world.write(chat, alice, "two")
        await kept.has("one", "two")
    assert interaction not in world.callbacks
