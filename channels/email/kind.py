"""The kind of channel, without IMAP and SMTP."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.email.settings import EmailSettings, is_address
from channels.settings import check_set

_THREAD: Final = re.compile(r"[0-9a-f]{12}")


def check_address(settings: EmailSettings, address: Address) -> Address:
    chat_id = address.chat_id.lower()
    if not is_address(chat_id):
        raise InvalidAddress("The chat_id is a person's mail address: name@example.org.", param="chat_id")
    if chat_id == settings.from_address:
        raise InvalidAddress("That is the assistant's own address.", param="chat_id")
    if address.thread_id is not None and not _THREAD.fullmatch(address.thread_id):
        raise InvalidAddress("The thread_id of a mail has 12 of 0-9 and a-f, as a message from the thread shows it.", param="thread_id")
    return replace(address, chat_id=chat_id)


def named(settings: EmailSettings) -> Sequence[str]:
    return sorted({each for each in (*settings.allow_from, *settings.owners) if is_address(each) and each != settings.from_address})


def open_channel(settings: EmailSettings, context: ChannelContext) -> Channel:
    check_set("email", settings, "from_address", "smtp_host")
    from channels.email.adapter import EmailChannel  # noqa: PLC0415 - IMAP and SMTP, only where it is enabled

    return EmailChannel(settings, context)


KIND: Final = ChannelKind(
    name="email",
    title="E-mail",
    about="A mailbox of the assistant's own, at any provider: IMAP in, SMTP out.",
    settings=EmailSettings,
    check_address=check_address,
    named=named,
    open=open_channel,
    needs=(
        Need(key="fromAddress", asks="The assistant's own mail address; not yours, but a mailbox made for it."),
        Need(key="imapHost", asks="The server that mails are read from (imap.gmail.com, outlook.office365.com …)."),
        Need(key="smtpHost", asks="The server that mails are sent by (smtp.gmail.com, smtp.office365.com …)."),
        Need(key="imapPassword", asks="The mailbox's password; at Google, Apple and others an app password.", env="EMAIL_PASSWORD"),
        Need(key="authserv", asks="The first word of Authentication-Results in a mail you got: mx.google.com …", optional=True),
    ),
)
