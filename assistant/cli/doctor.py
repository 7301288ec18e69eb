"""`nanobot doctor`: checks everything, and says how to fix what is wrong."""

import asyncio

import orjson
import typer

from assistant.api.doctor import Finding
from assistant.app.doctor import findings
from assistant.cli.shared import ConfigOption, JsonOption, ModelOption, WorkspaceOption, configured, harmless

commands = typer.Typer()


@commands.command()
def doctor(as_json: JsonOption = False, config: ConfigOption = None, workspace: WorkspaceOption = None, model: ModelOption = None) -> None:
    """Say what is wrong, and how to fix it.

    Checked are: the configuration, the disk, the workspace, the store, the reading of files, the sandbox, skills and tools of MCP
    servers that are off, the address, the channels that are enabled with their tokens, what hears and what speaks, the model with its key,
    and models that are files.

    Example: nanobot doctor
    """
    loaded = configured(config, workspace=workspace, model=model)

    async def run() -> bool:
        well = True
        async for finding in findings(loaded):
            well = well and not finding.fix
            _print(finding, as_json=as_json)
        return well

    if not asyncio.run(run()):
        raise typer.Exit(1)


def _print(finding: Finding, *, as_json: bool) -> None:
    name, detail, fix = finding
    if as_json:
        typer.echo(orjson.dumps({"name": name, "ok": not fix, "detail": detail, "fix": fix or None}))
        return
    typer.echo(f"{'WRONG' if fix else 'ok   '}  {name:<13}  {harmless(detail)}")
    if fix:
        typer.echo(f"{'':<22}to fix it: {fix}")
