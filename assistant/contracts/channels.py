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
    """The settings that every channel has."""

    enabled: bool = False
    """Whether messages are sent and received here. If not, messages to this channel wait in the outbox until they expire."""
    allow_from: tuple[SenderId, ...] = ()
    """Ids of senders who may write: the platform's immutable ids, never names. Empty: only paired senders. `"*"`: everyone."""
    owners: tuple[SenderId, ...] = ()
    """Ids of senders who may write and use the owner's commands. `"*"` has no meaning here."""
    let_in_by_secret: ClassVar[bool] = False
    """True: a sender reaches this channel only with its secret (a webhook's), so `allow_from` does not apply."""

    @property
    def quotes_in_private(self) -> bool:
        """Whether answers quote the message that they answer in private chats, too; in groups they always do."""
        return False


class SendFailed(Exception):
    """A part was not sent, or may not have been. Never raised itself."""

    def __init__(self, code: str, words: str) -> None:
        """As in `DeliveryError`."""
        super().__init__(words)
        self.trouble = DeliveryError(code=code, words=words)


class SendRefused(SendFailed):
    """The platform will never accept this: chat not found, blocked by the user, forbidden, too large."""


class SendLater(SendFailed):
    """The platform surely did not accept this now; it may be sent again without harm."""

    def __init__(
        self, code: str, words: str, *, retry_after: float | None = None, counts: bool = True, whole_channel: bool = False
    ) -> None:
        """`retry_after`: seconds, as the platform says; None: the dispatcher chooses. `counts`: whether the message may be at fault (a 500), or
        surely isn't (a flood wait, no connection). `whole_channel`: the wait is for every chat of the channel."""
        super().__init__(code, words)
        self.retry_after = retry_after
        self.counts = counts
        self.whole_channel = whole_channel


class SendUnclear(SendFailed):
    """The request went out and no answer came: it may have been accepted."""


class SendUndecided(SendUnclear):
    """Nothing was sent now: the message to be replaced is gone, and an earlier try may have sent the part as a new message. Raised only if
    `Sending.repeat` is false."""


class ChannelFailed(Exception):
    """A connection failed, with the reason for people. `fatal`: only a change of the configuration helps (a revoked token), so the supervisor
    retries rarely."""

    def __init__(self, words: str, *, fatal: bool = False) -> None:
        super().__init__(words)
        self.fatal = fatal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `amount` sends in `seconds`, counted by `key`: the channel, a chat, the chats of one webhook …"""

    key: str
    amount: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One part to be sent."""

    address: Address
    part: OutboundPart
    place: int
    """From 0."""
    key: str
    """An idempotency key, for platforms that take one: at most 25 letters and digits, the same for every try of this part."""
    reply_to: str | None
    """Of the first part only."""
    replaces: str | None
    """Of the first part only: edit that message instead of sending a new one. Edits are harmless to repeat."""
    again: datetime | None
    """When an earlier try of this part started that may have arrived; None: there was none."""
    repeat: bool = False
    """True: send the part although it may arrive twice; the delivery is marked so."""


class ChannelLink(Protocol):
    """What a running channel calls."""

    async def accept(self, message: InboundMessage) -> str:
        """Accept a message; returns its id. The message is then stored (or was before, or its sender may not write), and the platform may be
        acknowledged. Raises StoreUnavailable: it is not stored, and must come again."""
        ...

    async def last_seen(self) -> Mapping[str, str]:
        """chat_id → external_id of its last accepted message, for platforms that can list later ones."""
        ...

    def connected(self, detail: str = "") -> None:
        """The platform is connected. `detail`: as whom ("@my_bot")."""
        ...

    def degraded(self, why: str) -> None:
        """The connection has a problem, and the channel retries by itself."""
        ...


class Preview(Protocol):
    """A message that shows an answer while the model writes it."""

    def update(self, text: str) -> None:
        """The answer so far (Markdown). Never blocks; not every update is shown."""
        ...

    async def close(self) -> str | None:
        """Stop. Returns the platform's id of the posted message, for `OutboundEvent.replaces`; None: none was posted."""
        ...


