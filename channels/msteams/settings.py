"""The `channels.msteams` section of the configuration."""

from pydantic import AliasChoices, Field

from assistant.contracts.channels import ChannelSettings, SenderId
from channels.settings import GroupPolicy, OptionalText, PreviewMode, SecretText


class TeamsSettings(ChannelSettings):
    """Microsoft Teams, as a bot (Azure Bot, or a registration in the Teams developer portal). Teams calls `/channels/msteams` here."""

    app_id: str = ""
    """The bot's application (client) id."""
    app_password: SecretText = Field(default=None, validation_alias=AliasChoices("appPassword", "appSecret"))
    """The value of a client secret of that application."""
    tenant_id: str = ""
    """The directory (tenant) id of a single-tenant bot; empty: a multi-tenant one."""
    allow_from: tuple[SenderId, ...] = ()
    """Object ids of users (in Microsoft Entra) who may write. Empty: only paired senders. `"*"`: everybody who can reach the bot."""
    groups: GroupPolicy = "mention"
    """Which messages in channels and group chats are read: none (`"off"`), those that mention the bot (`"mention"`), or all that Teams sends
    (`"all"`: it sends all only to a bot with the permission ChannelMessage.Read.Group)."""
    preview: PreviewMode = "off"
    """Whether an answer is shown while it is made, by edits of one message."""
    reply_to_message: bool = True
    """Whether a thread of a channel is a conversation of its own, which answers stay in; false: the channel is one, and each answer begins a
    thread."""
    proxy: OptionalText = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
    login_url: str = "https://login.microsoftonline.com"
    """Where tokens come from; national clouds have their own."""
    openid_url: str = "https://login.botframework.com/v1/.well-known/openidconfiguration"
    """What names the keys that Teams' calls are signed with."""
    issuer: str = "https://api.botframework.com"
    """Who signs Teams' calls."""

    @property
    def secret(self) -> str:
        return self.app_password.get_secret_value().strip() if self.app_password is not None else ""
