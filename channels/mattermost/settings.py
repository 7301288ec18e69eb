"""The `channels.mattermost` section of the configuration."""

from pydantic import AliasChoices, Field

from assistant.contracts.channels import ChannelSettings, SenderId
from channels.settings import GroupPolicy, OptionalText, PreviewMode, SecretText


class MattermostSettings(ChannelSettings):
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
    allow_bots: bool = False
    """Whether messages of other bots are read, under the rules for people (`allowFrom` names them by their ids). They are material, not a
    person's wish. After three in a row, a person has to write to the assistant there first, so that bots never answer each other for ever."""
    react_emoji: str = "eyes"
    """The name of the reaction to an accepted message, without colons; empty: none."""
    preview: PreviewMode = "off"
    """Whether an answer is shown while it is made, by edits of one message. nanobot's `streaming` (true: `"edit"`) is its old name."""
    callback_url: str = ""
    """Where the Mattermost server reaches this one, for presses of buttons: `"http://nanobot:8900/channels/mattermost"`. Empty: buttons are
    written."""
    proxy: OptionalText = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""

    @property
    def secret(self) -> str:
        return self.token.get_secret_value().strip() if self.token else ""
