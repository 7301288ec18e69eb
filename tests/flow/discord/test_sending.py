"""Out: parts as Discord takes them, once each."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendRefused
from assistant.contracts.outbox import Button, OutboundPart
from tests.flow.discord.conftest import Rig, event, sending


async def test_a_message_arrives_and_its_receipt_is_discords_own(rig: Rig) -> None:
    world = rig.api.world
    chat = world.dm(world.user("alice"))
    async with rig.open() as channel:
        receipt = await channel.send(sending(chat))
    [entry] = world.ledger
    assert (entry.content, entry.nonce, entry.message_id) == ("Hello.", "key1", receipt.message_id)
    assert entry.body["enforce_nonce"] is True
    assert entry.body["flags"] & 4, "links are shown without a preview"


async def test_a_repeat_with_the_same_key_gives_no_second_message(rig: Rig) -> None:
    chat = rig.api.world.dm(rig.api.world.user("alice"))
    async with rig.open() as channel:
        assert channel.keyed
        assert await channel.send(sending(chat)) == await channel.send(sending(chat))
        await channel.send(sending(chat, key="key2"))
    assert [entry.nonce for entry in rig.api.world.ledger] == ["key1", "key2"]


async def test_a_repeat_after_the_nonce_was_forgotten_is_found_in_the_history(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    rig.api.rest.nonce_seconds = 0
    earlier = datetime.now(UTC) - timedelta(seconds=90)
    async with rig.open() as channel:
        first = await channel.send(sending(chat, key="other"))
        world.messages[chat["id"]].clear()
        world.write(chat, world.me, "Hello.", at=earlier - timedelta(seconds=30))
        world.write(chat, alice, "Hello.", at=earlier + timedelta(seconds=1))
        ours = world.write(chat, world.me, "Hello.", at=earlier + timedelta(seconds=2))
        for _ in range(150):
            world.write(chat, alice, "much is said meanwhile", at=earlier + timedelta(seconds=3))
        found = await channel.send(sending(chat, again=earlier))
        assert found.message_id == ours["id"] != first.message_id
        fresh = await channel.send(sending(chat, "Not there yet.", again=earlier, key="key2"))
    assert [entry.message_id for entry in world.ledger] == [first.message_id, fresh.message_id]


async def test_an_equal_message_that_was_sent_for_another_is_not_taken_for_it(rig: Rig) -> None:
    world = rig.api.world
    chat = world.dm(world.user("alice"))
    earlier = datetime.now(UTC) - timedelta(seconds=90)
    async with rig.open() as channel:
        await channel.send(sending(chat, "Again.", key="key1"))
        await channel.send(sending(chat, "Again.", key="key2", again=earlier))
    assert [entry.nonce for entry in world.ledger] == ["key1", "key2"]


async def test_mentions_in_a_message_ping_nobody(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    room = world.text_channel(world.guild("Home"), "general")
    async with rig.open() as channel:
        await channel.send(sending(room, f"@everyone <@{alice['id']}> come here"))
    assert [entry.pings for entry in world.ledger] == [False]


async def test_files_go_with_their_message(rig: Rig) -> None:
    chat = rig.api.world.dm(rig.api.world.user("alice"))
    files = (rig.media.add("a.txt", b"one"), rig.media.add("b.bin", b"two"))
    async with rig.open() as channel:
        await channel.send(sending(chat, part=OutboundPart(text="Both.", plain="Both.", media=files)))
        await channel.send(sending(chat, part=OutboundPart(text="", plain="", media=files[:1]), key="key2"))
        (rig.media.path(files[0])).unlink()
        with pytest.raises(SendRefused, match="no longer there"):
            await channel.send(sending(chat, part=OutboundPart(text="", plain="", media=files), key="key3"))
    assert [entry.files for entry in rig.api.world.ledger] == [(("a.txt", b"one"), ("b.bin", b"two")), (("a.txt", b"one"),)]


async def test_a_plan_has_parts_of_a_length_and_files_of_a_size_that_discord_takes(rig: Rig) -> None:
    files = tuple(rig.media.add(f"{number}.bin", bytes([number])) for number in range(23))
    buttons = ((Button(text="Yes"),),)
    async with rig.open() as channel:
        parts = channel.plan(event("word " * 1000, media=files, buttons=buttons))
        assert parts == channel.plan(event("word " * 1000, media=files, buttons=buttons))
        assert all(len(part.text) <= 2000 for part in parts)
        assert [len(part.media) for part in parts] == [0, 0, 10, 10, 3]
        assert [bool(part.buttons) for part in parts] == [False, False, False, False, True]
        [small] = channel.plan(event("half \ud800 of a character"))
        assert small.text == "half \ufffd of a character"
        big = rig.media.add("big.bin", bytes(10 * 1024 * 1024 + 1))
        for refused in (event("", media=(big,)), event(" \n")):
            with pytest.raises(SendRefused):
                channel.plan(refused)
        for without, text, notice in (
            (event("x", media=(big,)), "x", "big.bin left out: Discord takes files of at most 10 MB"),
            (event("x", buttons=((Button(text="open", url="javascript:alert(1)"),),)), "x\n\nopen: javascript:alert(1)", "“open”"),
            (event("x", buttons=((Button(text="y" * 100),),)), "x\n\n" + "y" * 100, "y" * 100),
            (event("x", buttons=tuple((Button(text=f"y{n}"),) for n in range(6))), "x\n\ny5", "written as text"),
        ):
            [part] = channel.plan(without)
            assert part.text == text
            assert notice in part.notice


async def test_an_answer_refers_to_its_message_and_is_sent_without_where_that_is_gone(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    chat = world.dm(alice)
    asked = world.write(chat, alice, "Why?")
    async with rig.open() as channel:
        await channel.send(sending(chat, reply_to=asked["id"]))
        await channel.send(sending(chat, reply_to="1187654321098765432", key="key2"))
        no_history = {"message": "Cannot reply without permission to read message history", "code": 160002}
        rig.api.faults.add("answer", status=403, body=no_history)
        await channel.send(sending(chat, reply_to=asked["id"], key="key3"))
    async with rig.open(replyToMessage=False) as channel:
        await channel.send(sending(chat, reply_to=asked["id"], key="key4"))
    referred: list[Any] = [entry.body.get("message_reference") for entry in world.ledger]
    assert [int(each["message_id"]) if each else None for each in referred] == [int(asked["id"]), None, None, None]


async def test_a_thread_is_written_to_only_as_one_of_its_channel(rig: Rig) -> None:
    world = rig.api.world
    guild = world.guild("Home")
    room, other = world.text_channel(guild, "general"), world.text_channel(guild, "private")
    thread = world.thread(room, "topic")
    async with rig.open() as channel:
        await channel.send(sending(room, thread=thread["id"]))
        for place in (sending(other, thread=thread["id"]), sending(room, thread=other["id"])):
            with pytest.raises(SendRefused) as refused:
                await channel.send(place)
            assert refused.value.trouble.code == "chat_not_found"
        gone = await channel.send(sending(room, thread="1187654321098765432", key="key2"))
        assert gone.notice == "sent to the chat and not to its topic (Discord: Unknown Channel, code 10003)"
    assert [entry.channel_id for entry in world.ledger] == [thread["id"], room["id"]]


async def test_the_id_of_a_user_means_their_direct_messages(rig: Rig) -> None:
    world = rig.api.world
    alice = world.user("alice")
    async with rig.open() as channel:
        await channel.send(sending(alice["id"]))
        await channel.send(sending(alice["id"], key="key2"))
    assert {entry.channel_id for entry in world.ledger} == {world.dm(alice)["id"]}
    assert rig.api.faults.seen.count("POST /users/@me/channels") == 1


async def test_a_preview_becomes_the_message_and_where_it_is_gone_a_new_one_is_sent(rig: Rig) -> None:
    world = rig.api.world
    chat = world.dm(world.user("alice"))
    async with rig.open() as channel:
        preview = await channel.send(sending(chat, "Thin"))
        done = await channel.send(sending(chat, "Think.", replaces=preview.message_id, key="key2"))
        assert done.message_id == preview.message_id
        part = OutboundPart(text="Think.", plain="Think.", media=(rig.media.add("a.txt", b"one"),))
        assert (await channel.send(sending(chat, part=part, replaces=preview.message_id))).message_id == preview.message_id
        new = await channel.send(sending(chat, "Again.", replaces="1187654321098765432", key="key3"))
    assert [(entry.message_id, entry.shown) for entry in world.ledger] == [(preview.message_id, "Think."), (new.message_id, "Again.")]
    assert world.ledger[0].edited_files == [("a.txt", b"one")]


async def test_buttons_open_a_page_or_say_something(rig: Rig) -> None:
    world = rig.api.world
    chat = world.dm(world.user("alice"))
    rows = ((Button(text="Yes"), Button(text="Docs", url="https://example.org/")),)
    async with rig.open() as channel:
        [part] = channel.plan(event("Shall I?", buttons=rows))
        await channel.send(sending(chat, part=part))
    [row] = world.ledger[0].body["components"]
    assert [(each.get("label"), each.get("url"), each.get("custom_id")) for each in row["components"]] == [
        ("Yes", None, "say:0:Yes"),
        ("Docs", "https://example.org/", None),
    ]


async def test_buttons_with_a_command_are_gone_after_an_edit(rig: Rig) -> None:
    world = rig.api.world
    chat = world.dm(world.user("alice"))
    subject = "occ_" + "0" * 28
    rows = ((Button(text="Done", command="/done", subject=subject), Button(text="tomorrow", command="/snooze tomorrow", subject=subject)),)
    async with rig.open() as channel:
        [part] = channel.plan(event("stretch", buttons=rows))
        sent = await channel.send(sending(chat, part=part))
        [row] = world.ledger[0].body["components"]
        assert [each["custom_id"] for each in row["components"]] == [f"do:0:/done {subject}", f"do:1:/snooze tomorrow {subject}"]
        await channel.send(sending(chat, "stretch\n\n✓ Done", replaces=sent.message_id, key="key2"))
    [entry] = world.ledger
    assert (entry.shown, entry.message_id) == ("stretch\n\n✓ Done", sent.message_id)
    assert world.messages[chat["id"]][entry.message_id]["components"] == []


async def test_limits_and_identity_are_discords(rig: Rig) -> None:
    async with rig.open() as channel:
        [limit] = channel.limits(Address(channel="discord", chat_id="1"))
        assert (limit.amount, limit.seconds) == (50, 1)
        assert await channel.identity() == f"nanobot ({rig.api.world.me['id']})"
        await channel.close()
        await channel.close()
