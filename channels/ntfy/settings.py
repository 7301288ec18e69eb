"""The `channels.ntfy` section of the configuration."""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from assistant.contracts.channels import ChannelSettings
from assistant.contracts.util import Settings
from channels.settings import ChannelName, OptionalText, SecretText, check_ways

_TOPIC: Final = re.compile(r"[-_A-Za-z0-9]{1,64}")


def _topic(name: str) -> str:
    if not _TOPIC.fullmatch(name):
        raise ValueError("a topic has 1 to 64 letters, digits, - and _")
    return name


TopicName = Annotated[str, AfterValidator(_topic)]


class NtfyTopic(Settings):
    """A phone (or a group of them) that listens to a topic. Everyone who knows a topic can read and write it: choose one that can't be guessed."""

    topic: TopicName
    """What the assistant publishes to, and the phone subscribes to."""
    replies: TopicName | None = None
    """What the phone publishes to, and the assistant reads: a topic of its own, else the assistant would read itself. null: out only."""


class NtfySettings(ChannelSettings):
    """Push notifications by ntfy. The sender of a message is the topic that it came by: `allowFrom` holds the names of `topics`."""

    server: str = "https://ntfy.sh"
    """The server's address."""
    token: SecretText = None
    """An access token (`tk_…`), for a server that asks for one."""
    topics: dict[ChannelName, NtfyTopic] = Field(default_factory=dict)
    """By name: `ntfy:<name>` is written to, and its replies are that person's messages."""
    proxy: OptionalText = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""

    @model_validator(mode="after")
    def _topics_do_not_echo(self) -> Self:
        check_ways("replies", [(each.topic, each.replies) for each in self.topics.values()])
        return self
