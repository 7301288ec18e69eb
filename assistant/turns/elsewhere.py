"""The turns of other processes on the store: followed and stopped by letters to them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final, TypeVar

from pydantic import BaseModel

from assistant.agent.loop import BETWEEN_STEPS
from assistant.contracts import errors
from assistant.contracts.errors import NanobotError, ShuttingDown, StoreUnavailable, TurnCancelled
from assistant.contracts.messages import AssistantMessage, ToolMessage, Usage
from assistant.contracts.turns import TextDelta, TurnEvent, TurnFailed, TurnFinished
from assistant.contracts.util import backoff, new_id
from assistant.store.open_turns import EndedTurn, OpenTurn, OpenTurns
from assistant.store.processes import Notifier, Runner
from assistant.turns.handle import RunningTurns
from assistant.turns.letters import (
    FollowLetter,
    HeardSoFar,
    Letter,
    PieceLetter,
    StopLetter,
    StoppedLetter,
    count,
    read_letter,
    read_pieces,
)
from assistant.turns.relay import RENEW, Relay

_MOST_HELD: Final = 256
"""Letters that wait for a follower: one that reads no more of them asks anew when it does."""
_PATIENCE: Final = 3.0
"""Seconds in which a process says how many turns it stopped."""
_TRIES: Final = 5
"""How often a process is asked that lives, and has no such turn, though the store says so."""
T = TypeVar("T")
log = logging.getLogger(__name__)


class Elsewhere:
    """The turns of other processes, and for them those of this one."""

    def __init__(self, turns: OpenTurns, notifier: Notifier, runner: Runner) -> None:
        self._store = turns
        self._notifier = notifier
        self._own = runner.id
        self._relay: Relay | None = None
        self._asks: dict[str, asyncio.Queue[Letter | None]] = {}
        self.open = True
        """Whether this process still follows."""

    def serve(self, running: RunningTurns) -> None:
        """Tell other processes of these turns, and stop them for others, from now on."""
        self._relay = Relay(running, self._write)
        self._notifier.receive(self._take_in)

    async def follow(self, owner: str, session: str) -> "TurnElsewhere | None":
        """The first turn that another process has in a session. Raises StoreUnavailable."""
        found = await self._store.of_others(owner, session)
        return TurnElsewhere(found[0], self) if found else None

    async def stop(self, owner: str, session: str) -> int:
        """Stop what other processes run, or let wait, in a session; returns how many turns they say that they stopped, within seconds. A process that
        is gone has none: its turn is settled. Raises StoreUnavailable."""
        of_each = {turn.runner: turn for turn in reversed(await self._store.of_others(owner, session))}
        return sum(await asyncio.gather(*[self._stop(turn) for turn in of_each.values()]))

    def leave(self) -> None:
        """End what is followed."""
        self.open = False
        for letters in self._asks.values():
            letters.put_nowait(None)

    async def close(self) -> None:
        """Tell nothing more, either."""
        self.leave()
        if self._relay is not None:
            await self._relay.close()

    @contextmanager
    def asking(self) -> Generator[tuple[str, "asyncio.Queue[Letter | None]"]]:
        """A question's name, and the letters that answer it; None: this process ends."""
        ask, letters = new_id("ask"), asyncio.Queue[Letter | None]()
        self._asks[ask] = letters
        try:
            yield ask, letters
        finally:
            del self._asks[ask]

    def ask(self, turn: OpenTurn, ask: str, attempt: int, heard: HeardSoFar) -> None:
        """Ask for what a turn says behind this place; the same again keeps it coming."""
        self._write(turn.runner, FollowLetter(sender=self._own, ask=ask, attempt=attempt, turn=turn.id, heard=heard))

    async def stands(self, turn: OpenTurn) -> OpenTurn | EndedTurn | None:
        """As `OpenTurns.stands`; open, as long as the store can't say."""
        try:
            return await self._store.stands(turn.id)
        except StoreUnavailable as error:
            log.warning("elsewhere.not_seen turn=%s code=%s", turn.id, error.code)
            return turn

    async def _stop(self, turn: OpenTurn) -> int:
        with self.asking() as (ask, letters):
            self._write(turn.runner, StopLetter(sender=self._own, ask=ask, turn=turn.id))
            answer = await _within(_PATIENCE, letters)
        if isinstance(answer, StoppedLetter):
            return answer.count
        await self._store.stands(turn.id)
        return 0

    def _write(self, runner: str, letter: BaseModel) -> None:
        self._notifier.send(runner, letter.model_dump_json().encode())

    def _take_in(self, written: bytes) -> None:
        try:
            letter = read_letter(written)
        except ValueError:  # of another version
            log.warning("elsewhere.unreadable bytes=%d", len(written))
            return
        if isinstance(letter, FollowLetter | StopLetter):
            if self._relay is not None:
                self._relay.answer(letter)
        elif (letters := self._asks.get(letter.ask)) is not None and letters.qsize() < _MOST_HELD:
            letters.put_nowait(letter)


