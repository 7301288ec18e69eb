"""Where a message belongs, and its words in a form that can be kept."""

import unicodedata
from dataclasses import replace
from typing import Final

from assistant.contracts.inbox import InboundMessage, Place, Role
from assistant.contracts.names import display_name
from assistant.contracts.text import whole

_MOST_NAME: Final = 64


def place_for(message: InboundMessage, role: Role) -> Place:
    """A private chat belongs to its sender, a group to itself; each thread of it is a conversation of its own (dmScope: "sender")."""
    address = message.address
    whose = message.sender.id if message.private else address.chat_id
    return Place(owner=f"{address.channel}:{whose}", session=str(address), role=role)


def readable(message: InboundMessage) -> InboundMessage:
    """The same message without what can't be kept or shown: half surrogates in words, what can't be seen in names. Ids stay as they are."""
    quote, command = message.quote, message.command
    return replace(
        message,
        text=whole(message.text),
        sender=replace(message.sender, name=person(message.sender.name)),
        quote=quote and replace(quote, text=whole(quote.text), author=person(quote.author)),
        command=command and replace(command, arguments=whole(command.arguments)),
        files=tuple(replace(file, name=display_name(file.name, file.kind)) for file in message.files),
    )


def person(name: str) -> str:
    """A name on one line, of characters that can be seen, at most 64; it may be empty."""
    seen = "".join([" " if unicodedata.category(c)[0] in "CZ" else c for c in name[:1024]])
    return " ".join(seen.split())[:_MOST_NAME].strip()
