"""The `channels.discord` section of the configuration."""

from pydantic import SecretStr

from assistant.contracts.channels import ChannelSettings


class DiscordSettings(ChannelSettings):
    """Discord."""

    token: SecretStr | None = None
    """The bot's token."""
