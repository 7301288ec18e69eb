"""The port to a platform: what a channel adapter is.

A `ChannelKind` describes a channel without its SDK: its settings and its addresses. Its adapter (`Channel`), and with it the SDK, is loaded only if
the configuration enables it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import Field

from assistant.contracts.addresses import Address
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.notes import ChannelNotes, NotesInMemory
from assistant.contracts.outbox import DeliveryError, MediaFiles, OutboundEvent, OutboundPart, Receipt
from assistant.contracts.records import record
from assistant.contracts.util import Settings

SenderId = Annotated[str, Field(coerce_numbers_to_str=True)]
"""A platform's id of a sender; may be written as a number."""
ConnectionState = Literal["starting", "connected", "degraded", "stopped", "standby"]
"""standby: another server on the same store runs it."""


class ChannelSettings(Settings):
    """Settings that every channel has."""

    enabled: bool = False
    """Whether the channel sends and receives. While it is false, messages to it wait in the outbox until they expire."""
    allow_from: tuple[SenderId, ...] = ()
    """Senders who may write, by the platform's immutable ids (never names). Empty: only paired senders. `"*"`: everybody."""
    owners: tuple[SenderId, ...] = ()
    """Ids of senders who may use the owner's commands; they may write, too. `"*"` has no meaning here."""
    let_in_by_secret: ClassVar[bool] = False
    """True: senders are authenticated by a secret of the channel (a webhook's), so `allow_from` is not used."""

    @property
    def quotes_in_private(self) -> bool:
        """Whether answers in private chats quote the message, too; in groups they always do."""
        return False


class SendFailed(Exception):
    """A part was not sent, or it is unknown whether it was. Base class, never raised itself."""

    def __init__(self, code: str, words: str) -> None:
        """As in `DeliveryError`: a code for programs; words for people, without secrets."""
        super().__init__(words)
        self.trouble = DeliveryError(code=code, words=words)


class SendRefused(SendFailed):
    """The platform refuses this for good: chat not found, blocked by the user, forbidden, too large."""


class SendLater(SendFailed):
    """The platform did not accept this now. Sending it again is harmless."""

    def __init__(
        self, code: str, words: str, *, retry_after: float | None = None, counts: bool = True, whole_channel: bool = False
    ) -> None:
        """`retry_after`: seconds, from the platform; None: the dispatcher chooses. `counts`: whether it may be the message's own fault (a 500),
        and not a rate limit or a lost connection. `whole_channel`: every chat of the channel waits."""
        super().__init__(code, words)
        self.retry_after = retry_after
        self.counts = counts
        self.whole_channel = whole_channel


class SendUnclear(SendFailed):
    """The request was sent and not answered: it may have been accepted."""


class SendUndecided(SendUnclear):
    """Nothing was sent now: the message to replace is gone, and may have been sent as a new one before. Only if `Sending.repeat` is false."""


class ChannelFailed(Exception):
    """A connection could not be made or was lost. `fatal`: the configuration has to be fixed first (a revoked token): it is retried rarely."""

    def __init__(self, words: str, *, fatal: bool = False) -> None:
        super().__init__(words)
        self.fatal = fatal


@record
class Limit:
    """At most `amount` sends in `seconds` with the same `key`: the channel, a chat …"""

    key: str
    amount: float
    seconds: float


@record
class Sending:
    """One part to send."""

    address: Address
    part: OutboundPart
    place: int
    """From 0."""
    key: str
    """Idempotency key, for platforms that take one: at most 25 letters and digits, the same for every try of this part."""
    reply_to: str | None
    """Of the first part only."""
    replaces: str | None
    """Of the first part only: edit that message instead of sending a new one. Harmless to repeat."""
    again: datetime | None
    """When an earlier try of this part started, if it may have arrived; None: there was none."""
    first: str | None = None
    """The platform's id of the event's first part; None: this is the first, or it has none."""
    repeat: bool = False
    """Send the part though it may arrive twice; the delivery is marked so."""


