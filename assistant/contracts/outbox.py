"""The outbox: outgoing messages. Every path to a platform goes through it.

queued ──claim──▶ sending ──▶ sent        every part has its receipt
   ▲                 │
   │                 ├──▶ queued          not accepted now: again at `due`
   └──── retry ──────├──▶ failed          refused for good, or its parts could not be planned
         (by hand)   ├──▶ expired         `expires_at` passed before it was sent
                     └──▶ unknown         started, and it may have arrived (deliver.ambiguous = "hold")
queued ──▶ cancelled  by hand
sent ─────▶ failed    the platform reports later that it did not arrive (`OutboxStore.undelivered`); queued and sending, too, with parts to come
queued ──▶ expired    or unknown, where a part was started and has no receipt: `expires_at` passed while it waited
failed, expired ──▶   to a person: another event follows on their next channel (`assistant.store.reaching`)
sending ─▶ queued     its process died, or its lease ended (`OutboxStore.recover`)

Every arrow is drawn by one statement of `assistant.store.outbox_rows` or `outbox_reports`; which of them follows a failed try is decided by
`assistant.delivery.retry`.
"""

from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Protocol

from assistant.contracts.addresses import Address
from assistant.contracts.records import record
from assistant.contracts.util import derived_id

DeliveryState = Literal["queued", "sending", "sent", "failed", "expired", "cancelled", "unknown"]
UNSENT: Final[frozenset[DeliveryState]] = frozenset({"failed", "expired", "cancelled", "unknown"})
"""Final states that a retry by hand can leave."""
OriginKind = Literal["tool", "reply", "notice", "pairing", "api", "cli", "schedule"]


@record
class Media:
    """A file to be sent. Its bytes were copied when the message was accepted (`MediaFiles.keep`)."""

    name: str
    """As the receiver sees it (`util.display_name`)."""
    media_type: str
    """"image/png", "application/pdf" …: by content where it is known, else by name."""
    size: int
    digest: str
    """SHA-256 of the bytes, 64 hex digits."""


@record
class Button:
    """Under a message. With `url` it opens a page, with `command` it gives that command; else pressing it sends `text` as the user's next message.
    Models and clients make none with a command."""

    text: str
    url: str | None = None
    command: str | None = None
    """What a person would write instead: "/snooze 10m". Where no button can be shown, they are told to. At most 24 ASCII characters."""
    subject: str = ""
    """The id of what the command is about; a press gives it behind the command: "/snooze 10m occ_…"."""

    @property
    def given(self) -> str:
        """The command that a press gives, with its subject."""
        return f"{self.command} {self.subject}".strip()


ButtonRows = tuple[tuple[Button, ...], ...]


@record
class Origin:
    """What caused a message, and its owner."""

    kind: OriginKind
    owner: str
    """The principal on whose behalf it is sent, and who sees it in `GET /v1/deliveries`."""
    session: str | None = None
    turn_id: str | None = None


@record
class FailedRoute:
    """A channel on which a message to a person could not be delivered. `words`: why, without secrets."""

    channel: str
    words: str


@record
class ToPerson:
    """Whom a message is for, in whichever of their chats it arrives. Where it certainly did not (failed, expired), the next channel follows."""

    id: str
    """The person's."""
    name: str = "you"
    """As the sender calls them; "you": themselves."""
    hidden: bool = False
    """The sender is not told where it goes: addresses are their bearers' own."""
    follows: bool = True
    """False: only the first chat may be written to."""
    after: str | None = None
    """The delivery that failed, and that this one follows."""
    tried: tuple[FailedRoute, ...] = ()
    """Each channel is tried once."""

    @property
    def note(self) -> str:
        """What is added to the words of a message that follows; empty for the first."""
        why = "; ".join([f"on {route.channel.capitalize()}: {route.words.rstrip('.')}" for route in self.tried])
        return f"\n\n(Could not be delivered {why}.)" if why else ""


def following_id(event_id: str) -> str:
    """The id of the delivery that follows a failed one to a person: one at most."""
    return derived_id("evt", "follows", event_id)


