"""`nanobot channels status | login | test`, and `nanobot pairing list | approve | revoke`: which strangers the owner lets write."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeVar

import typer

from assistant.access.principals import OWNER
from assistant.access.recipients import Senders, SenderStanding
from assistant.app.opening import opened_by_name, opened_store, within
from assistant.cli.program import fail
from assistant.cli.shared import ConfigOption, configured, harmless, moment, print_list, print_table, with_store
from assistant.config import Loaded
from assistant.config.extensions import ConfiguredChannels
from assistant.contracts.addresses import address_of
from assistant.contracts.channels import Channel, ChannelFailed, SendFailed, Sending, state_of_each
from assistant.contracts.errors import NotFound
from assistant.contracts.inbox import Pairing
from assistant.contracts.outbox import Origin, OutboundEvent
from assistant.contracts.util import new_id, replace_surrogates
from assistant.delivery.sender import part_key
from assistant.inbound.pairing import pairing_desk
from assistant.store.store import Store

T = TypeVar("T")

TEST_MESSAGE: Final = "This is a test message. If you can read it, the channel works."

channels = typer.Typer(name="channels", help="Chat channels: Telegram, Discord, webhooks …", no_args_is_help=True)
pairing = typer.Typer(name="pairing", help="Strangers who may write: they get a code, you approve it.", no_args_is_help=True)
commands = typer.Typer()
commands.add_typer(channels)
commands.add_typer(pairing)

ChannelArgument = Annotated[str, typer.Argument(metavar="NAME", help="telegram, discord, webhook, apprise …")]


@channels.command()
def status(config: ConfigOption = None) -> None:
    """Show the state of each channel, as the running server sees it.

    Example: nanobot channels status
    """
    loaded = configured(config)
    told = with_store(loaded, lambda store: store.channel_states.list())
    states, standing_by = state_of_each(told), Counter(state.name for state in told if state.state == "standby")
    rows: list[tuple[str, str, str, str]] = []
    for name, settings in loaded.config.channels.by_name().items():
        if name in states:
            state = states[name]
            more = standing_by[name] if state.state != "standby" else 0
            others = f"{more} other {'server stands' if more == 1 else 'servers stand'} by" if more else ""
            rows.append((name, state.state, moment(state.since), "; ".join(filter(None, (state.detail, others)))))
        elif settings.enabled:
            rows.append((name, "not running", "", "enabled, but no server runs that has it (nanobot serve)"))
        else:
            rows.append((name, "off", "", f"channels.{name}.enabled is false"))
    print_table(("CHANNEL", "STATE", "SINCE (UTC)", "DETAIL"), rows)


@channels.command()
def login(name: ChannelArgument, config: ConfigOption = None) -> None:
    """Show the account that the credentials belong to. Sends nothing.

    Example: nanobot channels login telegram
    """
    typer.echo(f"{name}: {harmless(with_channel(configured(config), name, lambda channel: within(channel.identity())))}")


@channels.command("test")
def try_out(
    name: ChannelArgument,
    to: Annotated[str | None, typer.Option(metavar="CHAT_ID", help="The recipient. Default: the first of the channel's owners.")] = None,
    text: Annotated[str, typer.Option(metavar="TEXT", help="What to send.")] = TEST_MESSAGE,
    config: ConfigOption = None,
) -> None:
    """Send a test message, now and from here.

    It bypasses the outbox: it needs no server, is not retried, and is not listed.

    Example: nanobot channels test telegram --to 123456789
    """
    loaded = configured(config)
    settings = loaded.config.channels.by_name().get(name)
    chat_id = to or (settings.owners[0] if settings is not None and settings.owners else None)
    if chat_id is None:
        raise typer.BadParameter(f"give a recipient: channels.{name}.owners is empty.", param_hint="--to")
    typer.echo(f"{name}:{harmless(chat_id)}: {harmless(sent_to(loaded, name, chat_id, text))}")


def sent_to(loaded: Loaded, name: str, chat_id: str, text: str) -> str:
    """Send a message now, past the outbox; returns its receipt in words. A failure of the platform is one line and exit code 1."""
    with _failing(name):
        return send_now(loaded, name, chat_id, text)


def send_now(loaded: Loaded, name: str, chat_id: str, text: str) -> str:
    """As `sent_to`. Raises ChannelFailed, SendFailed."""
    event = OutboundEvent(
        id=new_id("evt"),
        address=ConfiguredChannels(loaded.config.channels.by_name()).check(address_of(name, chat_id)),
        text=replace_surrogates(text),
        expires_at=datetime.now(UTC) + timedelta(minutes=1),
        origin=Origin(kind="cli", owner=OWNER.id),
    )
    return use_channel(loaded, name, lambda channel: _sent(channel, event))


async def _sent(channel: Channel, event: OutboundEvent) -> str:
    ids: list[str] = []
    for place, part in enumerate(channel.plan(event)):
        sending = Sending(
            address=event.address, part=part, place=place, key=part_key(event.id, place), reply_to=None, replaces=None, again=None
        )
        receipt = await within(channel.send(sending))
        ids += [receipt.message_id] if receipt.message_id else []
    return f"sent (message {', '.join(ids)})" if ids else "sent; the service gives no receipt"


def with_channel(loaded: Loaded, name: str, use: Callable[[Channel], Awaitable[T]]) -> T:
    """Run `use` with the adapter and return its result; a failure of the platform is one line and exit code 1."""
    with _failing(name):
        return use_channel(loaded, name, use)


def use_channel(loaded: Loaded, name: str, use: Callable[[Channel], Awaitable[T]]) -> T:
    """As `with_channel`. Raises ChannelFailed, and what `use` raises."""

    async def run() -> T:
        async with opened_store(loaded) as store, opened_by_name(loaded, store, name) as channel:
            return await use(channel)

    return asyncio.run(run())


@contextmanager
def _failing(name: str) -> Generator[None]:
    try:
        yield
    except (ChannelFailed, SendFailed) as error:
        fail(f"{name}: {error}")


@pairing.command("list")
def list_pairings(config: ConfigOption = None) -> None:
    """List open and approved pairings.

    Example: nanobot pairing list
    """
    found = with_store(configured(config), lambda store: store.pairings.list(datetime.now(UTC)))
    print_list(found, ("CHANNEL", "SENDER ID", "CALLS ITSELF", "STATE", "CODE", "SINCE (UTC)"), _row)


@pairing.command()
def approve(
    code: Annotated[str, typer.Argument(metavar="CODE", help="The 8 characters that the assistant gave to the stranger.")],
    person: Annotated[
        str | None,
        typer.Option("--as", metavar="PERSON", help="A person of nanobot people list whose other chat this is.  [default: a new person]"),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Let a sender write to the assistant, and notify them.

    Only if you know who has this code: it came to you from its holder, not from the list alone. Names are chosen by their bearers.

    The sender becomes a person, with sessions that no other sees; with --as, this chat is joined to a person you know.

    Example: nanobot pairing approve 7KQ2M9XF --as anna
    """
    wanted = replace_surrogates(code.strip())
    loaded = configured(config)
    known = None if person is None else replace_surrogates(person)
    found = with_store(loaded, lambda store: pairing_desk(store, loaded.config.deliver.expire_after).approve(wanted, known))
    typer.echo(f"{found.channel} {harmless(found.sender.id)} ({harmless(found.sender.name)}) may write from now on")


