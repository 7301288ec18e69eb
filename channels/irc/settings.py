"""The `channels.irc` section of the configuration."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from assistant.contracts.channels import ChannelSettings, SenderId
from channels.settings import GroupPolicy, OptionalText, Port, SecretText, is_loopback

NICK: Final = re.compile(r"[A-Za-z\[\]\\`_^{|}][A-Za-z0-9\[\]\\`_^{|}-]{0,63}")
ROOM: Final = re.compile(r"[#&][^\s,:\x00-\x20]{1,63}")
ACCOUNT: Final = "account:"


class IrcSettings(ChannelSettings):
    """A nick on one IRC server. Senders are known by their accounts there, because nicks can be taken by anyone."""

    host: str = "irc.libera.chat"
    """The server."""
    port: Port = 6697
    """Its port: 6697 with TLS, 6667 without."""
    tls: bool = True
    """Whether the connection is encrypted. Only a server on this machine may be reached without."""
    nick: str = "nanobot"
    """The nick that is asked for; where it is in use, one with `_` behind it, and that one again every 90 seconds."""
    real_name: str = "nanobot"
    """What is shown beside the nick."""
    server_password: SecretText = None
    """The server's own password, where it has one."""
    login: Literal["sasl", "nickserv", "certificate"] = "sasl"
    """How to log in: by SASL with `account` and `password`, by a message to NickServ with them, or with `certificate` by SASL EXTERNAL. Without
    a password and a certificate: not at all."""
    account: OptionalText = None
    """The account to log in to; null: the one named as the nick."""
    password: SecretText = None
    """The account's password."""
    certificate: OptionalText = None
    """A file with a certificate and its key (PEM), for `login: "certificate"`."""
    channels: tuple[str, ...] = ()
    """Channels to be in: `"#room"`, or `"#room key"` where it has a key."""
    allow_from: tuple[SenderId, ...] = ()
    """Senders who may write: `"account:anna"`. With `trustNicks` also masks: `"anna!*@*.example.org"`. Empty: only paired senders.
    `"*"`: everybody."""
    trust_nicks: bool = False
    """Whether senders without an account are let in by their masks (nick!user@host), which others can take. For servers without accounts."""
    groups: GroupPolicy = "mention"
    """Which messages in channels are read, from those who may write: `"mention"`: those that have the nick in them; `"all"`; `"off"`."""
    allow_bots: bool = False
    """Whether messages that are marked as a bot's are read, under the rules for people. They are material, not a person's wish. After three in a
    row, a person has to write to the assistant there first."""
    line_seconds: Annotated[float, Field(ge=0, le=10)] = 1.0
    """The least time between two lines, after four at once: servers end connections that write faster."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.tls and not is_loopback(self.host):
            raise ValueError("tls can only be false for a server on this machine")
        if not NICK.fullmatch(self.nick):
            raise ValueError(f"{self.nick!r} can't be a nick")
        if wrong := [room for room in self.channels if not ROOM.fullmatch(room.split(" ")[0])]:
            raise ValueError(f"{wrong[0]!r} can't be a channel")
        if self.login == "certificate" and self.certificate is None and self.enabled:
            raise ValueError('login "certificate" needs certificate, a file')
        for entry in (*self.allow_from, *self.owners):
            if "!" in entry and not self.trust_nicks:
                raise ValueError(f"{entry!r} is a mask, which others can take: write account:…, or set trustNicks")
            if entry != "*" and not entry.startswith(ACCOUNT) and "!" not in entry:
                raise ValueError(f'{entry!r} is no sender: "account:anna", or with trustNicks a mask "anna!*@host"')
        return self
