"""Incoming messages: check the sender, store the message, answer it by a turn; after a crash, resume."""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from assistant.access.recipients import Senders
from assistant.contracts.channels import Conversation
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.inbox import InboundMessage, SessionRef, Taken
from assistant.contracts.sessions import SessionStore
from assistant.contracts.util import Clock, derived_id, utc_now
from assistant.inbound.commands import Commands, Overview
from assistant.inbound.files import Fetcher, FileLimits
from assistant.inbound.pairing import PairingCodes
from assistant.inbound.preview import attempt
from assistant.inbound.replies import Writer, place_for, readable
from assistant.inbound.runner import SessionKey, TurnRunner
from assistant.store.channels import PairingStore
from assistant.store.inbox import InboxStore
from assistant.store.outbox import OutboxStore
from assistant.turns.service import Turns
from assistant.workers import KeyedWorkers

log = logging.getLogger(__name__)

T = TypeVar("T")
_LOOK_AGAIN: Final = 30.0
"""Seconds between looks at the inbox for messages without a wake-up: of a process that died, or while the store failed."""
_ACKNOWLEDGE_SECONDS: Final = 30.0
_MOST_BESIDES: Final = 100


class InboundService:
    """Takes messages in and has them answered. Implements `delivery.supervisor.InboundReceiver`."""

    def __init__(
        self,
        *,
        inbox: InboxStore,
        outbox: OutboxStore,
        pairings: PairingStore,
        sessions: SessionStore,
        turns: Turns,
        senders: Senders,
        conversations: Mapping[str, Conversation | None],
        spool: Path,
        model: str,
        expire_after: timedelta,
        quoting: frozenset[str] = frozenset(),
        limits: FileLimits | None = None,
        at_work: int = 64,
        overview: Overview | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """`conversations`: of the channels that were opened, by name. `spool`: where files lie until their turn has read them. `model`: its
        name, for /status. `expire_after`: how long a reply is tried. `quoting`: channels whose answers refer to their message in private
        chats, too. `at_work`: sessions at once. `overview`: what /status tells the owner besides."""
        writer = Writer(clock=clock, expire_after=expire_after, quoting=quoting)
        self._inbox = inbox
        self._senders = senders
        self._conversations = conversations
        self._writer = writer
        self._strangers = PairingCodes(pairings=pairings, outbox=outbox, writer=writer, clock=clock)
        self._answering = TurnRunner(
            turns=turns,
            inbox=inbox,
            fetcher=Fetcher(spool, limits or FileLimits()),
            writer=writer,
            conversations=conversations,
        )
        self._commands = Commands(
            turns=turns,
            sessions=sessions,
            answering=self._answering,
            model=model,
            waiting=lambda owner, session: self._waiting[owner, session],
            overview=overview,
        )
        self._desk = KeyedWorkers("session", self._work, most=at_work)
        self._waiting: Counter[SessionKey] = Counter()
        self._taking: set[asyncio.Task[Any]] = set()
        self._besides: set[asyncio.Task[object]] = set()
        self._looking: asyncio.Task[None] | None = None

    async def accept(self, channel: str, message: InboundMessage) -> str:
        """Take a message in; afterwards it may be acknowledged to the platform. Returns its id in the inbox; empty: the sender may not write, and
        nothing was stored. Raises StoreUnavailable: the platform must send it again."""
        if message.address.channel != channel:
            raise ValueError("a channel took in a message of another one")
        message = readable(message)
        standing = await self._senders.standing(channel, message.sender.id)
        if standing == "stranger":
            await self._strangers.meet(message)
            return ""
        place = place_for(message, standing)
        answer = await self._commands.answer(message, place)
        if answer is not None:
            return await self._answer_command(message, place, answer)
        if message.command and not message.text.strip():
            message = replace(message, text=f"/{message.command.name} {message.command.arguments}".strip())
        accepted = await self._inbox.accept(message, place)
        if accepted.new:
            log.info("inbound.accepted channel=%s id=%s files=%d", channel, accepted.id, len(message.files))
            self._wake(place)
            self._acknowledge(message)
        return accepted.id

    async def last_seen(self, channel: str) -> Mapping[str, str]:
        """As `Link.last_seen`."""
        return await self._inbox.last_seen(channel)

    async def start(self) -> None:
        """Resume turns that a process left unfinished, and take messages that wait. Raises StoreUnavailable."""
        await self._look()
        self._looking = asyncio.create_task(self._keep_looking())

    async def close(self, grace: float = 5.0) -> None:
        """Stop the workers and hand back unfinished turns, for the next start. Call it after `Turns.close`; messages are still accepted, and wait.
        Safe to call twice."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._desk.close(grace)
        if self._taking:
            await asyncio.wait(self._taking, timeout=grace)
        await self._answering.hand_back()
        for task in self._besides:
            task.cancel()
        if self._besides:
            await asyncio.wait(self._besides)

    async def _answer_command(self, message: InboundMessage, place: SessionRef, answer: str) -> str:
        id = derived_id("evt", "command", message.address.channel, message.external_id)
        event = self._writer.event(id, "reply", message, place, answer)
        accepted = await self._inbox.accept(message, place, answered=True, outbound=[event])
        if accepted.new:
            self._commands.follow_up(message, place)
        return accepted.id

    def _wake(self, place: SessionRef) -> None:
        key = (place.owner, place.session)
        self._waiting[key] += 1
        self._desk.wake(key)

    async def _work(self, key: SessionKey) -> None:
        """Run one turn of a session, if there is one."""
        held = next((taken for taken in self._answering.idle() if (taken.place.owner, taken.place.session) == key), None)
        if held is not None:
            self._desk.wake(key)  # behind it, what waits
            taken = held
        else:
            taken = await self._to_its_end(self._take(key))
        if taken is not None:
            log.info("inbound.turn turn=%s messages=%d", taken.turn_id, len(taken.messages))
            await self._answering.run(taken)

    async def _take(self, key: SessionKey) -> Taken | None:
        waited = self._waiting.pop(key, 0)
        try:
            taken = await self._inbox.take(*key)
        except StoreUnavailable:
            log.warning("inbound.not_taken code=%s", StoreUnavailable.code)  # looked at again in a while
            return None
        if taken is not None:
            self._answering.hold(taken)
            if taken.more:
                self._waiting[key] += max(1, waited - len(taken.messages))
                self._desk.wake(key)  # behind this one
        return taken

    async def _take_over(self) -> None:
        recovered = await self._inbox.recover(self._writer.set_aside)
        if recovered.again or recovered.set_aside:
            log.warning("inbound.recovered again=%d aside=%d", len(recovered.again), recovered.set_aside)
        for taken in recovered.again:
            self._answering.hold(taken)

    async def _to_its_end(self, taking: Coroutine[Any, Any, T]) -> T:
        """Await without passing on a cancellation: what the store gave must be answered or handed back."""
        task = asyncio.create_task(taking)
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)
        return await asyncio.shield(task)

    async def _look(self) -> None:
        """Wake a worker for each session with something to do."""
        await self._to_its_end(self._take_over())
        for taken in self._answering.idle():
            self._desk.wake((taken.place.owner, taken.place.session))
        for key in await self._inbox.waiting():
            self._desk.wake(key)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            try:
                await self._look()
            except StoreUnavailable:
                log.warning("inbound.not_looked code=%s", StoreUnavailable.code)

    def _acknowledge(self, message: InboundMessage) -> None:
        """Show on the platform that it was seen, in the background."""
        conversation = self._conversations.get(message.address.channel)
        if conversation is None or len(self._besides) >= _MOST_BESIDES:
            return
        task = asyncio.create_task(attempt("acknowledge", conversation.acknowledge(message), within=_ACKNOWLEDGE_SECONDS))
        self._besides.add(task)
        task.add_done_callback(self._besides.discard)
