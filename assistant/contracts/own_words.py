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
_OWN: Final[frozenset[Provenance]] = frozenset({"person", "owner"})
OWN_SHARE: Final = 0.75
"""The share of a text's words that a person must have written for it to be in their own words."""


def own_words(message: Message, *, pressed: bool = False, by: str = "") -> str:
    """What a person wrote themselves in a message, empty for any but theirs; with `pressed` also the text of a button. `by`: of a group's members
    this one alone."""
    if not isinstance(message, UserMessage):
        return ""
    own = [part.text for part in message.parts if isinstance(part, Text) and _is_own(part, by) and (pressed or not part.chosen)]
    return "\n".join(own).strip()


def asker(messages: Iterable[Message]) -> str:
    """The member of a group that asks: the author of the newest message; empty in any other session."""
    found = ""
    for message in messages:
        for part in message.parts if isinstance(message, UserMessage) else ():
            found = part.author if isinstance(part, Text) and part.author else found
    return found


def sources(messages: Iterable[Message], *, by: str = "") -> dict[Provenance, str]:
    """Where words of others came from in a conversation, the first first, each with the name of the last that brought them: of a file, of a tool.
    What memory recalls was a person's own, if it says nothing else. `by`: as in `own_words`; other members are strangers."""
    found: dict[Provenance, str] = {}
    for message in messages:
        if isinstance(message, ToolMessage):
            if (brought := _brought(message)) in UNTRUSTED:
                found[brought] = message.name
            continue
        for part in message.parts if isinstance(message, UserMessage) else ():
            if not isinstance(part, Text):
                found["file"] = part.name
            elif (whence := _whence(part, by)) in UNTRUSTED:
                found[whence] = "a quote" if part.quoted else part.author
    return found


def foreign(messages: Iterable[Message], *, by: str = "") -> Provenance | None:
    """Where the first words of others came from in a conversation; None: there are none."""
    return next(iter(sources(messages, by=by)), None)


def _is_own(part: Text, by: str) -> bool:
    return not part.quoted and _whence(part, by) in _OWN


def _whence(part: Text, by: str) -> Provenance:
    if part.provenance is not None:
        return part.provenance
    if part.recalled:
        return "person"
    return "stranger" if part.quoted or (by and part.author not in ("", by)) else "person"


def _brought(message: ToolMessage) -> Provenance:
    """Whose words a result holds; of one that was stored before that was noted, by the tool's name."""
    if message.provenance is not None:
        return message.provenance
    if message.name in _OF_OURS and not message.from_client:
        return "system"
    return "web" if "fetch" in message.name or "web" in message.name else "tool"


def in_own_words(text: str, said: Iterable[str]) -> bool:
    """Whether most words of a text, and all of its numbers and addresses, are among those that a person said."""
    return share(text, said) >= OWN_SHARE