class ChannelLink(Protocol):
    """What a running channel calls."""

    async def accept(self, message: InboundMessage) -> str:
        """Store a message. When it returns, the message is stored (now or before), or its sender may not write: acknowledge it to the platform.
        Returns its id. Raises StoreUnavailable: it is not stored, and must come again."""
        ...

    async def last_seen(self) -> Mapping[str, str]:
        """chat_id → external_id of the last accepted message, for platforms that can return the messages since."""
        ...

    async def moved(self, chat_id: str, now: str) -> None:
        """The platform gave a chat a new id: its sessions, its pairing and what waits for it belong to that one. Harmless to repeat. Raises
        StoreUnavailable."""
        ...

    async def undelivered(self, message_id: str, code: str, words: str) -> None:
        """The platform reports that a message which it had accepted, with this id in its receipt, did not reach its receiver: the delivery fails
        after all. `code` and `words` as in `DeliveryError`. Harmless to repeat; an unknown id is logged. Raises StoreUnavailable."""
        ...

    async def delivered(self, message_id: str, read: bool = False) -> None:
        """The platform reports that a message reached its receiver, or (`read`) was read. As `undelivered`."""
        ...

    def connected(self, detail: str = "") -> None:
        """The channel is connected. `detail`: as whom ("@my_bot")."""
        ...

    def degraded(self, why: str) -> None:
        """The channel retries by itself; `why`: the reason, in words."""
        ...


class Preview(Protocol):
    """A message that shows an answer while the model writes it."""

    def update(self, text: str) -> None:
        """The answer so far (Markdown). Never blocks; not every update is shown."""
        ...

    async def close(self) -> str | None:
        """Show nothing more. Returns the id of the posted message, for `OutboundEvent.replaces`; None: there is none."""
        ...


class Conversation(Protocol):
    """What a channel offers that people write to. Each call may fail (SendFailed); the turn continues without it."""

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """Download a file of a message. Raises SendRefused with words (too large, gone) or SendLater."""
        ...

    async def acknowledge(self, message: InboundMessage) -> None:
        """Show that a message was accepted (a reaction), if the settings ask for it."""
        ...

    async def typing(self, address: Address) -> None:
        """Show the typing indicator for some seconds. Called every `typing_seconds`."""
        ...

    @property
    def typing_seconds(self) -> float: ...

    def preview(self, address: Address, *, reply_to: str | None, posted: str | None, note: Callable[[str], object]) -> Preview | None:
        """A preview in this chat; None: the settings want none. `posted`: the message of an earlier try of the turn. `note` is called with the id
        of a new message as soon as it is posted."""
        ...


class Channel(Protocol):
    """An adapter to a platform. Created without I/O; used on one event loop."""

    @property
    def name(self) -> str: ...

    @property
    def keyed(self) -> bool:
        """Whether a second `send` with the same key gives no second message."""
        ...

    @property
    def conversation(self) -> Conversation | None:
        """None: it only sends."""
        ...

    def limits(self, address: Address) -> Sequence[Limit]:
        """The platform's limits for sends to this address. The dispatcher keeps them."""
        ...

    def plan(self, event: OutboundEvent) -> Sequence[OutboundPart]:
        """The parts of an event: at least one, the same for the same event. Pure. Raises SendRefused if it can't be sent."""
        ...

    async def run(self, link: ChannelLink) -> None:
        """Connect and accept messages until cancelled; a channel that only sends checks what it can, calls `link.connected`, and waits. Of several
        servers that are one assistant, one runs it at a time.

        Called again after it raised: ChannelFailed, or anything else, which is logged as a bug of the adapter.
        """
        ...

    async def send(self, sending: Sending) -> Receipt:
        """Send a part, once, whether or not `run` is connected. Raises SendRefused, SendLater or SendUnclear; anything else is a bug, and counts
        as SendUnclear. Takes at most 60 s."""
        ...

    async def identity(self) -> str:
        """The owner of the credentials, from the platform: "@my_bot (123456)". Raises ChannelFailed."""
        ...

    async def close(self) -> None:
        """Close connections. Safe to call twice."""
        ...


@record
class ChannelContext:
    """What an adapter gets besides its settings."""

    files: MediaFiles
    version: str
    """Of this program, for a User-Agent."""
    notes: ChannelNotes = field(default_factory=NotesInMemory)
    folder: Path | None = None
    """The channel's folder in the state folder, for what notes are too small for (keys of end-to-end encryption). It may not be there yet: see
    `make_folder`."""

    def make_folder(self) -> Path:
        """`folder`, made if it is missing, for this user only. Blocks. Raises ChannelFailed where there is none or it can't be made."""
        if self.folder is None:
            raise ChannelFailed("this channel keeps files, and has no folder for them", fatal=True)
        try:
            for made in (self.folder.parent, self.folder):  # with `parents`, the mode would be the last one's only
                made.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ChannelFailed(f"{self.folder} can't be made ({error.strerror})") from error
        return self.folder


