"""`nanobot deliveries list | show | retry | cancel`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, cast, get_args

import orjson
import typer

from assistant.cli.shared import ConfigOption, configured, harmless, moment, print_table, with_store
from assistant.config import Loaded
from assistant.contracts.errors import DeliveryNotFound
from assistant.contracts.messages import human_size
from assistant.contracts.outbox import Delivery, DeliveryState
from assistant.delivery.service import describe
from assistant.store.store import Store

_STATES = get_args(DeliveryState)
_PAGE = 1000

commands = typer.Typer()
_group = typer.Typer(name="deliveries", help="The messages that went out, or wait to.", no_args_is_help=True)
commands.add_typer(_group)

DeliveryArgument = Annotated[str, typer.Argument(metavar="ID", help="As listed: evt_…")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


@_group.command("list")
def list_deliveries(
    state: Annotated[str | None, typer.Option(metavar="STATE", help=f"Only these: {', '.join(_STATES)}.")] = None,
    channel: Annotated[str | None, typer.Option(metavar="CHANNEL", help="Only those on this channel.")] = None,
    limit: Annotated[int, typer.Option(metavar="NUMBER", min=1, max=100_000, help="How many, the latest first.")] = 50,
    as_json: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """List deliveries, the latest first.

    Example: nanobot deliveries list --state failed
    """
    if state is not None and state not in _STATES:
        raise typer.BadParameter(f"must be one of {', '.join(_STATES)}.", param_hint="--state")
    loaded = configured(config)
    wanted = cast("DeliveryState | None", state)
    found = with_store(loaded, lambda store: _latest(store, wanted, channel, limit))
    if as_json:
        for delivery in found:
            typer.echo(orjson.dumps(delivery))
        return
    rows = [
        (each.event.id, each.state, str(each.event.address), str(each.attempts), moment(each.created), _short(each.event.text))
        for each in found
    ]
    print_table(("ID", "STATE", "TO", "TRIES>", "SINCE (UTC)", "TEXT"), rows)


@_group.command()
def show(delivery: DeliveryArgument, as_json: AsJson = False, config: ConfigOption = None) -> None:
    """Show a delivery: what became of each of its parts, and its whole text.

    Example: nanobot deliveries show evt_019a…
    """
    loaded = configured(config)
    found = with_store(loaded, lambda store: _find(store, delivery))
    typer.echo(orjson.dumps(found) if as_json else harmless("\n".join(_told(found, loaded))))


@_group.command()
def retry(delivery: DeliveryArgument, config: ConfigOption = None) -> None:
    """Send again what failed, expired, was cancelled or is unknown.

    Parts that have arrived are not sent again. What waits for its next try is tried now.

    Example: nanobot deliveries retry evt_019a…
    """
    loaded = configured(config)
    expires_at = datetime.now(UTC) + timedelta(seconds=loaded.config.deliver.expire_after)
    found = with_store(loaded, lambda store: store.outbox.retry(None, delivery, expires_at))
    typer.echo(f"{found.event.id}  {harmless(_truth(found, loaded))}")


@_group.command()
def cancel(delivery: DeliveryArgument, config: ConfigOption = None) -> None:
    """Cancel what waits to be sent.

    Example: nanobot deliveries cancel evt_019a…
    """
    loaded = configured(config)
    found = with_store(loaded, lambda store: store.outbox.cancel(None, delivery))
    typer.echo(f"{found.event.id}  {harmless(_truth(found, loaded))}")


def _told(delivery: Delivery, loaded: Loaded) -> list[str]:
    event = delivery.event
    lines = [
        f"{event.id}: {_truth(delivery, loaded)}",
        f"to       {event.address}",
        f"from     {event.origin.kind} of {event.origin.owner}" + (f", session {event.origin.session}" if event.origin.session else ""),
        f"since    {moment(delivery.created)} (UTC), {_tries(delivery.attempts)}, expires {moment(event.expires_at)}",
    ]
    for number, part in enumerate(delivery.parts, 1):
        if part.receipt is not None:
            became = f"sent {part.receipt.at:%Y-%m-%d %H:%M:%S}" + (
                f", message {part.receipt.message_id}" if part.receipt.message_id else ""
            )
        else:
            became = "started, without a receipt" if part.started else "not sent"
        lines.append(f"part {number}   {became}")
    lines += [f"file     {media.name} ({media.media_type}, {human_size(media.size)})" for media in event.media]
    return [*lines, "", event.text] if event.text else lines


def _truth(delivery: Delivery, loaded: Loaded) -> str:
    return describe(delivery, delivery.event.address.channel in loaded.config.enabled_channels)


def _tries(attempts: int) -> str:
    return {0: "not tried yet", 1: "tried once"}.get(attempts, f"tried {attempts} times")


def _short(text: str) -> str:
    line = " ".join(text[:200].split())
    return line if len(line) <= 40 else line[:39] + "…"


async def _find(store: Store, delivery_id: str) -> Delivery:
    found = await store.outbox.get(None, delivery_id)
    if found is None:
        raise DeliveryNotFound(f'There is no delivery "{harmless(delivery_id)}". nanobot deliveries list shows those there are.')
    return found


async def _latest(store: Store, state: DeliveryState | None, channel: str | None, limit: int) -> list[Delivery]:
    found: list[Delivery] = []
    while len(found) < limit:
        before = found[-1].event.id if found else None
        page = await store.outbox.list(None, state=state, channel=channel, limit=min(_PAGE, limit - len(found)), before=before)
        found += page
        if not page:
            break
    return found
