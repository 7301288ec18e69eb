"""`nanobot serve`, and what it prints when it is ready."""

from typing import Annotated

import typer
import uvloop

from assistant.app.services import Services
from assistant.app.serving import serve as serve_assistant
from assistant.cli.shared import ConfigOption, LogLevelOption, ModelOption, WorkspaceOption, begin_logging, configured


def announce(services: Services, port: int) -> None:
    """What is served, where, with which model and why."""
    loaded = services.loaded
    host = loaded.config.api.host
    lines = [
        f"nanobot serves http://{f'[{host}]' if ':' in host else host}:{port}/v1",
        f"  model          {services.choice}",
        f"  configuration  {loaded.source or 'the built-in defaults'}",
        f"  workspace      {loaded.workspace}",
        f"  channels       {_channels(services)}",
        f"  state          {loaded.home}",
    ]
    if services.freeze is not None:
        lines.append(f"  {services.freeze.words}")
    if len(loaded.notices) > 5:
        lines.append(f"  {len(loaded.notices)} keys of the configuration have no effect: nanobot config check")
    else:
        lines += [f"  {notice}" for notice in loaded.notices]
    typer.echo("\n".join(lines))


def _channels(services: Services) -> str:
    """Those that are open, and those that could not be, with why."""
    channels = services.channels
    opened = [channel.name for channel in channels.opened] if channels else []
    failed = [f"{name} is not open: {why}" for name, why in channels.failed.items()] if channels else []
    return "; ".join(filter(None, [", ".join(opened), *failed])) or "none"


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
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    model: ModelOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Serve the API until Ctrl-C or SIGTERM.

    Then running turns are answered first, for shutdown.grace seconds at most; a second Ctrl-C ends at once.

    Example: nanobot serve

    Example: nanobot serve --port 9000 --model anthropic/claude-sonnet-5
    """
    loaded = configured(config, workspace=workspace, model=model, more={"api.host": host, "api.port": port, "log.level": log_level})
    begin_logging(loaded)
    uvloop.run(serve_assistant(loaded, announce))
