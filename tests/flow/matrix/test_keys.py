"""End-to-end encryption against a stand-in, with a person's device: what others send of keys may be anything. test_encryption has a real server."""

import json
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelFailed, SendRefused
from assistant.contracts.inbox import InboundFile
from assistant.testing.channel_suite import RecordingLink, event_to, running, send
from channels.matrix.adapter import MatrixChannel
from tests.doubles.matrix_keys import EncryptedServer
from tests.doubles.matrix_platform import DM, MatrixPlatform
from tests.doubles.matrix_server import ANNA, TOKEN

pytestmark = pytest.mark.skipif(not find_spec("vodozemac"), reason="the extra 'matrix' is not installed")
SECRET = Address(channel="matrix", chat_id="!secret:test")


class Platform(MatrixPlatform):
    def prepare(self) -> None:
        super().prepare()
        self.server.room(SECRET.chat_id, ANNA, encryption={"algorithm": "m.megolm.v1.aes-sha2"})

    def open(self) -> MatrixChannel:
        return MatrixChannel(self.settings, replace(self.context, folder=self.files.folder / "keys"), pause=0.01)


@pytest.fixture
async def server() -> AsyncGenerator[EncryptedServer]:
    async with EncryptedServer() as server:
        yield server


@pytest.fixture
async def platform(server: EncryptedServer, tmp_path: Path) -> AsyncGenerator[Platform]:
    async with Platform(server, tmp_path, accessToken=TOKEN, encryption=True) as platform:
        yield platform


def plain(words: str) -> bytes:
    said = {"type": "m.room.message", "room_id": SECRET.chat_id, "content": {"msgtype": "m.text", "body": words}}
    return json.dumps(said).encode()


def share(server: EncryptedServer) -> None:
    server.news = {"to_device": {"events": [server.device.shared(SECRET.chat_id, server)]}}
    server.wake()


async def until(link: RecordingLink, server: EncryptedServer) -> None:
    """Everything before was read."""
    server.say(DM, {"msgtype": "m.text", "body": "the end"})
    while (await link.next()).text != "the end":
        pass


async def test_an_encrypted_room_is_read_and_written(server: EncryptedServer, platform: Platform):
    async with running(platform.channel) as link:
        share(server)
        server.say(SECRET.chat_id, server.device.sealed(plain("a secret")), kind="m.room.encrypted")
        assert (await link.next()).text == "a secret"
        await send(platform, event=event_to(SECRET, "an answer"))
    [(kind, content)] = [(event["type"], event["content"]) for room, event in server.stream if room == SECRET.chat_id][1:]
    assert (kind, server.device.opened(content)["body"]) == ("m.room.encrypted", "an answer")


OLM: list[tuple[Any, int]] = [
    ("", 0),
    ("x", 0),
    ("!!!!", 1),
    ("AAAA", 0),
    ("A" * 60_000, 1),
    ("\ud800", 0),
    (7, 0),
    (None, 1),
    ("AAAA", 9),
]


@pytest.mark.parametrize(("body", "kind"), OLM, ids=range(len(OLM)))
async def test_a_broken_key_holds_up_nothing(server: EncryptedServer, platform: Platform, body: Any, kind: int):
    async with running(platform.channel) as link:
        own = next(key for name, key in server.own["keys"].items() if name.startswith("curve25519:"))
        server.news = {"to_device": {"events": [server.device.olm(own, body, kind=kind), server.device.shared(SECRET.chat_id, server)]}}
        server.wake()
        server.say(SECRET.chat_id, server.device.sealed(plain("hello")), kind="m.room.encrypted")
        assert (await link.next()).text == "hello"


NEWS: list[dict[str, Any]] = [
    {"to_device": {"events": {"x": 1}}},
    {"to_device": {"events": [7, None, {"type": "m.room.encrypted"}, {"type": "m.room.encrypted", "content": {"algorithm": []}}]}},
    {"to_device": 7},
    {"device_lists": {"changed": [7, ["x"], {"y": 1}, None]}},
    {"device_lists": {"changed": "everyone"}},
    {"device_one_time_keys_count": {"signed_curve25519": "many"}},
    {"device_one_time_keys_count": []},
]


