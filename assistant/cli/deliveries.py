"""`nanobot deliveries list | show | retry | cancel`."""

from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, cast, get_args

import orjson
import typer

from assistant.cli.shared import ConfigOption, JsonOption, LimitOption, configured, harmless, moment, pages, print_list, with_store
from assistant.config import Loaded
from assistant.contracts.errors import DeliveryNotFound
from assistant.contracts.messages import human_size
from assistant.contracts.outbox import Delivery, DeliveryState
from assistant.delivery.service import describe
from assistant.store.store import Store

_STATES = get_args(DeliveryState)

commands = typer.Typer(name="deliveries", help="Messages sent and waiting.", no_args_is_help=True)

DeliveryArgument = Annotated[str, typer.Argument(metavar="ID", help="As listed: evt_…")]


@commands.command("list")
def list_deliveries(
    state: Annotated[str | None, typer.Option(metavar="STATE", help=f"Only these: {', '.join(_STATES)}.")] = None,
    channel: Annotated[str | None, typer.Option(metavar="CHANNEL", help="Only those on this channel.")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List deliveries, the latest first.

    Example: nanobot deliveries list --state failed
    """
    if state is not None and state not in _STATES:
        raise typer.BadParameter(f"must be one of {', '.join(_STATES)}.", param_hint="--state")
    loaded = configured(config)
    wanted = cast("DeliveryState | None", state)

    def latest(store: Store) -> Awaitable[list[Delivery]]:
        def page(count: int, last: Delivery | None) -> Awaitable[Sequence[Delivery]]:
            return store.outbox.list(None, state=wanted, channel=channel, limit=count, before=last.event.id if last else None)

        return pages(page, limit)

    print_list(with_store(loaded, latest), ("ID", "STATE", "TO", "TRIES>", "SINCE (UTC)", "TEXT"), _row, as_json=as_json)


@commands.command()
def show(delivery: DeliveryArgument, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a delivery: the outcome of each of its parts, and its whole text.

    Example: nanobot deliveries show evt_019a…
    """
    loaded = configured(config)
    found = with_store(loaded, lambda store: _find(store, delivery))
    typer.echo(orjson.dumps(found) if as_json else harmless("\n".join(_lines(found, loaded))))


@commands.command()
def retry(delivery: DeliveryArgument, config: ConfigOption = None) -> None:
    """Send a delivery again that failed, expired, was cancelled or is unknown.

    Parts that have arrived are not sent again. One that waits for its next try is tried now.

    Example: nanobot deliveries retry evt_019a…
    """
    loaded = configured(config)
    expires_at = datetime.now(UTC) + timedelta(seconds=loaded.config.deliver.expire_after)
    found = with_store(loaded, lambda store: store.outbox.retry(None, delivery, expires_at))
    typer.echo(f"{found.event.id}  {harmless(_outcome(found, loaded))}")


@commands.command()
def cancel(delivery: DeliveryArgument, config: ConfigOption = None) -> None:
    """Cancel a waiting delivery.

    Example: nanobot deliveries cancel evt_019a…
    """
    loaded = configured(config)
    found = with_store(loaded, lambda store: store.outbox.cancel(None, delivery))
    typer.echo(f"{found.event.id}  {harmless(_outcome(found, loaded))}")


def _lines(delivery: Delivery, loaded: Loaded) -> list[str]:
    event = delivery.event
    lines = [
        f"{event.id}: {_outcome(delivery, loaded)}",
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


def _outcome(delivery: Delivery, loaded: Loaded) -> str:
    return describe(delivery, delivery.event.address.channel in loaded.config.enabled_channels)


def _tries(attempts: int) -> str:
    return {0: "not tried yet", 1: "tried once"}.get(attempts, f"tried {attempts} times")


def _row(delivery: Delivery) -> tuple[str, ...]:
    event = delivery.event
    return event.id, delivery.state, str(event.address), str(delivery.attempts), moment(delivery.created), _short(event.text)


def _short(text: str) -> str:
    line = " ".join(text[:200].split())
    return line if len(line) <= 40 else line[:39] + "…"


async def _find(store: Store, delivery_id: str) -> Delivery:
    found = await store.outbox.get(None, delivery_id)
    if found is None:
        raise DeliveryNotFound(f'There is no delivery "{harmless(delivery_id)}". nanobot deliveries list shows those there are.')
    return found
