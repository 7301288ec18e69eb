"""A running turn: its place in the session's lane, and the handle by which its caller listens, waits or stops it."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Hashable, Sequence
from typing import Any, Literal

from assistant.agent.loop import BETWEEN_STEPS
from assistant.contracts import errors
from assistant.contracts.access import UNLIMITED, Admission
from assistant.contracts.effects import Effect, PendingApproval
from assistant.contracts.errors import NanobotError, drop_traceback, traceback_location
from assistant.contracts.messages import CutOff, Text, ToolMessage, Usage
from assistant.contracts.turns import (
    Keep,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    Upload,
)
from assistant.contracts.util import estimate_tokens


class LaneTicket:
    """A place in a lane."""

    __slots__ = ("_reached", "key")

    def __init__(self, key: Hashable, *, first: bool) -> None:
        self.key = key
        self._reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._reached.set_result(None)

    async def reached(self) -> None:
        """Wait until the places before it are left. Cancelling the wait keeps the place: it must still be left."""
        if not self._reached.done():
            await asyncio.shield(self._reached)

    def call(self) -> None:
        self._reached.set_result(None)


class Lanes:
    """A lane for each key, made when its first place is taken and gone with the last."""

    def __init__(self, *, waiting: int) -> None:
        """`waiting`: how many may wait behind the one that runs."""
        self._waiting = waiting
        self._lanes: dict[Hashable, deque[LaneTicket]] = {}

    def take(self, key: Hashable) -> LaneTicket:
        """Take the next place in the lane, at once; it must be left in the end. Raises SessionBusy where too many wait."""
        lane = self._lanes.setdefault(key, deque())
        if len(lane) > self._waiting:
            raise errors.SessionBusy(retry_after=1)
        place = LaneTicket(key, first=not lane)
        lane.append(place)
        return place

    def leave(self, place: LaneTicket) -> None:
        """Give the place back; the next in line is called if it was the first."""
        lane = self._lanes[place.key]
        was_first = lane[0] is place
        lane.remove(place)
        if not lane:
            del self._lanes[place.key]
        elif was_first:
            lane[0].call()

    def is_free(self, key: Hashable) -> bool:
        """Whether no place in the lane is taken."""
        return key not in self._lanes

    def __len__(self) -> int:
        return len(self._lanes)


log = logging.getLogger(__name__)

StopCause = Literal["cancelled", "interrupted"]


class RunningTurn:
    """The handle that `Turns.start` returns. Its caller listens once, by `events` or `result`; any number of others `follow`."""

    def __init__(self, turn_id: str, admission: Admission = UNLIMITED) -> None:
        self.id = turn_id
        self.admission = admission
        """Charged with the tokens at the end; its caller ends it."""
        self.acted = False
        """Whether a tool that changes something was started: then repeating the request is not harmless."""
        self.effects: list[Effect] = []
        """What its tools reported so far, steps from before a crash included."""
        self.heard: tuple[Text, ...] = ()
        """What was heard in the message that it answers."""
        self.pending: list[PendingApproval] = []
        """Its calls that wait for a person's yes."""
        self.used: set[str] = set()
        """The names of its tools that a call of succeeded."""
        self.begun = False
        """Whether the user's message may be stored: then the session must record how the turn ended."""
        self.unsettled = False
        """Whether the end of a resumable turn could not be stored: it runs again, under its id."""
        self.sealed = False
        """Whether the answer is being stored: too late to stop it."""
        self._words: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[tuple[int, int, ToolStarted | ToolFinished]] = []
        """Each with how many words and thoughts came before it."""
        self._stored = (0, 0, 0)
        """How many of these are of steps that are stored."""
        self._usage = Usage()
        self.stopped: StopCause | None = None
        """Why it was told to stop, if it was."""
        self.lane: Hashable = None
        """The key of the lane that it is in."""
        self.task: asyncio.Task[None] | None = None
        self.awake = False
        """Whether its task has begun to run: a task cancelled before that never runs, and would not settle the turn."""
        self._events: list[TurnEvent] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._end: TurnFinished | TurnFailed | None = None

    @property
    def took(self) -> int:
        """Tokens used so far: those of the finished steps, and an estimate of what the current one emitted."""
        words, thoughts, calls = self._stored
        arguments = [call.arguments for _, _, call in self._calls[calls:] if isinstance(call, ToolStarted)]
        unsettled = sum(map(len, self._words[words:] + self._thoughts[thoughts:] + arguments))
        return self._usage.prompt_tokens + self._usage.completion_tokens + estimate_tokens(unsettled)

    @property
    def unstored(self) -> str:
        """The text emitted by the current step, kept if the turn is cut off."""
        return "".join(self._words[self._stored[0] :])

    def step_made(self, usage: Usage, said: str = "") -> None:
        """A step is stored; the next one begins. `said`: its words, where they were not streamed."""
        self._usage += usage
        if said:
            self._words.append(BETWEEN_STEPS + said if self._words else said)
        self._stored = len(self._words), len(self._thoughts), len(self._calls)

    def emit(self, event: TurnEvent) -> None:
        """Note an event and wake the listener; the turn's end settles its tokens. Ignored after the end."""
        if self._end is not None:
            return
        match event:
            case TurnFinished():
                self._end = event
                self.admission.used(event.usage.prompt_tokens + event.usage.completion_tokens)
            case TurnFailed():
                self._end = event
                self.admission.broke_off(self.took)
            case ToolStarted():
                self.acted = self.acted or not event.reads_only
                self._calls.append((len(self._words), len(self._thoughts), event))
            case ToolFinished():
                self.did(event)
                self._calls.append((len(self._words), len(self._thoughts), event))
            case TextDelta():
                self._words.append(event.text)
            case ReasoningDelta():
                self._thoughts.append(event.text)
        self._events.append(event)
        while self._waiting:
            waiter = self._waiting.pop()
            if not waiter.done():
                waiter.set_result(None)

    def did(self, call: ToolFinished | ToolMessage) -> None:
        """Note what a call of a tool changed."""
        self.effects += [effect for effect in call.effects if effect not in self.effects]
        if call.pending is not None and call.pending not in self.pending:
            self.pending.append(call.pending)
        if call.ok:
            self.used.add(call.name)

    async def events(self) -> AsyncIterator[list[TurnEvent]]:
        """All events, in batches; the last one is TurnFinished or TurnFailed. Leaving early leaves the turn alone."""
        while True:
            if not self._events:
                await self._more()
            batch, self._events = self._events, []
            yield batch
            if batch[-1] is self._end:
                return

    async def follow(self) -> AsyncIterator[list[TurnEvent]]:
        """What was said and done so far, then what comes, in batches: words that came together are one event. The last one is TurnFinished or
        TurnFailed. One that does not read on holds nothing back, and nothing up: it gets what it missed at once."""
        words = thoughts = calls = 0
        while True:
            batch: list[TurnEvent] = []
            for before, above, event in [*self._calls[calls:], (len(self._words), len(self._thoughts), self._end)]:
                if above > thoughts:
                    batch.append(ReasoningDelta(text="".join(self._thoughts[thoughts:above])))
                if before > words:
                    batch.append(TextDelta(text="".join(self._words[words:before])))
                words, thoughts = before, above
                if isinstance(event, TurnFinished) and (rest := event.text[sum(map(len, self._words)) :]):
                    batch.append(TextDelta(text=rest))  # it was not streamed
                batch += [event] if event else []
            calls = len(self._calls)
            if batch:
                yield batch
                if batch[-1] is self._end:
                    return
            else:
                await self._more()

    async def result(self) -> TurnFinished:
        """The answer. Raises the error that ended the turn. Cancelling the wait leaves the turn alone."""
        while self._end is None:
            await self._more()
        if isinstance(self._end, TurnFailed):
            raise self._end.error
        return self._end

    def cancel(self, why: StopCause = "cancelled") -> None:
        """Stop the turn; the session records it. Does nothing once the answer is being stored."""
        if not self.sealed and self.stopped is None and self.task is not None:
            self.stopped = why
            if self.awake:
                self.task.cancel()

    async def _more(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            raise


class RunningTurns:
    """The turns that run now, each in a task of its own."""

    def __init__(self) -> None:
        self._turns: dict[asyncio.Task[None], RunningTurn] = {}
        self._closing = False

    @property
    def count(self) -> int:
        return len(self._turns)

    def check_open(self) -> None:
        """Raises ShuttingDown after `close`."""
        if self._closing:
            raise errors.ShuttingDown(retry_after=1)

    def begin(self, turn: RunningTurn, run: Coroutine[Any, Any, None], lane: Hashable = None) -> RunningTurn:
        """`lane`: the key of the lane that it is in."""
        turn.lane = lane
        turn.task = asyncio.create_task(run, name=turn.id)
        self._turns[turn.task] = turn
        turn.task.add_done_callback(self._turns.pop)
        return turn

    def named(self, turn_id: str) -> RunningTurn | None:
        return next((turn for turn in self._turns.values() if turn.id == turn_id), None)

    def in_lane(self, lane: Hashable) -> RunningTurn | None:
        """The turn that runs in a lane, or waits there as the first."""
        return next((turn for turn in self._turns.values() if turn.lane == lane), None)

    def stop(self, lane: Hashable) -> int:
        """Stop the turns that run or wait in a lane; returns how many."""
        here = [turn for turn in self._turns.values() if turn.lane == lane and turn.stopped is None and not turn.sealed]
        for turn in here:
            turn.cancel()
        return len(here)

    async def close(self, grace: float) -> None:
        """Take no new turns, wait `grace` seconds for those that run, and interrupt the rest."""
        self._closing = True
        if self._turns:
            log.info("turns.draining running=%d grace=%.1f", len(self._turns), grace)
            await asyncio.wait(list(self._turns), timeout=grace)
        for turn in self._turns.values():
            turn.cancel("interrupted")
        await asyncio.gather(*self._turns)


def reason(turn: RunningTurn, error: BaseException, *, late: str | None = None) -> tuple[CutOff, NanobotError]:
    """Why a turn was cut off, and the error for its caller; a bug is logged. `late`: the message of a timeout."""
    match error:
        case asyncio.CancelledError() if turn.stopped == "cancelled":
            return "cancelled", errors.TurnCancelled()
        case asyncio.CancelledError():
            return "interrupted", errors.ShuttingDown("The server shut down before the answer was whole.", retry_after=1)
        case TimeoutError():
            return "timeout", errors.TurnTimeout(late)
        case errors.TurnCancelled():
            return "cancelled", error
        case NanobotError():
            return "failed", error
        case _:
            log.error("turn.bug turn=%s error=%s", turn.id, traceback_location(error))
            return "failed", NanobotError()


async def kept(turn: RunningTurn, end: TurnFinished | TurnFailed, keep: Keep) -> TurnFinished | TurnFailed:
    """Store the end by `keep`. Returns it, or a failure where it could not be stored."""
    try:
        await keep(end)
    except Exception as error:  # noqa: BLE001 - the listener must get an end, after a bug too
        if not isinstance(error, NanobotError):
            log.error("turn.bug turn=%s error=%s", turn.id, traceback_location(error))  # noqa: TRY400 - no words
        end = TurnFailed(
            turn_id=turn.id,
            error=error if isinstance(error, NanobotError) else NanobotError(),
            acted=turn.acted,
            effects=tuple(turn.effects),
        )
        drop_traceback(error)
    return end


def remove_uploads(uploads: Sequence[Upload]) -> None:
    """Remove the files of a turn. Blocks."""
    for upload in uploads:
        try:
            upload.path.unlink(missing_ok=True)
        except OSError as error:  # a disk that fails now must not keep the answer back; the spool is swept
            log.warning("turn.upload_left errno=%s", error.errno)
