"""`nanobot serve`: the server, until it is told to stop."""

from typing import Annotated

import typer
import uvloop

from assistant.app import serve as serve_assistant
from assistant.cli.announcement import announce
from assistant.cli.options import ConfigFile, LogLevel, Model, Workspace, begin_logging, configured
from assistant.contracts.messages import Json

commands = typer.Typer()


@commands.command()
def serve(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="What to listen on.  [default: 127.0.0.1]", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="The port; 0 is any free one.  [default: 8900]", min=0, max=65535, show_default=False),
    ] = None,
    config: ConfigFile = None,
    workspace: Workspace = None,
    model: Model = None,
    log_level: LogLevel = None,
) -> None:
    """Serve the API until Ctrl-C or SIGTERM.

    Then running turns are answered first, for shutdown.grace seconds at most; a second Ctrl-C ends at once.

    Example: nanobot serve

    Example: nanobot serve --port 9000 --model anthropic/claude-sonnet-5
    """
    given: dict[str, Json] = {"api.host": host, "api.port": port, "log.level": log_level}
    more = {key: value for key, value in given.items() if value is not None}
    loaded = configured(config, workspace=workspace, model=model, more=more)
    begin_logging(loaded)
    uvloop.run(serve_assistant(loaded, announce))
