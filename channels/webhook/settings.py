"""The `channels.webhook` section of the configuration."""

from assistant.contracts.channels import ChannelSettings


class WebhookSettings(ChannelSettings):
    """Webhook."""
