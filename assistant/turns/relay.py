"""The turns of this process, as other processes follow and stop them."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from assistant.contracts.turns import TurnFailed, TurnFinished
from assistant.turns.handle import RunningTurn, RunningTurns
from assistant.turns.letters import FollowLetter, OverLetter, PieceLetter, StopLetter, StoppedLetter, new_of, pieces_of

Send = Callable[[str, BaseModel], None]
"""(runner, letter)"""
RENEW: Final = 2.0
"""Seconds between two letters of one that follows."""
_LAPSES: Final = 3 * RENEW
_TOGETHER: Final = 0.05
"""Seconds in which what a turn says is one batch."""
_AT_ONCE: Final = 8
"""Letters in that time: some 20 kB."""
_MOST: Final = 64
"""Followers of other processes; a further one learns how its turn ends, and nothing before."""
log = logging.getLogger(__name__)


class Relay:
    """Answers the letters about this process's turns. What is told is told in batches, no faster than a reader reads, and only as long as it is
    asked for."""

    def __init__(self, running: RunningTurns, send: Send) -> None:
        self._running = running
        self._send = send
        self._followers: dict[str, _Follower] = {}
        """By `ask`."""

    def answer(self, letter: FollowLetter | StopLetter) -> None:
        turn = self._running.named(letter.turn)
        if isinstance(letter, StopLetter):
            self._send(letter.sender, StoppedLetter(ask=letter.ask, count=self._running.stop(turn.lane) if turn else 0))
        elif turn is None:
            self._send(letter.sender, OverLetter(ask=letter.ask))
        else:
            self._follow(letter, turn)

    async def close(self) -> None:
        tasks = [follower.task for follower in self._followers.values() if follower.task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _follow(self, letter: FollowLetter, turn: RunningTurn) -> None:
        now, follower = asyncio.get_running_loop().time(), self._followers.get(letter.ask)
        lapsed = [each for each in self._followers.values() if each.until < now]
        for each in lapsed:
            if each.task is not None:
                each.task.cancel()  # its turn is silent, so it did not see that
        if follower is None and len(self._followers) - len(lapsed) >= _MOST:
            log.warning("relay.full turn=%s", turn.id)
            return
        if follower is None or follower in lapsed or follower.attempt < letter.attempt:
            if follower is not None and follower.task is not None:
                follower.task.cancel()
            follower = self._followers[letter.ask] = _Follower(letter.attempt)
            follower.task = asyncio.create_task(self._tell(letter, follower, turn))
        follower.until = now + _LAPSES

    async def _tell(self, letter: FollowLetter, follower: "_Follower", turn: RunningTurn) -> None:
        loop, number, heard = asyncio.get_running_loop(), 0, dict(letter.heard)
        try:
            async for batch in turn.follow():
                for event in batch:
                    new = None if isinstance(event, TurnFinished | TurnFailed) else new_of(event, heard)
                    for whole, piece in pieces_of(new) if new else ():
                        if number % _AT_ONCE == 0:
                            await asyncio.sleep(_TOGETHER)
                        if loop.time() > follower.until:
                            return
                        told = PieceLetter(ask=letter.ask, attempt=letter.attempt, number=number, whole=whole, piece=piece)
                        self._send(letter.sender, told)
                        number += 1
                await asyncio.sleep(_TOGETHER)
                if loop.time() > follower.until:
                    return
            self._send(letter.sender, OverLetter(ask=letter.ask))
        finally:
            if self._followers.get(letter.ask) is follower:
                del self._followers[letter.ask]


@dataclass(slots=True, eq=False)
class _Follower:
    attempt: int
    until: float = 0
    """When it is told nothing more, unless it asks again."""
    task: asyncio.Task[None] | None = None
