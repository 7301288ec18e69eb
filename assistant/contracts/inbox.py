"""The inbox: messages from channels, stored before their platform gets an acknowledgement. And pairings: how a stranger gets access.

waiting ──take──▶ taken ──▶ answered      with the end of its turn, in one transaction
                    │
                    └──▶ set aside        its process died during the turn, twice
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, Protocol

from assistant.contracts.addresses import Address
from assistant.contracts.records import record

FileKind = Literal["image", "document", "audio", "voice", "video", "sticker"]
""""voice": its sender recorded it for this chat, so what is transcribed counts as their own words. Every other sound is "audio"."""
Role = Literal["owner", "user"]


@record
class InboundFile:
    """A file of a message; it is fetched when the turn begins (`Conversation.fetch`)."""

    name: str
    kind: FileKind
    media_type: str
    size: int | None
    """Bytes, according to the platform; None: unknown."""
    ref: str
    """What the channel needs to fetch it (a file id, a URL); opaque to others."""


@record
class Sender:
    id: str
    """The platform's immutable id, by which access is decided."""
    name: str
    """For display only: senders choose it."""


@record
class Quote:
    """Another's words (or the assistant's) that a message quotes or forwards."""

    text: str
    author: str
    """For display only; empty: unknown."""
    kind: Literal["reply", "forward"] = "reply"
    """A message that was passed on has a "forward" even where it has no words: its files are then not the sender's own."""
    author_id: str = ""
    """The author's id, as of a `Sender`; empty: the assistant itself, or unknown."""
    files: tuple[InboundFile, ...] = ()
    """Of the message that is answered. They are fetched if its author may write, too."""


@record
class Command:
    """`/name arguments`, or a slash command of the platform."""

    name: str
    """Lower-case, without the slash."""
    arguments: str = ""


COMMANDS: Mapping[str, str] = {
    "start": "Begin",
    "help": "What this assistant can do",
    "new": "Begin a new conversation",
    "compact": "Sum up the older part of the conversation",
    "stop": "Stop what is being done",
    "status": "How it is doing",
    "id": "The ids of this chat and of you",
    "link": "Join this chat with another of yours",
    "prefer": "Write to me here first",
    "memory": "What is remembered of you",
    "schedule": "What is planned",
    "tasks": "What helpers do in the background",
    "snooze": "Put a reminder off",
    "done": "What I was reminded of is done",
    "usage": "What you used, and what is left of your budget",
    "approvals": "What waits for my yes",
    "approve": "Let it run",
    "deny": "Do not run it",
}
"""The commands of every chat, each with what it does, as platforms offer them. `assistant.inbound.service` answers them."""
WITH_ARGUMENTS: Final = frozenset({"link", "prefer", "memory", "schedule", "snooze", "done", "usage", "approvals", "approve", "deny"})
"""Those behind which more can be written. Discord offers a field for it."""


@record
class InboundMessage:
    """A message to the assistant: in a private chat, or in a group according to the channel's rules."""

    external_id: str
    """The platform's id of this message (or of this edit of it), unique in its channel: repeats have the same."""
    address: Address
    sender: Sender
    private: bool
    """A chat between the sender and the assistant alone."""
    text: str
    """The sender's own words."""
    quote: Quote | None = None
    files: tuple[InboundFile, ...] = ()
    command: Command | None = None
    message_id: str | None = None
    """What an answer refers to (`OutboundEvent.reply_to`)."""
    trusted: bool = True
    """False: a machine made or forwarded the words (a webhook): material, not a person's wish."""
    chosen: bool = False
    """The sender pressed a button with these words, which the assistant wrote."""
    at: datetime


@record
class SessionRef:
    """The session of a message, and its sender's role."""

    owner: str
    session: str
    role: Role


@record
class CommandCall:
    """A command that was written in a chat."""

    place: SessionRef
    message: InboundMessage
    arguments: str


ChatCommand = Callable[[CommandCall], Awaitable[str]]
"""Answers a command in Markdown, beside the turn that runs, without a model. Raises NanobotError: its words are the answer. What a pressed button's
command answers takes the place of the message with the button; an error does not."""


@record
class Accepted:
    id: str
    """`inb_…`"""
    new: bool
    """False: a repeat; nothing was written."""


@record
class Taken:
    """Messages that one turn answers, in order."""

    turn_id: str
    place: SessionRef
    messages: tuple[InboundMessage, ...]
    preview: str | None = None
    """The platform's id of the preview that an earlier try of this turn posted."""
    more: bool = False
    """Others were left for the next turn."""


@record
class Recovered:
    """What dead processes left. `again`: turns to be run again, under the same ids. `set_aside`: how many were given up."""

    again: tuple[Taken, ...]
    set_aside: int


class KnownChats(Protocol):
    """What `access` needs of the inbox."""

    async def wrote(self, address: Address, *, owner: str | None = None) -> bool:
        """Whether a sender with access has written from this chat; with `owner`, and the last one was this owner. Raises StoreUnavailable."""
        ...


@record
class Pairing:
    channel: str
    sender: Sender
    chat_id: str
    """The private chat in which the sender got the code."""
    code: str | None
    """Of an open pairing: what the owner approves. None: approved."""
    created: datetime
    expires_at: datetime | None
    """Of an open one."""


class PairedSenders(Protocol):
    """What `access` needs of the pairings. Raises StoreUnavailable."""

    async def paired(self, channel: str, sender_id: str) -> bool: ...

    async def list(self, now: datetime) -> Sequence[Pairing]:
        """Open pairings that have not expired, and approved ones, the latest first."""
        ...
