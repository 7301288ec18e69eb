"""The `channels.feishu` section of the configuration."""

from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from channels.settings import ChatSettings, GroupPolicy, OptionalText, SecretText, revealed

_HOSTS = {"feishu": "https://open.feishu.cn", "lark": "https://open.larksuite.com"}
_SPELLED = {"feishu.cn": "feishu", "larksuite.com": "lark"}


class FeishuSettings(ChatSettings):
    """Feishu or Lark, as the bot of a custom app. It calls `/channels/feishu` here. `allowFrom` and `owners` hold open ids (`ou_…`, which `/id`
    shows)."""

    app_id: str = ""
    """The app's id (`cli_…`)."""
    app_secret: SecretText = None
    """The app's secret."""
    encrypt_key: SecretText = None
    """The key of "Encrypt Key": calls are encrypted and signed with it. Calls without it are refused."""
    verification_token: SecretText = None
    """The "Verification Token", which every call brings. Needed where there is no `encryptKey`."""
    domain: Annotated[Literal["feishu", "lark"], BeforeValidator(lambda value: _SPELLED.get(value, value))] = "feishu"
    """Where the app is: `"feishu"` (feishu.cn) or `"lark"` (larksuite.com)."""
    groups: GroupPolicy = "mention"
    """Which messages in groups are read: none (`"off"`), those that mention the bot, answer it or are one of its commands (`"mention"`), or all that
    the platform sends (`"all"`: it sends all only to an app with the permission im:message.group_msg)."""
    reply_in_thread: bool = Field(default=False, validation_alias=AliasChoices("replyInThread", "replyToMessage"))
    """Whether a message in a group begins a topic, which the answer goes to and which is a conversation of its own. nanobot's `replyToMessage` is its
    old name."""
    react_emoji: str = "THUMBSUP"
    """The name of the reaction to an accepted message, as the platform spells it; empty: none."""
    api_base: OptionalText = None
    """The address of the API. null: by `domain`."""

    @property
    def base(self) -> str:
        return self.api_base or _HOSTS[self.domain]

    @property
    def secrets(self) -> tuple[str, ...]:
        """The app's secret, the encrypt key, the verification token; each may be empty."""
        return revealed(self.app_secret, self.encrypt_key, self.verification_token)
