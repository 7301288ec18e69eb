"""`nanobot config show | path | check | schema`."""

import json

import typer

from assistant.cli.shared import ConfigOption, configured
from assistant.config.reference import schema_file, shown

commands = typer.Typer(name="config", help="Show and check the configuration.", no_args_is_help=True)


@commands.command()
def show(config: ConfigOption = None) -> None:
    """Print the configuration in effect, as JSON.

    The file, the environment and the defaults together. Secrets are masked.

    Example: nanobot config show > all.json
    """
    typer.echo(json.dumps(shown(configured(config).config), indent=2, ensure_ascii=False))


@commands.command()
def path(config: ConfigOption = None) -> None:
    """Print the path of the file in use.

    Example: $EDITOR "$(nanobot config path)"
    """
    loaded = configured(config)
    if loaded.source is None:
        typer.echo(f"There is no configuration file; the built-in defaults hold. {loaded.home / 'config.json'} would be read.", err=True)
        raise typer.Exit(1)
    typer.echo(loaded.source)


@commands.command()
def check(config: ConfigOption = None) -> None:
    """Check the configuration, and list the keys without effect.

    Example: nanobot config check --config new.json
    """
    loaded = configured(config)
    for notice in loaded.notices:
        typer.echo(notice)
    typer.echo(f"{loaded.source or 'the built-in defaults'}: right" + (f", {len(loaded.notices)} without effect" if loaded.notices else ""))


@commands.command()
def schema(config: ConfigOption = None) -> None:
    """Print the JSON Schema of the configuration file.

    With the channels and tools of installed packages that the file configures. An editor completes and checks a file whose "$schema" names it.

    Example: nanobot config schema > config.schema.json
    """
    typer.echo(schema_file(type(configured(config).config)), nl=False)
