"""The `channels.telegram` section of the configuration."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from assistant.contracts.channels import SenderId
from channels.settings import ChatSettings, GroupPolicy, SecretText

_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


class TelegramSettings(ChatSettings):
    """A bot on Telegram: its token is made by @BotFather."""

    token: SecretText = None
    """The bot's token, from @BotFather."""
    allow_from: tuple[SenderId, ...] = ()
    """Numeric ids of senders who may write (`/id` shows one's own). Empty: only paired senders. `"*"`: everybody. Of nanobot's form `"id|name"`
    the id counts; a user name matches no one, because names can change hands."""
    groups: GroupPolicy = "mention"
    """Which messages in groups are read: none (`"off"`), those that mention the bot, answer it or are one of its commands (`"mention"`), or all that
    Telegram sends (`"all"`; switch off the bot's privacy mode for that). Only from senders who may write. nanobot's `groupPolicy`
    (`"open"`, `"mention"`) is its old name."""
    link_previews: bool = False
    """Whether Telegram shows previews of links in messages; it fetches the pages for that, without anybody's click."""
    reply_to_message: bool = False
    """Whether answers in private chats refer to the message that they answer, too; in groups they always do."""
    react_emoji: str = "👀"
    """The reaction to an accepted message; empty: none."""
    mode: Literal["polling", "webhook"] = "polling"
    """How messages come: by polling, or by calls of `webhookUrl` (`"webhook"`)."""
    webhook_url: str = ""
    """The https URL that Telegram calls; what it reaches has to lead to `webhookPath` here."""
    webhook_listen_host: str = "127.0.0.1"
    """The address that the webhook listens on; something in front of it has to speak TLS."""
    webhook_listen_port: Annotated[int, Field(ge=0, le=65535)] = 8081
    """The port that the webhook listens on."""
    webhook_path: str = "/telegram"
    """The path that the webhook answers on."""
    webhook_secret_token: SecretText = None
    """The secret that Telegram sends with every call: 1 to 256 letters, digits, `_` and `-`. null: a new one at every start."""
    api_base: str = "https://api.telegram.org"
    """Where the Bot API is, for a server of one's own."""
    extra_headers: dict[str, str] = Field(default_factory=dict[str, str])
    """Headers that are sent with every request, for an `apiBase` that asks for them."""

    @property
    def quotes_in_private(self) -> bool:
        return self.reply_to_message

    @field_validator("allow_from", "owners", mode="after")
    @classmethod
    def _ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(entry.split("|", 1)[0].strip() for entry in value)

    @model_validator(mode="after")
    def _webhook_is_whole(self) -> Self:
        if self.mode == "webhook" and self.enabled and not self.webhook_url.startswith(("https://", "http://127.0.0.1")):
            raise ValueError('mode "webhook" needs webhookUrl, an https address that Telegram can reach')
        if not self.webhook_path.startswith("/"):
            raise ValueError("webhookPath begins with a slash")
        secret = self.webhook_secret_token
        if secret is not None and not _SECRET.fullmatch(secret.get_secret_value()):
            raise ValueError("webhookSecretToken takes 1 to 256 letters, digits, _ and -")
        return self
