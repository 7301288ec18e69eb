"""`nanobot pairing list | approve | revoke`: which strangers the owner lets write to the assistant."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from assistant.access.principals import OWNER
from assistant.access.recipients import Senders, SenderStanding
from assistant.cli.shared import ConfigOption, configured, harmless, moment, print_list, with_store
from assistant.config import Loaded
from assistant.contracts.addresses import Address
from assistant.contracts.errors import NotFound
from assistant.contracts.inbox import Pairing
from assistant.contracts.outbox import Origin, OutboundEvent
from assistant.contracts.util import derived_id, replace_surrogates
from assistant.inbound.phrases import LET_IN
from assistant.store.store import Store

commands = typer.Typer(
    name="pairing",
    help="Strangers who may write: they get a code, you approve it.",
    no_args_is_help=True,
)


@commands.command("list")
def list_pairings(config: ConfigOption = None) -> None:
    """List open and approved pairings.

    Example: nanobot pairing list
    """
    found = with_store(configured(config), lambda store: store.pairings.list(datetime.now(UTC)))
    print_list(found, ("CHANNEL", "SENDER ID", "CALLS ITSELF", "STATE", "CODE", "SINCE (UTC)"), _row)


@commands.command()
def approve(
    code: Annotated[str, typer.Argument(metavar="CODE", help="The 8 characters that the assistant gave to the stranger.")],
    config: ConfigOption = None,
) -> None:
    """Let a sender write to the assistant, and notify them.

    Only if you know who has this code: it came to you from its holder, not from the list alone. Names are chosen by their bearers.

    Example: nanobot pairing approve 7KQ2M9XF
    """
    wanted = replace_surrogates(code.strip())
    loaded = configured(config)
    found = with_store(loaded, lambda store: _approve(store, loaded, wanted))
    if found is None:
        raise NotFound("There is no open pairing with this code; codes last an hour. nanobot pairing list shows those there are.")
    typer.echo(f"{found.channel} {harmless(found.sender.id)} ({harmless(found.sender.name)}) may write from now on")


def _row(pairing: Pairing) -> tuple[str, ...]:
    state = "approved" if pairing.code is None else f"open until {pairing.expires_at:%H:%M}"
    return pairing.channel, pairing.sender.id, pairing.sender.name, state, pairing.code or "", moment(pairing.created)


async def _approve(store: Store, loaded: Loaded, code: str) -> Pairing | None:
    """Approve the code and queue a message to the sender; None: there is no such code."""
    now = datetime.now(UTC)
    found = await store.pairings.approve(code, now)
    if found is not None:
        told = OutboundEvent(
            id=derived_id("evt", "let in", found.channel, found.sender.id, found.created.isoformat()),
            address=Address(channel=found.channel, chat_id=found.chat_id),
            text=LET_IN,
            expires_at=now + timedelta(seconds=loaded.config.deliver.expire_after),
            origin=Origin(kind="pairing", owner=OWNER.id),
        )
        await store.outbox.enqueue([told])
    return found


@commands.command()
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
    standing = with_store(loaded, lambda store: _revoke(store, loaded, name, wanted))
    if standing is None:
        raise NotFound("There is no such pairing. nanobot pairing list shows those there are.")
    if standing == "stranger":
        typer.echo(f"{harmless(name)} {harmless(wanted)} may not write")
    else:
        where = f"channels.{harmless(name)}.{'owners' if standing == 'owner' else 'allowFrom'}"
        typer.echo(f"{harmless(name)} {harmless(wanted)} is not paired any more, and may still write: {where} lets them")


async def _revoke(store: Store, loaded: Loaded, channel: str, sender: str) -> SenderStanding | None:
    """The sender's standing without the pairing; None: there was none."""
    if not await store.pairings.revoke(channel, sender):
        return None
    return await Senders(loaded.config.channels.by_name(), store.pairings).standing(channel, sender)
