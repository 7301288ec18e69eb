"""MQTT as a channel: publishes with QoS 1, and reads in a session that the broker keeps."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Final
from uuid import uuid4

import paho.mqtt.client as paho

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit, Sending, SendLater, SendRefused, SendUnclear
from assistant.contracts.inbox import InboundMessage, Sender
from assistant.contracts.outbox import Receipt
from channels.kit.commands import command_of
from channels.kit.http import loads
from channels.kit.intake import Intake, next_of
from channels.kit.planning import MessageRules, plan_message
from channels.kit.values import text_at
from channels.mqtt.connection import MOST_WAITING, BrokerConnection
from channels.mqtt.settings import MqttSettings
from channels.text.splitting import plain_parts

log = logging.getLogger(__name__)
_RULES: Final = MessageRules(platform="MQTT", texts=plain_parts, most_text=16_000, most_files=0)
_MOST_BYTES: Final = 64_000
"""Of a message that comes in."""
_SECONDS: Final = 20.0
_FAILURES, _QUOTA, _QUOTA_WAIT = 0x80, 0x97, 30.0
"""Reason codes (https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html, 3.4.2.1); the broker tells no wait."""
_REFUSALS: Final = {0x87: "this client may not write to that topic", 0x90: "it takes no such topic", 0x99: "it takes no text there"}


class MqttChannel:
    """See `contracts.channels.Channel`. Two connections: one reads, in a session of its own; one writes."""

    name = "mqtt"
    keyed = False
    conversation = None
    plan = staticmethod(partial(plan_message, rules=_RULES))

    def __init__(self, settings: MqttSettings, context: ChannelContext, *, pause: float = 1.0, seconds: float = _SECONDS) -> None:
        """`pause`: seconds before the first retry where the store can't be written; `seconds`: for the broker's acknowledgement."""
        self._settings = settings
        self._notes = context.notes
        self._intake = Intake(self.name, pause=pause)
        self._seconds = seconds
        self._names = {each.listen: name for name, each in settings.topics.items() if each.listen is not None}
        self._out: BrokerConnection | None = None
        self._opening = asyncio.Lock()

    def limits(self, address: Address) -> Sequence[Limit]:
        return ()

    async def identity(self) -> str:
        await self._writer()
        who = self._settings.username or self._settings.client_id
        return f"{who} on {self._settings.host}:{self._settings.port}, topics: {', '.join(sorted(self._settings.topics))}"

    async def run(self, link: ChannelLink) -> None:
        detail = await self.identity()
        if not self._names:
            link.connected(detail)
            await asyncio.Event().wait()
        came: asyncio.Queue[paho.MQTTMessage] = asyncio.Queue(MOST_WAITING)
        reader = BrokerConnection(self._settings, session=self._settings.client_id, came=lambda message: _put(came, message))
        try:
            await reader.open()
            await reader.subscribe(sorted(self._names))
            link.connected(detail)
            while (message := await next_of(came, reader.ended)) is not None:
                await self._take(link, message)
                reader.acknowledge(message)
            raise ChannelFailed(f"The broker ended the connection ({reader.ended.result()}).")
        finally:
            await reader.close()

    async def send(self, sending: Sending) -> Receipt:
        topic = self._settings.topics.get(sending.address.chat_id)
        if topic is None:
            raise SendRefused("unknown_topic", f"There is no topic {sending.address.chat_id!r} in channels.mqtt.topics.")
        try:
            out = await self._writer()
            async with asyncio.timeout(self._seconds):
                code = await out.publish(topic.publish, sending.part.plain.encode())
        except ChannelFailed as error:
            why, wait = ("unauthorized", 300.0) if error.fatal else ("network", None)
            raise SendLater(why, str(error), retry_after=wait, counts=False, whole_channel=True) from error
        except TimeoutError:
            code = None
        if code is None:
            raise SendUnclear("no_answer", "The broker did not acknowledge the message; it may have it.")
        if code == _QUOTA:
            raise SendLater("flood_wait", "The broker's quota is exceeded.", retry_after=_QUOTA_WAIT, counts=False)
        if code in _REFUSALS:
            raise SendRefused("refused", f"The broker refused it: {_REFUSALS[code]}.")
        if code >= _FAILURES:
            raise SendLater("server_error", f"The broker failed (reason code {code}).")
        return Receipt(message_id=None, at=datetime.now(UTC), notice=sending.part.notice)

    async def close(self) -> None:
        out, self._out = self._out, None
        if out is not None:
            await out.close()

    async def _writer(self) -> BrokerConnection:
        """Raises ChannelFailed."""
        async with self._opening:
            if self._out is not None and not self._out.ended.done():
                return self._out
            await self.close()
            out = BrokerConnection(self._settings)
            try:
                await out.open()
            except BaseException:
                await out.close()
                raise
            self._out = out
            return out

    async def _take(self, link: ChannelLink, message: paho.MQTTMessage) -> None:
        name = self._names.get(message.topic)
        if name is None or message.retain or len(message.payload) > _MOST_BYTES:
            return  # a retained message is an old state, and no wish
        text, id = _words(bytes(message.payload))
        if not text.strip():
            return
        id = id or await self._id_of(message)
        await self._intake.keep(
            link,
            InboundMessage(
                external_id=f"{name}:{id}",
                address=Address(channel="mqtt", chat_id=name),
                sender=Sender(id=name, name=name),
                private=True,
                text=text,
                command=command_of(text),
                at=datetime.now(UTC),
            ),
        )

    async def _id_of(self, message: paho.MQTTMessage) -> str:
        """MQTT names no message. What it gives again (its acknowledgement was lost in a crash) has the id that was noted at the first time."""
        key = f"{message.mid}:{sha256(bytes(message.payload)).hexdigest()[:16]}"
        noted, _, id = (await self._notes.get("last") or "").partition("=")
        if message.dup and noted == key:
            return id
        id = uuid4().hex
        await self._notes.keep("last", f"{key}={id}")
        return id


def _put(queue: asyncio.Queue[paho.MQTTMessage], message: paho.MQTTMessage) -> None:
    """Of those that want an acknowledgement the broker sends no more than there is room for."""
    if queue.full():
        log.warning("mqtt.message_dropped topic=%s qos=%d waiting=%d", message.topic, message.qos, queue.qsize())
    else:
        queue.put_nowait(message)


def _words(payload: bytes) -> tuple[str, str]:
    """(text, id) of a payload: text, or JSON {"text", "id"}. Empty: it has no id."""
    text = payload.decode(errors="replace")
    if text.lstrip().startswith("{"):
        try:
            found = loads(payload)
        except ValueError:
            found = None
        if "text" in (found if isinstance(found, dict) else {}):
            said, id = text_at(found, "text"), text_at(found, "id")
            return said, sha256(id.encode()).hexdigest()[:32] if id else ""
    return text, ""
