"""The `channels.webhook` section of the configuration."""

import re
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field, SecretStr

from assistant.contracts.channels import ChannelSettings, SenderId
from assistant.contracts.util import Settings
from channels.settings import BLANK_IS_NONE, ChannelName, OptionalText

_SHORTEST: Final = 16


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < _SHORTEST:
        raise ValueError(f"a secret has at least {_SHORTEST} characters; `openssl rand -hex 32` makes one")
    return secret


def _web_address(url: SecretStr) -> SecretStr:
    if not re.fullmatch(r"https?://[^\s/?#]+\S*", url.get_secret_value(), re.IGNORECASE):
        raise ValueError("must be an http:// or https:// URL")
    return url


HookSecret = Annotated[Annotated[SecretStr, AfterValidator(_long_enough)] | None, BLANK_IS_NONE]
HookUrl = Annotated[Annotated[SecretStr, AfterValidator(_web_address)] | None, BLANK_IS_NONE]


class HookSettings(Settings):
    """A program that writes to the assistant by POST /hooks/<name>, or is written to at `url`, or both."""

    secret: HookSecret = None
    """What the sender signs with (HMAC-SHA256), at least 16 characters. Without `secret` and `bearer`, nothing comes in: there is no such route."""
    bearer: HookSecret = None
    """For senders that can't sign: sent as `Authorization: Bearer <it>`; at least 16 characters."""
    url: HookUrl = None
    """Where messages to this hook are posted, answers included. None: nothing goes out."""
    out_secret: HookSecret = None
    """What messages to `url` are signed with. None: `secret`; if that is not set either, they are not signed."""

    @property
    def listens(self) -> bool:
        return self.secret is not None or self.bearer is not None


class WebhookSettings(ChannelSettings):
    """Messages from and to other programs, over HTTP."""

    let_in_by_secret: ClassVar[bool] = True

    allow_from: tuple[SenderId, ...] = ()
    """Not used here: a hook takes messages from everyone who knows its secret."""
    hooks: dict[ChannelName, HookSettings] = Field(default_factory=dict)
    """By name: `POST /hooks/<name>` comes in, `webhook:<name>` is written to."""
    proxy: OptionalText = None
    """A proxy for messages out: `"http://127.0.0.1:3128"`, `"socks5://127.0.0.1:1080"`. null: what the environment says (HTTPS_PROXY, HTTP_PROXY,
    ALL_PROXY, NO_PROXY); never for loopback."""
