"""Who is the first under a key, and what became of it: in this process by what it records, in others by the store."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from assistant.api.middleware.errors import FailedAfterActing, error_answer
from assistant.api.repeats.asked import Asked
from assistant.api.repeats.recording import Recording
from assistant.contracts.errors import (
    IdempotencyMismatch,
    NanobotError,
    ShuttingDown,
    StoreUnavailable,
)
from assistant.contracts.ids import new_id
from assistant.contracts.repeats import Answer, AnswerInProgress, AnswerInterrupted, AnswerNotKept, Claim, RepeatStore

log = logging.getLogger(__name__)

_FIRST_LOOK_AGAIN: Final = 0.05
_LAST_LOOK_AGAIN: Final = 1.0
"""Seconds between two looks at what another process answers."""
_COME_BACK: Final = 5.0

Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """This request is the first: its answer is recorded, and whoever holds this ends it by `FirstAnswers.settle`."""

    recording: Recording
    claim: Claim
    by_key: bool


class FirstAnswers:
    """All that are being answered by this process, and the store of all that were."""

    def __init__(self, store: RepeatStore, *, patience: float) -> None:
        """`patience`: seconds to wait for an answer that another process makes."""
        self._store = store
        self._patience = patience
        self._open: dict[Place, Recording] = {}
        self._writes: set[asyncio.Task[None]] = set()

    async def meet(self, owner: str, asked: Asked, fingerprint: str) -> First | Recording:
        """First: do it. Recording: it was done or is being done, and that is the answer.

        Raises IdempotencyMismatch, AnswerInProgress, AnswerInterrupted (as FailedAfterActing) and AnswerNotKept, StoreUnavailable.
        """
        place = owner, f"try:{fingerprint}" if asked.key is None else f"key:{asked.key}"
        if asked.by != "first_try":  # a first try is a request of its own, whatever was asked before in the same words
            while (recording := self._open.get(place)) is not None:
                if recording.fingerprint == fingerprint:
                    return recording
                await recording.decided.wait()
                if self._open.get(place) is recording:
                    raise IdempotencyMismatch(param="Idempotency-Key")
        recording = self._open[place] = Recording(fingerprint)
        expires_at = datetime.now(UTC) + asked.keep
        claim = Claim(id=new_id("clm"), owner=owner, key=place[1], fingerprint=fingerprint, expires_at=expires_at)
        first = First(recording=recording, claim=claim, by_key=asked.by == "key")
        if asked.by == "first_try":
            # Not waited for: the store writes in order, so it is kept before anything that the request itself brings into the store.
            self._later(self._claim_latest(claim))
            return first
        try:
            answer = await self._claim(claim, recording, anew=asked.anew)
        except FailedAfterActing as error:
            self._end(first, error_answer(error.error, acted=True))
            raise
        except NanobotError as error:
            self._end(first, error_answer(error))
            raise
        except asyncio.CancelledError:
            recording.fail(ShuttingDown)
            self._end(first, None)
            raise
        if answer is None:
            return first
        self._end(first, answer)
        return recording

    async def keep(self, first: First) -> None:
        """The answer is whole (or too large to be kept). By key, it is in the store when this returns, unless the store refuses."""
        if first.by_key:
            await self._keep(first)
        else:
            self._later(self._keep(first))

    def release(self, first: First, answer: Answer | None) -> None:
        """Nothing came of it: those who wait now get this answer (None: what was recorded), and the next one is the first."""
        self._end(first, answer)
        self._later(self._release(first.claim))

    def leave(self, first: First) -> None:
        """It will not be known how it ended: from now on the key stands for a request that was interrupted."""
        self._end(first, None)

    async def _claim(self, claim: Claim, recording: Recording, *, anew: bool) -> Answer | None:
        """None: it is ours."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + self._patience, _FIRST_LOOK_AGAIN
        while True:
            found = await self._store.claim(claim, anew=anew)
            if found == "other":
                raise IdempotencyMismatch(param="Idempotency-Key")
            recording.decided.set()
            if found == "taken":
                return None
            if isinstance(found, Answer):
                return found
            if found == "interrupted":
                raise FailedAfterActing(AnswerInterrupted())
            if found == "not_kept":
                raise FailedAfterActing(AnswerNotKept())
            if loop.time() >= until:
                raise AnswerInProgress(retry_after=_COME_BACK)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_LOOK_AGAIN)

    def _end(self, first: First, answer: Answer | None) -> None:
        if answer is not None:
            first.recording.load(answer)
        first.recording.decided.set()
        place = first.claim.owner, first.claim.key
        if self._open.get(place) is first.recording:
            del self._open[place]

    async def _keep(self, first: First) -> None:
        try:
            await self._store.finish(first.claim, first.recording.answer)
        except StoreUnavailable as error:
            log.warning("repeats.not_kept reason=%s", error.code)
        finally:
            self._end(first, None)

    async def _release(self, claim: Claim) -> None:
        try:
            await self._store.release(claim)
        except StoreUnavailable as error:
            log.warning("repeats.not_released reason=%s", error.code)

    async def _claim_latest(self, claim: Claim) -> None:
        try:
            await self._store.claim(claim, latest=True)
        except StoreUnavailable as error:
            log.warning("repeats.not_noted reason=%s", error.code)

    def _later(self, write: Coroutine[Any, Any, None]) -> None:
        """Behind the answer. The store is closed after the last request, and writes what was asked of it until then."""
        task = asyncio.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
