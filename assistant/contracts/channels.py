"""The port to a platform: what a channel adapter is.

A kind of channel (`ChannelKind`) is known without its SDK: its settings, and what its addresses look like. Its adapter (`Channel`) is opened only
where the configuration enables it, and only then is the SDK imported.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.outbox import DeliveryError, MediaFiles, OutboundEvent, OutboundPart, Receipt
from assistant.contracts.util import Settings

SenderId = Annotated[str, Field(coerce_numbers_to_str=True)]
"""A platform's id of a sender; in a file it may be written as a number."""
ConnectionState = Literal["starting", "connected", "degraded", "stopped"]


class ChannelSettings(Settings):
    """What the settings of every channel have in common."""

    enabled: bool = False
    """Whether messages go out and come in here. While it is false, what is sent here waits in the outbox until it expires."""
    allow_from: tuple[SenderId, ...] = ()
    """Who may write: the platform's immutable ids of senders (never names). Empty: nobody but those who are paired. `"*"`: everybody."""
    owners: tuple[SenderId, ...] = ()
    """Ids of senders who may use the commands of the owner; they may write, too. `"*"` means nobody here."""
    let_in_by_secret: ClassVar[bool] = False
    """True: whoever reaches this channel has shown a secret of its own (a webhook's), so `allow_from` is not asked."""

    @property
    def quotes_in_private(self) -> bool:
        """Whether answers in private chats refer to the message that they answer, too; in groups they always do."""
        return False


class SendFailed(Exception):
    """A part was not sent, or it is not known. Never raised itself."""

    def __init__(self, code: str, words: str) -> None:
        """As in `DeliveryError`: a code for programs, words for people, without secrets."""
        super().__init__(words)
        self.trouble = DeliveryError(code=code, words=words)


class SendRefused(SendFailed):
    """The platform will never take this: chat not found, blocked by the user, forbidden, too large. It was not accepted."""


class SendLater(SendFailed):
    """The platform did not take this now: it was surely not accepted, and may be sent again without harm."""

    def __init__(
        self, code: str, words: str, *, retry_after: float | None = None, counts: bool = True, whole_channel: bool = False
    ) -> None:
        """`retry_after`: seconds, the platform's own word; None: the dispatcher chooses. `counts`: whether it may be the message's own fault
        (a 500), or says nothing against it (a flood wait, no connection). `whole_channel`: the wait is for every chat of the channel."""
        super().__init__(code, words)
        self.retry_after = retry_after
        self.counts = counts
        self.whole_channel = whole_channel


class SendUnclear(SendFailed):
    """The request went out and no answer came: it may have been accepted."""


class SendUndecided(SendUnclear):
    """Nothing was sent now: what the part was to replace is gone, and an earlier try may have sent it as a new message, so that another may come
    twice. Raised only where `Sending.repeat` is false."""


class ChannelFailed(Exception):
    """A connection could not be made or was lost, with words for people. `fatal`: trying again is of no use until somebody mends the
    configuration (a revoked token): the supervisor tries again only rarely."""

    def __init__(self, words: str, *, fatal: bool = False) -> None:
        super().__init__(words)
        self.fatal = fatal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `amount` sends in `seconds`, counted together by `key`: the channel, a chat, the chats of one webhook …"""

    key: str
    amount: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One part on its way."""

    address: Address
    part: OutboundPart
    place: int
    """From 0."""
    key: str
    """The platform's idempotency key where it takes one: at most 25 letters and digits, the same for every try of this part."""
    reply_to: str | None
    """Of the first part only."""
    replaces: str | None
    """Of the first part only: edit that message instead of sending a new one (which is harmless to repeat)."""
    again: datetime | None
    """When an earlier try of this part was started of which it is not known whether it arrived; None: there was none."""
    repeat: bool = False
    """It is decided, and the delivery is marked so: the part is sent though it may arrive twice."""


class ChannelLink(Protocol):
    """What a running channel tells, and to whom."""

    async def accept(self, message: InboundMessage) -> str:
        """Take a message in. When it returns, the message is kept (or was before, or its sender may not write): the platform may be told.
        Returns its id. Raises StoreUnavailable: it is not kept, and must come again."""
        ...

    async def last_seen(self) -> Mapping[str, str]:
        """chat_id → external_id of the last message that was accepted there, for platforms that can be asked for what came since."""
        ...

    def connected(self, detail: str = "") -> None:
        """The platform is reached and messages flow. `detail`: as whom ("@my_bot")."""
        ...

    def degraded(self, why: str) -> None:
        """It goes on trying by itself, and this is in the way."""
        ...


