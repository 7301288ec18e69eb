"""End-to-end encryption against a real Synapse, and matrix-nio's own client as the person. Installed and run by `make test-matrix`."""

from collections.abc import Generator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, SendLater
from assistant.contracts.notes import NotesInMemory
from assistant.testing.channel_suite import FolderFiles, event_to, running, send
from channels.matrix.adapter import MatrixChannel
from channels.matrix.settings import MatrixSettings
from tests.doubles.matrix_person import person_in
from tests.doubles.synapse import MISSING, PYTHON, Account, Synapse, synapse

pytestmark = [
    pytest.mark.skipif(not PYTHON.exists(), reason=MISSING),
    pytest.mark.skipif(not find_spec("vodozemac"), reason="the extra 'matrix' is not installed: make test-matrix"),
]
ENCRYPTED: list[Any] = [{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Generator[Synapse]:
    with synapse(tmp_path_factory.mktemp("synapse")) as home:
        yield home


@dataclass
class Rig:
    """What the suite's `send` and `running` need."""

    channel: MatrixChannel
    address: Address
    files: FolderFiles


def channel_of(bot: Account, folder: Path, files: FolderFiles, notes: NotesInMemory) -> MatrixChannel:
    settings = MatrixSettings.model_validate({"enabled": True, "homeserver": bot.home.url, "accessToken": bot.token})
    (folder / "state").mkdir(exist_ok=True)
    return MatrixChannel(settings, ChannelContext(files=files, version="1", notes=notes, folder=folder / "state" / "matrix"), pause=0.01)


async def test_an_encrypted_room_is_read_and_written_over_a_restart(home: Synapse, tmp_path: Path):
    bot, account = await home.account("bot"), await home.account("anna")
    notes, files = NotesInMemory(), FolderFiles(tmp_path)
    room = await account.room(bot.user_id, direct=True, state=ENCRYPTED)
    await bot.call("POST", f"/join/{room}", {})
    rig = Rig(channel=channel_of(bot, tmp_path, files, notes), address=Address(channel="matrix", chat_id=room), files=files)
    (tmp_path / "anna").mkdir()
    async with person_in(room, account, tmp_path / "anna") as anna:
        async with running(rig.channel) as link:
            await anna.say({"msgtype": "m.text", "body": "a secret"})
            message = await link.next()
            assert (message.text, message.private) == ("a secret", True)
            [receipt] = await send(rig, "**w1** answer")  # pyright: ignore[reportArgumentType] - as much of a platform as it needs
            assert (await anna.hear())["body"] == "w1 answer"
            raw = await account.call("GET", f"/rooms/{room}/event/{receipt.message_id}")
            assert raw["type"] == "m.room.encrypted"
            assert "answer" not in str(raw["content"])

            media = (files.put("a.txt", b"in the file", "text/plain"),)
            await send(rig, key="f", event=event_to(rig.address, "", media=media))  # pyright: ignore[reportArgumentType] - as above
            file = (await anna.hear())["file"]
            assert opened(await account.download(file["url"]), file["key"]["k"], file["hashes"]["sha256"], file["iv"]) == b"in the file"

            other = channel_of(bot, tmp_path, files, notes)  # as in another process, while the keys are in use
            with pytest.raises(SendLater):
                await send(Rig(channel=other, address=rig.address, files=files), key="o")  # pyright: ignore[reportArgumentType] - as above
            await other.close()
        await rig.channel.close()

        await anna.say({"msgtype": "m.text", "body": "while it was away"})
        rig = Rig(channel=channel_of(bot, tmp_path, files, notes), address=rig.address, files=files)
        async with running(rig.channel) as later:
            assert (await later.next()).text == "while it was away"
            content, hidden = sealed(b"%PDF-1.4 hidden")
            info = {"mimetype": "application/pdf", "size": 15}
            about = {"msgtype": "m.file", "body": "a.pdf", "filename": "a.pdf", "info": info}
            await anna.say({**about, "file": {**hidden, "url": await account.upload(content)}})
            [found] = (await later.next()).files
            await rig.channel.conversation.fetch(found, tmp_path / "fetched", 1000)
            assert (tmp_path / "fetched").read_bytes() == b"%PDF-1.4 hidden"
    assert oct((tmp_path / "state" / "matrix").stat().st_mode)[-3:] == "700"
    await rig.channel.close()


async def test_a_message_without_its_key_is_said_in_the_room(home: Synapse, tmp_path: Path):
    bot, account = await home.account("bot2"), await home.account("anna2")
    room = await account.room(bot.user_id, direct=True, state=ENCRYPTED)
    await bot.call("POST", f"/join/{room}", {})
    channel = channel_of(bot, tmp_path, FolderFiles(tmp_path), NotesInMemory())
    (tmp_path / "anna").mkdir()
    async with running(channel), person_in(room, account, tmp_path / "anna") as anna:
        broken = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgA", "session_id": "s", "sender_key": "k", "device_id": "d"}
        for number in range(6):  # a sender names any key
            await account.say(room, broken | {"session_id": f"s{number}"}, kind="m.room.encrypted")
        for _ in range(3):
            assert "I can't decrypt that message" in (await anna.hear())["body"]
        rig = Rig(channel, Address(channel="matrix", chat_id=room), FolderFiles(tmp_path))
        await send(rig, "that was all")  # pyright: ignore[reportArgumentType] - what it needs of a platform
        assert (await anna.hear())["body"] == "that was all"
    await channel.close()


def opened(content: bytes, key: str, digest: str, start: str) -> bytes:
    return import_module("nio.crypto.attachments").decrypt_attachment(content, key, digest, start)


def sealed(content: bytes) -> tuple[bytes, dict[str, Any]]:
    return import_module("nio.crypto.attachments").encrypt_attachment(content)
