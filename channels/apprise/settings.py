"""The `channels.apprise` section of the configuration."""

from pydantic import Field, SecretStr

from assistant.contracts.channels import ChannelSettings, SenderId
from channels.settings import ChannelName


class AppriseSettings(ChannelSettings):
    """Any service that Apprise can send to (https://appriseit.com/services/), each under a name. Nothing comes in."""

    allow_from: tuple[SenderId, ...] = ()
    """Not used here: nothing comes in."""
    services: dict[ChannelName, SecretStr] = Field(default_factory=dict)
    """Apprise's URL of each service, by name: `apprise:<name>` is written to. They hold secrets: `"${NTFY_URL}"` takes one from the
    environment."""
