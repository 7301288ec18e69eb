"""Whose words are in a conversation: a person's own, and those that files, pages, quotes and tools brought into it. Pure.

One rule for all that must be a person's wish: what is remembered, whom a message may go to, what is done later.
"""

from collections.abc import Iterable
from typing import Final

from assistant.contracts.messages import Message, Text, ToolMessage, UserMessage
from assistant.contracts.provenance import UNTRUSTED, Provenance
from assistant.contracts.statements import share

_OF_OURS: Final = frozenset({"remember", "recall", "forget", "message", "schedule"})
"""Tools whose results hold nothing that others wrote."""
OWN_SHARE: Final = 0.75
"""The share of a text's words that a person must have written for it to be in their own words."""


def own_words(message: Message, *, pressed: bool = False) -> str:
    """What a person wrote themselves in a message, empty for any but theirs; with `pressed` also the text of a button."""
    if not isinstance(message, UserMessage):
        return ""
    return "\n".join(
        [part.text for part in message.parts if isinstance(part, Text) and not part.quoted and (pressed or not part.chosen)]
    ).strip()


def foreign(messages: Iterable[Message]) -> Provenance | None:
    """Where words of others came from in a conversation; None: there are none. What memory recalls was a person's own."""
    for message in messages:
        if isinstance(message, ToolMessage) and (brought := _brought(message)) in UNTRUSTED:
            return brought
        for part in message.parts if isinstance(message, UserMessage) else ():
            if not isinstance(part, Text):
                return "file"
            if part.quoted and not part.recalled:
                return "stranger"
    return None


def _brought(message: ToolMessage) -> Provenance:
    """Whose words a result holds; of one that was stored before that was noted, by the tool's name."""
    if message.provenance is not None:
        return message.provenance
    if message.name in _OF_OURS:
        return "system"
    return "web" if "fetch" in message.name or "web" in message.name else "tool"


def in_own_words(text: str, said: Iterable[str]) -> bool:
    """Whether most words of a text, and all of its numbers and addresses, are among those that a person said."""
    return share(text, said) >= OWN_SHARE
