"""The `channels.zulip` section of the configuration."""

from assistant.contracts.channels import SenderId
from channels.settings import ChatSettings, GroupPolicy, SecretText


class ZulipSettings(ChatSettings):
    """A bot of a Zulip organization. Senders are known by their user ids (numbers), never by their names or addresses."""

    site: str = ""
    """The organization's address: `"https://example.zulipchat.com"`."""
    email: str = ""
    """The bot's e-mail address, from its zuliprc."""
    api_key: SecretText = None
    """The bot's API key, from its zuliprc."""
    groups: GroupPolicy = "mention"
    """Which messages in channels and group conversations are read, from those who may write: `"mention"`: those that mention the bot or quote it;
    `"all"`: every message in the channels that it is subscribed to; `"off"`: nothing."""
    allow_channels: tuple[SenderId, ...] = ()
    """Ids of the channels that are read (numbers); empty: all that the bot is subscribed to. Direct messages are always read."""
    topic: str = "nanobot"
    """The topic of a message to a channel that names none."""
