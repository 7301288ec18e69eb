"""One connection to a broker: paho's client in its thread, told to this event loop. A connection that ends stays ended; another is made."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from assistant.contracts.channels import ChannelFailed
from channels.mqtt.settings import MqttSettings

_CONNECT_SECONDS: Final = 10.0
_KEEP_SECONDS: Final = 60
MOST_WAITING: Final = 1000
"""Messages that the broker sends, or is sent, before the first of them is acknowledged."""
_SESSION_SECONDS: Final = 30 * 86_400
"""How long the broker keeps what came while the session was away."""
_BAD_LOGIN: Final = ("Bad user name or password", "Not authorized", "Client identifier not valid")


class BrokerConnection:
    def __init__(self, settings: MqttSettings, *, session: str = "", came: Callable[[paho.MQTTMessage], object] | None = None) -> None:
        """`session`: the name of a session that the broker keeps; empty: of none. `came` is called for what comes, which `acknowledge` is for."""
        self._settings = settings
        self._session = session
        self._came = came
        self._loop = asyncio.get_running_loop()
        self._client: Any = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=session, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False, manual_ack=True
        )
        self._client.connect_timeout = _CONNECT_SECONDS
        self._client.max_queued_messages_set(MOST_WAITING)
        if settings.username is not None:
            self._client.username_pw_set(settings.username, settings.secret or None)
        self._client.on_connect = self._on(self._connected, 3)  # the places of what is told in paho's callbacks
        self._client.on_subscribe = self._on(self._granted, 3)
        self._client.on_publish = self._on(self._published, 2, 3)
        self._client.on_message = self._on(self._receive, 2)
        self._client.on_disconnect = self._on(self._end, 3)
        self._up: asyncio.Future[str] = self._loop.create_future()
        self._subscribed: asyncio.Future[bool] = self._loop.create_future()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        """Why, when it has ended."""
        self._waiting: dict[int, asyncio.Future[int]] = {}

    async def open(self) -> None:
        """Raises ChannelFailed."""
        place = f"{self._settings.host}:{self._settings.port}"
        try:
            await asyncio.to_thread(self._connect)
        except (OSError, ValueError) as error:
            raise ChannelFailed(f"The broker at {place} can't be reached ({type(error).__name__}).") from None
        self._client.loop_start()
        await asyncio.wait([self._up, self.ended], timeout=_CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not (self._up.done() or self.ended.done()):
            raise ChannelFailed(f"The broker at {place} does not answer.")
        said = self._up.result() if self._up.done() else self.ended.result()
        if said != "Success":
            raise ChannelFailed(f"The broker at {place} takes no connection: {said}.", fatal=said in _BAD_LOGIN)

    def _connect(self) -> None:
        """Blocks: the certificates that are trusted are read, too."""
        if self._settings.tls:
            self._client.tls_set()
        about = Properties(PacketTypes.CONNECT)
        about.ReceiveMaximum = MOST_WAITING
        about.SessionExpiryInterval = _SESSION_SECONDS if self._session else 0
        self._client.connect(self._settings.host, self._settings.port, _KEEP_SECONDS, clean_start=not self._session, properties=about)

    async def subscribe(self, topics: list[str]) -> None:
        """Raises ChannelFailed."""
        self._client.subscribe([(topic, 1) for topic in topics])
        await asyncio.wait([self._subscribed, self.ended], timeout=_CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not self._subscribed.done():
            raise ChannelFailed("The broker did not answer, or ended the connection.")
        if not self._subscribed.result():
            raise ChannelFailed(f"The broker does not let this client read {', '.join(topics)}.", fatal=True)

    async def publish(self, topic: str, payload: bytes) -> int | None:
        """The broker's acknowledgement (QoS 1): a reason code, of which those from 0x80 are refusals. None: the connection ended first, and the
        broker may have it. Raises ChannelFailed: nothing was sent."""
        taken: asyncio.Future[int] = self._loop.create_future()
        info = self._client.publish(topic, payload, qos=1)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise ChannelFailed(f"The connection to the broker takes nothing: {paho.error_string(info.rc)}")
        self._waiting[info.mid] = taken  # told on this loop, so not before the next await
        try:
            await asyncio.wait([taken, self.ended], return_when=asyncio.FIRST_COMPLETED)
            return taken.result() if taken.done() else None
        finally:
            self._waiting.pop(info.mid, None)

    def acknowledge(self, message: paho.MQTTMessage) -> None:
        self._client.ack(message.mid, message.qos)

    async def close(self) -> None:
        """Safe to call twice."""
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def _on(self, what: Callable[..., object], *places: int) -> Callable[..., None]:
        """A callback, which is called in paho's thread."""

        def call(*about: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(what, *[about[place] for place in places])

        return call

    def _set(self, future: asyncio.Future[Any], value: object) -> None:
        if not future.done():
            future.set_result(value)

    def _connected(self, code: object) -> None:
        self._set(self._up, str(code))

    def _granted(self, codes: list[Any]) -> None:
        self._set(self._subscribed, not any(code.is_failure for code in codes))

    def _published(self, mid: int, code: Any) -> None:
        if mid in self._waiting:
            self._set(self._waiting[mid], code.value)

    def _receive(self, message: paho.MQTTMessage) -> None:
        if self._came is not None:
            self._came(message)

    def _end(self, why: object) -> None:
        self._set(self.ended, str(why))
