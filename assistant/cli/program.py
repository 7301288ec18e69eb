"""Loads the command and prints its errors."""

import gc
import importlib
import sys
from typing import Annotated, Final, NoReturn

import typer

from assistant import __version__
from assistant.api.server.bind import CannotServe
from assistant.config import ConfigError
from assistant.contracts.errors import NanobotError
from assistant.providers.choice import NoSuchProvider

_NAMES: Final = (
    *("init", "serve", "reload", "chat-server", "chat", "send", "deliveries", "channels", "pairing", "people", "keys", "web"),
    *("budgets", "usage"),
    *("sessions", "memory", "skills", "mcp", "mcp-server", "schedule", "tasks", "workflows"),
    *("approvals", "permissions", "audit", "doctor", "config", "import", "backup", "restore", "resume", "rollback", "service"),
)
_MODULES: Final = {
    "chat-server": "chat_server",
    "send": "deliveries",
    "channels": "channel_setup",
    "pairing": "channel_setup",
    "mcp-server": "mcp_server",
    "import": "imports",
    "restore": "backup",
    "resume": "backup",
}
"""Of the commands that have no module of their name."""


def main() -> None:
    """The entry point. An error that the user can fix is one line on stderr and exit code 1; wrong usage is exit code 2."""
    try:
        gc.disable()  # what is imported stays
        commands = program(sys.argv[1:])
        gc.freeze()
        gc.enable()
        commands(prog_name="nanobot")
    except (ConfigError, CannotServe, NoSuchProvider) as error:
        fail(str(error))
    except NanobotError as error:
        fail(error.message)


def program(arguments: list[str]) -> typer.Typer:
    """The commands; only the named one where `arguments` begin with a name, so that none waits for another's imports."""
    app = typer.Typer(
        callback=_options,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    wanted = [name for name in _NAMES if name in arguments[:1]]
    for module in dict.fromkeys(_MODULES.get(name, name) for name in wanted or _NAMES) if arguments[:1] != ["--version"] else ():
        commands: typer.Typer = importlib.import_module(f"assistant.cli.{module}").commands
        app.add_typer(commands)
    return app


def fail(message: str) -> NoReturn:
    from assistant.cli.shared import harmless  # noqa: PLC0415 - every command has it; --help need not wait

    typer.echo(f"nanobot: {harmless(message)}", err=True)
    raise SystemExit(1)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nanobot {__version__}")
        raise typer.Exit


def _options(
    show_version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)] = False,
) -> None:
    """A personal assistant that keeps its promises: an OpenAI-compatible API, chat in the terminal, sessions that last.

    Start with: nanobot serve
    """
