"""End-to-end encryption against a real Synapse, and matrix-nio's own client as the person. Installed and run by `make test-matrix`."""

import asyncio
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
from assistant.testing.channel_suite import FolderFiles, RecordingLink, event_to, running, send
from channels.matrix.adapter import MatrixChannel
from channels.matrix.settings import MatrixSettings
from tests.doubles.synapse import MISSING, PYTHON, Account, Synapse, synapse

pytestmark = [
    pytest.mark.skipif(not PYTHON.exists(), reason=MISSING),
    pytest.mark.skipif(not find_spec("vodozemac"), reason="the extra 'matrix' is not installed: make test-matrix"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:nio"),
]
ENCRYPTED: list[Any] = [{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Generator[Synapse]:
    with synapse(tmp_path_factory.mktemp("synapse")) as home:
        yield home


@dataclass
class Anna:
    """A person whose client is matrix-nio's."""

    client: Any
    room: str

    async def sync(self) -> list[Any]:
        """The messages in the room since the last call, decrypted."""
        answer = await self.client.sync(timeout=3000)
        info = answer.rooms.join.get(self.room)
        return [event for event in info.timeline.events if event.sender != self.client.user_id] if info else []

    async def say(self, content: dict[str, Any]) -> None:
        await self.client.room_send(self.room, "m.room.message", content, ignore_unverified_devices=True)

    async def hears(self) -> Any:
        async with asyncio.timeout(20):
            while True:
                for event in await self.sync():
                    if hasattr(event, "body"):
                        return event


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


async def anna_of(account: Account, folder: Path, room: str) -> Anna:
    nio = import_module("nio")
    (folder / "anna").mkdir()
    config = nio.AsyncClientConfig(store_sync_tokens=True, encryption_enabled=True)
    client = nio.AsyncClient(account.home.url, account.user_id, store_path=str(folder / "anna"), config=config)
    client.restore_login(account.user_id, account.device_id, account.token)
    anna = Anna(client=client, room=room)
    await client.sync(timeout=0, full_state=True)
    return anna


async def test_an_encrypted_room_is_read_and_written_over_a_restart(home: Synapse, tmp_path: Path):
    bot, person = await home.account("bot"), await home.account("anna")
    notes, files = NotesInMemory(), FolderFiles(tmp_path)
    room = await person.room(bot.user_id, direct=True, state=ENCRYPTED)
    await bot.call("POST", f"/join/{room}", {})
    rig = Rig(channel=channel_of(bot, tmp_path, files, notes), address=Address(channel="matrix", chat_id=room), files=files)
    async with running(rig.channel) as link:
        anna = await anna_of(person, tmp_path, room)
        await anna.say({"msgtype": "m.text", "body": "a secret"})
        message = await link.next()
        assert (message.text, message.private) == ("a secret", True)
        [receipt] = await send(rig, "**w1** answer")  # pyright: ignore[reportArgumentType] - as much of a platform as it needs
        heard = await anna.hears()
        assert (heard.body, heard.decrypted) == ("w1 answer", True)
        raw = await person.call("GET", f"/rooms/{room}/event/{receipt.message_id}")
        assert raw["type"] == "m.room.encrypted"
        assert "answer" not in str(raw["content"])

        media = (files.put("a.txt", b"in the file", "text/plain"),)
        await send(rig, key="f", event=event_to(rig.address, "", media=media))  # pyright: ignore[reportArgumentType] - as above
        file = (await anna.hears()).source["content"]["file"]
        downloaded = await anna.client.download(file["url"])
        decrypt = import_module("nio.crypto.attachments").decrypt_attachment
        assert decrypt(downloaded.body, file["key"]["k"], file["hashes"]["sha256"], file["iv"]) == b"in the file"

        other = channel_of(bot, tmp_path, files, notes)  # another process, while the keys are in use
        with pytest.raises(SendLater):
            await send(Rig(channel=other, address=rig.address, files=files), key="o")  # pyright: ignore[reportArgumentType] - as above
        await other.close()
    await rig.channel.close()

    await anna.say({"msgtype": "m.text", "body": "while it was away"})
    rig = Rig(channel=channel_of(bot, tmp_path, files, notes), address=rig.address, files=files)
    async with running(rig.channel) as link:
        assert (await link.next()).text == "while it was away"
        sealed = import_module("nio.crypto.attachments").encrypt_attachment(b"%PDF-1.4 hidden")
        url = await person.upload(sealed[0])
        info = {"mimetype": "application/pdf", "size": 15}
        await anna.say({"msgtype": "m.file", "body": "a.pdf", "filename": "a.pdf", "info": info, "file": {**sealed[1], "url": url}})
        [found] = (await link.next()).files
        await rig.channel.conversation.fetch(found, tmp_path / "fetched", 1000)
        assert (tmp_path / "fetched").read_bytes() == b"%PDF-1.4 hidden"
    assert oct((tmp_path / "state" / "matrix").stat().st_mode)[-3:] == "700"
    await rig.channel.close()
    await anna.client.close()


async def test_a_message_without_its_key_is_said_in_the_room(home: Synapse, tmp_path: Path):
    bot, person = await home.account("bot2"), await home.account("anna2")
    files = FolderFiles(tmp_path)
    room = await person.room(bot.user_id, direct=True, state=ENCRYPTED)
    await bot.call("POST", f"/join/{room}", {})
    anna = await anna_of(person, tmp_path, room)
    channel = channel_of(bot, tmp_path, files, NotesInMemory())
    link = RecordingLink()
    async with running(channel, link):
        sealed = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgA", "session_id": "s", "sender_key": "k", "device_id": "d"}
        await person.say(room, sealed, kind="m.room.encrypted")
        assert "I can't decrypt that message" in (await anna.hears()).body
    await channel.close()
    await anna.client.close()
