"""`nanobot init`: the first minutes, from nothing to an assistant that answers in a chat."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import available_timezones

import typer

from assistant.cli.channel_hearing import ask_for_owner, keep_first
from assistant.cli.channel_setup import account_of, answers_of, ask_need, at_terminal, title_of, what_next
from assistant.cli.channels import TEST_MESSAGE, send_now, use_channel
from assistant.cli.init_model import NotChosen, further_providers, in_effect, model_changes, offers
from assistant.cli.program import fail
from assistant.cli.shared import INTERRUPTED, ConfigOption, configured, harmless, print_table, with_store
from assistant.config import ConfigError, Loaded
from assistant.config.changes import ConfigChanges, previewed, write_changes
from assistant.config.channel_section import ChannelSection, every_kind
from assistant.config.secrets_file import FILE_NAME as SECRETS
from assistant.contracts.channels import ChannelFailed, ChannelKind, SendFailed
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.people import OWNER_ID
from assistant.contracts.util import replace_surrogates
from assistant.store.store import Store

commands = typer.Typer()
_ZONE: Final = ("agents", "defaults", "timezone")


@commands.command()
def init(
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="openai, anthropic/claude-sonnet-5, offline, or the URL of a server like OpenAI's.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help='Of the model\'s provider; "-" is read from standard input. [default: its variable]')
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What you are called.")] = None,
    zone: Annotated[str | None, typer.Option(metavar="ZONE", help="Your time zone: Europe/Berlin, or berlin.")] = None,
    channel: Annotated[str | None, typer.Option(metavar="NAME", help="A channel, as nanobot channels list has it.")] = None,
    given: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="What the channel needs. Repeatable.")] = None,
    owner: Annotated[str | None, typer.Option(metavar="ID", help="Your own id on that channel.")] = None,
    unchecked: Annotated[bool, typer.Option("--no-check", help="Ask neither provider nor platform.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: what is not given stays as it is.")] = False,
    config: ConfigOption = None,
) -> None:
    """Set nanobot up: the model that answers, your name and time zone, and a channel to write to it.

    Each question can be skipped with Enter, and what is set stays. A key is asked for its models before it is kept; it goes into secrets.env
    in the state's folder, and the configuration refers to it. Nothing is written before the last answer, so Ctrl-C leaves all as it was.
    Where there is no terminal nothing is asked: give the answers as options.

    Example: nanobot init

    Example: nanobot init --model openai --key - --zone berlin < key.txt
    """
    loaded = configured(config)
    setup = _Setup(loaded, asks=at_terminal() and not yes, checks=not unchecked)
    try:
        setup.model(model, sys.stdin.readline().strip() if key == "-" else key)
        setup.name(name)
        setup.zone(zone)
        setup.channel(channel, given or [], owner)
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("\nNothing was changed.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    setup.write()
    setup.end(config)


class _Setup:
    """The answers so far. A wrong one is asked again, or where nothing is asked, the end."""

    def __init__(self, loaded: Loaded, *, asks: bool, checks: bool) -> None:
        self._loaded = loaded
        self._asks = asks
        self._checks = checks
        self._changes = ConfigChanges()
        self._name = ""
        self._section: ChannelSection | None = None
        self._to = ""
        """The chat of the test message."""
        self._first: InboundMessage | None = None
        if asks:
            typer.echo(f"nanobot, set up in {loaded.source or loaded.home / 'config.json'}. Enter skips a question and changes nothing.")

    def model(self, given: str | None, key: str | None) -> None:
        if given is None and not self._asks:
            if key is not None:
                fail("--key needs --model")
            return
        if given is not None:
            try:
                self._changes.add(model_changes(given, offers(), self._loaded, self._ask, key=key, check=self._checks))
            except NotChosen as error:
                self._wrong(str(error))
            return
        offered = offers()
        typer.echo("\n1/4  The model that answers")
        print_table(("", "PROVIDER", "MODEL"), [(f"{place}", each.provider, each.about) for place, each in enumerate(offered, 1)])
        typer.echo(f"Also by name: {', '.join(further_providers())};\nthe URL of a server like OpenAI's; offline (no model).")
        while answer := self._ask(f"Number or name (Enter: {self._model_now().split(' (no ')[0]})", False):
            try:
                self._changes.add(model_changes(answer, offered, self._loaded, self._ask, key=None, check=self._checks))
                break
            except NotChosen as error:
                typer.echo(f"  {harmless(str(error))}")

    def name(self, given: str | None) -> None:
        if given is None and self._asks:
            typer.echo("\n2/4  Your name")
            had = with_store(self._loaded, _owners_name)
            given = self._ask(f"Name (Enter: {harmless(had) or 'none'})", False)
        self._name = replace_surrogates((given or "").strip())
        if len(self._name) > 200 or not self._name.isprintable():
            fail("a name is one line of at most 200 characters")

    def zone(self, given: str | None) -> None:
        now = self._loaded.config.zone.key
        if given is None and self._asks:
            typer.echo("\n3/4  Your time zone")
        while answer := given if given is not None else self._ask(f"Zone (Enter: {now})", False) if self._asks else "":
            zones = _zones(answer)
            if len(zones) == 1:
                if zones[0] != now:
                    self._changes.values[_ZONE] = zones[0]
                return
            self._wrong(f"which one? {', '.join(zones[:8])}" if zones else f"{harmless(answer)}: no time zone; one is Europe/Berlin")
            given = None

    def channel(self, given: str | None, answers: list[str], owner: str | None) -> None:
        kinds = every_kind()
        if given is None and not self._asks:
            if answers or owner:
                fail("--set and --owner need --channel")
            return
        if given is not None:
            self._take_channel(_kind(given, list(kinds.values())) or fail(_no_channel(given)), answers, owner)
            return
        enabled = self._loaded.config.enabled_channels
        ordered = sorted(kinds.values(), key=lambda kind: kind.name != "telegram")
        typer.echo("\n4/4  A channel: where you write to it, and it to you")
        rows = [(f"{place}", kind.name, "on" if kind.name in enabled else "", kind.about) for place, kind in enumerate(ordered, 1)]
        print_table(("", "CHANNEL", "", "WHAT IT IS"), rows)
        while wanted := self._ask(f"Number or name (Enter: {', '.join(enabled) or 'none'})", False):
            kind = _kind(wanted, ordered)
            if kind is None:
                typer.echo(f"  {_no_channel(wanted)}")
            elif self._take_channel(kind, [], None):
                return

    def _take_channel(self, kind: ChannelKind, given: list[str], owner: str | None) -> bool:
        """Ask for what it needs, look whether it works, and hear who its owner is. False: it is to be asked again."""
        section = ChannelSection(kind=kind, answers=answers_of(kind, given), owners=(owner,) if owner else ())
        for need in kind.needs:
            if need.key not in section.answers:
                section.answers[need.key] = ask_need(need)
        if missing := section.missing():
            return self._wrong(f"{kind.name} needs {', '.join(need.key for need in missing)}: --set {missing[0].key}=…")
        changes = ConfigChanges(dict(self._changes.values), dict(self._changes.secrets))
        changes.add(section.changes())
        try:
            preview = previewed(changes, self._loaded, os.environ)
            if self._checks:
                self._meet(section, preview)
                changes.add(section.changes())
                previewed(changes, self._loaded, os.environ)
        except (ConfigError, ChannelFailed) as error:
            return self._wrong(str(error))
        self._section = section
        self._changes = changes
        return True

    def _meet(self, section: ChannelSection, preview: Loaded) -> None:
        """Raises ChannelFailed."""
        name = section.kind.name
        account, hears = use_channel(preview, name, lambda channel: account_of(section.kind, channel))
        typer.echo(f"Connected as {harmless(account)}.")
        self._to = section.owners[0] if section.owners else ""
        if self._asks and hears and not self._to:
            who, self._first = ask_for_owner(preview, name, account)
            section.owners = (who,) if who else ()
            self._to = self._first.address.chat_id if self._first else who

    def write(self) -> None:
        """All at once; nothing where one of it is wrong."""
        if self._changes:
            try:
                self._loaded = write_changes(self._changes, self._loaded, os.environ)
            except ConfigError as error:
                fail(f"nothing was written: {error}")
            kept = f"; its secrets to {self._loaded.home / SECRETS}" if self._changes.secrets else ""
            typer.echo(f"\nWritten to {self._loaded.source}{kept}.")
        if self._name:
            with_store(self._loaded, lambda store: store.people.change(OWNER_ID, name=self._name))
        if self._first:
            asyncio.run(keep_first(self._loaded, self._first))
        if self._section and self._to and self._checks:
            name = self._section.kind.name
            try:
                said = send_now(self._loaded, name, self._to, TEST_MESSAGE)
            except (ChannelFailed, SendFailed) as error:
                said = f"{error} (nanobot channels test {name} tries again)"
            typer.echo(f"Test message to {harmless(self._to)}: {harmless(said)}.")

    def end(self, config: Path | None) -> None:
        """Say what comes next; where questions are asked, offer to start it."""
        if not self._changes and not self._name:
            typer.echo("Nothing was changed.")
        api = self._loaded.config.api
        typer.echo(f"\n  nanobot serve    starts it: http://{api.host}:{api.port}/\n  nanobot chat     talks to it here")
        typer.echo(f"  nanobot doctor   checks everything\n\nThe model: {self._model_now()}.")
        if self._section is not None:
            typer.echo(what_next(self._section.kind, self._section))
        try:
            if not self._asks or not typer.confirm("Start it now?", default=True):
                return
        except typer.Abort:
            return
        sys.stdout.flush()
        more = ["--config", str(config)] if config else []
        os.execv(sys.executable, [sys.executable, "-m", "assistant.cli", "serve", *more])  # noqa: S606 - this program, by its own path

    def _model_now(self) -> str:
        try:
            return harmless(str(in_effect(self._loaded)))
        except NotChosen as error:
            return harmless(str(error))

    def _ask(self, words: str, hidden: bool) -> str:
        if not self._asks:
            return ""
        return str(typer.prompt(words, default="", show_default=False, hide_input=hidden)).strip()

    def _wrong(self, words: str) -> bool:
        """Say it, so that it is asked again; where nothing is asked, end."""
        if not self._asks:
            fail(f"nothing was written: {words}")
        typer.echo(f"  {harmless(words)}")
        return False


async def _owners_name(store: Store) -> str:
    person = await store.people.person(OWNER_ID)
    return person.name if person is not None else ""


def _zones(written: str) -> Sequence[str]:
    """The time zones that are meant: the one of that name, else those of that city, in any case."""
    wanted = written.strip().replace(" ", "_").casefold()
    every = sorted(available_timezones())
    named = [zone for zone in every if zone.casefold() == wanted]
    return named or [zone for zone in every if "/" in zone and zone.casefold().rsplit("/", 1)[-1] == wanted]


def _kind(wanted: str, kinds: Sequence[ChannelKind]) -> ChannelKind | None:
    if wanted.isdecimal() and len(wanted) < 7 and 1 <= int(wanted) <= len(kinds):
        return kinds[int(wanted) - 1]
    return next((kind for kind in kinds if wanted.strip().lower() in (kind.name, title_of(kind).lower())), None)


def _no_channel(wanted: str) -> str:
    return f'there is no channel "{harmless(wanted)}". nanobot channels list shows those there are'
