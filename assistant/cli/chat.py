"""`nanobot chat`: talking in the terminal, without a server."""

import asyncio
import logging
import re
import readline
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Final, Self, cast

import typer
from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from assistant.access.principals import OWNER
from assistant.api.body.spool import Spool
from assistant.api.chat.route import session_key
from assistant.app.services import Services, open_services
from assistant.cli.shared import INTERRUPTED, ConfigOption, ModelOption, WorkspaceOption, configured, copy_in, harmless
from assistant.config import Loaded
from assistant.contracts.errors import InvalidRequest, NanobotError
from assistant.contracts.turns import TextDelta, ToolStarted, TurnFailed, TurnFinished, TurnRequest, Upload, UserText
from assistant.contracts.util import new_id, replace_surrogates
from assistant.turns.handle import RunningTurn


class PlainDisplay:
    """For a pipe or a file: the words as they are."""

    def __init__(self) -> None:
        self._last = "\n"

    def words(self, text: str) -> None:
        if text:
            typer.echo(text, nl=False)
            sys.stdout.flush()
            self._last = text[-1]

    def tool(self, name: str) -> None:
        """Not part of the answer, so not in the pipe."""

    def end(self) -> None:
        if self._last != "\n":
            typer.echo()
        self._last = "\n"


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


class TerminalChat:
    """A conversation in the terminal. The event loop runs only while the assistant answers, so that the prompt can block the main thread."""

    def __init__(self, loaded: Loaded, session: str, display: PlainDisplay | MarkdownDisplay) -> None:
        """`session`: its id over the API."""
        self.session = session
        self._loaded = loaded
        self._display = display
        self._runner = asyncio.Runner()
        self._opened = AsyncExitStack()
        self._services: Services

    def __enter__(self) -> Self:
        self._services = self._runner.run(self._opened.enter_async_context(open_services(self._loaded)))
        self._services.spool.mkdir(mode=0o700, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        with self._runner:
            self._runner.run(self._opened.aclose())

    def ask(self, text: str, files: Sequence[Path] = ()) -> TurnFinished:
        """One turn, printed as it streams. Raises NanobotError; KeyboardInterrupt once the turn has stopped."""
        spool = Spool(self._services.spool, self._loaded.config.api.limits)
        try:
            uploads = [copy_in(file, spool) for file in files]
            words = [UserText(text=replace_surrogates(text))] if text.strip() else []
            if not words and not uploads:
                raise InvalidRequest("There is nothing to ask: the message is empty.")
            return self._runner.run(self._turn((*words, *uploads), spool))
        finally:
            spool.remove()

    async def _turn(self, content: tuple[UserText | Upload, ...], spool: Spool) -> TurnFinished:
        """Raises the error that ended it. Cancelled, it stops the turn and waits until that is stored."""
        request = TurnRequest(id=new_id("turn"), owner=OWNER.id, session=session_key(self.session), content=content, stream=True)
        turn = self._services.turns.start(request)
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


async def _show(turn: RunningTurn, display: PlainDisplay | MarkdownDisplay) -> TurnFinished | TurnFailed:
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


HELP: Final = """\
Write a message and press Enter. A line that ends with \\ goes on in the next one.
  /new      begin a new session
  /session  show the session's name
  /exit     leave, as Ctrl-D does; Ctrl-C stops an answer
  /help     show this
Anything else is sent as it is, also where it begins with a slash."""

commands = typer.Typer()


@commands.command()
def chat(
    question: Annotated[
        str | None, typer.Argument(metavar="QUESTION", help="Ask this and leave; - is what comes from standard input.", show_default=False)
    ] = None,
    session: Annotated[str, typer.Option("--session", "-s", metavar="NAME", help="Over the API, this is its session_id.")] = "cli",
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "--file", "-f", metavar="FILE", exists=True, dir_okay=False, readable=True, help="Send this file along; may be repeated."
        ),
    ] = None,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    model: ModelOption = None,
) -> None:
    """Talk to the assistant, or ask one question. No server is needed, and one may run beside it.

    Example: nanobot chat

    Example: nanobot chat "What does this cost in all?" --file invoice.pdf

    Example: git diff | nanobot chat - --session review
    """
    loaded = configured(config, workspace=workspace, model=model)
    logging.basicConfig(level=logging.ERROR)  # what ends the answer is said below; repeats on the way to it are the server's to log
    stdin = cast(TextIOWrapper, sys.stdin)
    stdin.reconfigure(encoding="utf-8", errors="replace")
    text = stdin.read() if question == "-" else question
    display = MarkdownDisplay(Console()) if sys.stdout.isatty() else PlainDisplay()
    with TerminalChat(loaded, session, display) as talk:
        if text is None:
            _converse(talk, file or (), loaded.home / "chat_history")
            return
        try:
            _note(talk.ask(text, file or ()))
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def _converse(talk: TerminalChat, files: Sequence[Path], history: Path) -> None:
    """Ask line by line until the input ends; `history` keeps what was typed. `files` go with the first message; alone, where none comes."""
    at_terminal = sys.stdin.isatty()
    if at_terminal:
        history.touch(mode=0o600)
        readline.read_history_file(history)
        typer.echo(f'Session "{talk.session}". /help shows what else there is.')
        if files:
            typer.echo(f"Goes with your first message: {', '.join(harmless(file.name) for file in files)}")
    try:
        while (message := _message("› " if at_terminal else "")) is not None:
            if message == "/exit":
                return
            if _answer(talk, message, files):
                files = ()
        if files:
            _note(talk.ask("", files))
    finally:
        if at_terminal:
            readline.set_history_length(1000)
            readline.write_history_file(history)


def _message(prompt: str) -> str | None:
    """The next message; None at the end of the input. Ctrl-C drops what was typed."""
    lines: list[str] = []
    while True:
        try:
            line = input("… " if lines and prompt else prompt)
        except EOFError:
            if prompt:
                typer.echo()  # what comes next in the terminal begins on a line of its own
            return "\n".join(lines) if lines else None
        except KeyboardInterrupt:
            typer.echo()
            lines.clear()
            continue
        if not line.endswith("\\"):
            return "\n".join([*lines, line])
        lines.append(line[:-1])


def _answer(talk: TerminalChat, message: str, files: Sequence[Path]) -> bool:
    """Obey a message that is exactly a command; ask any other, and return whether it was answered. A failure is told, and the conversation
    goes on."""
    match message:
        case "/help":
            typer.echo(HELP)
        case "/session":
            typer.echo(talk.session)
        case "/new":
            talk.session = new_id("cli")
            typer.echo(f'Session "{talk.session}".')
        case _ if message.strip():
            try:
                _note(talk.ask(message, files))
                return True
            except KeyboardInterrupt:
                typer.echo("(stopped)")
            except NanobotError as error:
                typer.echo(f"nanobot: {error.message}", err=True)
        case _:
            pass
    return False


def _note(answer: TurnFinished) -> None:
    for effect in answer.effects:
        typer.echo(harmless(f"✓ {effect.text}"), err=True)
    for each in answer.pending:
        typer.echo(harmless(f"? {each.text}\n  {each.why} nanobot approvals approve {each.code}"), err=True)
    if answer.finish_reason == "length":
        typer.echo("(The answer reached its limit of tokens: agents.defaults.maxTokens.)", err=True)
    if answer.finish_reason == "content_filter":
        typer.echo("(The provider's filter cut the answer off.)", err=True)
