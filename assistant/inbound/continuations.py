"""Sessions that go on by themselves: after a person's yes, or the end of a background task. After a crash, they are resumed."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Final

from assistant.contracts.continuations import TakenContinuation
from assistant.contracts.errors import ModelNotFound, SessionBusy, ShuttingDown, StoreUnavailable
from assistant.contracts.outbox import Origin, OriginKind, OutboundEvent
from assistant.contracts.sessions import SessionCut
from assistant.contracts.turns import TurnFailed, TurnFinished, TurnRequest, UserText
from assistant.contracts.util import Clock, backoff, derived_id, new_id, utc_now
from assistant.inbound import phrases as words
from assistant.inbound.runner import SessionKey
from assistant.store.continuations import ContinuationStore
from assistant.store.processes import Notifier
from assistant.turns.handle import RunningTurn
from assistant.turns.service import Turns
from assistant.workers import KeyedWorkers

log = logging.getLogger(__name__)

_LOOK_AGAIN: Final = 30.0
"""Seconds between looks without a wake-up: for what a process that died had, and after the store failed."""
_REST: Final = 0.1
"""Seconds between two looks: every message that goes out wakes this, too."""
_LONGEST_WAIT: Final = 60.0


@dataclass(frozen=True, slots=True)
class ContinuedReply:
    """The `Reply` of such a turn: to its chat, if it has one."""

    taken: TakenContinuation
    expire_after: timedelta
    clock: Clock

    async def outbound(self, end: TurnFinished | TurnFailed) -> Sequence[OutboundEvent]:
        finished = isinstance(end, TurnFinished)
        text = words.answer(end.text, end.finish_reason, end.effects) if finished else words.failure(end)
        return self.events(derived_id("evt", self.taken.turn_id, "end"), "reply" if finished else "notice", text)

    def of_cut(self, cut: SessionCut) -> OutboundEvent | None:
        return next(iter(self.events(new_id("evt"), "notice", words.SUMMED_UP)), None)

    def events(self, id: str, kind: OriginKind, text: str) -> Sequence[OutboundEvent]:
        """One message to the chat, or none."""
        continuation = self.taken.continuation
        if continuation.address is None or not text:
            return ()
        origin = Origin(kind=kind, owner=continuation.owner, session=continuation.session, turn_id=self.taken.turn_id)
        expires = self.clock() + self.expire_after
        return (OutboundEvent(id=id, address=continuation.address, text=text, expires_at=expires, origin=origin),)


class ContinuationService:
    """Runs the turns that are stored as continuations, one at a time in a session, each to an end that is stored."""

    def __init__(
        self,
        *,
        store: ContinuationStore,
        notifier: Notifier,
        turns: Turns,
        expire_after: timedelta,
        at_work: int = 16,
        clock: Clock = utc_now,
    ) -> None:
        """`expire_after`: how long an answer to a chat is tried. `at_work`: sessions at once."""
        self._store = store
        self._notifier = notifier
        self._turns = turns
        self._expire_after = expire_after
        self._clock = clock
        self._workers = KeyedWorkers("continuation", self._work, most=at_work)
        self._held: dict[str, TakenContinuation] = {}
        self._running: dict[SessionKey, RunningTurn] = {}
        self._taking: set[asyncio.Task[TakenContinuation | None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._left = False

    async def start(self) -> None:
        """Resume what a process left, and run what waits. Raises StoreUnavailable."""
        self._notifier.listen(self._woken.set)
        await self._take_over()
        await self._look()
        self._looking = asyncio.create_task(self._keep_looking())

    async def close(self, grace: float = 5.0) -> None:
        """Stop the workers and hand back what did not end. Call it after `Turns.close`. Safe to call twice."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._workers.close(grace)
        if self._taking:
            await asyncio.wait(self._taking, timeout=grace)
        held, self._held = self._held, {}
        for turn_id in held:
            try:
                await self._store.hand_back(turn_id)
            except StoreUnavailable:  # the next start takes it over, as one whose process died
                log.warning("continuation.not_handed_back turn=%s", turn_id)

    def works_on(self, key: SessionKey) -> bool:
        """Whether such a turn of this session runs."""
        return key in self._running

    def stop(self, key: SessionKey) -> None:
        """Stop the turn of this session that runs, if there is one."""
        if turn := self._running.get(key):
            turn.cancel()

    def _reply(self, taken: TakenContinuation) -> ContinuedReply:
        return ContinuedReply(taken, self._expire_after, self._clock)

    def _given_up(self, taken: TakenContinuation) -> Sequence[OutboundEvent]:
        return self._reply(taken).events(derived_id("evt", taken.turn_id, "end"), "notice", words.SET_ASIDE)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_REST)
            try:
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._woken.wait()
                    self._woken.clear()
            except TimeoutError:
                self._left = True
            try:
                if self._left:
                    await self._take_over()
                await self._look()
                self._left = False
            except StoreUnavailable:
                log.warning("continuation.not_looked code=%s", StoreUnavailable.code)

    async def _look(self) -> None:
        for key in await self._store.waiting():
            self._workers.wake(key)

    async def _take_over(self) -> None:
        again, given_up = await self._store.recover(self._given_up)
        if again or given_up:
            log.warning("continuation.recovered again=%d given_up=%d", len(again), given_up)
        for taken in again:
            self._held[taken.turn_id] = taken
            self._workers.wake(_key(taken))

    async def _work(self, key: SessionKey) -> None:
        """Run one turn of a session, if there is one."""
        taken = next((each for each in self._held.values() if _key(each) == key), None) or await self._take(key)
        if taken is None:
            return
        self._workers.wake(key)  # behind it, what waits
        for tries in count(1):
            await self._try(key, taken)
            if taken.turn_id not in self._held:
                return
            taken = self._held[taken.turn_id]
            await asyncio.sleep(backoff(tries, longest=_LONGEST_WAIT))

    async def _take(self, key: SessionKey) -> TakenContinuation | None:
        """What the store gives is held, even if this is cancelled meanwhile."""

        async def take() -> TakenContinuation | None:
            try:
                taken = await self._store.take(*key)
            except StoreUnavailable:
                log.warning("continuation.not_taken code=%s", StoreUnavailable.code)  # looked at again in a while
                return None
            if taken is not None:
                self._held[taken.turn_id] = taken
            return taken

        task = asyncio.create_task(take())
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)
        return await asyncio.shield(task)

    async def _try(self, key: SessionKey, taken: TakenContinuation) -> None:
        """Run it once. Afterwards it is held only if its end is not stored."""
        continuation = taken.continuation
        log.info("continuation.turn turn=%s cause=%s", taken.turn_id, continuation.cause.kind)
        try:
            if continuation.note:
                await self._turns.note(continuation.owner, continuation.session, taken.turn_id, continuation.text)
                del self._held[taken.turn_id]
                return
            turn = self._turns.start(self._request(taken))
        except ModelNotFound:
            gone = f"[Not done: there is no agent {continuation.agent!r} any more.]"
            self._held[taken.turn_id] = replace(taken, continuation=replace(continuation, note=True, text=gone))
            return
        except (SessionBusy, ShuttingDown, StoreUnavailable) as error:
            log.info("continuation.not_started turn=%s code=%s", taken.turn_id, error.code)
            return
        if turn.task is None:
            return
        self._running[key] = turn
        try:
            await asyncio.wait([turn.task])
        finally:
            del self._running[key]
            if turn.task.done() and not turn.unsettled:
                self._held.pop(taken.turn_id, None)

    def _request(self, taken: TakenContinuation) -> TurnRequest:
        continuation = taken.continuation
        # A press is the person's wish, and not their words; what a task found is material.
        pressed = continuation.provenance == "system"
        return TurnRequest(
            id=taken.turn_id,
            owner=continuation.owner,
            session=continuation.session,
            content=(
                UserText(
                    text=continuation.text, quoted=not pressed, chosen=pressed, provenance=None if pressed else continuation.provenance
                ),
            ),
            agent=continuation.agent,
            address=continuation.address,
            cause=continuation.cause,
            caller=continuation.caller,
            asker=continuation.asker,
            only_tools=None if continuation.only_tools is None else frozenset(continuation.only_tools),
            within=continuation.within,
            inherits=frozenset(continuation.inherits),
            first=continuation.call,
            approval=continuation.approval,
            reply=self._reply(taken),
        )


def _key(taken: TakenContinuation) -> SessionKey:
    return taken.continuation.owner, taken.continuation.session
