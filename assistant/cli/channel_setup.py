"""`nanobot channels list | add`: what there is, and a channel from its keys to its first message."""

import asyncio
import os
from typing import Annotated

import typer

from assistant.app.opening import within
from assistant.cli.channel_hearing import ask_for_owner, can_hear, keep_first
from assistant.cli.channels import TEST_MESSAGE, channels, commands, sent_to, with_channel
from assistant.cli.program import fail
from assistant.cli.shared import ConfigOption, configured, harmless, print_table
from assistant.config import ConfigError, Loaded
from assistant.config.changes import write_changes
from assistant.config.channel_section import ChannelSection, every_kind
from assistant.contracts.channels import Channel, ChannelFailed, ChannelKind, Need
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
        rows.append((name, state, kind.about or title_of(kind), needed))
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
        fail(f'there is no channel "{name}". nanobot channels list shows those there are')
    loaded = configured(config)
    section = ChannelSection(kind=kind, answers=answers_of(kind, given or []))
    typer.echo(f"{title_of(kind)}: {kind.about}" if kind.about else title_of(kind))
    for need in kind.needs:
        if need.key not in section.answers:
            section.answers[need.key] = ask_need(need)
    if missing := section.missing():
        fail(f"{', '.join(need.key for need in missing)}: needed. --set {missing[0].key}=… gives it")
    who = owner if owner is not None else _ask_owner(kind)
    section.owners = (who,) if who else ()
    try:
        loaded = write_changes(section.changes(), loaded, os.environ)
    except ConfigError as error:
        fail(f"nothing was written: {error}")
    typer.echo(f"Written to {loaded.source}.")
    if unchecked:
        typer.echo(what_next(kind, section))
        return
    _check(loaded, section, ask=owner is None and not who)
    typer.echo(what_next(kind, section))


def answers_of(kind: ChannelKind, given: list[str]) -> dict[str, str]:
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


def ask_need(need: Need) -> str:
    """What is typed; the default where nothing is; the environment's value of a secret without a question."""
    if need.env and os.environ.get(need.env):
        typer.echo(f"{need.key}: taken from {need.env}")
        return os.environ[need.env]
    if not at_terminal():
        return need.default
    words = f"{need.asks}\n  {need.key}{' (optional)' if need.optional else ''}"
    return str(typer.prompt(words, default=need.default, show_default=bool(need.default), hide_input=bool(need.env))).strip()


def _ask_owner(kind: ChannelKind) -> str:
    if kind.settings.let_in_by_secret or not at_terminal():
        return ""
    words = f"Your own id on {title_of(kind)}, which may write and gets the test message (empty: write to it, and be asked)\n  owner"
    return str(typer.prompt(words, default="", show_default=False)).strip()


def _check(loaded: Loaded, section: ChannelSection, *, ask: bool) -> None:
    """Ask the platform whose credentials they are, and the owner who they are (`ask`) where that can be heard; then write to them."""
    name = section.kind.name
    account, hears = with_channel(loaded, name, lambda channel: account_of(section.kind, channel))
    typer.echo(f"Connected as {harmless(account)}.")
    to, first = section.owners[0] if section.owners else "", None
    if ask and hears and at_terminal():
        try:
            who, first = ask_for_owner(loaded, name, account)
        except ChannelFailed as error:
            fail(f"{name}: {error}")
        if who:
            section.owners, to = (who,), first.address.chat_id if first else who
            loaded = write_changes(section.changes(), loaded, os.environ)
        if first:
            asyncio.run(keep_first(loaded, first))
    if to and first is None and not section.kind.named(loaded.config.channels.by_name()[name]):
        typer.echo(f"No test message: on {title_of(section.kind)} a person's id is no chat; write to the assistant, and it answers there.")
    elif to:
        typer.echo(f"Test message to {harmless(to)}: {harmless(sent_to(loaded, name, to, TEST_MESSAGE))}.")


async def account_of(kind: ChannelKind, channel: Channel) -> tuple[str, bool]:
    """(Whose credentials they are; whether its owner can be heard here.) Raises ChannelFailed."""
    return await within(channel.identity()), can_hear(kind, channel)


def what_next(kind: ChannelKind, section: ChannelSection) -> str:
    lines = ["Next: start nanobot serve, or restart it where it runs; nanobot channels status shows the channel's state."]
    if not section.owners and not kind.settings.let_in_by_secret:
        lines.append("Then write to the assistant: you get a code, and nanobot pairing approve CODE lets you in.")
    if kind.called:
        lines.append(f"The platform calls this server: give it the address https://YOUR-HOST/channels/{kind.name}.")
    return "\n".join(lines)


def title_of(kind: ChannelKind) -> str:
    return kind.title or kind.name


def at_terminal() -> bool:
    return os.isatty(0)
