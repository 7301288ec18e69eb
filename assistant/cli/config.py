"""`nanobot config show | path | check`."""

import json

import typer

from assistant.cli.options import ConfigFile, configured
from assistant.config.show import shown

commands = typer.Typer()
_group = typer.Typer(name="config", help="What is configured, and whether it is right.", no_args_is_help=True)
commands.add_typer(_group)


@_group.command()
def show(config: ConfigFile = None) -> None:
    """Print all that holds now, as JSON.

    The file, the environment and the defaults together. Secrets are masked.

    Example: nanobot config show > all.json
    """
    typer.echo(json.dumps(shown(configured(config).config), indent=2, ensure_ascii=False))


@_group.command()
def path(config: ConfigFile = None) -> None:
    """Print which file is in use.

    Example: $EDITOR "$(nanobot config path)"
    """
    loaded = configured(config)
    if loaded.source is None:
        typer.echo(f"There is no configuration file; the built-in defaults hold. {loaded.home / 'config.json'} would be read.", err=True)
        raise typer.Exit(1)
    typer.echo(loaded.source)


@_group.command()
def check(config: ConfigFile = None) -> None:
    """Say whether it is right, and what has no effect.

    Example: nanobot config check --config new.json
    """
    loaded = configured(config)
    for notice in loaded.notices:
        typer.echo(notice)
    typer.echo(f"{loaded.source or 'the built-in defaults'}: right" + (f", {len(loaded.notices)} without effect" if loaded.notices else ""))
