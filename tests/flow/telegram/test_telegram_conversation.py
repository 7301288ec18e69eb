"""What people see while an answer is made, and the files they sent."""

import asyncio
from pathlib import Path

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Conversation, Preview, SendLater, SendRefused
from assistant.contracts.inbox import InboundFile
from tests.doubles.telegram_api.faults import Fault
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.telegram.rig import Rig, event

CHAT = Address(channel="telegram", chat_id="42")


def talk(rig: Rig, answer_seconds: float | None = None, **settings: object) -> Conversation:
    conversation = rig.open(answer_seconds, **settings).conversation
    assert conversation is not None
    return conversation


def previewing(rig: Rig, noted: list[str], posted: str | None = None, address: Address = CHAT) -> Preview:
    preview = talk(rig, streaming=True).preview(address, reply_to=None, posted=posted, note=noted.append)
    assert preview is not None
    return preview


async def test_a_file_is_fetched(rig: Rig, server: TelegramServer, tmp_path: Path):
    channel = await rig.run()
    server.document(42, "report.pdf", b"%PDF bytes")
    (message,) = await rig.link.received(1)
    assert channel.conversation is not None
    await channel.conversation.fetch(message.files[0], tmp_path / "spool", 1000)
    assert (tmp_path / "spool").read_bytes() == b"%PDF bytes"


async def test_a_file_that_is_too_large_or_gone_is_refused_in_words(rig: Rig, server: TelegramServer, tmp_path: Path):
    conversation = talk(rig)
    large = server.file(b"0" * 20_000_001, "documents/large.bin")
    small = server.file(b"0" * 2000, "documents/small.bin")
    for ref, size, words in (
        (large, None, "20 MB that Telegram lets bots fetch"),
        (small, 2000, "larger than 1,000 bytes"),
        (small, None, "larger than 1,000 bytes"),
        ("unknown", None, "does not give it out"),
    ):
        file = InboundFile(name="a.bin", kind="document", media_type="application/octet-stream", size=size, ref=ref)
        with pytest.raises(SendRefused) as refused:
            await conversation.fetch(file, tmp_path / "spool", 1000)
        assert words in str(refused.value)
        assert server.token not in str(refused.value)
    server.fail(Fault(method="getFile", kind="reset_before"))
    with pytest.raises(SendLater):
        await conversation.fetch(file, tmp_path / "spool", 1000)
    assert not (tmp_path / "spool").exists()


async def test_typing_is_shown_in_its_topic(rig: Rig, server: TelegramServer):
    conversation = talk(rig)
    await conversation.typing(CHAT)
    await conversation.typing(Address(channel="telegram", chat_id="-5", thread_id="7"))
    assert server.actions == [("42", "typing", None), ("-5", "typing", 7)]
    assert conversation.typing_seconds == 4
    server.fail(Fault(method="sendChatAction", kind="reset_before"))
    with pytest.raises(SendLater):
        await conversation.typing(CHAT)


async def test_a_message_is_acknowledged_by_the_reaction_of_the_settings(rig: Rig, server: TelegramServer):
    channel = await rig.run(reactEmoji="👍")
    said = server.say(42, "hello")
    (message,) = await rig.link.received(1)
    assert channel.conversation is not None
    await channel.conversation.acknowledge(message)
    await talk(rig, reactEmoji="").acknowledge(message)
    assert server.reactions == [("42", said["message_id"], "👍")]


async def test_a_preview_grows_by_edits_at_most_once_a_second_and_becomes_the_message(rig: Rig, server: TelegramServer):
    noted: list[str] = []
    preview = previewing(rig, noted)
    preview.update("One")
    await server.until(lambda: len(server.ledger) == 1)
    for text in ("One two", "One two three"):
        preview.update(text)
    await server.until(lambda: bool(server.ledger[0].edits))
    posted = server.ledger[0]
    assert posted.edits == ["One two three"]
    assert posted.edited_at[0] - posted.at >= 0.95
    preview.update("One two three four")
    message_id = await preview.close()
    assert [message_id] == noted == [str(posted.message_id)]
    await rig.send(rig.open(), event("One two three **four**", replaces=message_id))
    assert server.texts(42) == ["One two three four"]


async def test_two_topics_that_stream_at_once_keep_their_own_previews(rig: Rig, server: TelegramServer):
    conversation = talk(rig, streaming=True)
    topics = [Address(channel="telegram", chat_id="-1007", thread_id=str(thread)) for thread in (11, 12)]
    previews = [conversation.preview(topic, reply_to=None, posted=None, note=print) for topic in topics]
    for name, preview in zip(("left", "right"), previews, strict=True):
        assert preview is not None
        preview.update(f"{name}, begun")
    await server.until(lambda: len(server.ledger) == 2)
    ids = [await preview.close() for preview in previews if preview is not None]
    for name, topic, message_id in zip(("left", "right"), topics, ids, strict=True):
        await rig.send(rig.open(), event(f"{name}, whole", -1007, thread=topic.thread_id, replaces=message_id))
    assert {posted.thread_id: posted.edits[-1] for posted in server.ledger} == {11: "left, whole", 12: "right, whole"}


async def test_a_preview_of_nothing_posts_nothing(rig: Rig, server: TelegramServer):
    preview = previewing(rig, [])
    preview.update(" \n")
    assert await preview.close() is None
    assert server.ledger == []
    assert talk(rig).preview(CHAT, reply_to=None, posted=None, note=print) is None


async def test_a_preview_stays_within_what_a_message_holds(rig: Rig, server: TelegramServer):
    preview = previewing(rig, [])
    preview.update("😀" * 3000)
    await server.until(lambda: len(server.ledger) == 1)
    assert server.ledger[0].text == "😀" * 2000 + " …"
    await preview.close()


async def test_a_turn_that_is_tried_again_goes_on_with_its_preview(rig: Rig, server: TelegramServer):
    (receipt,) = await rig.send(rig.open(), event("Hel"))
    noted: list[str] = []
    preview = previewing(rig, noted, posted=receipt.message_id)
    preview.update("Hello")
    await server.until(lambda: server.texts(42) == ["Hello"])
    assert await preview.close() == receipt.message_id
    assert noted == []


async def test_a_flood_wait_silences_a_preview_and_nothing_else(rig: Rig, server: TelegramServer):
    preview = previewing(rig, [])
    preview.update("One")
    await server.until(lambda: len(server.ledger) == 1)
    server.fail(Fault.flood(3600, method="edit"))
    preview.update("One two")
    await server.until(lambda: server.requests.count("editMessageText") == 1)
    async with asyncio.timeout(30):
        assert await preview.close() == str(server.ledger[0].message_id)


async def test_a_preview_whose_last_edit_may_still_come_is_taken_away(rig: Rig, server: TelegramServer):
    preview = previewing(rig, [])
    preview.update("One")
    await server.until(lambda: len(server.ledger) == 1)
    server.fail(Fault(method="edit", kind="reset_after"))
    preview.update("One two")
    await server.until(lambda: server.requests.count("editMessageText") == 1)
    assert await preview.close() is None
    assert server.texts(42) == []


async def test_a_preview_that_somebody_deleted_is_not_shown_again(rig: Rig, server: TelegramServer):
    preview = previewing(rig, [])
    preview.update("One")
    await server.until(lambda: len(server.ledger) == 1)
    server.ledger[0].deleted = True
    preview.update("One two")
    await server.until(lambda: server.requests.count("editMessageText") == 1)
    assert await preview.close() is None
    assert len(server.ledger) == 1
