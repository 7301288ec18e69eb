"""`nanobot chat`: talking in the terminal, without a server."""

import logging
import readline
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Final, cast

import typer
from rich.console import Console

from assistant.cli.shared import ConfigOption, Display, ModelOption, PlainDisplay, WorkspaceOption, configured, harmless
from assistant.cli.talk import MarkdownDisplay, TerminalChat
from assistant.contracts.errors import NanobotError
from assistant.contracts.turns import TurnFinished
from assistant.contracts.util import new_id

HELP: Final = """\
Write a message and press Enter. A line that ends with \\ goes on in the next one.
  /new      begin a new session
  /session  show the session's name
  /exit     leave, as Ctrl-D does; Ctrl-C stops an answer
  /help     show this
Anything else is sent as it is, also where it begins with a slash."""
_INTERRUPTED = 130

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
    display: Display = MarkdownDisplay(Console()) if sys.stdout.isatty() else PlainDisplay()
    with TerminalChat(loaded, session, display) as talk:
        if text is None:
            _converse(talk, file or (), loaded.home / "chat_history")
            return
        try:
            _note(talk.ask(text, file or ()))
        except KeyboardInterrupt:
            raise typer.Exit(_INTERRUPTED) from None


def _converse(talk: TerminalChat, files: Sequence[Path], history: Path) -> None:
    """Ask line by line until the input ends. What was typed at a terminal is remembered in `history`.

    `files` go with the first message; alone, where none comes.
    """
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
    if answer.finish_reason == "length":
        typer.echo("(The answer reached its limit of tokens: agents.defaults.maxTokens.)", err=True)
    if answer.finish_reason == "content_filter":
        typer.echo("(The provider's filter cut the answer off.)", err=True)
