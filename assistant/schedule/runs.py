"""Sees an occurrence that takes work to its end: an ask's turn, a watch's look, a workflow's job, a notice in a session."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, Final

from assistant.contracts.causes import Cause
from assistant.contracts.errors import ModelNotFound, NanobotError, SessionBusy, ShuttingDown, StoreUnavailable, traceback_location
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.people import PeopleDirectory
from assistant.contracts.provenance import Provenance
from assistant.contracts.records import record
from assistant.contracts.schedules import SCHEDULE_SESSION, Schedule
from assistant.contracts.sessions import SessionCut
from assistant.contracts.turns import TurnFailed, TurnFinished, TurnRequest, UserText
from assistant.contracts.util import Clock, backoff, derived_id, utc_now
from assistant.schedule.texts import EventWriter, clock_of, late, placed_at, receiver_of
from assistant.schedule.watches import WatchChecks, WatchFailed
from assistant.store.occurrences import Ending, HeldOccurrence, OccurrenceStore
from assistant.turns.service import Turns

log = logging.getLogger(__name__)

StartJob = Callable[[str, str, str, Mapping[str, Any]], Awaitable[object]]
"""Start a job once: (job id, owner, workflow, inputs). Raises NanobotError."""
_LONGEST_WAIT: Final = 60.0


@record
class AskReply:
    """The `Reply` of a scheduled turn: the answer goes to the schedule's address. A failure is told by the rule of schedules, not here."""

    schedule: Schedule
    turn_id: str
    writer: EventWriter
    people: PeopleDirectory
    clock: Clock

    async def outbound(self, end: TurnFinished | TurnFailed) -> Sequence[OutboundEvent]:
        new = self.schedule.new
        if not isinstance(end, TurnFinished) or not new.receiver or not end.text.strip():
            return ()
        try:
            person = await self.people.person(receiver_of(new))
            to = placed_at(new, await self.people.chats(receiver_of(new)))
        except StoreUnavailable:  # then its end can't be stored either, and the turn is tried again
            person, to = None, placed_at(new, ())
        if to.address is None:
            return ()
        writer = replace(self.writer, to=to.person)
        event = writer.event(self.schedule, f"{self.turn_id} end", to.address, end.text, self.clock(), person=person)
        return [replace(event, origin=replace(event.origin, turn_id=self.turn_id))]

    def of_cut(self, cut: SessionCut) -> None:
        """A schedule's own session is summed up without a word."""


class OccurrenceRunner:
    """Runs what this process holds, at most `at_work` at once, each until its end is stored."""

    def __init__(
        self,
        *,
        store: OccurrenceStore,
        turns: Turns,
        start_job: StartJob,
        checks: WatchChecks,
        writer: EventWriter,
        people: PeopleDirectory,
        clock: Clock = utc_now,
        at_work: int = 16,
    ) -> None:
        """`offers`: which chats of a person can be written to."""
        self._store = store
        self._turns = turns
        self._start_job = start_job
        self._checks = checks
        self._writer = writer
        self._people = people
        self._clock = clock
        self._places = asyncio.Semaphore(at_work)

    async def run(self, held: HeldOccurrence) -> None:
        """Until its end is stored; tried again while the store or the session's lane refuses it."""
        for tries in count(1):
            try:
                async with self._places:
                    held = await self._step(held)
            except _Ended:
                return
            except (StoreUnavailable, SessionBusy, ShuttingDown) as error:
                log.info("schedules.not_run occurrence=%s code=%s", held.id, error.code)
            except Exception as bug:
                log.exception("schedules.bug error=%s", traceback_location(bug), exc_info=False)
                if await self._end(held, "failed", "there is an error in this server; its log says where"):
                    return
            await asyncio.sleep(backoff(tries, longest=_LONGEST_WAIT))

    async def _end(self, held: HeldOccurrence, state: Ending, error: str) -> bool:
        """False: it could not be stored."""
        try:
            await self._store.end(held, state, error)
        except StoreUnavailable:
            return False
        return True

    async def note(self, owner: str, session: str, turn_id: str, text: str) -> None:
        await self._turns.note(owner, session, turn_id, text)

    async def _step(self, held: HeldOccurrence) -> HeldOccurrence:
        """Try it once. Raises _Ended when its end is stored, or another process works on it; else returns it as it now is."""
        new = held.schedule.new
        try:
            if held.error is not None:
                await self.note(new.owner, _session(held.schedule), held.ref or derived_id("turn", held.id), held.error)
                raise _Ended
            if new.kind == "workflow":
                await self._start_job(held.ref or derived_id("job", held.id), new.owner, new.text, new.inputs)
                await self._store.leave(held)
                raise _Ended
            if new.kind == "watch" and held.material is None:
                held = await self._look(held)
            return await self._ask(held)
        except (StoreUnavailable, SessionBusy, ShuttingDown):
            raise
        except NanobotError as error:
            await self._store.end(held, "failed", error.message)
            raise _Ended from None

    async def _look(self, held: HeldOccurrence) -> HeldOccurrence:
        """Look whether what is watched has changed; returns it with what is new."""
        watched = held.schedule.new.watched
        try:
            seen = await self._checks.look(watched, held.watch, held.schedule.new.owner) if watched else None
        except WatchFailed as error:
            await self._store.end(held, "failed", str(error))
            raise _Ended from None
        if seen is None or seen.news is None:
            await self._store.end(held, "skipped", seen.words if seen else "it watches nothing", watch=seen.state if seen else None)
            raise _Ended
        turn = derived_id("turn", held.id)
        if not await self._store.found(held, turn, seen.news, seen.state):
            raise _Ended
        return replace(held, ref=turn, material=seen.news, watch=seen.state)

    async def _ask(self, held: HeldOccurrence) -> HeldOccurrence:
        turn_id = held.ref or derived_id("turn", held.id)
        new = held.schedule.new
        words = f"[Scheduled for {clock_of(held.schedule, held.instant)}]\n{new.text}{late(held.schedule, held.instant, self._clock(), 0)}"
        whence: Provenance = "file" if new.watched and new.watched.kind == "file" else "web"
        material = (UserText(text=held.material, quoted=True, provenance=whence),) if held.material else ()
        request = TurnRequest(
            id=turn_id,
            owner=new.owner,
            session=_session(held.schedule),
            content=(UserText(text=words, chosen=new.provenance != "person"), *material),  # the model's words name no recipient
            agent=new.agent,
            address=new.address,
            cause=Cause(kind="schedule", id=held.schedule.id),
            reply=AskReply(schedule=held.schedule, turn_id=turn_id, writer=self._writer, people=self._people, clock=self._clock),
        )
        try:
            turn = self._turns.start(request)
        except ModelNotFound:
            await self._store.end(held, "failed", f"there is no agent {new.agent!r}")
            raise _Ended from None
        if turn.task is not None:
            await asyncio.wait([turn.task])
            if turn.task.done() and not turn.unsettled:
                raise _Ended
        return held


class _Ended(Exception):
    pass


def _session(schedule: Schedule) -> str:
    return schedule.new.session or f"{SCHEDULE_SESSION}{schedule.id}"
