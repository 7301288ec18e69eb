"""A stand-in for a platform, as the contract suite of channels uses it, and the link that records what a channel takes in."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelKind, Sending, TakesCalls
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.outbox import ButtonRows, Media, Origin, OutboundEvent, Receipt
from assistant.contracts.records import record

WITHIN: float = 30
"""Seconds after which a test gives up waiting."""
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)
"""A PNG of one pixel."""
Failure = Literal[
    "refuse",
    "limit",
    "lose",
    "hold",
    "server_error",
    "garbage",
    "unauthorized",
    "blocked",
    "form",
    "files",
    "reply_gone",
    "thread_gone",
    "edit_gone",
]
"""What the next send meets: refused for good (chat not found); a rate limit of 30 s; accepted, and its answer lost; no answer; a 500 that
carries nothing out; an answer that can't be read; the key is not accepted; the receiver has blocked the bot; the formatting is refused; the
file is; the message that is answered, the thread, or the message to edit is gone."""
Ability = Literal[
    "groups",
    "threads",
    "replies",
    "edits",
    "files",
    "buttons",
    "files_in",
    "quotes_in",
    "edits_in",
    "bots",
    "reconnects",
    "signed",
    "moves",
    "clock",
    "typing",
    "reactions",
    "previews",
    "strangers",
]
"""What a platform has, and its channel does. groups: chats of several people, with mentions. threads: conversations in a group. replies: an
answer refers to a message. edits: a message can be changed. files, buttons: out. files_in, quotes_in, edits_in: in. bots: other bots may
write. reconnects: a connection that can break (`drop`), after which what was not acknowledged comes again. signed: the platform calls us,
with a signature. moves: a group gets another id (`move`). clock: messages carry the platform's time (`Said.ahead`). typing, reactions: shown in a
chat. previews: an answer is shown while it is made. strangers: people whom the platform's owner never named can write."""


@record
class Seen:
    """A message that the platform has accepted, as its users see it."""

    id: str
    text: str
    chat_id: str
    thread_id: str | None = None
    reply_to: str | None = None
    files: tuple[str, ...] = ()
    """Names."""
    buttons: tuple[str, ...] = ()
    """The words on them."""
    edited: bool = False


@record
class Said:
    """What a person (or a bot) writes to the channel."""

    text: str
    id: str | None = None
    """The platform's id of the message; the same again: it is delivered again. None: a new one."""
    group: bool = False
    """In `ChannelPlatform.group`, else in the private chat."""
    mention: bool = False
    """Mentions the assistant."""
    answers_us: bool = False
    """Answers the assistant's last message (in this chat)."""
    thread_id: str | None = None
    by: Literal["person", "stranger", "bot", "assistant"] = "person"
    """stranger: another person, in another private chat. assistant: the channel's own message comes back."""
    files: tuple[tuple[str, bytes], ...] = ()
    edits: str | None = None
    """The id of a message that this text replaces."""
    quotes: str = ""
    """The text of another's message that this one answers."""
    ahead: float = 0.0
    """Seconds that the platform's clock is ahead of ours."""


class ChannelPlatform:
    """A stand-in for the platform, and the channel under test that talks to it. Derive from it; what is not among `abilities` is never called."""

    kind: ChannelKind
    settings: Any
    channel: Channel
    address: Address
    """A private chat that the platform knows."""
    bad_addresses: Sequence[Address]
    """Addresses that `check_address` refuses."""
    files: "FolderFiles"
    """What the channel's `ChannelContext` has."""
    receives: bool
    """Whether people can write to this channel."""
    abilities: frozenset[Ability] = frozenset()
    failures: frozenset[Failure] = frozenset({"refuse", "limit", "lose", "hold"})
    """Those that the stand-in can bring about."""
    group: Address | None = None
    thread_id: str | None = None
    """A thread of `group`."""
    most_text: int = 4000
    """Characters that the platform takes in one message."""
    samples: Sequence[tuple[str, str, bytes]] = (("a.png", "image/png", PICTURE), ("ü b.pdf", "application/pdf", b"%PDF-1.4 "))
    """(name, media type, content) of files that the platform takes."""
    files_have_words: bool = True
    """Whether a person's file can come with words."""
    most_file: int = 0
    """Bytes of the largest file that the platform takes; 0: none."""

    def seen(self) -> Sequence[Seen]:
        """The messages that the platform has accepted, in order, each as it is now."""
        raise NotImplementedError

    def texts(self) -> Sequence[str]:
        return [each.text for each in self.seen()]

    def fail(self, how: Failure) -> None:
        """What the next send meets ("unauthorized" and "blocked": every one until `heal`)."""
        raise NotImplementedError

    def heal(self) -> None:
        """Sends succeed again."""

    def say(self, text: str) -> None:
        """A person writes in the private chat. The message comes again until it is acknowledged, on platforms that have acknowledgements."""
        self.write(Said(text=text))

    def write(self, said: Said) -> str:
        """Write to the channel; returns the platform's id of the message."""
        raise NotImplementedError

    def press(self, label: str) -> None:
        """A person presses the button with these words, under the last message that has it."""
        raise NotImplementedError

    def acknowledged(self) -> bool:
        """Whether the channel has acknowledged what people wrote; False on a platform without acknowledgements."""
        return False

    def drop(self) -> None:
        """Every connection breaks; new ones are taken."""
        raise NotImplementedError

    def garble(self) -> None:
        """The platform sends what no channel can read: not JSON where it should be, or events of unknown and broken shapes."""
        raise NotImplementedError

    def move(self) -> Address:
        """`group` gets another id, which the platform tells as it does; returns the new address."""
        raise NotImplementedError

    def typed(self) -> Sequence[str]:
        """The chats in which the channel was shown as typing, in order."""
        raise NotImplementedError

    def reacted(self) -> Sequence[str]:
        """The ids of the messages that the channel put a reaction under."""
        raise NotImplementedError

    async def forge(self, said: Said, *, stale: bool = False) -> int:
        """A call that is not the platform's (`stale`: the platform's own, an hour late, sent again); returns the status of its answer."""
        raise NotImplementedError

    async def reopen(self) -> Channel:
        """Another adapter with the same settings, as after a restart. It becomes `channel`."""
        raise NotImplementedError


