"""Addresses: where a message comes from or goes to."""

import re

from assistant.contracts.errors import InvalidAddress
from assistant.contracts.records import record

_CHANNEL = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MOST_CHARS = 256


@record
class Address:
    """A chat on a channel. The ids are the platform's own, as text: "-1001234567890", "1187654321098765432", the name of a hook."""

    channel: str
    chat_id: str
    thread_id: str | None = None
    """A forum topic or thread: a separate conversation within the chat."""

    def __str__(self) -> str:
        return ":".join(filter(None, [self.channel, self.chat_id, self.thread_id]))

    @property
    def lane(self) -> str:
        """The chat with its threads, to which messages are sent in order: platforms limit a chat as a whole."""
        return f"{self.channel}:{self.chat_id}"


def address_of(channel: str, chat_id: str, thread_id: str | None = None) -> Address:
    """A well-formed address; `ChannelDirectory.check` tells whether it can exist. Raises InvalidAddress."""
    channel, chat_id, thread_id = channel.strip().lower(), chat_id.strip(), (thread_id or "").strip() or None
    if not _CHANNEL.fullmatch(channel):
        raise InvalidAddress("The name of a channel is a lower-case word, such as telegram or discord.", param="channel")
    for name, value in (("chat_id", chat_id), ("thread_id", thread_id)):
        if value is not None and not (0 < len(value) <= _MOST_CHARS and value.isprintable()):
            raise InvalidAddress(f"The {name} must be 1 to {_MOST_CHARS} printable characters.", param=name)
    return Address(channel=channel, chat_id=chat_id, thread_id=thread_id)


def parse_address(text: str, thread_id: str | None = None) -> Address:
    """Of "<channel>:<chat_id>"; the chat_id may hold colons itself. Raises InvalidAddress."""
    channel, colon, chat_id = text.partition(":")
    if not colon:
        raise InvalidAddress('An address is written <channel>:<chat_id>, such as "telegram:123456789".')
    return address_of(channel, chat_id, thread_id)
