"""The `channels.line` section of the configuration."""

from assistant.contracts.channels import ChannelSettings
from channels.settings import GroupPolicy, OptionalText, SecretText


class LineSettings(ChannelSettings):
    """An official account on LINE, with a channel of the Messaging API. `allowFrom` and `owners` hold user ids (`U…`, which `/id` shows)."""

    channel_access_token: SecretText = None
    """A long-lived channel access token."""
    channel_secret: SecretText = None
    """The channel's secret, which signs what LINE sends."""
    groups: GroupPolicy = "mention"
    """Which messages in groups and rooms are read: none (`"off"`), those that mention the assistant, quote it or are one of its commands
    (`"mention"`), or all (`"all"`). Only from senders who may write."""
    reply_tokens: bool = True
    """Whether an answer within a minute goes out as a reply, which costs nothing; false: always as a push, which counts against the plan's messages
    and which LINE never sends twice."""
    api_base: str = "https://api.line.me"
    """Where the Messaging API is."""
    data_base: str = "https://api-data.line.me"
    """Where it hands out files."""
    proxy: OptionalText = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""

    @property
    def token(self) -> str:
        return self.channel_access_token.get_secret_value().strip() if self.channel_access_token is not None else ""

    @property
    def secret(self) -> str:
        return self.channel_secret.get_secret_value().strip() if self.channel_secret is not None else ""
