"""The settings of `channels.discord`."""

from typing import Any, Final, Literal

from pydantic import SecretStr, model_validator

from assistant.contracts.channels import ChannelSettings

_OLD: Final = {
    "groupPolicy": ("groups", {"open": "all", "mention": "mention"}),
    "streaming": ("preview", {True: "edit", False: "off"}),
}
"""nanobot's own names of settings that have another one here."""


class DiscordSettings(ChannelSettings):
    """Discord, as a bot. Its application needs the "Message Content Intent" (Developer Portal, Bot), and in a server the permissions View Channels,
    Send Messages, Send Messages in Threads, Read Message History, Attach Files and Add Reactions."""

    token: SecretStr = SecretStr("")
    """The bot's token, from the Developer Portal (Bot, Reset Token)."""
    groups: Literal["off", "mention", "all"] = "mention"
    """What is heard in servers, from those who may write: `"mention"`: messages that mention the bot or one of its own roles, or reply to it;
    `"all"`: every message; `"off"`: nothing. nanobot's `groupPolicy` (`"open"` for `"all"`) is understood, too."""
    allow_channels: tuple[str, ...] = ()
    """Ids of the channels and threads of servers that are listened to; empty: all that the bot can see. Direct messages are not concerned."""
    read_receipt_emoji: str = "👀"
    """The reaction that says that a message was seen. Empty: none."""
    preview: Literal["off", "edit"] = "off"
    """`"edit"`: an answer is shown while it is made, by editing its message at most once a second. nanobot's `streaming: true` means the same."""
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
    proxy_password: SecretStr | None = None
    api_base: str | None = None
    """Where the REST API is; null: Discord's own. For tests."""
    gateway_url: str | None = None
    """Where the gateway is; null: Discord's own. For tests."""

    @model_validator(mode="before")
    @classmethod
    def _by_their_old_names(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        taken: dict[Any, Any] = dict(given)  # pyright: ignore[reportUnknownArgumentType]
        for old, (name, values) in _OLD.items():
            snake = "group_policy" if old == "groupPolicy" else old
            for key in (old, snake):
                if key not in taken:
                    continue
                value = taken.pop(key)
                if value not in values:
                    raise ValueError(f"{old} is one of {', '.join(str(each).lower() for each in values)}; better use {name}")
                taken.setdefault(name, values[value])
        return taken