class TurnElsewhere:
    """A turn that another process runs. Implements FollowedTurn."""

    def __init__(self, turn: OpenTurn, elsewhere: Elsewhere) -> None:
        self.id = turn.id
        self._turn = turn
        self._elsewhere = elsewhere

    async def follow(self) -> AsyncIterator[list[TurnEvent]]:
        heard, tries = HeardSoFar(), 0
        while True:
            with self._elsewhere.asking() as (ask, letters):
                async for batch in self._told(ask, letters, heard):
                    yield batch
                    tries = 0
            tries += 1
            if end := await self._end(heard, last_try=tries > _TRIES):
                yield end
                return
            await asyncio.sleep(backoff(tries, first=0.05, longest=1))

    async def _told(self, ask: str, letters: "asyncio.Queue[Letter | None]", heard: HeardSoFar) -> AsyncIterator[list[TurnEvent]]:
        """What it says from there on, until its process tells no more."""
        loop, pieces = asyncio.get_running_loop(), list[str]()
        attempt, number, asked = 0, 0, -RENEW
        while True:
            if loop.time() - asked >= RENEW:
                self._elsewhere.ask(self._turn, ask, attempt, heard)
                asked = loop.time()
            match await _within(RENEW, letters):
                case PieceLetter() as letter if letter.attempt < attempt:
                    pass
                case PieceLetter() as letter if letter.number == number:
                    number += 1
                    pieces.append(letter.piece)
                    if letter.whole:
                        try:
                            event = read_pieces(pieces)
                        except ValueError:  # of another version
                            return
                        pieces.clear()
                        count(heard, event)
                        yield [event]
                case PieceLetter():  # one was lost
                    pieces.clear()
                    attempt, number, asked = attempt + 1, 0, -RENEW
                case None if self._elsewhere.open and await self._elsewhere.stands(self._turn) == self._turn:
                    pass  # it is silent
                case _:
                    return

    async def _end(self, heard: HeardSoFar, *, last_try: bool) -> list[TurnEvent]:
        """What is left to tell, and the turn's end; empty: it goes on."""
        if not self._elsewhere.open:
            return [self._failed(ShuttingDown())]
        stands = await self._elsewhere.stands(self._turn)
        if stands == self._turn:
            return [self._failed(ShuttingDown("The process that runs this turn does not tell of it."))] if last_try else []
        if isinstance(stands, OpenTurn):
            return [self._failed(ShuttingDown("The process that ran this turn has ended, and another one resumes it."))]
        if isinstance(stands, EndedTurn) and stands.state == "finished" and stands.said:
            return _finished(self.id, stands.said, heard)
        return [self._failed(_error_of(stands))]

    def _failed(self, error: NanobotError) -> TurnFailed:
        return TurnFailed(turn_id=self.id, error=error, acted=True)


def _finished(turn_id: str, said: Sequence[AssistantMessage | ToolMessage], heard: HeardSoFar) -> list[TurnEvent]:
    """The rest of the words, and the end, from what is stored of the turn."""
    steps = [message for message in said if isinstance(message, AssistantMessage)]
    results = [message for message in said if isinstance(message, ToolMessage)]
    last = steps[-1]
    text = BETWEEN_STEPS.join([step.text for step in steps if step.text])
    answered = {result.call_id for result in results}
    asks = tuple([call for call in last.tool_calls if call.id not in answered]) if last.finish_reason == "tool_calls" else ()
    end = TurnFinished(
        turn_id=turn_id,
        text=text,
        finish_reason=last.finish_reason,
        usage=Usage.total([step.usage for step in steps]),
        model=last.model,
        answers=(replace(last, text=text, tool_calls=asks),) if asks else (),
        reasoning=BETWEEN_STEPS.join([step.reasoning for step in steps if step.reasoning]),
        effects=tuple([effect for result in results for effect in result.effects]),
        pending=tuple([result.pending for result in results if result.pending]),
    )
    rest = text[heard.get("text_delta", 0) :]
    return [TextDelta(text=rest), end] if rest else [end]


def _error_of(ended: EndedTurn | None) -> NanobotError:
    """As its caller was told. A turn that is gone never began, or its session was deleted; of one that finished, its messages were taken back."""
    if ended is None or ended.state in ("cancelled", "finished"):
        return TurnCancelled()
    if ended.state == "interrupted":
        return ShuttingDown("The server ended before the answer was whole.")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, NanobotError)]
    return next((kind for kind in kinds if kind.code == ended.error), NanobotError)()


async def _within(seconds: float, letters: "asyncio.Queue[T]") -> T | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await letters.get()
    return None