class Conversation(Protocol):
    """What a channel offers that people write to. Each call may fail (SendFailed); the turn continues without it."""

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """Download a file of a message. Raises SendRefused with words (too large, gone) or SendLater."""
        ...

    async def acknowledge(self, message: InboundMessage) -> None:
        """Show that a message was seen (a reaction), if the settings want it."""
        ...

    async def typing(self, address: Address) -> None:
        """Show "typing" for the next few seconds. Called every `typing_seconds`."""
        ...

    @property
    def typing_seconds(self) -> float: ...

    def preview(self, address: Address, *, reply_to: str | None, posted: str | None, note: Callable[[str], object]) -> Preview | None:
        """A preview in this chat; None: the settings want none. `posted`: the id of one that an earlier try of the turn posted. `note` is
        called with the id of a new one when it is posted."""
        ...


class Channel(Protocol):
    """An adapter to a platform. Created without I/O; used on one event loop."""

    @property
    def name(self) -> str: ...

    @property
    def keyed(self) -> bool:
        """Whether `send` with the key of an earlier try that arrived never makes a second message."""
        ...

    @property
    def conversation(self) -> Conversation | None:
        """None: it only sends."""
        ...

    def limits(self, address: Address) -> Sequence[Limit]:
        """The platform's limits for a send to this address. The dispatcher enforces them."""
        ...

    def plan(self, event: OutboundEvent) -> Sequence[OutboundPart]:
        """The parts of an event: at least one, the same for the same event. Pure. Raises SendRefused if it can't be sent."""
        ...

    async def run(self, link: ChannelLink) -> None:
        """Connect and receive messages until cancelled; a channel that only sends checks what it can, tells `link`, and waits.

        Called again after it raised: ChannelFailed, or anything else, which is logged as a bug of the adapter.
        """
        ...

    async def send(self, sending: Sending) -> Receipt:
        """Send a part, once, in at most 60 s. Works whether or not `run` is connected. Raises SendRefused, SendLater or SendUnclear; anything
        else is a bug, and counts as SendUnclear."""
        ...

    async def identity(self) -> str:
        """Who the credentials belong to, according to the platform: "@my_bot (123456)". Raises ChannelFailed."""
        ...

    async def close(self) -> None:
        """Close connections. Safe to call twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelContext:
    """What an adapter gets besides its settings."""

    files: MediaFiles
    version: str
    """Of this program, for a User-Agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelKind:
    """A kind of channel; third parties give one by the entry-point group `nanobot.channels`, under the channel's name."""

    name: str
    settings: type[ChannelSettings]
    check_address: Callable[[Any, Address], Address]
    """(settings, address) → the address in its one spelling. Raises InvalidAddress if this channel has no such addresses."""
    named: Callable[[Any], Sequence[str]]
    """(settings) → the chat_ids that the configuration names, to which the assistant may write."""
    open: Callable[[Any, ChannelContext], Channel]
    """(settings, context) → the adapter; imports the SDK. Raises ChannelFailed if settings are missing (no token)."""


class ChannelDirectory(Protocol):
    """The channels that there are."""

    @property
    def names(self) -> Sequence[str]:
        """Every channel that can be written to, enabled or not."""
        ...

    @property
    def enabled(self) -> Sequence[str]:
        """Those that the configuration enables."""
        ...

    def check(self, address: Address) -> Address:
        """The address in its one spelling. Raises InvalidAddress if there is no such channel, or no such address on it."""
        ...

    def named(self, address: Address) -> bool:
        """Whether the configuration names this chat: a sender with access, an owner, a hook, a service."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """The state of a channel."""

    name: str
    state: ConnectionState
    detail: str
    """As whom it is connected, or why it is not."""
    since: datetime


class ChannelStates(Protocol):
    """The states of the channels of running servers, for the command line. Durable; raises StoreUnavailable."""

    async def note(self, status: ChannelStatus) -> None: ...

    async def list(self) -> Sequence[ChannelStatus]:
        """Those of live processes, by name."""
        ...
