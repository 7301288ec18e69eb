"""`nanobot channels list | add`: what there is, and a channel from its keys to its first message."""

import os
from typing import Annotated

import typer

from assistant.cli.channels import TEST_MESSAGE, channels, commands, sent_to, with_channel, within
from assistant.cli.program import fail
from assistant.cli.shared import ConfigOption, configured, harmless, print_table
from assistant.config import ConfigError, Loaded
from assistant.config.channel_section import ChannelSection, every_kind, write_section
from assistant.contracts.channels import Channel, ChannelKind, Need
from assistant.contracts.util import replace_surrogates

__all__ = ["commands"]


@channels.command("list")
def list_channels(config: ConfigOption = None) -> None:
    """List the channels that there are, and what each needs.

    Example: nanobot channels list
    """
    configured_ones = configured(config).config.channels.by_name()
    rows: list[tuple[str, str, str, str]] = []
    for name, kind in every_kind().items():
        settings = configured_ones.get(name)
        state = "on" if settings is not None and settings.enabled else "off"
        needed = ", ".join(need.key for need in kind.needs if not need.optional and not need.default)
        rows.append((name, state, kind.about or _title(kind), needed))
    print_table(("NAME", "STATE", "WHAT IT IS", "NEEDS"), rows)
    typer.echo("\nnanobot channels add NAME sets one up.", err=True)


SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An answer, so that it is not asked. Repeatable.")]


@channels.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As nanobot channels list has it.")],
    given: SetOption = None,
    owner: Annotated[
        str | None, typer.Option(metavar="ID", help="Your own id on the platform: you may write, and get the test message.")
    ] = None,
    unchecked: Annotated[bool, typer.Option("--no-check", help="Write the configuration without asking the platform.")] = False,
    config: ConfigOption = None,
) -> None:
    """Set a channel up: ask for what it needs, write it into the configuration, check it, and send a test message.

    Secrets are kept in secrets.env in the state's folder, and the configuration refers to them; comments in it stay. Nothing is asked where
    there is no terminal: give every answer by --set.

    Example: nanobot channels add telegram
    """
    kind = every_kind().get(name.strip().lower())
    if kind is None:
        fail(f'there is no channel "{harmless(name)}". nanobot channels list shows those there are')
    loaded = configured(config)
    section = ChannelSection(kind=kind, answers=_answers(kind, given or []))
    typer.echo(f"{_title(kind)}: {kind.about}" if kind.about else _title(kind))
    for need in kind.needs:
        if need.key not in section.answers:
            section.answers[need.key] = _ask(need)
    if missing := section.missing():
        fail(f"{', '.join(need.key for need in missing)}: needed. --set {missing[0].key}=… gives it")
    who = owner if owner is not None else _ask_owner(kind)
    section.owners = (who,) if who else ()
    try:
        loaded = write_section(section, loaded, os.environ)
    except ConfigError as error:
        fail(f"nothing was written: {error}")
    typer.echo(f"Written to {loaded.source}.")
    if unchecked:
        typer.echo(_next(kind, section))
        return
    _check(loaded, kind, who)
    typer.echo(_next(kind, section))


def _answers(kind: ChannelKind, given: list[str]) -> dict[str, str]:
    keys = {need.key for need in kind.needs}
    found: dict[str, str] = {}
    for each in given:
        key, equals, value = replace_surrogates(each).partition("=")
        if not equals or key not in keys:
            raise typer.BadParameter(
                f"{harmless(each)}: give KEY=VALUE; the keys are {', '.join(sorted(keys)) or 'none'}", param_hint="--set"
            )
        found[key] = value
    return found


def _ask(need: Need) -> str:
    """What is typed; the default where nothing is; the environment's value of a secret without a question."""
    if need.env and os.environ.get(need.env):
        typer.echo(f"{need.key}: taken from {need.env}")
        return os.environ[need.env]
    if not _at_terminal():
        return need.default
    words = f"{need.asks}\n  {need.key}{' (optional)' if need.optional else ''}"
    return str(typer.prompt(words, default=need.default, show_default=bool(need.default), hide_input=bool(need.env))).strip()


def _ask_owner(kind: ChannelKind) -> str:
    if kind.settings.let_in_by_secret or not _at_terminal():
        return ""
    words = f"Your own id on {_title(kind)}, which may write and gets the test message (empty: write to the assistant, and approve the code)\n  owner"
    return str(typer.prompt(words, default="", show_default=False)).strip()


def _check(loaded: Loaded, kind: ChannelKind, owner: str) -> None:
    async def identity(channel: Channel) -> str:
        return await within(channel.identity())

    typer.echo(f"Connected as {harmless(with_channel(loaded, kind.name, identity))}.")
    if owner and not kind.named(loaded.config.channels.by_name()[kind.name]):
        typer.echo(f"No test message: on {_title(kind)} a person's id is no chat; write to the assistant, and it answers there.")
    elif owner:
        typer.echo(f"Test message to {harmless(owner)}: {harmless(sent_to(loaded, kind.name, owner, TEST_MESSAGE))}.")


def _next(kind: ChannelKind, section: ChannelSection) -> str:
    lines = ["Next: start nanobot serve, or restart it where it runs; nanobot channels status shows the channel's state."]
    if not section.owners and not kind.settings.let_in_by_secret:
        lines.append("Then write to the assistant: you get a code, and nanobot pairing approve CODE lets you in.")
    if kind.called:
        lines.append(f"The platform calls this server: give it the address https://YOUR-HOST/channels/{kind.name}.")
    return "\n".join(lines)


def _title(kind: ChannelKind) -> str:
    return kind.title or kind.name


def _at_terminal() -> bool:
    return os.isatty(0)