@record
class Need:
    """A setting without which a channel does not work, as `nanobot channels add` asks for it."""

    key: str
    """In the channel's section, as the configuration spells it: "botToken"."""
    asks: str
    """What it is and where it comes from, in a line."""
    env: str = ""
    """The environment variable that a secret is kept in ("SLACK_BOT_TOKEN"); empty: it is no secret and stands in the configuration."""
    default: str = ""
    """Taken where nothing is typed; empty: it must be typed, unless it is `optional`."""
    optional: bool = False


@record
class ChannelKind:
    """A kind of channel. Packages offer theirs by the entry-point group `nanobot.channels`, under the channel's name."""

    name: str
    settings: type[ChannelSettings]
    check_address: Callable[[Any, Address], Address]
    """(settings, address) → the address in its canonical form. Raises InvalidAddress if the channel has no such address."""
    named: Callable[[Any], Sequence[str]]
    """(settings) → the chat_ids that the configuration names; the assistant may write there."""
    open: Callable[[Any, ChannelContext], Channel]
    """(settings, context) → the adapter; imports the SDK. Raises ChannelFailed if settings are missing (no token)."""
    title: str = ""
    """Its name for people: "Microsoft Teams"; empty: `name`."""
    about: str = ""
    """What it is for, in a line of `nanobot channels list`."""
    needs: Sequence[Need] = ()
    extra: str = ""
    """The extra of this package that brings its SDK ("matrix"); empty: none is needed."""
    called: bool = False
    """Whether its platform calls this server, at /channels/<name>: it needs an address that the platform can reach."""


def opened_channel(kind: ChannelKind, settings: ChannelSettings, context: ChannelContext) -> Channel:
    """The adapter. Raises ChannelFailed, also where the libraries of its extra are not installed."""
    try:
        return kind.open(settings, context)
    except ImportError as error:
        if not kind.extra:
            raise
        raise ChannelFailed(
            f"{kind.name} needs a library that is not installed: pip install 'nanobot[{kind.extra}]'", fatal=True
        ) from error


class ChannelDirectory(Protocol):
    """The channels of the configuration, to check addresses against."""

    @property
    def names(self) -> Sequence[str]:
        """Every channel that can be written to, enabled or not."""
        ...

    @property
    def enabled(self) -> Sequence[str]: ...

    def check(self, address: Address) -> Address:
        """The address in its canonical form. Raises InvalidAddress: there is no such channel, or no such address on it."""
        ...

    def offers(self, address: Address) -> bool:
        """Whether it is an address of an enabled channel. Pure, and raises nothing."""
        ...

    def named(self, address: Address) -> bool:
        """Whether the configuration names this chat: a sender who may write, an owner, a hook, a service."""
        ...


@record
class ChannelStatus:
    """The state of a channel."""

    name: str
    state: ConnectionState
    detail: str
    """The account that it is connected as, or why it is not."""
    since: datetime


def state_of_each(statuses: Sequence[ChannelStatus]) -> Mapping[str, ChannelStatus]:
    """By channel: what the server says that runs it, where another one only stands by."""
    return {status.name: status for status in sorted(statuses, key=lambda status: (status.state != "standby", status.since))}


class ChannelStates(Protocol):
    """The states of the channels of running servers, for the command line. Durable; raises StoreUnavailable."""

    async def note(self, status: ChannelStatus) -> None: ...

    async def list(self) -> Sequence[ChannelStatus]:
        """The states from live processes, by name."""
        ...


@record
class PlatformCall:
    """A platform's HTTP request to /channels/<name>."""

    method: Literal["GET", "POST"]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    url: str
    """As it reached this server, by its Host header. Behind a proxy, scheme and host may be others than those that the platform called: what checks a
    signature over it has a setting for them (`channels.sms.publicUrl`)."""


@record
class PlatformReply:
    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"


@runtime_checkable
class TakesCalls(Protocol):
    """A channel that others reach by HTTP, and so on any of several servers that are one assistant, whichever of them runs it."""

    def attach(self, link: ChannelLink | None) -> None:
        """Take in through this link what calls bring from now on, whether `run` was called or not; None: take in no more, so that it comes again."""
        ...


@runtime_checkable
class CalledChannel(Protocol):
    """A channel whose platform calls this server."""

    @property
    def name(self) -> str: ...

    async def called(self, call: PlatformCall) -> PlatformReply:
        """Answer a call, after what it brings is stored. The channel itself checks who calls. Raises StoreUnavailable: the platform calls again."""
        ...
