"""A turn that runs: what is heard of it, by whoever still listens. It goes on whether or not anybody does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Literal

from assistant.contracts.errors import NanobotError, let_go, place_of
from assistant.contracts.messages import Usage
from assistant.contracts.tokens import estimate_tokens
from assistant.contracts.turns import Keep, TextDelta, ToolStarted, TurnEvent, TurnFailed, TurnFinished, Upload

log = logging.getLogger(__name__)

Stop = Literal["cancelled", "interrupted"]


class RunningTurn:
    """The handle that `Turns.start` returns. One listener: either `events` or `result`."""

    def __init__(self, turn_id: str) -> None:
        self.id = turn_id
        self.acted = False
        """Whether a tool that changes something was started: from then on a repeat of the request is not harmless."""
        self.begun = False
        """Whether the user's message may be in the store: then the session must say how the turn ended."""
        self.unsettled = False
        """Whether a turn of the inbox ended without its end being stored: it is to be run again, under its id."""
        self.sealed = False
        """Whether the answer is being stored: too late to stop it."""
        self.words: list[str] = []
        """What was passed on of the step that runs, for the mark of a turn that is cut off."""
        self._usage = Usage()
        self._calls: list[str] = []
        self.stopped: Stop | None = None
        """Why it was told to stop, if it was."""
        self.task: asyncio.Task[None] | None = None
        self.awake = False
        """Whether its task has begun to run: one that is cancelled before never would, and nobody would settle the turn."""
        self._events: list[TurnEvent] = []
        self._wake: asyncio.Future[None] | None = None
        self._end: TurnFinished | TurnFailed | None = None

    @property
    def took(self) -> int:
        """Tokens that it is known to have taken if it ended here: those of its steps, and what was passed on of the one that runs."""
        return self._usage.prompt_tokens + self._usage.completion_tokens + estimate_tokens(sum(map(len, self.words + self._calls)))

    def step_made(self, usage: Usage) -> None:
        """The step that ran is stored, and the next one begins."""
        self._usage += usage
        self.words.clear()
        self._calls.clear()

    def emit(self, event: TurnEvent) -> None:
        """Note an event and wake the listener. Nothing is heard after the turn has ended."""
        if self._end is not None:
            return
        match event:
            case TurnFinished() | TurnFailed():
                self._end = event
            case ToolStarted():
                self.acted = self.acted or not event.reads_only
                self._calls.append(event.arguments)
            case TextDelta():
                self.words.append(event.text)
            case _:
                pass
        self._events.append(event)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def events(self) -> AsyncIterator[list[TurnEvent]]:
        """All events, in batches of what is there by then; the last one is TurnFinished or TurnFailed. Leaving early leaves the turn alone."""
        while True:
            if not self._events:
                await self._more()
            batch, self._events = self._events, []
            yield batch
            if batch[-1] is self._end:
                return

    async def result(self) -> TurnFinished:
        """The answer. Raises the error that ended the turn. Cancelling the wait leaves the turn alone."""
        while self._end is None:
            await self._more()
        if isinstance(self._end, TurnFailed):
            raise self._end.error
        return self._end

    def cancel(self, why: Stop = "cancelled") -> None:
        """Stop the turn where it is; the session will say so. Does nothing when its answer is being stored, or later."""
        if not self.sealed and self.stopped is None and self.task is not None:
            self.stopped = why
            if self.awake:
                self.task.cancel()

    async def _more(self) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        await self._wake


async def kept(turn: RunningTurn, end: TurnFinished | TurnFailed, keep: Keep | None) -> TurnFinished | TurnFailed:
    """The end, when it is stored; or that it could not be."""
    if keep is None:
        return end
    try:
        await keep(end)
    except Exception as error:  # noqa: BLE001 - whoever waits must hear of an end, a bug's too
        if not isinstance(error, NanobotError):
            log.error("turn.bug turn=%s error=%s", turn.id, place_of(error))  # noqa: TRY400 - no words
        end = TurnFailed(turn_id=turn.id, error=error if isinstance(error, NanobotError) else NanobotError(), acted=turn.acted)
        let_go(error)
    return end


def remove_uploads(uploads: Sequence[Upload]) -> None:
    """Remove what a turn was given. Blocks."""
    for upload in uploads:
        try:
            upload.path.unlink(missing_ok=True)
        except OSError as error:  # a disk that fails now must not keep the answer back; the spool is swept
            log.warning("turn.upload_left errno=%s", error.errno)
