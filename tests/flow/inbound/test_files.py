"""Files of chats: fetched, read, or said to be missing."""

import pytest

from assistant.contracts.inbox import FileKind, InboundFile, Quote
from assistant.contracts.messages import Document, Image, Text, UserMessage
from assistant.inbound.files import Fetcher
from assistant.testing.scripted import ScriptedModel
from tests.flow.inbound.chat import Chat, said
from tests.flow.inbound.rig import Rig, Server, words

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def file(name: str, kind: FileKind = "document", *, size: int | None = None, media_type: str = "text/plain") -> InboundFile:
    return InboundFile(name=name, kind=kind, media_type=media_type, size=size, ref=name)


async def asked(server: Server) -> UserMessage:
    await server.told(1)
    message = (await server.kept())[0]
    assert isinstance(message, UserMessage)
    return message


async def test_files_are_read_and_their_order_is_kept(rig: Rig) -> None:
    chat = Chat()
    chat.files = {"a.txt": b"first words", "b.png": PNG}
    async with rig.server(ScriptedModel("seen"), chat=chat) as server:
        await server.hear(said("look", files=(file("a.txt"), file("b.png", "image"), file("a.txt"))))
        message = await asked(server)
        parts = [part.name if isinstance(part, Image) else part.text for part in message.parts]
        assert parts == ["look", "first words", "b.png", "first words"]
        await server.stop(grace=5)  # a turn removes its files after its end is stored
        assert list(server.spool.iterdir()) == []


async def test_a_message_of_files_alone_is_a_message(rig: Rig) -> None:
    chat = Chat()
    chat.files = {"b.png": PNG}
    async with rig.server(ScriptedModel("seen"), chat=chat) as server:
        await server.hear(said("", files=(file("b.png", "image"),)))
        assert isinstance((await asked(server)).parts[0], Image)


async def test_a_file_that_can_not_be_had_is_said_to_the_model_and_costs_nothing_else(rig: Rig) -> None:
    chat = Chat()
    chat.files = {"good.txt": b"good words", "big.txt": b"x" * 200, "odd.zip": b"PK\x03\x04 no archive", "empty.txt": b""}
    names = ("gone.txt", "good.txt", "big.txt", "odd.zip", "empty.txt")
    files = (*map(file, names), file("said-big.txt", size=1_000_000), file("one-too-many.txt"))
    async with rig.server(ScriptedModel("seen"), chat=chat, fetcher=Fetcher(rig.folder / "spool", most=6, most_bytes=100)) as server:
        await server.hear(said("look", files=files))
        message = await asked(server)
        assert [part.text for part in message.parts if isinstance(part, Document)] == ["good words"]
        notes = words([message])[0].split("|")
        for name, reason in [
            ("gone.txt", "does not have it any more"),
            ("big.txt", "larger than 100 bytes"),
            ("odd.zip", "could not be read"),
            ("empty.txt", "is empty"),
            ("said-big.txt", "larger than 100 bytes"),
            ("one-too-many.txt", "at most 6 files"),
        ]:
            assert any(name in note and reason in note and note.startswith("<") for note in notes), (name, notes)
        await server.stop(grace=5)  # a turn removes its files after its end is stored
        assert list(server.spool.iterdir()) == []


async def test_what_nobody_can_hear_is_kept_and_the_model_is_told(rig: Rig) -> None:
    chat = Chat()
    chat.files = {"voice.ogg": b"OggS sound"}
    async with rig.server(ScriptedModel("I can't hear it."), chat=chat) as server:
        await server.hear(said("", files=(file("voice.ogg", "voice", media_type="audio/ogg"), file("x.tgs", "sticker"))))
        message = await asked(server)
        heard = message.parts[0]
        assert isinstance(heard, Document)
        assert (heard.name, heard.format, heard.text) == ("voice.ogg", "ogg", "")
        assert "nothing here that hears" in heard.missing
        assert "moving sticker" in words([message])[0]
        (kept,) = await rig.store.attachments.list("chat:1", "chat:1")
        assert (kept.name, kept.size) == ("voice.ogg", 10)


async def test_a_name_of_a_file_is_for_display_only(rig: Rig) -> None:
    chat = Chat()
    name = "../../etc/\x00pass\u202ewd"
    chat.files = {name: b"words"}
    async with rig.server(ScriptedModel("ok"), chat=chat) as server:
        await server.hear(said("", files=(file(name),)))
        (part,) = (await asked(server)).parts
        assert isinstance(part, Document)
        assert part.name == "passwd"


@pytest.mark.parametrize(
    ("author_id", "read"),
    [("2", True), ("", True), ("666", False), ("hidden", False)],
    ids=["a friend", "the assistant", "a stranger", "unknown"],
)
async def test_the_files_of_what_is_answered_are_fetched_from_those_who_may_write(rig: Rig, author_id: str, read: bool) -> None:
    chat = Chat()
    chat.files = {"report.txt": b"words of the report", "own.txt": b"own words"}
    quote = Quote(text="[document: report.txt]", author="Bob", author_id=author_id, files=(file("report.txt"),))
    async with rig.server(ScriptedModel("seen"), chat=chat) as server:
        await server.hear(said("what is this?", group="-7", quote=quote, files=(file("own.txt"),)))
        await server.told(1)
        message = (await server.kept("chat:-7", "chat:-7"))[0]
    assert isinstance(message, UserMessage)
    assert [part.text for part in message.parts if isinstance(part, Document)] == [*(["words of the report"] if read else []), "own words"]
    told, own = words([message])[0].split("|")
    assert ("not looked at, because its sender may not write to the assistant: document report.txt" in told) is not read
    assert own == "Alice: what is this?"
    assert told.startswith("<")
    places = [place for place, part in enumerate(message.parts) if isinstance(part, Text) and not part.quoted]
    assert places == [2 if read else 1], "the file stands between the quote and the question"


async def test_the_files_of_what_is_answered_keep_the_limits(rig: Rig) -> None:
    chat = Chat()
    chat.files = {"big.txt": b"x" * 200}
    quote = Quote(text="", author="Bob", author_id="2", files=(file("big.txt"), file("gone.txt"), file("huge.txt", size=1_000_000)))
    async with rig.server(ScriptedModel("seen"), chat=chat, fetcher=Fetcher(rig.folder / "spool", most_bytes=100)) as server:
        await server.hear(said("these?", quote=quote))
        text = words([await asked(server)])[0]
    for reason in ("big.txt", "larger than 100 bytes", "gone.txt", "does not have it any more", "huge.txt"):
        assert reason in text
