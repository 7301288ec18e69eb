"""The `channels.email` section of the configuration."""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, AliasChoices, Field, field_validator, model_validator

from assistant.contracts.channels import ChannelSettings
from channels.settings import Names, OptionalText, Port, SecretText, is_loopback

ADDRESS: Final = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*"
_ADDRESS: Final = re.compile(ADDRESS)
UNVERIFIED: Final = "unverified:"
"""In front of a sender's address that nothing proves: it is another sender's id than the address."""


def is_address(text: str) -> bool:
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def _own(text: str) -> str:
    if text and not is_address(text):
        raise ValueError("an address is written name@example.org")
    return text.lower()


class EmailSettings(ChannelSettings):
    """A mailbox of the assistant's own. Senders are known by their addresses, where the mail server has checked them (`authserv`)."""

    from_address: Annotated[str, AfterValidator(_own)] = ""
    """The assistant's address: `"assistant@example.org"`."""
    from_name: str = "nanobot"
    """The name beside it."""
    imap_host: str = ""
    """The server that mails are read from. Empty: mails are only sent."""
    imap_port: Port = 993
    """Its port."""
    imap_use_ssl: bool = True
    """TLS from the first byte (port 993). false: STARTTLS (port 143), which is left out on loopback only."""
    imap_username: str = ""
    """Empty: `fromAddress`."""
    imap_password: SecretText = None
    """For most providers an "app password". null: `tokenCommand` is used."""
    imap_mailbox: str = "INBOX"
    """The folder that is read."""
    smtp_host: str = ""
    """The server that mails are sent by."""
    smtp_port: Port = 587
    """Its port."""
    smtp_use_tls: bool = True
    """STARTTLS (port 587)."""
    smtp_use_ssl: bool = False
    """TLS from the first byte (port 465)."""
    smtp_username: str = ""
    """Empty: as for IMAP."""
    smtp_password: SecretText = None
    """null: as for IMAP."""
    token_command: tuple[str, ...] = ()
    """A command that prints an OAuth access token, program and arguments: `["oama", "access", "me@gmail.com"]`. It is run without a shell, and used
    in place of passwords (XOAUTH2, OAUTHBEARER)."""
    ca_file: OptionalText = None
    """A file of certificates that are trusted besides the system's, for a server of one's own."""
    authserv: Annotated[Names, Field(validation_alias=AliasChoices("authserv", "trustedAuthservIds"))] = ()
    """The names by which your mail server signs its Authentication-Results header: `["mx.google.com"]`. It must add that header to every mail and
    remove others of its name. A sender whom it has checked (DMARC, or DKIM or SPF of the sender's own domain) is who the mail says. Anyone can write
    any address into a mail: without this, senders are strangers, but those of `trustFrom`. nanobot's `trustedAuthservIds` is its old name."""
    trust_from: Names = ()
    """Addresses (`"anna@example.org"`) and domains (`"@example.org"`) that are believed without a check: only where your server lets no one else
    send in their name. A single forgeable sender can be let in with less, as `"unverified:anna@example.org"` in `allowFrom`: what it writes is
    material."""
    max_age_days: Annotated[int, Field(ge=1, le=365)] = 7
    """Mails that came while the assistant was away are read if they are younger. At the first start, only new ones are."""
    max_message_bytes: Annotated[int, Field(ge=65_536, le=100_000_000)] = 26_214_400
    """Of a mail with its files; of a larger one the beginning is read."""
    max_attachment_bytes: Annotated[int, Field(ge=65_536, le=100_000_000)] = 18_000_000
    """Of all files of a mail that is sent: as encoded, they are a third larger."""
    max_per_hour: Annotated[int, Field(ge=1, le=10_000)] = 30
    """Mails to one address in an hour; further ones wait. It ends what two machines could write to each other."""
    mark_seen: bool = True
    """Whether an accepted mail is marked as read."""
    sent_mailbox: OptionalText = None
    """The folder of sent mails, in which a mail whose sending got no answer is looked for before it is sent again. null: the one that the server
    names; many servers file nothing there by themselves."""
    poll_interval_seconds: Annotated[int, Field(ge=1, le=86_400)] = 30
    """Between two looks, where the server can't tell of new mails by itself (IDLE)."""

    @property
    def quotes_in_private(self) -> bool:
        return True

    @property
    def imap_plain(self) -> bool:
        return not self.imap_use_ssl and is_loopback(self.imap_host)

    @property
    def user(self) -> str:
        return self.imap_username or self.from_address

    @property
    def domain(self) -> str:
        return self.from_address.partition("@")[2]

    @field_validator("allow_from", "owners", "trust_from", "authserv", mode="after")
    @classmethod
    def _small(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Addresses and domains are the same in capitals."""
        return tuple(name.strip().lower() for name in names)

    @model_validator(mode="after")
    def _sends_by_tls(self) -> Self:
        if self.smtp_host and not (self.smtp_use_tls or self.smtp_use_ssl) and not is_loopback(self.smtp_host):
            raise ValueError("smtpUseTls or smtpUseSsl is needed: a password and mails would be readable on the way")
        return self
