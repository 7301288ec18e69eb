"""The `channels.discord` section of the configuration."""

from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator

from assistant.contracts.channels import ChannelSettings, SenderId


class DiscordSettings(ChannelSettings):
    """Discord, as a bot. Its application needs the "Message Content Intent" (Developer Portal, Bot), and in a server the permissions View Channels,
    Send Messages, Send Messages in Threads, Read Message History, Attach Files and Add Reactions."""

    token: SecretStr | None = None
    """The bot's token, from the Developer Portal (Bot, Reset Token)."""
    groups: Literal["off", "mention", "all"] = Field(default="mention", validation_alias=AliasChoices("groups", "groupPolicy"))
    """What is heard in servers, from those who may write: `"mention"`: messages that mention the bot or one of its own roles, or reply to it;
    `"all"`: every message; `"off"`: nothing. nanobot's `groupPolicy` (`"open"`, `"mention"`) is its old name."""
    allow_channels: tuple[SenderId, ...] = ()
    """Ids of the channels and threads of servers that are listened to; empty: all that the bot can see. Direct messages are not concerned."""
    read_receipt_emoji: str = "👀"
    """The reaction that says that a message was seen. Empty: none."""
    preview: Literal["off", "edit"] = Field(default="off", validation_alias=AliasChoices("preview", "streaming"))
    """Whether an answer is shown while it is made, by edits of one message, at most one a second. nanobot's `streaming` (true: `"edit"`) is its
    old name."""
    suppress_embeds: bool = True
    """Whether links are shown without a preview, for which Discord would fetch them: a way to leak what stands in a URL."""
    reply_to_message: bool = True
    """Whether an answer in a server refers to the message that it answers."""
    intents: int = 37377
    """nanobot's bit set of what to ask the gateway for. Only 32768 (message content) makes a difference: without it, messages in servers that
    don't mention the bot have no text, and the bot needs no privileged intent."""
    proxy: str | None = None
    """An HTTP proxy, such as `"http://127.0.0.1:3128"`."""
    proxy_username: str | None = None
    """Who the proxy is told we are, with `proxyPassword`."""
    proxy_password: SecretStr | None = None
    """The proxy's password."""
    api_base: str | None = None
    """Where the REST API is; null: Discord's own. For tests."""
    gateway_url: str | None = None
    """Where the gateway is; null: Discord's own. For tests."""

    @field_validator("groups", mode="before")
    @classmethod
    def _group_policy(cls, value: object) -> object:
        return "all" if value == "open" else value

    @field_validator("preview", mode="before")
    @classmethod
    def _streaming(cls, value: object) -> object:
        return {True: "edit", False: "off"}[value] if isinstance(value, bool) else value

    @field_validator("token", "proxy", "proxy_username", "proxy_password", "api_base", "gateway_url", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @property
    def secret(self) -> str:
        """The token, as it is sent."""
        return self.token.get_secret_value().strip() if self.token is not None else ""
