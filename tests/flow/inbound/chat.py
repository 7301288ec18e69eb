"""A platform that people write on, played by a test."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendRefused
from assistant.contracts.inbox import Command, InboundFile, InboundMessage, Quote, Sender

ALICE = Sender(id="1", name="Alice")
BOB = Sender(id="2", name="Bob")
EVE = Sender(id="666", name="Eve")
_numbers = count(1)


def said(
    text: str,
    sender: Sender = ALICE,
    *,
    group: str | None = None,
    thread: str | None = None,
    id: str | None = None,
    quote: Quote | None = None,
    files: tuple[InboundFile, ...] = (),
    trusted: bool = True,
    channel: str = "chat",
) -> InboundMessage:
    """A message in the private chat of its sender, or in a group."""
    number = str(next(_numbers))
    command = None
    if text.startswith("/"):
        name, _, arguments = text[1:].partition(" ")
        command = Command(name=name, arguments=arguments)
    return InboundMessage(
        external_id=id or number,
        address=Address(channel=channel, chat_id=group or sender.id, thread_id=thread),
        sender=sender,
        private=group is None,
        text=text,
        quote=quote,
        files=files,
        command=command,
        message_id=f"m{id or number}",
        trusted=trusted,
        at=datetime.now(UTC),
    )


class GrowingAnswer:
    """A preview."""

    def __init__(self, note: Callable[[str], object], posted: str | None) -> None:
        self.shown: list[str] = []
        self.closed = False
        self.took_over = posted
        self._note = note
        self._posted = posted

    def update(self, text: str) -> None:
        assert not self.closed
        if self._posted is None:
            self._posted = "p1"
            self._note(self._posted)
        self.shown.append(text)

    async def close(self) -> str | None:
        self.closed = True
        return self._posted


class Chat:
    """A `Conversation` that notes what is asked of it. Whatever is named in `broken` raises what no adapter should."""

    typing_seconds = 4.0

    def __init__(self, *, previews: bool = False, broken: frozenset[str] = frozenset()) -> None:
        self.files: dict[str, bytes] = {}
        self.previews: list[GrowingAnswer] = []
        self.typed: list[Address] = []
        self.seen: list[str] = []
        self.typing_began = asyncio.Event()
        self.acknowledged = asyncio.Event()
        self._wants_previews = previews
        self._broken = broken

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        self._break("fetch")
        if file.ref not in self.files:
            raise SendRefused("gone", "The platform does not have it any more.")
        await asyncio.to_thread(into.write_bytes, self.files[file.ref])

    async def acknowledge(self, message: InboundMessage) -> None:
        self._break("acknowledge")
        self.seen.append(message.text)
        self.acknowledged.set()

    async def typing(self, address: Address) -> None:
        self._break("typing")
        self.typed.append(address)
        self.typing_began.set()

    def preview(self, address: Address, *, reply_to: str | None, posted: str | None, note: Callable[[str], object]) -> GrowingAnswer | None:
        self._break("preview")
        if not self._wants_previews:
            return None
        self.previews.append(GrowingAnswer(note, posted))
        return self.previews[-1]

    def _break(self, what: str) -> None:
        if what in self._broken:
            raise ZeroDivisionError("a bug of an adapter")
