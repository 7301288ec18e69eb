"""The `channels.apprise` section of the configuration."""

from assistant.contracts.channels import ChannelSettings


class AppriseSettings(ChannelSettings):
    """Apprise."""
