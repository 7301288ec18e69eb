"""The `channels.dingtalk` section of the configuration."""

from pydantic import AliasChoices, Field

from assistant.contracts.channels import ChannelSettings
from channels.settings import GroupPolicy, OptionalText, SecretText


class DingTalkSettings(ChannelSettings):
    """DingTalk, as the robot of an organisation's app, in HTTP mode: it calls `/channels/dingtalk` here. `allowFrom` and `owners` hold user
    ids (which `/id` shows)."""

    client_id: str = Field(default="", validation_alias=AliasChoices("clientId", "appKey"))
    """The app's Client ID (AppKey)."""
    client_secret: SecretText = Field(default=None, validation_alias=AliasChoices("clientSecret", "appSecret"))
    """The app's Client Secret (AppSecret), which signs calls, too."""
    robot_code: str = ""
    """The robot's code; empty: the Client ID, which it usually is."""
    groups: GroupPolicy = "mention"
    """Which messages in groups are read: none (`"off"`), those that mention the robot or are one of its commands (`"mention"`), or all that DingTalk
    sends (`"all"`: usually only those that mention it)."""
    session_replies: bool = True
    """Whether an answer goes to the address that came with the question, as long as DingTalk takes it (about 90 minutes): it needs no permission and
    costs no quota, but gives no id. false: always by the robot's API."""
    api_base: str = "https://api.dingtalk.com"
    """Where the API is."""
    oapi_base: str = "https://oapi.dingtalk.com"
    """Where the older API is: addresses of sessions begin with it, and files are uploaded there."""
    proxy: OptionalText = None
    """A proxy: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""

    @property
    def secret(self) -> str:
        return self.client_secret.get_secret_value().strip() if self.client_secret is not None else ""

    @property
    def robot(self) -> str:
        return self.robot_code or self.client_id
