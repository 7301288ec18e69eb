"""One question and its answer, shown as it comes."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from assistant.access.principals import OWNER
from assistant.cli.display import Display
from assistant.contracts.ids import new_id
from assistant.contracts.turns import TextDelta, ToolStarted, TurnFailed, TurnFinished, TurnRequest, Upload, Words
from assistant.turns.running import RunningTurn


class Turns(Protocol):
    """What starts a turn (assistant.turns.service.Turns)."""

    def start(self, request: TurnRequest) -> RunningTurn: ...


async def ask(
    turns: Turns, session: str, content: tuple[Words | Upload, ...], display: Display, *, taken: Callable[[], None]
) -> TurnFinished:
    """Run one turn in `session` and show it. Raises the error that ended it. Cancelled, it stops the turn and waits until that is stored.

    `taken` is called once the uploads are the turn's.
    """
    turn = turns.start(TurnRequest(id=new_id("turn"), owner=OWNER.id, session=session, content=content, stream=True))
    taken()
    try:
        end = await _show(turn, display)
    except asyncio.CancelledError:
        turn.cancel()
        await _show(turn, display)
        raise
    finally:
        display.end()
    if isinstance(end, TurnFailed):
        raise end.error
    return end


async def _show(turn: RunningTurn, display: Display) -> TurnFinished | TurnFailed:
    async for batch in turn.events():
        for event in batch:
            match event:
                case TextDelta():
                    display.words(event.text)
                case ToolStarted():
                    display.tool(event.name)
                case TurnFinished() | TurnFailed():
                    return event
                case _:
                    pass
    raise AssertionError("a turn's last event is its end")
