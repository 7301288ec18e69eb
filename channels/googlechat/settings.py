"""The `channels.googlechat` section of the configuration."""

from assistant.contracts.channels import ChannelSettings, SenderId
from channels.settings import GroupPolicy, OptionalText, PreviewMode, SecretText


class GoogleChatSettings(ChannelSettings):
    """Google Chat, as a Chat app of a Google Cloud project. Chat calls `/channels/googlechat` here."""

    service_account: SecretText = None
    """The key of the app's service account: the path of its JSON file, or the JSON itself."""
    audience: str = ""
    """Whom Chat's calls are signed for, as the app's configuration says it (Authentication audience): the number of its Google Cloud project, or the
    URL of the endpoint."""
    allow_from: tuple[SenderId, ...] = ()
    """Ids of users (the number in `users/…`) who may write. Empty: only paired senders. `"*"`: everybody who can reach the app."""
    groups: GroupPolicy = "mention"
    """Which messages in spaces are read: none (`"off"`), those that mention the app or are its slash commands (`"mention"`), or all that Chat sends
    (`"all"`: also those with links that the app previews)."""
    preview: PreviewMode = "off"
    """Whether an answer is shown while it is made, by edits of one message."""
    proxy: OptionalText = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
    server: str = "https://chat.googleapis.com"
    """Where Chat's API is."""
    keys_url: str = "https://www.googleapis.com"
    """Where the keys are that Chat's calls are signed with."""

    @property
    def secret(self) -> str:
        return self.service_account.get_secret_value().strip() if self.service_account is not None else ""
