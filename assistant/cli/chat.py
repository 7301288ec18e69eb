"""`nanobot chat`: talking in the terminal, without a server."""

import asyncio
import readline
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from assistant.app import Assistant, open_assistant
from assistant.api.spool import Spool
from assistant.cli.conversation import ask
from assistant.cli.display import Display, PlainDisplay
from assistant.cli.markdown import MarkdownDisplay
from assistant.cli.options import ConfigFile, Model, Workspace, configured
from assistant.config import Loaded
from assistant.contracts.errors import InvalidRequest, NanobotError
from assistant.contracts.ids import new_id
from assistant.contracts.turns import TurnFinished, Upload, Words

HELP: Final = """\
Write a message and press Enter. A line that ends with \\ goes on in the next one.
  /new      begin a new session
  /session  show the session's name
  /exit     leave (so does Ctrl-D); Ctrl-C stops an answer
  /help     show this
Anything else is sent as it is, also when it begins with a slash."""

commands = typer.Typer()


@commands.command()
def chat(
    question: Annotated[str | None, typer.Argument(metavar="QUESTION", help="Ask this and leave. - reads it from standard input.")] = None,
    session: Annotated[
        str, typer.Option("--session", "-s", metavar="NAME", help="Over the API, the same session has this as its session_id.")
    ] = "cli",
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", exists=True, dir_okay=False, readable=True, help="Send this file along (also several times)."),
    ] = None,
    config: ConfigFile = None,
    workspace: Workspace = None,
    model: Model = None,
) -> None:
    """Talk to the assistant, or ask one question.

    Examples:

    nanobot chat

    nanobot chat "What does this cost in all?" --file invoice.pdf

    git diff | nanobot chat - --session review
    """
    loaded = configured(config, workspace=workspace, model=model)
    text = sys.stdin.read() if question == "-" else question
    display: Display = MarkdownDisplay(Console()) if sys.stdout.isatty() else PlainDisplay()
    with Talk(loaded, session, display) as talk:
        if text is not None or file:
            talk.say(text or "", file or [])
        else:
            _converse(talk, loaded.home / "chat_history")


class Talk:
    """An assistant of our own, and a session with it. Its event loop runs only while it answers, so that the prompt can wait undisturbed."""

    def __init__(self, loaded: Loaded, session: str, display: Display) -> None:
        self.session = session
        self._loaded = loaded
        self._display = display
        self._runner = asyncio.Runner()
        self._leave = asyncio.Event()
        self._assistant: Assistant | None = None
        self._host: asyncio.Task[None] | None = None

    def __enter__(self) -> "Talk":
        self._runner.run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        with self._runner:
            self._runner.run(self._close())
