"""The `channels.telegram` section of the configuration."""

from pydantic import SecretStr

from assistant.contracts.channels import ChannelSettings


class TelegramSettings(ChannelSettings):
    """Telegram."""

    token: SecretStr | None = None
    """The bot's token."""
