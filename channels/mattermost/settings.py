"""The `channels.mattermost` section of the configuration."""

from pydantic import AliasChoices, Field

from assistant.contracts.channels import SenderId
from channels.settings import ChatSettings, GroupPolicy, SecretText


class MattermostSettings(ChatSettings):
    """A bot account of a Mattermost server. Senders are known by their user ids (26 letters and digits), never by their names."""

    server_url: str = ""
    """The server's address: `"https://chat.example.org"`."""
    token: SecretText = None
    """The bot's access token, shown once when the bot account is made."""
    groups: GroupPolicy = "mention"
    """Which messages in channels are read, from those who may write: `"mention"`: those that mention the bot or are in a thread with it;
    `"all"`: every message; `"off"`: nothing. nanobot's `groupPolicy` (`"open"`, `"mention"`) is its old name."""
    allow_channels: tuple[SenderId, ...] = Field(default=(), validation_alias=AliasChoices("allowChannels", "groupAllowFrom"))
    """Ids of the channels that are read; empty: all that the bot is in. Direct messages are always read. nanobot's `groupAllowFrom` is its old
    name."""
    reply_in_thread: bool = True
    """Whether a message in a channel begins a thread, which the answer goes to and which is a conversation of its own."""
    callback_url: str = ""
    """Where the Mattermost server reaches this one, for presses of buttons: `"http://nanobot:8900/channels/mattermost"`. Empty: buttons are
    written."""

    @property
    def secret(self) -> str:
        return self.token.get_secret_value().strip() if self.token else ""
