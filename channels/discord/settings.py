"""The `channels.discord` section of the configuration."""

from pydantic import AliasChoices, Field

from assistant.contracts.channels import SenderId
from channels.settings import ChatSettings, GroupPolicy, OptionalText, SecretText, revealed


class DiscordSettings(ChatSettings):
    """Discord, as a bot. Its application needs the "Message Content Intent" (Developer Portal, Bot), and in a server the permissions View Channels,
    Send Messages, Send Messages in Threads, Read Message History, Attach Files and Add Reactions."""

    token: SecretText = None
    """The bot's token, from the Developer Portal (Bot, Reset Token)."""
    groups: GroupPolicy = "mention"
    """Which messages in servers are read, from those who may write: `"mention"`: those that mention the bot or one of its own roles, or reply to it;
    `"all"`: every message; `"off"`: nothing. nanobot's `groupPolicy` (`"open"`, `"mention"`) is its old name."""
    allow_channels: tuple[SenderId, ...] = ()
    """Ids of the channels and threads of servers that are read; empty: all that the bot can see. Direct messages are always read."""
    react_emoji: str = Field(default="👀", validation_alias=AliasChoices("reactEmoji", "readReceiptEmoji"))
    """The reaction to an accepted message; empty: none. nanobot's `readReceiptEmoji` is its old name."""
    link_previews: bool = False
    """Whether Discord shows previews of links in messages; it fetches the pages for that, without anybody's click."""
    reply_to_message: bool = True
    """Whether an answer in a server refers to the message that it answers."""
    api_base: OptionalText = None
    """The address of the REST API; its gateway is then /gateway on the same host. null: Discord's own. For tests."""

    @property
    def secret(self) -> str:
        return revealed(self.token)[0]
