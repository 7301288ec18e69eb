"""How a channel learns who its owner is: they write to it, and say at the terminal that it was them."""

import asyncio
import os
from collections.abc import Mapping
from typing import Final

import typer

from assistant.app.opening import opened_by_name, opened_store
from assistant.cli.shared import harmless
from assistant.config import Loaded
from assistant.contracts.channels import Channel, ChannelFailed, ChannelKind
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.people import OWNER_ID
from assistant.inbound.replies import place_for, readable

_MOST_SHOWN: Final = 60


class _Ear:
    """Implements ChannelLink: hears one private message and acknowledges none that may be the owner's, so that it comes again to the server."""

    def __init__(self, declined: frozenset[str]) -> None:
        self._declined = declined
        self.heard: asyncio.Future[InboundMessage] = asyncio.get_running_loop().create_future()

    async def accept(self, message: InboundMessage) -> str:
        if message.private and message.trusted and message.external_id not in self._declined:
            if not self.heard.done():
                self.heard.set_result(readable(message))
            await asyncio.Event().wait()
        return ""

    async def last_seen(self) -> Mapping[str, str]:
        return {}

    async def moved(self, chat_id: str, now: str) -> None:
        pass

    async def undelivered(self, message_id: str, code: str, words: str) -> None:
        pass

    async def delivered(self, message_id: str, read: bool = False) -> None:
        pass

    def connected(self, detail: str = "") -> None:
        pass

    def degraded(self, why: str) -> None:
        typer.echo(f"  (it is tried again: {harmless(why)})")


def can_hear(kind: ChannelKind, channel: Channel) -> bool:
    """Whether people write to it, and messages come without that its platform calls this server."""
    return channel.conversation is not None and not kind.called and not kind.settings.let_in_by_secret


def ask_for_owner(loaded: Loaded, name: str, account: str) -> tuple[str, InboundMessage | None]:
    """Have the owner write to the account, or type their id; (their id or empty, what they wrote). Raises ChannelFailed."""
    typer.echo(
        f"Now write something to {harmless(account)} from your own account, so that it knows you.\n  (Or type your id there. Enter: later)"
    )
    declined = frozenset[str]()
    while True:
        heard = asyncio.run(_hear(loaded, name, declined))
        if isinstance(heard, str):
            return heard, None
        shown = heard.text if len(heard.text) <= _MOST_SHOWN else f"{heard.text[:_MOST_SHOWN]}…"
        words = shown or ("/" + heard.command.name if heard.command else "a file")
        asks = f"{harmless(heard.sender.name) or 'Someone'} ({harmless(heard.sender.id)}) wrote “{harmless(words)}”. Is that you?"
        if typer.confirm(asks, default=None):
            return heard.sender.id, heard
        declined |= {heard.external_id}


async def keep_first(loaded: Loaded, message: InboundMessage) -> None:
    """Store what the owner wrote, so that the server answers it; a command comes again from its platform. Raises StoreUnavailable."""
    if message.command is None:
        async with opened_store(loaded) as store:
            await store.inbox.accept(message, place_for(message, "owner", OWNER_ID))


async def _hear(loaded: Loaded, name: str, declined: frozenset[str]) -> InboundMessage | str:
    """The first message, or what is typed at the terminal meanwhile."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        loop.remove_reader(0)
        if not typed.done():
            typed.set_result(os.read(0, 4_096).decode(errors="replace").strip())

    async with opened_store(loaded) as store, opened_by_name(loaded, store, name) as channel:
        ear = _Ear(declined)
        running = asyncio.create_task(channel.run(ear))
        loop.add_reader(0, read)
        try:
            await asyncio.wait([ear.heard, typed, running], return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(0)
            running.cancel()
            ended = await asyncio.gather(running, return_exceptions=True)
    if ear.heard.done():
        return ear.heard.result()
    if typed.done():
        return typed.result()
    why = ended[0]
    raise why if isinstance(why, ChannelFailed) else ChannelFailed("the connection ended")
