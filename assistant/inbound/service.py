"""Incoming messages: check the sender, store the message, answer it by a turn; after a crash, resume."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeVar

from assistant.access.recipients import Senders
from assistant.contracts.channels import Conversation
from assistant.contracts.errors import NanobotError, StoreUnavailable
from assistant.contracts.inbox import ChatCommand, CommandCall, InboundMessage, Role, SessionRef, Taken
from assistant.contracts.people import OWNER_ID
from assistant.contracts.util import derived_id
from assistant.inbound import phrases as words
from assistant.inbound.continuations import ContinuationService
from assistant.inbound.files import Fetcher
from assistant.inbound.links import ChatLinks
from assistant.inbound.preview import attempt
from assistant.inbound.replies import PairingCodes, Writer, identity_of, place_for, readable, without_quoted_files
from assistant.inbound.runner import SessionKey, TurnRunner
from assistant.store.inbox import TurnLeft
from assistant.store.store import Store
from assistant.turns.service import Turns
from assistant.workers import KeyedWorkers

log = logging.getLogger(__name__)

T = TypeVar("T")
_LOOK_AGAIN: Final = 30.0
"""Seconds between looks at the inbox for messages without a wake-up: of a process that died, or while the store failed."""


class InboundService:
    """Takes messages in and has them answered. Implements `delivery.supervisor.InboundReceiver`."""

    def __init__(
        self,
        *,
        store: Store,
        turns: Turns,
        senders: Senders,
        conversations: Mapping[str, Conversation | None],
        fetcher: Fetcher,
        writer: Writer,
        model: str,
        continued: ContinuationService,
        overview: Callable[[], Awaitable[Sequence[str]]],
        commands: Mapping[str, ChatCommand] = MappingProxyType({}),
        at_work: int = 64,
    ) -> None:
        """`conversations`: of the channels that were opened, by name. `model`: its name, for /status. `continued`: the turns that sessions
        owe. `overview`: lines that /status tells the owner in private. `commands`: further ones, by name. `at_work`: sessions at once."""
        self._people = store.people
        self._outbox = store.outbox
        self._linking = ChatLinks(store.links, store.people)
        self._commands = {"link": self._linking.answer, "prefer": self._linking.prefer, **commands}
        self._turns = turns
        self._inbox = store.inbox
        self._sessions = store.sessions
        self._senders = senders
        self._conversations = conversations
        self._writer = writer
        self._model = model
        self._overview = overview
        self._pairing = PairingCodes(store.pairings, store.outbox, writer)
        self._continued = continued
        self._runner = TurnRunner(
            turns=turns, inbox=store.inbox, fetcher=fetcher, writer=writer, conversations=conversations, person_of=store.people.of
        )
        self._workers = KeyedWorkers("session", self._work, most=at_work)
        self._waiting: Counter[SessionKey] = Counter()
        self._renamed: dict[str, str] = {}
        """old → new owner of groups that got a new id while this process ran."""
        self._taking: set[asyncio.Task[Any]] = set()
        self._besides: set[asyncio.Task[object]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._look_now = asyncio.Event()

    async def accept(self, channel: str, message: InboundMessage) -> str:
        """Take a message in; afterwards it may be acknowledged to the platform. Returns its id in the inbox; empty: the sender may not write, and
        nothing was stored. Raises StoreUnavailable: the platform must send it again."""
        if message.address.channel != channel:
            raise ValueError("a channel took in a message of another one")
        message = readable(message)
        standing = await self._senders.standing(channel, message.sender.id)
        if standing == "stranger":
            if (told := await self._linking.of_stranger(message)) is None:
                await self._pairing.meet(message)
                return ""
            return await self._tell_stranger(message, told)
        place = await self._place(message, standing)
        quote = message.quote
        asked = quote.author_id if quote is not None and quote.files else ""
        if quote is not None and asked and await self._senders.standing(channel, asked) == "stranger":
            message = without_quoted_files(message, quote)
        if message.command is not None and message.trusted:
            try:
                answer = await self._command_answer(message.command.name, message, place)
            except StoreUnavailable:
                raise  # the platform sends it again
            except NanobotError as error:
                answer, message = error.message, replace(message, chosen=False)  # the buttons stay
            if answer is not None and message.command is not None:
                if message.command.name == "link":  # the sender may be another person now
                    place = await self._place(message, standing)
                return await self._answer_command(message.command.name, message, place, answer)
        if message.command and not message.text.strip():
            message = replace(message, text=f"/{message.command.name} {message.command.arguments}".strip())
        accepted = await self._inbox.accept(message, place)
        if accepted.new:
            log.info("inbound.accepted channel=%s id=%s files=%d", channel, accepted.id, len(message.files))
            key = (place.owner, place.session)
            self._waiting[key] += 1
            self._workers.wake(key)
            self._acknowledge(message)
        return accepted.id

    async def _place(self, message: InboundMessage, standing: Role) -> SessionRef:
        person = await self._people.of(identity_of(message), message.sender.name) if message.private else ""
        return place_for(message, "owner" if person == OWNER_ID else standing, person)

    async def _tell_stranger(self, message: InboundMessage, told: str) -> str:
        """Answer a code that came from a stranger; nothing is kept of one that was wrong."""
        if await self._senders.standing(message.address.channel, message.sender.id) != "stranger":
            return await self._answer_command("link", message, await self._place(message, "user"), told)
        id = derived_id("evt", "command", message.address.channel, message.external_id)
        place = place_for(message, "user", identity_of(message))
        await self._outbox.enqueue([self._writer.event(id, "reply", message, place, told)])
        return ""

    async def last_seen(self, channel: str) -> Mapping[str, str]:
        return await self._inbox.last_seen(channel)

    async def moved(self, channel: str, chat_id: str, now: str) -> None:
        """A chat has a new id: what is stored of it follows, and what waits in its sessions is answered there. Raises StoreUnavailable."""
        await self._inbox.moved(channel, chat_id, now)
        self._renamed[f"{channel}:{chat_id}"] = f"{channel}:{now}"
        log.info("inbound.chat_moved channel=%s", channel)
        for key in await self._inbox.waiting():
            self._workers.wake(key)

    async def start(self) -> None:
        """Resume turns that a process left unfinished, and take messages that wait. Raises StoreUnavailable."""
        self._look_now.clear()
        await self._look()
        self._looking = asyncio.create_task(self._keep_looking())

    def look(self) -> None:
        """Look at once for what a process that died has left."""
        self._look_now.set()

    async def close(self, grace: float = 5.0) -> None:
        """Stop the workers and hand back unfinished turns, for the next start. Call it after `Turns.close`; messages are still accepted, and wait.
        Safe to call twice."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._workers.close(grace)
        if self._taking:
            await asyncio.wait(self._taking, timeout=grace)
        await self._runner.hand_back()
        for task in self._besides:
            task.cancel()
        if self._besides:
            await asyncio.wait(self._besides)

    async def _command_answer(self, name: str, message: InboundMessage, place: SessionRef) -> str | None:
        """The answer to one of `inbox.COMMANDS`, given beside the turn that runs. None: no such command, so the model reads it as words. Raises
        NanobotError: its words are the answer."""
        key = (place.owner, place.session)
        match name:
            case "start":
                return words.START
            case "help":
                return words.HELP
            case "id":
                return words.ids(message.address.chat_id, message.address.thread_id, message.sender.id)
            case "stop" if await self._works_anywhere(key):
                return words.STOPPED_WITH_MORE if self._waiting[key] else words.STOPPED
            case "stop":
                return words.NOTHING_TO_STOP
            case "new":
                await self._turns.start_over(*key)
                return words.NEW_STOPPED if await self._works_anywhere(key) else words.NEW
            case "compact":
                tell = partial(self._writer.of_cut, message, place)
                summed_up = await self._sessions.get(*key) and await self._turns.compact(*key, tell=tell)
                return words.SUMMING_UP if summed_up else words.NOTHING_TO_SUM_UP
            case "status":
                session = await self._sessions.get(*key)
                more = await self._overview() if place.role == "owner" and message.private else ()
                return words.status(
                    model=self._model,
                    messages=session.messages if session else 0,
                    working=self._works_on(key),
                    waiting=self._waiting[key],
                    more=more,
                )
            case _ if (command := self._commands.get(name)) and message.command:
                return await command(CommandCall(place=place, message=message, arguments=message.command.arguments))
            case _:
                return None

    def _works_on(self, key: SessionKey) -> bool:
        return self._runner.works_on(key) or self._continued.works_on(key)

    async def _works_anywhere(self, key: SessionKey) -> bool:
        return self._works_on(key) or await self._turns.runs_elsewhere(*key)

    async def _answer_command(self, name: str, message: InboundMessage, place: SessionRef, answer: str) -> str:
        id = derived_id("evt", "command", message.address.channel, message.external_id)
        event = self._writer.event(id, "reply", message, place, answer)
        if message.chosen and name in self._commands:  # in place of the message with the buttons
            event = replace(event, reply_to=None, replaces=message.message_id)
        accepted = await self._inbox.accept(message, place, answered=True, outbound=[event])
        if accepted.new and name in ("stop", "new"):  # only now: a repeated command stops nothing
            self._runner.stop((place.owner, place.session))
            self._continued.stop((place.owner, place.session))
            await self._turns.stop_elsewhere(place.owner, place.session)
        return accepted.id

    async def _work(self, key: SessionKey) -> None:
        """Run one turn of a session, if there is one."""
        held = next((taken for taken in self._runner.idle() if (taken.place.owner, taken.place.session) == key), None)
        if held is not None:
            self._workers.wake(key)  # behind it, what waits
            taken = held
        else:
            taken = await self._to_its_end(self._take(key))
        if taken is not None:
            log.info("inbound.turn turn=%s messages=%d", taken.turn_id, len(taken.messages))
            await self._runner.run(taken)
            if now := self._renamed.get(key[0]):  # what came meanwhile waits under the new name
                self._workers.wake((now, now + key[1].removeprefix(key[0])))

    async def _take(self, key: SessionKey) -> Taken | None:
        waited = self._waiting.pop(key, 0)
        try:
            try:
                taken = await self._inbox.take(*key)
            except TurnLeft:
                self._waiting[key] += waited
                await self._look()  # wakes this session again, with the turn that comes first
                return None
        except StoreUnavailable:
            log.warning("inbound.not_taken code=%s", StoreUnavailable.code)  # looked at again in a while
            return None
        if taken is not None:
            self._runner.hold(taken)
            if taken.more:
                self._waiting[key] += max(1, waited - len(taken.messages))
                self._workers.wake(key)  # behind this one
        return taken

    async def _take_over(self) -> None:
        recovered = await self._inbox.recover(self._writer.set_aside)
        if recovered.again or recovered.set_aside:
            log.warning("inbound.recovered again=%d aside=%d", len(recovered.again), recovered.set_aside)
        for taken in recovered.again:
            self._runner.hold(taken)

    async def _to_its_end(self, taking: Coroutine[Any, Any, T]) -> T:
        """Await without passing on a cancellation: what the store gave must be answered or handed back."""
        task = asyncio.create_task(taking)
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)
        return await asyncio.shield(task)

    async def _look(self) -> None:
        """Wake a worker for each session with something to do."""
        await self._to_its_end(self._take_over())
        for taken in self._runner.idle():
            self._workers.wake((taken.place.owner, taken.place.session))
        for key in await self._inbox.waiting():
            self._workers.wake(key)

    async def _keep_looking(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._look_now.wait()
            self._look_now.clear()
            try:
                await self._look()
            except StoreUnavailable:
                log.warning("inbound.not_looked code=%s", StoreUnavailable.code)

    def _acknowledge(self, message: InboundMessage) -> None:
        """Show on the platform that it was seen, in the background."""
        conversation = self._conversations.get(message.address.channel)
        if conversation is None or len(self._besides) >= 100:
            return
        task = asyncio.create_task(attempt("acknowledge", conversation.acknowledge(message), within=30))
        self._besides.add(task)
        task.add_done_callback(self._besides.discard)