class RecordingLink:
    """A `ChannelLink` that records. `gate`: while it is cleared, `accept` waits. `unavailable`: how many more calls of `accept` fail."""

    def __init__(self) -> None:
        self.offered: asyncio.Queue[InboundMessage] = asyncio.Queue()
        self.kept: asyncio.Queue[InboundMessage] = asyncio.Queue()
        self.unavailable = 0
        self.up, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.last: dict[str, str] = {}
        """What `last_seen` answers, for platforms that return the messages since; kept messages are noted in it."""
        self.why: list[str] = []
        """What `degraded` was told."""
        self.lost: list[tuple[str, str, str]] = []
        """What `undelivered` was told."""
        self.reached: list[tuple[str, bool]] = []
        """What `delivered` was told."""
        self.chats_moved: list[tuple[str, str]] = []
        """What `moved` was told."""

    async def accept(self, message: InboundMessage) -> str:
        self.offered.put_nowait(message)
        await self.gate.wait()
        if self.unavailable:
            self.unavailable -= 1
            raise StoreUnavailable
        self.kept.put_nowait(message)
        self.last[message.address.chat_id] = message.external_id
        return f"inb_{message.external_id}"

    async def last_seen(self) -> Mapping[str, str]:
        return self.last

    async def moved(self, chat_id: str, now: str) -> None:
        self.chats_moved.append((chat_id, now))

    async def undelivered(self, message_id: str, code: str, words: str) -> None:
        self.lost.append((message_id, code, words))

    async def delivered(self, message_id: str, read: bool = False) -> None:
        self.reached.append((message_id, read))

    def connected(self, detail: str = "") -> None:
        self.up.set()

    def degraded(self, why: str) -> None:
        self.why.append(why)

    async def next(self) -> InboundMessage:
        """The next message that was kept."""
        async with asyncio.timeout(WITHIN):
            return await self.kept.get()


async def until(holds: Callable[[], object]) -> None:
    """Wait for what a platform shows. Raises TimeoutError."""
    async with asyncio.timeout(WITHIN):
        while not holds():  # noqa: ASYNC110 - of a platform that only shows it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(channel: Channel, link: RecordingLink | None = None) -> AsyncGenerator[RecordingLink]:
    """The channel, connected. At the end `run` is cancelled and has to end."""
    link = link or RecordingLink()
    link.up.clear()
    if isinstance(channel, TakesCalls):
        channel.attach(link)
    run = asyncio.create_task(channel.run(link))
    try:
        async with asyncio.timeout(WITHIN):
            up = asyncio.create_task(link.up.wait())
            await asyncio.wait([run, up], return_when=asyncio.FIRST_COMPLETED)
            up.cancel()
            if run.done():
                run.result()
        yield link
    finally:
        if isinstance(channel, TakesCalls):
            channel.attach(None)
        run.cancel()
        await asyncio.wait([run], timeout=WITHIN)
    assert run.cancelled(), "`run` must end with CancelledError when it is cancelled"


def event_to(
    address: Address, text: str, *, media: tuple[Media, ...] = (), buttons: ButtonRows = (), replaces: str | None = None
) -> OutboundEvent:
    return OutboundEvent(
        id="evt_1",
        address=address,
        text=text,
        media=media,
        buttons=buttons,
        replaces=replaces,
        expires_at=datetime.now(UTC) + timedelta(days=1),
        origin=Origin(kind="api", owner="local"),
    )


async def send(
    platform: ChannelPlatform, text: str = "w1", key: str = "k", *, event: OutboundEvent | None = None, **more: Any
) -> list[Receipt]:
    """All parts of a message, as the dispatcher sends them. `more`: of `Sending`."""
    event = event or event_to(platform.address, text)
    receipts: list[Receipt] = []
    for place, part in enumerate(platform.channel.plan(event)):
        about: dict[str, Any] = {"reply_to": event.reply_to, "replaces": event.replaces, "again": None, **more}
        if place:
            about |= {"reply_to": None, "replaces": None}
        first = receipts[0].message_id if receipts else None
        sending = Sending(address=event.address, part=part, place=place, key=f"{key}{place}", first=first, **about)
        receipt = await platform.channel.send(sending)
        assert receipt.at.tzinfo is not None
        receipts.append(receipt)
    return receipts


@dataclass(slots=True)
class FolderFiles:
    """`MediaFiles` in a folder."""

    folder: Path
    names: dict[str, Path] = field(default_factory=dict[str, Path])

    async def keep(self, path: Path, name: str) -> Media:
        return self.put(name, await asyncio.to_thread(path.read_bytes))

    def put(self, name: str, content: bytes, media_type: str = "application/octet-stream") -> Media:
        digest = sha256(content).hexdigest()
        self.names[digest] = self.folder / digest
        self.names[digest].write_bytes(content)
        return Media(name=name, media_type=media_type, size=len(content), digest=digest)

    def path(self, media: Media) -> Path:
        return self.names[media.digest]
