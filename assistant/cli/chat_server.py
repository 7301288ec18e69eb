"""`nanobot chat-server`: chat and nothing else, on a port of its own, as NodeTool's command of this name."""

from pathlib import Path
from typing import Annotated

import typer
import uvloop

from assistant.app.serving import serve
from assistant.cli.serve import announce
from assistant.cli.shared import ConfigOption, LogLevelOption, WorkspaceOption, begin_logging
from assistant.contracts.messages import Json
from assistant.contracts.util import expand_home
from assistant.mount import PORT, chat_config

commands = typer.Typer()


@commands.command("chat-server")
def chat_server(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="What to listen on. One that other machines reach needs authentication.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="NUMBER", help="The port; 0 is any free one.", min=0, max=65535)] = PORT,
    provider: Annotated[
        str | None,
        typer.Option(metavar="NAME", help='Through which provider, such as "openai".  [default: as configured]', show_default=False),
    ] = None,
    default_model: Annotated[
        str | None,
        typer.Option(
            "--default-model", "--model", "-m", metavar="NAME", help="The model that answers.  [default: as configured]", show_default=False
        ),
    ] = None,
    remote_auth: Annotated[
        bool, typer.Option("--remote-auth", help="Let in users of the Supabase project of SUPABASE_URL and SUPABASE_KEY, by its tokens.")
    ] = False,
    tools: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES", help='Tools that the assistant may use, with commas between or repeated; "" is none.  [default: as configured]'
        ),
    ] = None,
    workflow: Annotated[
        list[str] | None,
        typer.Option(metavar="ID|FILE", help="A workflow that clients may ask as the model workflow:<id>; may be repeated."),
    ] = None,
    config: ConfigOption = None,
    workspace: WorkspaceOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Serve chat only: /v1/chat/completions, /v1/models and /health.

    Requests need no key unless the configuration or --remote-auth sets up authentication; without it, an address that other machines can
    reach is refused, and with NODETOOL_ENVIRONMENT=production every address is. Clients bring their history, as OpenAI's do. No channels are opened.

    Example: nanobot chat-server --provider openai --default-model gpt-5-mini

    Example: nanobot chat-server --workflow summarise-upload --tools read_attachment,message

    Example: SUPABASE_URL=https://<project>.supabase.co SUPABASE_KEY=<key> nanobot chat-server --host 0.0.0.0 --remote-auth
    """
    given: dict[str, Json] = {"api.host": host, "api.port": port, "log.level": log_level}
    if workspace is not None:
        given["agents.defaults.workspace"] = str(expand_home(workspace, start=Path.cwd()))
    loaded = chat_config(
        provider,
        default_model,
        None if tools is None else [name.strip() for names in tools for name in names.split(",") if name.strip()],
        workflow or (),
        remote_auth=remote_auth,
        config=config,
        settings={key: value for key, value in given.items() if value is not None},
    )
    begin_logging(loaded)
    uvloop.run(serve(loaded, announce, chat_only=True))
