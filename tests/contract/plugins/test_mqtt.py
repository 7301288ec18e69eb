"""MQTT keeps the contract of a channel, against a real broker (mosquitto)."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import ValidationError

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, SendLater, SendRefused
from assistant.testing.channel_suite import ChannelSuite, Failure, FolderFiles, Said, Seen, running, send
from assistant.testing.platform import until
from channels.mqtt.adapter import MqttChannel
from channels.mqtt.kind import KIND
from channels.mqtt.settings import MqttSettings
from tests.doubles.live_answers import first_sent
from tests.doubles.live_server import free_port, live_server, offline
from tests.doubles.mosquitto import MISSING, PROGRAM, MqttProxy, mosquitto
from tests.doubles.served import OpenedPlatform

pytestmark = pytest.mark.skipif(not PROGRAM, reason=MISSING)


class MqttPlatform(OpenedPlatform[MqttChannel]):
    kind = KIND
    address = Address(channel="mqtt", chat_id="kitchen")
    bad_addresses = (Address(channel="mqtt", chat_id="cellar"), Address(channel="mqtt", chat_id="kitchen", thread_id="1"))
    receives = True
    abilities = frozenset({"reconnects"})
    failures = frozenset({"refuse", "limit", "lose", "hold", "server_error", "unauthorized"})
    most_text = 16_000

    def __init__(self, broker: int, proxy: MqttProxy, folder: Path) -> None:
        self.proxy = proxy
        self.out, self.listens = f"nanobot/{folder.name}/out", f"nanobot/{folder.name}/in"
        """Of this test alone: the broker may still have what one before it has written."""
        topics = {"kitchen": {"publish": self.out, "listen": self.listens}}
        about = {"enabled": True, "port": proxy.port, "clientId": folder.name, "topics": topics}
        super().__init__(folder, MqttSettings.model_validate(about))
        self._written = 0
        self.person: Any = paho.Client(CallbackAPIVersion.VERSION2)
        self.person.connect("127.0.0.1", broker)
        self.person.loop_start()

    def open(self) -> MqttChannel:
        return MqttChannel(self.settings, self.context, pause=0.01, seconds=20)

    async def close(self) -> None:
        await super().close()
        self.person.disconnect()
        await asyncio.to_thread(self.person.loop_stop)

    def seen(self) -> Sequence[Seen]:
        return self.proxy.seen

    def fail(self, how: Failure) -> None:
        if how == "unauthorized":
            self.proxy.locked = True
            self.proxy.drop()
        else:
            self.proxy.faults.append(how)

    def heal(self) -> None:
        self.proxy.locked = False
        self.proxy.faults.clear()

    def acknowledged(self) -> bool:
        return self.proxy.acknowledged >= self._written > 0

    def publish(self, payload: str | bytes, topic: str = "", *, retain: bool = False, qos: int = 1) -> Any:
        return self.person.publish(topic or self.listens, payload, qos=qos, retain=retain)

    def write(self, said: Said) -> str:
        self._written += 1
        id = said.id or f"m{self._written}"
        self.publish(json.dumps({"text": said.text, "id": id}), self.out if said.by == "assistant" else "")
        return id

    def say(self, text: str) -> None:
        self._written += 1
        self.publish(text)

    def garble(self) -> None:
        for payload in (b"", b"   ", b'{"text": 7}', b'{"text": ["a"], "id": {}}', b'{"text": ""}', b'{"text": null}', b"x" * 70_000):
            self.publish(payload)

    def drop(self) -> None:
        self.proxy.drop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Generator[int]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as port:
        yield port


@pytest.fixture
async def platform(broker: int, tmp_path: Path) -> AsyncGenerator[MqttPlatform]:
    async with MqttProxy(broker) as proxy, MqttPlatform(broker, proxy, tmp_path) as platform:
        yield platform


class TestMqtt(ChannelSuite):
    @pytest.fixture
    def platform(self, platform: MqttPlatform) -> MqttPlatform:
        return platform


async def test_what_came_while_it_was_away_arrives(platform: MqttPlatform) -> None:
    async with running(platform.channel) as link:
        platform.say("w1")
        assert (await link.next()).text == "w1"
    platform.say("w2")
    platform.say("w2")
    await platform.reopen()
    async with running(platform.channel, link):
        found = [await link.next(), await link.next()]
    assert [each.text for each in found] == ["w2", "w2"]
    assert found[0].external_id != found[1].external_id


async def test_what_was_stored_and_not_acknowledged_comes_again_as_the_same(platform: MqttPlatform) -> None:
    async with running(platform.channel) as link:
        link.gate.clear()
        platform.say("w1")
        first = await link.offered.get()
    link.gate.set()
    async with running(platform.channel, link):
        again = await link.next()
    assert (first.text, first.external_id) == (again.text, again.external_id)


async def test_a_retained_message_is_no_wish(platform: MqttPlatform) -> None:
    await asyncio.to_thread(platform.publish("w1", retain=True).wait_for_publish, 30)  # one that comes later is news
    try:
        async with running(platform.channel) as link:
            platform.say("w2")
            assert (await link.next()).text == "w2"
    finally:
        platform.publish(b"", retain=True)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b'{"text": "w1", "id": 7}', "w1"),
        (rb'{"text": "w1 \ud83d", "id": "\ud800"}', "w1 \ufffd"),
        (b'{"text": "w1", "more": ' + b"9" * 400 + b"}", "w1"),
        (b'{"text": ' + b"[" * 5000, '{"text": ' + "[" * 5000),
        (b'{"words": "w1"}', '{"words": "w1"}'),
        (b'{"text": "w1", "id": NaN}', '{"text": "w1", "id": NaN}'),
        (b"w1 \xff", "w1 \ufffd"),
    ],
    ids=["number as id", "half a character", "huge number", "deep", "another object", "NaN", "no UTF-8"],
)
async def test_a_payload_is_json_with_text_or_words(platform: MqttPlatform, payload: bytes, text: str) -> None:
    async with running(platform.channel) as link:
        platform.publish(payload)
        assert (await link.next()).text == text


async def test_more_than_there_is_room_for_waits_at_the_broker(platform: MqttPlatform) -> None:
    async with running(platform.channel) as link:
        link.gate.clear()
        for number in range(1200):
            platform.publish(f"w{number}")
        link.gate.set()
        assert [(await link.next()).text for _ in range(1200)] == [f"w{number}" for number in range(1200)]
    receive_maximum = b"\x21" + (1000).to_bytes(2, "big")
    assert receive_maximum in platform.proxy.connects[-1]


async def test_what_needs_no_acknowledgement_and_finds_no_room_is_told(platform: MqttPlatform, caplog: pytest.LogCaptureFixture) -> None:
    async with running(platform.channel) as link:
        link.gate.clear()
        for _ in range(1100):
            platform.publish("w", qos=0)
        await until(lambda: "mqtt.message_dropped" in caplog.text)
        link.gate.set()


async def test_more_than_the_broker_takes_was_not_sent(platform: MqttPlatform) -> None:
    for _ in range(1000):
        platform.fail("hold")
    sends = [asyncio.create_task(send(platform, key=f"k{number}x")) for number in range(1000)]
    await until(lambda: len(platform.proxy.faults) <= 980)
    with pytest.raises(SendLater, match="takes nothing"):
        await send(platform)
    for task in sends:
        task.cancel()
    await asyncio.gather(*sends, return_exceptions=True)


async def test_certificates_are_read_beside_the_loop(platform: MqttPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def noted(_: object) -> None:
        threads.append(threading.current_thread())

    monkeypatch.setattr(paho.Client, "tls_set", noted)
    channel = MqttChannel(platform.settings.model_copy(update={"tls": True, "port": free_port()}), platform.context)
    with pytest.raises(ChannelFailed, match="can't be reached"):
        await channel.identity()
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    "more",
    [
        {"topics": {"a": {"publish": "x/#"}}},
        {"topics": {"a": {"publish": "$SYS/x"}}},
        {"topics": {"a": {"publish": "x", "listen": "x"}}},
        {"topics": {"a": {"publish": "x", "listen": "y"}, "b": {"publish": "z", "listen": "y"}}},
        {"host": "broker.example", "password": "p"},
    ],
)
def test_settings_that_can_not_be_meant_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MqttSettings.model_validate(more)


async def test_a_brokers_own_refusals(tmp_path: Path) -> None:
    """Its access control list, not a proxy's answers."""
    (tmp_path / "acl").write_text(f"topic read nanobot/{tmp_path.name}/in\n")
    rules = f"allow_anonymous true\nacl_file {tmp_path / 'acl'}"
    with mosquitto(tmp_path, rules) as port:
        async with MqttProxy(port) as proxy:
            platform = MqttPlatform(port, proxy, tmp_path)
            with pytest.raises(SendRefused, match="may not write"):
                await send(platform)
            await platform.close()
    with pytest.raises(ChannelFailed, match="can't be reached"):
        await platform.channel.identity()


