"""The conversation of `nanobot chat`: asking, streaming Markdown to the terminal."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from assistant.access.principals import OWNER
from assistant.api.body.spool import Spool
from assistant.api.chat.route import session_key
from assistant.app.services import Services, open_services
from assistant.cli.shared import Display, harmless
from assistant.config import Loaded
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.turns import TextDelta, ToolStarted, TurnFailed, TurnFinished, TurnRequest, Upload, UserText
from assistant.contracts.util import display_name, new_id, replace_surrogates
from assistant.turns.handle import RunningTurn

_SLICE = 1024 * 1024


class TerminalChat:
    """A conversation in the terminal. The event loop runs only while the assistant answers, so that the prompt can block the main thread."""

    def __init__(self, loaded: Loaded, session: str, display: Display) -> None:
        """`session`: its id over the API."""
        self.session = session
        self._loaded = loaded
        self._display = display
        self._runner = asyncio.Runner()
        self._opened = AsyncExitStack()
        self._services: Services | None = None

    def __enter__(self) -> Self:
        self._services = self._runner.run(self._opened.enter_async_context(open_services(self._loaded)))
        self._services.spool.mkdir(mode=0o700, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        with self._runner:
            self._runner.run(self._opened.aclose())

    def ask(self, text: str, files: Sequence[Path] = ()) -> TurnFinished:
        """One turn, printed as it streams. Raises NanobotError; KeyboardInterrupt once the turn has stopped."""
        services = self._services
        if services is None:
            raise RuntimeError("call ask inside the with statement")
        spool = Spool(services.spool, self._loaded.config.api.limits)
        try:
            uploads = [copy_in(file, spool) for file in files]
            words = [UserText(text=replace_surrogates(text))] if text.strip() else []
            if not words and not uploads:
                raise InvalidRequest("There is nothing to ask: the message is empty.")
            return self._runner.run(self._turn(services, (*words, *uploads), spool))
        finally:
            spool.remove()

    async def _turn(self, services: Services, content: tuple[UserText | Upload, ...], spool: Spool) -> TurnFinished:
        """Raises the error that ended it. Cancelled, it stops the turn and waits until that is stored."""
        request = TurnRequest(id=new_id("turn"), owner=OWNER.id, session=session_key(self.session), content=content, stream=True)
        turn = services.turns.start(request)
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
    """A copy, because the reader of an upload may remove it. Blocks."""
    spooled = spool.open(display_name(file.name, "file"), None)
    with file.open("rb") as source:
        while data := source.read(_SLICE):
            spooled.write(data)
    return spooled.finish()


_REDRAWS = 12
"""A second."""
_GOES_ON = re.compile(r"[ \t]|(?:[-*+]|\d+[.)])[ \t]")
"""A line that may belong to the list or block above, across an empty line."""
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


class MarkdownDisplay:
    """For a person at a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._growing = ""
        self._live: Live | None = None

    def words(self, text: str) -> None:
        self._growing += harmless(text)
        if whole := settled(self._growing):
            self._set(self._growing[:whole])
            self._growing = self._growing[whole:]
        if self._live is None:
            self._live = Live(console=self._console, transient=True, refresh_per_second=_REDRAWS)
            self._live.start()
        self._live.update(Markdown(self._growing))

    def tool(self, name: str) -> None:
        self.end()
        self._console.print(Text(f"· {name}", style="dim"))

    def end(self) -> None:
        self._set(self._growing)
        self._growing = ""

    def _set(self, text: str) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if text.strip():
            self._console.print(Markdown(text))


def settled(text: str) -> int:
    """How much of a growing Markdown text is whole blocks, which nothing that follows can change: characters."""
    end = position = 0
    fence = ""
    after_blank = False
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        mark = _FENCE.match(line)
        if after_blank and not fence and line.strip() and not _GOES_ON.match(line):
            end = position
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
            fence = ""
        after_blank = not fence and not line.strip()
        position += len(line)
    return end
