"""`nanobot doctor`: what is wrong, and the line that mends it."""

import asyncio
import os

import typer

from assistant.cli import checks
from assistant.cli.checks import Finding
from assistant.cli.shared import ConfigOption, ModelOption, WorkspaceOption, configured
from assistant.config import Loaded

commands = typer.Typer()


@commands.command()
def doctor(config: ConfigOption = None, workspace: WorkspaceOption = None, model: ModelOption = None) -> None:
    """Say what is wrong, and what mends it.

    Looked at: the configuration, the disk, the workspace, the store, the reading of files, the address, the channels that
    are enabled with their tokens, the model with its key, and models that are files.

    Example: nanobot doctor
    """
    if not asyncio.run(_examine(configured(config, workspace=workspace, model=model))):
        raise typer.Exit(1)


async def _examine(loaded: Loaded) -> bool:
    """Run all checks and show each as it ends; True if all is well."""
    findings = [_shown(checks.configuration(loaded)), _shown(checks.disk(loaded.home)), _shown(checks.workspace(loaded.workspace))]
    findings.append(_shown(await checks.store(loaded)))
    findings.append(_shown(await checks.documents(loaded)))
    findings.append(_shown(checks.address(loaded.config.api, loaded.config.auth)))
    findings += [_shown(finding) for finding in await checks.channels(loaded)]
    findings.append(_shown(await checks.model(loaded, os.environ)))
    findings += [_shown(finding) for finding in checks.files(loaded)]
    return all(finding.ok for finding in findings)


def _shown(finding: Finding) -> Finding:
    typer.echo(f"{'ok   ' if finding.ok else 'WRONG'}  {finding.name:<13}  {finding.detail}")
    if not finding.ok:
        typer.echo(f"{'':<22}to mend it: {finding.mend}")
    return finding