async def test_a_broker_that_wants_a_login_is_told_of_as_such(tmp_path: Path) -> None:
    with mosquitto(tmp_path, "allow_anonymous false") as port:
        topics = {"kitchen": {"publish": "nanobot/kitchen/out"}}
        settings = MqttSettings.model_validate({"enabled": True, "port": port, "username": "a", "password": "s3cr3t", "topics": topics})
        channel = MqttChannel(settings, ChannelContext(files=FolderFiles(tmp_path), version="1"))
        with pytest.raises(ChannelFailed, match="Not authorized") as failed:
            await channel.identity()
    assert failed.value.fatal
    assert "s3cr3t" not in str(failed.value)


async def test_a_message_to_a_real_server_is_answered(platform: MqttPlatform, tmp_path: Path) -> None:
    topics = {"kitchen": {"publish": platform.out, "listen": platform.listens}}
    mqtt = {"enabled": True, "port": platform.settings.port, "owners": ["kitchen"], "topics": topics}
    with live_server(tmp_path / "home", config={**offline(), "channels": {"mqtt": {**mqtt, "clientId": f"{tmp_path.name}-live"}}}) as live:
        async with httpx2.AsyncClient(base_url=live.url, timeout=30) as client:
            await until(lambda: platform.proxy.subscribed)
            platform.say("/id")
            sent = await first_sent(client)
    [seen] = platform.seen()
    assert (seen.chat_id, "kitchen" in seen.text) == (platform.out, True)
    assert sent["parts"]
