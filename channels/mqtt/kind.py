"""The kind of channel, without its client."""

from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from channels.mqtt.settings import MqttSettings
from channels.settings import check_name, check_thread


def check_address(settings: MqttSettings, address: Address) -> Address:
    check_thread(address, "MQTT")
    return check_name(address, "topic", settings.topics if settings.enabled else ())


def open_channel(settings: MqttSettings, context: ChannelContext) -> Channel:
    if not settings.topics:
        raise ChannelFailed("channels.mqtt.topics names no topic.", fatal=True)
    from channels.mqtt.adapter import MqttChannel  # noqa: PLC0415 - paho, only where it is enabled

    return MqttChannel(settings, context)


KIND: Final = ChannelKind(
    name="mqtt",
    title="MQTT",
    about="Topics of an MQTT broker, for Home Assistant's automations and small devices; text only.",
    settings=MqttSettings,
    check_address=check_address,
    named=lambda settings: sorted(settings.topics),
    open=open_channel,
    needs=(
        Need(key="host", asks="The broker.", default="127.0.0.1"),
        Need(key="topics.home.publish", asks="A topic to publish to.", default="nanobot/home/out"),
        Need(key="topics.home.listen", asks="Another topic, that the assistant reads.", default="nanobot/home/in"),
        Need(key="username", asks="Who logs in, where the broker asks.", optional=True),
        Need(key="password", asks="With which password.", env="MQTT_PASSWORD", optional=True),
    ),
    extra="mqtt",
)
