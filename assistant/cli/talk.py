"""An assistant of our own and a session with it, for the terminal."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from assistant.access.principals import OWNER
from assistant.api.body.spool import Spool
from assistant.api.session_keys import session_key
from assistant.app import Assistant, open_assistant
from assistant.cli.display import Display
from assistant.config import Loaded
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.ids import new_id
from assistant.contracts.names import display_name
from assistant.contracts.text import whole
from assistant.contracts.turns import TextDelta, ToolStarted, TurnFailed, TurnFinished, TurnRequest, Upload, Words
from assistant.turns.running import RunningTurn

_SLICE = 1024 * 1024


class Talk:
    """Asks and shows. The event loop runs only while the assistant answers, so that a prompt can wait on the main thread, undisturbed."""

    def __init__(self, loaded: Loaded, session: str, display: Display) -> None:
        """`session`: its id over the API."""
        self.session = session
        self._loaded = loaded
        self._display = display
        self._runner = asyncio.Runner()
        self._opened = asyncio.Event()
        self._leave = asyncio.Event()
        self._assistant: Assistant | None = None
        self._host: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._runner.run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        with self._runner:
            self._runner.run(self._close())

    def ask(self, text: str, files: Sequence[Path] = ()) -> TurnFinished:
        """One turn, shown as it comes. Raises NanobotError; KeyboardInterrupt once the turn has stopped."""
        assistant = self._assistant
        if assistant is None:
            raise RuntimeError("ask is for inside of the with statement")
        spool = Spool(assistant.spool, self._loaded.config.api.limits)
        try:
            uploads = [copy_in(file, spool) for file in files]
            words = [Words(text=whole(text))] if text.strip() else []
            if not words and not uploads:
                raise InvalidRequest("There is nothing to ask: the message is empty.")
            return self._runner.run(self._turn(assistant, (*words, *uploads), spool))
        finally:
            spool.remove()

    async def _turn(self, assistant: Assistant, content: tuple[Words | Upload, ...], spool: Spool) -> TurnFinished:
        """Raises the error that ended it. Cancelled, it stops the turn and waits until that is stored."""
        request = TurnRequest(id=new_id("turn"), owner=OWNER.id, session=session_key(self.session), content=content, stream=True)
        turn = assistant.turns.start(request)
        spool.hand_over()
        try:
            end = await _show(turn, self._display)
        except asyncio.CancelledError:
            turn.cancel()
            await _show(turn, self._display)
            raise
        finally:
            self._display.end()
        if isinstance(end, TurnFailed):
            raise end.error
        return end

    async def _open(self) -> None:
        """Context managers may be bound to their task: one task opens the assistant, keeps it and closes it."""
        self._host = asyncio.create_task(self._keep())
        opened = asyncio.create_task(self._opened.wait())
        await asyncio.wait([self._host, opened], return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        if self._host.done():
            await self._host

    async def _keep(self) -> None:
        async with open_assistant(self._loaded) as assistant:
            assistant.spool.mkdir(mode=0o700, exist_ok=True)
            self._assistant = assistant
            self._opened.set()
            await self._leave.wait()

    async def _close(self) -> None:
        self._leave.set()
        if self._host is not None:
            await self._host


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


def copy_in(file: Path, spool: Spool) -> Upload:
    """A copy, because whoever reads an upload may remove it. Blocks."""
    spooled = spool.open(display_name(file.name, "file"), None)
    with file.open("rb") as source:
        while data := source.read(_SLICE):
            spooled.write(data)
    return spooled.finish()
