"""The `channels.zulip` section of the configuration."""

from assistant.contracts.channels import ChannelSettings, SenderId
from channels.settings import GroupPolicy, OptionalText, PreviewMode, SecretText


class ZulipSettings(ChannelSettings):
    """A bot of a Zulip organization. Senders are known by their user ids (numbers), never by their names or addresses."""

    site: str = ""
    """The organization's address: `"https://example.zulipchat.com"`."""
    email: str = ""
    """The bot's e-mail address, from its zuliprc."""
    api_key: SecretText = None
    """The bot's API key, from its zuliprc."""
    groups: GroupPolicy = "mention"
    """Which messages in channels and group conversations are read, from those who may write: `"mention"`: those that mention the bot or quote it;
    `"all"`: every message in the channels that it is subscribed to; `"off"`: nothing."""
    allow_channels: tuple[SenderId, ...] = ()
    """Ids of the channels that are read (numbers); empty: all that the bot is subscribed to. Direct messages are always read."""
    topic: str = "nanobot"
    """The topic of a message to a channel that names none."""
    allow_bots: bool = False
    """Whether messages of other bots are read, under the rules for people (`allowFrom` names them by their ids). They are material, not a
    person's wish. After three in a row, a person has to write to the assistant there first, so that bots never answer each other for ever."""
    react_emoji: str = "eyes"
    """The name of the reaction to an accepted message, without colons; empty: none."""
    preview: PreviewMode = "off"
    """Whether an answer is shown while it is made, by edits of one message."""
    proxy: OptionalText = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
