"""The `channels.slack` section of the configuration."""

from typing import Literal

from pydantic import AliasChoices, Field

from assistant.contracts.channels import ChannelSettings, SenderId
from channels.settings import GroupPolicy, OptionalText, PreviewMode, SecretText


class SlackSettings(ChannelSettings):
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
    allow_bots: bool = False
    """Whether messages of other bots are read, under the rules for people (`allowFrom` names them by their ids). They are material, not a
    person's wish. After three in a row, a person has to write to the assistant there first, so that bots never answer each other for ever."""
    react_emoji: str = "eyes"
    """The name of the reaction to an accepted message, without colons; empty: none."""
    preview: PreviewMode = "off"
    """Whether an answer is shown while it is made, by edits of one message."""
    link_previews: bool = False
    """Whether Slack shows previews of links in messages; it fetches the pages for that, without a click."""
    proxy: OptionalText = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
    api_base: str = "https://slack.com/api"
    """The address of the Web API. For tests."""

    @property
    def secrets(self) -> tuple[str, str, str]:
        """The bot's token, the app's token, the signing secret; each may be empty."""
        bot, app, signing = [
            each.get_secret_value().strip() if each else "" for each in (self.bot_token, self.app_token, self.signing_secret)
        ]
        return bot, app, signing
