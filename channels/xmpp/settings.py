"""The `channels.xmpp` section of the configuration."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, field_validator

from assistant.contracts.channels import ChannelSettings
from channels.settings import GroupPolicy, Names, OptionalText, Port, PreviewMode, SecretText, is_loopback

_JID: Final = re.compile(r"[^\s\"&'/:<>@\x00-\x1f\x7f]{1,200}@[A-Za-z0-9\u0080-\U0010ffff.-]{1,253}")


def is_jid(text: str) -> bool:
    """Whether this is the bare address of an account or a room."""
    return len(text) <= 256 and text.isprintable() and _JID.fullmatch(text) is not None


def _own(text: str) -> str:
    if text and not is_jid(text):
        raise ValueError("an address is written name@example.org")
    return text.lower()


class XmppSettings(ChannelSettings):
    """An account of the assistant's own. Senders are known by their bare addresses, which servers check."""

    jid: Annotated[str, AfterValidator(_own)] = ""
    """The assistant's address: `"assistant@example.org"`."""
    password: SecretText = None
    """Its password."""
    host: OptionalText = None
    """The server's host. null: what the DNS says of the address's domain."""
    port: Port = 5222
    """Its port, where `host` is set."""
    tls: Literal["starttls", "direct"] = "starttls"
    """TLS is always used, but to a `host` on loopback. `"direct"`: from the first byte (often port 5223)."""
    ca_file: OptionalText = None
    """A file of certificates that are trusted in place of the system's, for a server of one's own."""
    rooms: Names = ()
    """Rooms to be in: `["team@rooms.example.org"]`."""
    nick: Annotated[str, Field(min_length=1, max_length=64)] = "nanobot"
    """The name in rooms; people mention the assistant by it."""
    groups: GroupPolicy = "mention"
    """Which messages in rooms are read: none (`"off"`), those that name the assistant, answer it or are one of its commands (`"mention"`), or all
    (`"all"`)."""
    preview: PreviewMode = "off"
    """Whether an answer is shown while it is made, by corrections of one message."""
    file_hosts: Names = ()
    """Hosts that files are fetched from, besides the domains of the sender and of the assistant (and what is below them)."""
    max_file_bytes: Annotated[int, Field(ge=1024, le=1_000_000_000)] = 10_485_760
    """The largest file that the server takes (`http_file_share_size_limit` of prosody)."""

    @field_validator("allow_from", "owners", "rooms", "file_hosts", mode="after")
    @classmethod
    def _small(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.strip().lower() for name in names)

    @field_validator("rooms", mode="after")
    @classmethod
    def _are_rooms(cls, rooms: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [room for room in rooms if not is_jid(room)]:
            raise ValueError(f"a room is written name@rooms.example.org, not {wrong[0]!r}")
        return rooms

    @property
    def domain(self) -> str:
        return self.jid.partition("@")[2]

    @property
    def plain(self) -> bool:
        """Without TLS."""
        return self.host is not None and self.tls == "starttls" and is_loopback(self.host)
