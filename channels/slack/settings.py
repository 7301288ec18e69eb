"""The `channels.slack` section of the configuration."""

from typing import Literal

from pydantic import AliasChoices, Field

from assistant.contracts.channels import SenderId
from channels.settings import ChatSettings, GroupPolicy, SecretText, revealed


class SlackSettings(ChatSettings):
    """Slack, as the bot of an app of one workspace (https://api.slack.com/apps). Senders are known by their member ids (`U…`)."""

    bot_token: SecretText = None
    """The bot's token (`xoxb-…`), from "OAuth & Permissions"."""
    app_token: SecretText = None
    """The app-level token (`xapp-…`) with the scope `connections:write`, for Socket Mode."""
    signing_secret: SecretText = None
    """The signing secret, from "Basic Information", for mode `"events"`."""
    mode: Literal["socket", "events"] = "socket"
    """How messages come: by a WebSocket that the assistant opens (`"socket"`), or by Slack's calls of /channels/slack (`"events"`)."""
    groups: GroupPolicy = "mention"
    """Which messages in channels and group chats are read, from those who may write: `"mention"`: those that mention the bot or are in a thread
    with it; `"all"`: every message; `"off"`: nothing. nanobot's `groupPolicy` (`"open"`, `"mention"`) is its old name."""
    allow_channels: tuple[SenderId, ...] = Field(default=(), validation_alias=AliasChoices("allowChannels", "groupAllowFrom"))
    """Ids of the channels that are read (`C…`); empty: all that the bot is in. Direct messages are always read. nanobot's `groupAllowFrom` is its
    old name."""
    reply_in_thread: bool = True
    """Whether a message in a channel begins a thread, which the answer goes to and which is a conversation of its own."""
    link_previews: bool = False
    """Whether Slack shows previews of links in messages; it fetches the pages for that, without a click."""
    api_base: str = "https://slack.com/api"
    """The address of the Web API. For tests."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The bot's token, the app's token, the signing secret; each may be empty."""
        return revealed(self.bot_token, self.app_token, self.signing_secret)
