"""What a chat offers while an answer is made: files, a reaction, typing, a preview by edits."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Preview, SendFailed, SendLater, SendUnclear
from assistant.contracts.inbox import InboundFile, InboundMessage
from assistant.contracts.records import record
from channels.kit.files import too_large
from channels.kit.http import PlatformError
from channels.kit.preview import EditedPreview
from channels.kit.sender import Post


class ChatWire(Protocol):
    """What an adapter knows of its chats: one call each. Errors are PlatformError or SendFailed."""

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """See `contracts.channels.Conversation`."""
        ...

    async def react(self, message: InboundMessage, emoji: str) -> None:
        """Put a reaction under a message (where the platform has none: do nothing)."""
        ...

    async def show_typing(self, address: Address) -> None: ...

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        """Post (`message_id` None) or edit a preview; returns its id. None: a person has deleted it."""
        ...

    def failure(self, error: PlatformError) -> SendFailed: ...


class PlainWire:
    """The base of a wire (`sender.Posting` and `ChatWire`): what it does on a platform that has no edits, reactions, typing or previews."""

    async def edit(self, post: Post, message_id: str) -> bool:
        return False

    async def remove(self, post: Post, message_id: str) -> None: ...

    async def react(self, message: InboundMessage, emoji: str) -> None: ...

    async def show_typing(self, address: Address) -> None: ...

    async def show(self, address: Address, text: str, *, reply_to: str | None, message_id: str | None) -> str | None:
        return None


@record
class ChatConversation:
    """`contracts.channels.Conversation` of an adapter with a `ChatWire`."""

    wire: ChatWire
    react_emoji: str = ""
    """Empty: no reaction."""
    previews: bool = False
    first_part: Callable[[str], str] = lambda text: text
    """As much of an answer (Markdown) as one message holds, in the platform's form."""
    typing_seconds: float = 8.0
    preview_seconds: float = 1.0
    """The least between two edits."""
    seconds_in: Callable[[Address], float] | None = None
    """The same by the chat, where it matters."""
    begin: Callable[[], ChatWire] | None = None
    """Makes the wire of one preview, where its calls share something (a key)."""
    unshow: Callable[[Address, str], Awaitable[bool]] | None = None
    """Deletes a preview whose last call got no answer: see `EditedPreview`. False: it stays."""

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        if file.size is not None and file.size > most_bytes:
            raise too_large(most_bytes)
        await self._harmless(self.wire.fetch(file, into, most_bytes))

    async def acknowledge(self, message: InboundMessage) -> None:
        if self.react_emoji and message.message_id is not None:
            await self._harmless(self.wire.react(message, self.react_emoji))

    async def typing(self, address: Address) -> None:
        await self._harmless(self.wire.show_typing(address))

    def preview(self, address: Address, *, reply_to: str | None, posted: str | None, note: Callable[[str], object]) -> Preview | None:
        if not self.previews:
            return None

        wire = self.begin() if self.begin is not None else self.wire

        async def show(message_id: str | None, text: str) -> str | None:
            try:
                return await wire.show(address, text, reply_to=reply_to, message_id=message_id)
            except PlatformError as error:
                raise wire.failure(error) from error

        remove = partial(self.unshow, address) if self.unshow is not None else None
        interval = self.seconds_in(address) if self.seconds_in is not None else self.preview_seconds
        return EditedPreview(show, self.first_part, interval=interval, posted=posted, note=note, remove=remove)

    async def _harmless(self, call: Awaitable[None]) -> None:
        """A call that may be repeated, so a lost answer is SendLater."""
        try:
            await call
        except PlatformError as error:
            failure = self.wire.failure(error)
            if isinstance(failure, SendUnclear):
                raise SendLater(failure.trouble.code, failure.trouble.words, counts=False) from error
            raise failure from error
