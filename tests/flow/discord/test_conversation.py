"""A chat: files, reactions, typing, and an answer shown while it is made."""

import asyncio
import time
from pathlib import Path

import pytest

from assistant.contracts.channels import SendLater, SendRefused
from assistant.contracts.inbox import InboundFile
from tests.doubles.discord_api.shapes import Payload
from tests.flow.discord.conftest import Rig, sending


@pytest.fixture
def chat(rig: Rig) -> Payload:
    return rig.api.world.dm(rig.api.world.user("alice"))


async def received(rig: Rig, chat: Payload, data: bytes) -> InboundFile:
    """A file that came with a message."""
    async with rig.running() as (_, kept):
        rig.api.world.write(chat, chat["recipients"][0], "look", files=[("a.bin", "application/octet-stream", data)])
        [message] = await kept.has("look")
    return message.files[0]


async def test_a_file_is_fetched_also_when_its_address_has_expired(rig: Rig, chat: Payload, tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    file = await received(rig, chat, data)
    async with rig.open() as channel:
        await channel.conversation.fetch(file, tmp_path / "one", 10_000_000)
        rig.api.world.expire_files()
        await channel.conversation.fetch(file, tmp_path / "two", 10_000_000)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == data


async def test_a_file_that_is_too_large_or_gone_is_refused_in_words(rig: Rig, chat: Payload, tmp_path: Path) -> None:
    file = await received(rig, chat, bytes(2_000_000))
    async with rig.open() as channel:
        with pytest.raises(SendRefused, match="larger than 1 MB"):
            await channel.conversation.fetch(file, tmp_path / "one", 1024 * 1024)
        rig.api.faults.add("answer", "GET /cdn/.*", status=500)
        with pytest.raises(SendLater):
            await channel.conversation.fetch(file, tmp_path / "two", 10_000_000)
        rig.api.world.cdn.clear()
        with pytest.raises(SendRefused, match="no longer there"):
            await channel.conversation.fetch(file, tmp_path / "three", 10_000_000)
        rig.api.world.messages[chat["id"]].clear()
        with pytest.raises(SendRefused, match="no longer there"):
            await channel.conversation.fetch(file, tmp_path / "four", 10_000_000)


async def test_nothing_is_fetched_from_anywhere_else(rig: Rig, tmp_path: Path) -> None:
    async with rig.open(apiBase="http://localhost:1/api") as channel:
        for ref in (f" {rig.api.world.base}/cdn/1/2/a", " https://example.org/a.png", "nonsense"):
            file = InboundFile(name="a", kind="image", media_type="image/png", size=None, ref=ref)
            with pytest.raises(SendRefused):
                await channel.conversation.fetch(file, tmp_path / "a", 1000)
    assert rig.api.faults.seen == []


async def test_typing_and_the_reaction_show_that_somebody_is_there(rig: Rig, chat: Payload) -> None:
    world = rig.api.world
    async with rig.running() as (channel, kept):
        written = world.write(chat, chat["recipients"][0], "hi")
        [message] = await kept.has("hi")
        await channel.conversation.acknowledge(message)
        await channel.conversation.typing(message.address)
        assert channel.conversation.typing_seconds <= 10
    async with rig.open(readReceiptEmoji="") as channel:
        await channel.conversation.acknowledge(message)
    assert world.reactions == [(written["id"], "👀")]
    assert world.typings == [chat["id"]]


async def test_an_answer_is_shown_while_it_is_made_and_never_edited_after_its_end(rig: Rig, chat: Payload) -> None:
    world = rig.api.world
    posted: list[str] = []
    async with rig.open(streaming=True) as channel:
        preview = channel.conversation.preview(sending(chat).address, reply_to=None, posted=None, note=posted.append)
        assert preview is not None
        preview.update("Let me")
        await rig.api.until(lambda: world.ledger)
        preview.update("Let me think")
        preview.update("Let me think about **it** @everyone")
        await rig.api.until(lambda: world.ledger[0].edits)
        message_id = await preview.close()
        preview.update("too late")
        await channel.send(sending(chat, "The end.", replaces=message_id))
    [entry] = world.ledger
    assert posted == [message_id] == [entry.message_id]
    assert entry.edits == ["Let me think about **it** \\@everyone", "The end."]
    assert not entry.pings


async def test_a_preview_is_edited_once_a_second_at_most(rig: Rig, chat: Payload) -> None:
    world = rig.api.world
    async with rig.open(preview="edit") as channel:
        preview = channel.conversation.preview(sending(chat).address, reply_to=None, posted=None, note=lambda _: None)
        assert preview is not None
        begun = time.monotonic()
        for number in range(30):
            preview.update(f"{number} words")
            await channel.conversation.typing(sending(chat).address)
        await preview.close()
    [entry] = world.ledger
    assert len(entry.edits) <= time.monotonic() - begun + 1


async def test_a_preview_goes_on_with_the_message_of_an_earlier_try(rig: Rig, chat: Payload) -> None:
    world = rig.api.world
    async with rig.open(preview="edit") as channel:
        receipt = await channel.send(sending(chat, "Let me"))
        preview = channel.conversation.preview(sending(chat).address, reply_to=None, posted=receipt.message_id, note=lambda _: None)
        assert preview is not None
        preview.update("Let me begin again, at greater length. " * 400)
        await rig.api.until(lambda: world.ledger[0].edits)
        assert await preview.close() == receipt.message_id
    assert len(world.ledger) == 1
    assert len(world.ledger[0].shown) <= 2000


async def test_a_preview_that_discord_does_not_take_is_no_trouble(rig: Rig, chat: Payload) -> None:
    rig.api.faults.too_many(60)
    async with rig.open(preview="edit") as channel:
        preview = channel.conversation.preview(sending(chat).address, reply_to=None, posted=None, note=lambda _: None)
        assert preview is not None
        preview.update("Let me")
        await rig.api.until(lambda: any(each.startswith("POST /channels") for each in rig.api.faults.seen))
        async with asyncio.timeout(30):
            assert await preview.close() is None
    async with rig.open() as channel:
        assert channel.conversation.preview(sending(chat).address, reply_to=None, posted=None, note=lambda _: None) is None