class Preview(Protocol):
    """A message that shows an answer while it is made."""

    def update(self, text: str) -> None:
        """The answer so far (Markdown). Never blocks; not every update is shown."""
        ...

    async def close(self) -> str | None:
        """Show nothing more. Returns the platform's id of the message that was posted, for `OutboundEvent.replaces`; None: none was."""
        ...


class Conversation(Protocol):
    """What a channel offers that people write to. Nothing here is a promise: each may fail (SendFailed), and the turn goes on without."""

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """Download a file of a message. Raises SendRefused with words (too large, gone) or SendLater."""
        ...

    async def acknowledge(self, message: InboundMessage) -> None:
        """Show that a message was seen (a reaction), where the settings ask for it."""
        ...

    async def typing(self, address: Address) -> None:
        """Show that an answer is being made, for the next few seconds. Called every `typing_seconds`."""
        ...

    @property
    def typing_seconds(self) -> float: ...

    def preview(self, address: Address, *, reply_to: str | None, posted: str | None, note: Callable[[str], object]) -> Preview | None:
        """A preview in this chat; None: the settings want none. `posted`: the one that an earlier try of the turn had posted. `note` is
        called with the id of a new one as soon as it is posted."""
        ...


class Channel(Protocol):
    """An adapter to a platform. Made without I/O; used on one event loop."""

    @property
    def name(self) -> str: ...

    @property
    def keyed(self) -> bool:
        """Whether `send` with the key of an earlier try that arrived surely gives no second message."""
        ...

    @property
    def conversation(self) -> Conversation | None:
        """None: it only sends."""
        ...

    def limits(self, address: Address) -> Sequence[Limit]:
        """The platform's limits for a send to this address. They are kept by the dispatcher."""
        ...

    def plan(self, event: OutboundEvent) -> Sequence[OutboundPart]:
        """The parts that an event is sent in: at least one; the same for the same event. Pure. Raises SendRefused where it can't be sent."""
        ...

    async def run(self, link: ChannelLink) -> None:
        """Connect and take in messages until cancelled; on one that only sends: check what can be checked, tell `link`, and wait.

        Called again after it raised: ChannelFailed, or anything else, which is a bug of the adapter and is logged as such.
        """
        ...

    async def send(self, sending: Sending) -> Receipt:
        """Send a part, once. Usable from when the channel is opened, whether or not `run` is connected. Raises SendRefused, SendLater or
        SendUnclear; anything else it raises is a bug, and counts as SendUnclear. Takes at most 60 s."""
        ...

    async def identity(self) -> str:
        """Who the credentials belong to, asked of the platform: "@my_bot (123456)". Raises ChannelFailed."""
        ...

    async def close(self) -> None:
        """Close connections. Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelContext:
    """What an adapter is given besides its settings."""

    files: MediaFiles
    version: str
    """Of this program, for a User-Agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelKind:
    """A kind of channel; third parties give one by the entry-point group `nanobot.channels`, under the channel's name."""

    name: str
    settings: type[ChannelSettings]
    check_address: Callable[[Any, Address], Address]
    """(settings, address) → the address in its one spelling. Raises InvalidAddress where this channel can't have such a one."""
    named: Callable[[Any], Sequence[str]]
    """(settings) → the chat_ids that the configuration itself names, so that the assistant may write there."""
    open: Callable[[Any, ChannelContext], Channel]
    """(settings, context) → the adapter; imports the SDK. Raises ChannelFailed where the settings can't be enough (no token)."""


class ChannelDirectory(Protocol):
    """Which channels there are, for whoever is given an address."""

    @property
    def names(self) -> Sequence[str]:
        """Every channel that can be written to, enabled or not."""
        ...

    @property
    def enabled(self) -> Sequence[str]:
        """Those that the configuration switches on."""
        ...

    def check(self, address: Address) -> Address:
        """The address in its one spelling. Raises InvalidAddress with words: there is no such channel, or no such address on it."""
        ...

    def named(self, address: Address) -> bool:
        """Whether the configuration itself names this chat: a sender that may write, an owner, a hook, a service."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """How a channel fares."""

    name: str
    state: ConnectionState
    detail: str
    """As whom it is connected, or why it is not."""
    since: datetime


class ChannelStates(Protocol):
    """What supervisors of running servers say of their channels, for the command line. Durable; raises StoreUnavailable."""

    async def note(self, status: ChannelStatus) -> None: ...

    async def list(self) -> Sequence[ChannelStatus]:
        """Those of processes that live, by name."""
        ...