def _row(found: Pairing) -> tuple[str, ...]:
    state = "approved" if found.code is None else f"open until {found.expires_at:%H:%M}"
    return found.channel, found.sender.id, found.sender.name, state, found.code or "", moment(found.created)


@pairing.command()
def revoke(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL")],
    sender: Annotated[str, typer.Argument(metavar="SENDER_ID", help="As listed.")],
    config: ConfigOption = None,
) -> None:
    """Revoke an approval, or refuse an open code.

    Holds for the next message. Those whom the configuration lets write (allowFrom, owners) stay.

    Example: nanobot pairing revoke telegram 123456789
    """
    name, wanted = channel.strip().lower(), replace_surrogates(sender.strip())
    loaded = configured(config)

    async def revoked(store: Store) -> SenderStanding | None:
        """The sender's standing without the pairing; None: there was none."""
        if not await store.pairings.revoke(name, wanted):
            return None
        return await Senders(loaded.config.channels.by_name(), store.pairings).standing(name, wanted)

    standing = with_store(loaded, revoked)
    if standing is None:
        raise NotFound("There is no such pairing. nanobot pairing list shows those there are.")
    if standing == "stranger":
        typer.echo(f"{harmless(name)} {harmless(wanted)} may not write")
    else:
        where = f"channels.{harmless(name)}.{'owners' if standing == 'owner' else 'allowFrom'}"
        typer.echo(f"{harmless(name)} {harmless(wanted)} is not paired any more, and may still write: {where} lets them")