@record
class OutboundEvent:
    """A message to an address."""

    id: str
    """`evt_…`. Derived from its cause if that may recur after a crash (`util.derived_id`): the same event is accepted once."""
    address: Address
    text: str
    """Markdown; empty only with media."""
    media: tuple[Media, ...] = ()
    buttons: ButtonRows = ()
    reply_to: str | None = None
    """The platform's id of the message that this one answers."""
    replaces: str | None = None
    """The platform's id of a message (a live preview) that its first part replaces by an edit."""
    not_before: datetime | None = None
    expires_at: datetime
    origin: Origin
    person: ToPerson | None = None
    """The person whom it is for; None: for this address, and no other."""

    @property
    def receiver(self) -> str:
        """Who gets it, as its sender is told: "telegram:42", "anna", "you (telegram:42)"."""
        if self.person is None:
            return str(self.address)
        return self.person.name if self.person.hidden else f"{self.person.name} ({self.address})"

    @property
    def aim(self) -> str:
        """What two events have in common that go to the same receiver."""
        return str(self.address) if self.person is None else f"person {self.person.id}"


@record
class OutboundPart:
    """What one call to the platform sends. An event is split into parts once; the plan is stored, so that a retry sends the same."""

    text: str
    """In the platform's own form; empty only with media."""
    plain: str
    """The same words without formatting, for a platform that refuses the other."""
    media: tuple[Media, ...] = ()
    buttons: ButtonRows = ()
    notice: str = ""
    """What of the event the platform does not take, and so is in no part; empty: nothing."""


@record
class Receipt:
    """The platform accepted a part."""

    message_id: str | None
    """The platform's id; None: it gives none (apprise)."""
    at: datetime
    notice: str = ""
    """What was left out or sent in another form because the platform refused it, for people; empty: nothing."""


@record
class PartState:
    part: OutboundPart
    started: datetime | None = None
    """When its sending started (the first try that may have arrived). Without a receipt: it may have arrived."""
    receipt: Receipt | None = None
    reached_at: datetime | None = None
    """When the platform reported that it had reached its receiver; None: no report, as of most platforms."""
    read_at: datetime | None = None
    """When it was reported as read."""


@record
class DeliveryError:
    """Why a delivery is not sent. `code`: for programs ("flood_wait", "chat_not_found"). `words`: for people, without secrets."""

    code: str
    words: str


@record
class Delivery:
    """An event and its state."""

    event: OutboundEvent
    state: DeliveryState
    attempts: int
    """How often it was claimed."""
    created: datetime
    due: datetime
    """When it is tried next (state queued)."""
    ended: datetime | None
    trouble: DeliveryError | None
    """The last error; None: there was none, or it was sent after all."""
    maybe_duplicate: bool
    """A part was sent again although an earlier try may have arrived."""
    parts: tuple[PartState, ...]
    """Empty until it is planned."""

    @property
    def notice(self) -> str:
        """What of it the platform did not take, though the rest was sent; empty: nothing."""
        return "; ".join(dict.fromkeys(part.receipt.notice for part in self.parts if part.receipt and part.receipt.notice))


@record
class Claim:
    """The right to send an event, until its lease ends. `fence` is higher than every earlier claim's, whose writes are refused."""

    event: OutboundEvent
    fence: int
    attempts: int
    """This one included."""
    held: int
    """Of `attempts`, those that failed by the platform or the message (not by a flood wait or a missing connection)."""
    maybe_duplicate: bool
    parts: tuple[PartState, ...]
    """Empty: it is not planned yet."""


@record
class Settlement:
    """How an attempt ended. `due` with state "queued" only: when to try again."""

    state: Literal["sent", "queued", "failed", "expired", "unknown"]
    trouble: DeliveryError | None = None
    due: datetime | None = None
    counts: bool = True
    """False: the event is not at fault (a flood wait, a missing connection); `Claim.held` stays."""


@record
class DueLanes:
    """`ready`: lanes with an event to send now, the longest waiting first. `next_at`: when the next event is due (None: nothing waits)."""

    ready: tuple[str, ...]
    next_at: datetime | None


class MediaFiles(Protocol):
    """The bytes of media, by digest, kept while a delivery refers to them, and at least an hour."""

    async def keep(self, path: Path, name: str) -> Media:
        """Copy a file. Raises StoreUnavailable; OSError where `path` can't be read."""
        ...

    def path(self, media: Media) -> Path:
        """Where its bytes are, for reading only."""
        ...


class Deliveries(Protocol):
    """The outbox as senders use it: the `message` tool, the API, the command line."""

    async def send(self, event: OutboundEvent) -> Delivery:
        """Accept it (see `OutboxStore.enqueue`)."""
        ...

    async def outcome(self, event_id: str, within: float) -> Delivery:
        """Wait until the delivery leaves "queued" and "sending", has an error, or can't be sent because its channel is not enabled; at most
        `within` seconds."""
        ...

    def enabled(self, channel: str) -> bool:
        """Whether a running server sends on this channel."""
        ...
