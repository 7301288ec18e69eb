"""What tests of the way in share: a store, turns on a scripted model, and as many servers on them as a test wants."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from assistant.access.recipients import Senders
from assistant.app.schedules import Later, open_later
from assistant.approvals.book import ApprovalBook
from assistant.approvals.commands import ApprovalCommands
from assistant.approvals.desk import StoredDesk
from assistant.contracts.access import Limits
from assistant.contracts.addresses import Address
from assistant.contracts.approvals import Approval
from assistant.contracts.channels import ChannelSettings
from assistant.contracts.gate import Gate
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.messages import Json, Message, Text, ToolCall, UserMessage
from assistant.contracts.models import ModelProvider
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.people import PeopleDirectory, UnknownPeople
from assistant.contracts.tools import Tool
from assistant.inbound.continuations import ContinuationService
from assistant.inbound.files import Fetcher
from assistant.inbound.replies import Writer
from assistant.inbound.service import InboundService
from assistant.memory.command import MemoryCommand
from assistant.memory.search import StoredSearch
from assistant.memory.service import MemoryService
from assistant.store.store import Store
from assistant.tasks.book import TaskBook
from assistant.tasks.command import TaskCommand
from assistant.turns.service import Turns
from tests.clocks import TurnedClock
from tests.flow.inbound.chat import Chat
from tests.flow.turns.house import NO_LIMITS, House

FRIENDS = ChannelSettings(enabled=True, allow_from=("1", "2"), owners=("1",))
START = datetime.now(UTC)
EXPIRE_AFTER = timedelta(hours=1)


@dataclass(slots=True, kw_only=True)
class Server:
    """One run of the program on a store."""

    store: Store
    turns: Turns
    inbound: InboundService
    chat: Chat
    clock: TurnedClock
    spool: Path
    continued: ContinuationService
    book: ApprovalBook
    _rung: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.store.notifier.listen(self._rung.set)

    async def hear(self, *messages: InboundMessage) -> list[str]:
        """Take messages in, one after the other, as the channel would; their ids."""
        return [await self.inbound.accept(message.address.channel, message) for message in messages]

    async def told(self, count: int) -> list[OutboundEvent]:
        """All that was put into the outbox, the earliest first, once there is so much of it."""
        events = await self.until(lambda events: len(events) >= count)
        assert len(events) == count
        return events

    async def until(self, holds: Callable[[list[OutboundEvent]], bool]) -> list[OutboundEvent]:
        """All that was put into the outbox, the earliest first, once `holds` of it."""
        async with asyncio.timeout(30):
            while True:
                self._rung.clear()
                events = [delivery.event for delivery in reversed(await self.store.outbox.list(None, limit=1000))]
                if holds(events):
                    return events
                await self._rung.wait()

    async def texts(self, count: int) -> list[str]:
        return [event.text for event in await self.told(count)]

    async def kept(self, session: str = "chat:1", owner: str = "chat:1") -> list[Message]:
        return [stored.message for stored in await self.store.sessions.messages(owner, session)]

    async def stop(self, grace: float = 0) -> None:
        """End in order, as a server does."""
        await self.turns.close(grace)
        await self.continued.close()
        await self.inbound.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A store in a folder, and servers on it, one after the other or side by side."""

    store: Store
    folder: Path
    clock: TurnedClock = field(default_factory=lambda: TurnedClock(START))
    """The store's, too."""
    people: PeopleDirectory = field(default_factory=UnknownPeople)

    def later(self, store: Store | None = None) -> Later:
        return open_later(store or self.store, OneChannel(), self.people, clock=self.clock)

    @asynccontextmanager
    async def server(
        self,
        model: ModelProvider,
        *,
        chat: Chat | None = None,
        channels: Mapping[str, ChannelSettings] | None = None,
        tools: Sequence[Tool[Any]] = (),
        fetcher: Fetcher | None = None,
        at_work: int = 64,
        turn_seconds: float = 20,
        store: Store | None = None,
        budget: Limits = NO_LIMITS,
        gate: Gate | None = None,
    ) -> AsyncGenerator[Server]:
        """`gate`: which calls need a person's yes; None: none does."""
        store = store or self.store
        clock, chat = self.clock, chat or Chat()
        desk = StoredDesk(
            store.approvals, store.people, folder=_folder, chat=self.later(store).words.chat, expire_after=EXPIRE_AFTER, clock=clock
        )
        turns = House(store, self.folder).turns(model, tools=tools, timeout=turn_seconds, budget=budget, gate=gate, desk=desk)

        async def reads(approval: Approval, call: ToolCall) -> Mapping[str, Json] | None:
            return turns.agents[approval.agent].toolbox.read(call)

        book = ApprovalBook(store.approvals, folder=_folder, reads=reads, clock=clock)
        continued = ContinuationService(
            store=store.continuations, notifier=store.notifier, turns=turns, expire_after=timedelta(days=1), clock=clock
        )

        async def overview() -> Sequence[str]:
            return ["Channels: chat is connected"]

        inbound = InboundService(
            store=store,
            turns=turns,
            senders=Senders(channels or {"chat": FRIENDS}, store.pairings),
            conversations={"chat": chat},
            fetcher=fetcher or Fetcher(self.folder / "spool"),
            writer=Writer(expire_after=timedelta(days=1), clock=clock),
            model=model.info.id,
            at_work=at_work,
            overview=overview,
            continued=continued,
            commands={
                "tasks": TaskCommand(TaskBook(store.tasks, store.sessions)),
                "memory": MemoryCommand(store, MemoryService(store, StoredSearch(store.database, store.history)), learns=True),
                **self.later(store).commands.handlers,
                **ApprovalCommands(book, store.people.of, clock=clock).handlers,
            },
        )
        await inbound.start()
        await continued.start()
        spool = self.folder / "spool"
        server = Server(store=store, turns=turns, inbound=inbound, chat=chat, clock=clock, spool=spool, continued=continued, book=book)
        try:
            yield server
        finally:
            await server.stop()


FOLDER = "/work"


def _folder(_: str) -> str:
    return FOLDER


@dataclass(frozen=True, slots=True)
class OneChannel:
    """A directory with the channel `chat` alone."""

    names: Sequence[str] = ("chat",)
    enabled: Sequence[str] = ("chat",)

    def check(self, address: Address) -> Address:
        return address

    def offers(self, address: Address) -> bool:
        return address.channel in self.enabled

    def named(self, address: Address) -> bool:
        return False


def words(messages: Sequence[Message]) -> list[str]:
    """What stands in each message, the quoted words in angle brackets."""
    return [
        "|".join(f"<{part.text}>" if part.quoted else part.text for part in message.parts if isinstance(part, Text))
        if isinstance(message, UserMessage)
        else message.text
        for message in messages
    ]
