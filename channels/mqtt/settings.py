"""The `channels.mqtt` section of the configuration."""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from assistant.contracts.channels import ChannelSettings
from assistant.contracts.util import Settings
from channels.settings import ChannelName, OptionalText, Port, SecretText, check_ways, is_loopback

_TOPIC: Final = re.compile(r"[^+#\x00-\x1f\x7f-\x9f$][^+#\x00-\x1f\x7f-\x9f]{0,199}")


def _topic(name: str) -> str:
    if not _TOPIC.fullmatch(name):
        raise ValueError("a topic has 1 to 200 characters, none of them + or #, and does not begin with $")
    return name


TopicPath = Annotated[str, AfterValidator(_topic)]


class MqttTopic(Settings):
    """A device, a room, or an automation. Who may write to its topic is the broker's to decide (its access control list)."""

    publish: TopicPath
    """What the assistant publishes to."""
    listen: TopicPath | None = None
    """What the assistant reads: a topic of its own, else it would read itself. null: out only."""


class MqttSettings(ChannelSettings):
    """An MQTT broker. The sender of a message is the topic that it came by: `allowFrom` holds the names of `topics`."""

    host: str = "127.0.0.1"
    """The broker."""
    port: Port = 1883
    """Its port: 8883 with TLS, 1883 without."""
    tls: bool = False
    """Whether the connection is encrypted, and the broker's certificate checked."""
    username: OptionalText = None
    """Who logs in, where the broker asks."""
    password: SecretText = None
    """With which password. Without `tls` it is only sent to a broker on this machine."""
    client_id: str = "nanobot"
    """The session's name at the broker, which keeps what came while it was away: no other client may have it."""
    topics: dict[ChannelName, MqttTopic] = Field(default_factory=dict)
    """By name: `mqtt:<name>` is written to, and what comes by its `listen` is that person's message."""

    @property
    def secret(self) -> str:
        return self.password.get_secret_value() if self.password is not None else ""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.password is not None and not self.tls and not is_loopback(self.host):
            raise ValueError("a password needs tls, but for a broker on this machine")
        check_ways("listen", [(each.publish, each.listen) for each in self.topics.values()])
        return self
