"""`nanobot serve`, and what it prints when it is ready."""

from functools import partial
from typing import Annotated

import typer
import uvloop

from assistant.access.principals import auth_mode
from assistant.app.services import Services
from assistant.app.serving import serve as serve_assistant
from assistant.cli.shared import ConfigOption, LogLevelOption, ModelOption, WorkspaceOption, begin_logging, configured
from assistant.cli.web import page_address
from assistant.config import Loaded
from assistant.contracts.messages import Json


def announce(services: Services, port: int) -> None:
    """What is served, where, with which model and why."""
    loaded = services.loaded
    host = loaded.config.api.host
    lines = [
        f"nanobot serves http://{f'[{host}]' if ':' in host else host}:{port}/v1",
        *([f"  page           {page_address(host, port)}{_how_to_log_in(loaded)}"] if services.channels else []),  # chat-server has none
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


def _how_to_log_in(loaded: Loaded) -> str:
    open_to_all = auth_mode(loaded.config.auth, loaded.config.api.api_key) == "none"
    return "" if open_to_all else "  (log in with a key, or by the link of nanobot web)"


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

    Then running turns are answered first, for shutdown.grace seconds at most; a second Ctrl-C ends at once. SIGHUP, or nanobot reload, reads
    the configuration anew.

    Example: nanobot serve

    Example: nanobot serve --port 9000 --model anthropic/claude-sonnet-5
    """
    more: dict[str, Json] = {"api.host": host, "api.port": port, "log.level": log_level}
    loaded = configured(config, workspace=workspace, model=model, more=more)
    begin_logging(loaded)
    read = partial(configured, config, workspace=workspace, model=model, more=more)
    uvloop.run(serve_assistant(loaded, announce, read=read))