@pytest.mark.parametrize("news", NEWS, ids=range(len(NEWS)))
async def test_hostile_news_of_keys_hold_up_nothing(server: EncryptedServer, platform: Platform, news: dict[str, Any]):
    async with running(platform.channel) as link:
        server.news = news
        server.wake()
        await until(link, server)


PLAIN: list[bytes] = [
    b"",
    b"\xff\xfe",
    b"[]",
    b"7",
    b"[" * 20_000,
    b'{"type":7,"content":{}}',
    b'{"type":"m.room.message","content":7}',
    b'{"type":"m.room.message","content":{"msgtype":7,"body":[]}}',
    b'{"type":"m.room.message","room_id":"!other:test","content":{"m.relates_to":7}}',
]


@pytest.mark.parametrize("text", PLAIN, ids=range(len(PLAIN)))
async def test_whatever_was_encrypted_holds_up_nothing(
    server: EncryptedServer, platform: Platform, text: bytes, caplog: pytest.LogCaptureFixture
):
    async with running(platform.channel) as link:
        share(server)
        server.say(SECRET.chat_id, server.device.sealed(text), kind="m.room.encrypted")
        server.say(SECRET.chat_id, server.device.sealed(plain("hello")), kind="m.room.encrypted")
        assert (await link.next()).text == "hello"
    assert [each for each in caplog.records if each.name.startswith("nio") and each.levelno >= logging.WARNING] == []


EVE = "@eve:test"
DEVICES: list[Any] = [
    7,
    {"EVE": 7},
    {"EVE": {"user_id": EVE, "device_id": "EVE", "keys": 7}},
    {
        "EVE": {
            "user_id": EVE,
            "device_id": "EVE",
            "algorithms": [],
            "keys": {"ed25519:EVE": "no key", "curve25519:EVE": "no key"},
            "signatures": {EVE: {"ed25519:EVE": "no signature"}},
        }
    },
]


@pytest.mark.parametrize("devices", DEVICES, ids=range(len(DEVICES)))
async def test_a_member_with_a_broken_device_takes_no_one_else_s_key(server: EncryptedServer, platform: Platform, devices: Any):
    server.members[SECRET.chat_id][EVE] = "join"
    server.published = {EVE: devices, **server.published}
    server.once = {EVE: {"EVE": {"signed_curve25519:x": 7}}, **server.once}
    async with running(platform.channel):
        await send(platform, event=event_to(SECRET, "for anna"))
    assert server.device.opened(server.stream[-1][1]["content"])["body"] == "for anna"


HIDDEN: list[Any] = [
    {},
    {"key": 7, "hashes": [], "iv": {}},
    {"key": {"k": "x"}, "hashes": {"sha256": "!"}, "iv": "x"},
    {"key": {"k": "AAAA"}, "hashes": {"sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"}, "iv": "A"},
]


@pytest.mark.parametrize("hidden", HIDDEN, ids=range(len(HIDDEN)))
async def test_a_file_that_can_not_be_decrypted_is_refused(server: EncryptedServer, platform: Platform, hidden: Any, tmp_path: Path):
    ref = json.dumps(hidden | {"url": platform.put_file(b"hello")})
    file = InboundFile(name="a", kind="document", media_type="text/plain", size=5, ref=ref)
    with pytest.raises(SendRefused) as refused:
        await platform.adapter.conversation.fetch(file, tmp_path / "in", 1000)
    assert refused.value.trouble.code == "unreadable"


async def test_keys_that_can_not_be_opened_are_let_go_of(server: EncryptedServer, platform: Platform):
    """Else they would be in use, by this process itself, for ever."""
    folder = platform.files.folder / "keys"
    folder.mkdir()
    broken = folder / f"{b'BOTDEVICE'.hex()}.db"
    broken.write_bytes(b"no database" * 1000)
    for _ in range(2):
        with pytest.raises(ChannelFailed, match="can't be read"):
            await platform.channel.run(RecordingLink())
    broken.unlink()
    async with running(platform.channel) as link:
        share(server)
        server.say(SECRET.chat_id, server.device.sealed(plain("hello")), kind="m.room.encrypted")
        assert (await link.next()).text == "hello"
