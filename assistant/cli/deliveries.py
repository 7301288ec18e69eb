"""`nanobot send`, and `nanobot deliveries list | show | retry | cancel`."""

import sys
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, cast, get_args

import orjson
import typer

from assistant.access.addressees import Addressees
from assistant.access.principals import OWNER
from assistant.cli.shared import ConfigOption, JsonOption, LimitOption, configured, harmless, moment, pages, print_list, with_store
from assistant.config import Loaded
from assistant.config.extensions import ConfiguredChannels
from assistant.contracts.addresses import Address, parse_address
from assistant.contracts.channels import ChannelStatus, state_of_each
from assistant.contracts.errors import DeliveryNotFound, IdempotencyMismatch
from assistant.contracts.messages import human_size
from assistant.contracts.outbox import UNSENT, Delivery, DeliveryState, Origin, OutboundEvent, following_id
from assistant.contracts.people import OWNER_ID, Addressee, names_person, shown_person
from assistant.contracts.sending import MAX_CHARS, MAX_FILE_BYTES, check_ahead, check_words, read_time
from assistant.contracts.util import derived_id, display_name, new_id, replace_surrogates
from assistant.delivery.service import DeliveryService, describe
from assistant.store.store import Store

_STATES = get_args(DeliveryState)

deliveries = typer.Typer(name="deliveries", help="Messages sent and waiting.", no_args_is_help=True)
commands = typer.Typer()
commands.add_typer(deliveries)

DeliveryArgument = Annotated[str, typer.Argument(metavar="ID", help="As listed: evt_…")]


@deliveries.command("list")
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

    async def latest(store: Store) -> list[Delivery]:
        if freeze := await store.freezes.get():
            typer.echo(f"The store is {freeze.words}.", err=True)

        def page(count: int, last: Delivery | None) -> Awaitable[Sequence[Delivery]]:
            return store.outbox.list(None, state=wanted, channel=channel, limit=count, before=last.event.id if last else None)

        return await pages(page, limit)

    print_list(with_store(loaded, latest), ("ID", "STATE", "TO", "TRIES>", "SINCE (UTC)", "TEXT"), _row, as_json=as_json)


@deliveries.command()
def show(delivery: DeliveryArgument, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a delivery: the outcome of each of its parts, and its whole text.

    Example: nanobot deliveries show evt_019a…
    """
    loaded = configured(config)

    async def look(store: Store) -> tuple[Delivery, Delivery | None]:
        found = await _find(store, delivery)
        return found, await store.outbox.get(None, following_id(found.event.id)) if found.event.person else None

    found, then = with_store(loaded, look)
    typer.echo(orjson.dumps(found) if as_json else harmless("\n".join(_lines(found, then, loaded))))


@deliveries.command()
def retry(delivery: DeliveryArgument, config: ConfigOption = None) -> None:
    """Send a delivery again that failed, expired, was cancelled or is unknown.

    Parts that have arrived are not sent again. One that waits for its next try is tried now.

    Example: nanobot deliveries retry evt_019a…
    """
    loaded = configured(config)
    expires_at = datetime.now(UTC) + timedelta(seconds=loaded.config.deliver.expire_after)
    found = with_store(loaded, lambda store: store.outbox.retry(None, delivery, expires_at))
    typer.echo(f"{found.event.id}  {harmless(_outcome(found, loaded))}")


@deliveries.command()
def cancel(delivery: DeliveryArgument, config: ConfigOption = None) -> None:
    """Cancel a waiting delivery.

    Example: nanobot deliveries cancel evt_019a…
    """
    loaded = configured(config)
    found = with_store(loaded, lambda store: store.outbox.cancel(None, delivery))
    typer.echo(f"{found.event.id}  {harmless(_outcome(found, loaded))}")


def _lines(delivery: Delivery, then: Delivery | None, loaded: Loaded) -> list[str]:
    """`then`: the delivery that follows it on the person's next channel."""
    event, to = delivery.event, delivery.event.person
    tries = {0: "not tried yet", 1: "tried once"}.get(delivery.attempts, f"tried {delivery.attempts} times")
    lines = [
        f"{event.id}: {_outcome(delivery, loaded)}",
        f"to       {event.address}" + (f", for {shown_person(to.id)}" if to else ""),
        f"from     {event.origin.kind} of {event.origin.owner}" + (f", session {event.origin.session}" if event.origin.session else ""),
        f"since    {moment(delivery.created)} (UTC), {tries}, expires {moment(event.expires_at)}",
    ]
    lines += [f"after    {to.after}, which failed"] if to and to.after else []
    lines += [f"then     {then.event.id} to {then.event.address}: {then.state}"] if then else []
    for number, part in enumerate(delivery.parts, 1):
        became = "started, without a receipt" if part.started else "not sent"
        if part.receipt is not None:
            message = f", message {part.receipt.message_id}" if part.receipt.message_id else ""
            became = f"sent {part.receipt.at:%Y-%m-%d %H:%M:%S}{message}"
            became += (
                f", read {part.read_at:%H:%M:%S}" if part.read_at else f", delivered {part.reached_at:%H:%M:%S}" if part.reached_at else ""
            )
        lines.append(f"part {number}   {became}")
    lines += [f"file     {media.name} ({media.media_type}, {human_size(media.size)})" for media in event.media]
    return [*lines, "", event.text] if event.text else lines


def _outcome(delivery: Delivery, loaded: Loaded) -> str:
    return describe(delivery, delivery.event.address.channel in loaded.config.enabled_channels, to_owner=True)


def _row(delivery: Delivery) -> tuple[str, ...]:
    event = delivery.event
    line = " ".join(event.text[:200].split())
    short = line if len(line) <= 40 else line[:39] + "…"
    return event.id, delivery.state, str(event.address), str(delivery.attempts), moment(delivery.created), short


async def _find(store: Store, delivery_id: str) -> Delivery:
    found = await store.outbox.get(None, delivery_id)
    if found is None:
        raise DeliveryNotFound(f'There is no delivery "{harmless(delivery_id)}". nanobot deliveries list shows those there are.')
    return found


@commands.command()
def send(
    to: Annotated[str, typer.Argument(metavar="RECIPIENT", help='A chat such as "telegram:123456789", or a person: "me", a name, an id.')],
    text: Annotated[str, typer.Argument(metavar="TEXT", help='The message, in Markdown; "-": read it from standard input.')] = "",
    thread: Annotated[str | None, typer.Option(metavar="ID", help="A forum topic or thread of the chat.")] = None,
    file: Annotated[
        list[Path] | None, typer.Option("--file", "-f", metavar="FILE", help="A file to send with it; may be repeated.")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When, if not now: 2026-01-31T09:00:00+01:00.")] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="An idempotency key: a message with the same key is sent once.")] = None,
    config: ConfigOption = None,
) -> None:
    """Send a message, with or without a running server.

    It is stored first; a running server on the same store sends it at once, and a server started later sends it then. Prints the outcome:
    exit code 0 where it was sent or waits, 1 where it was refused.

    To a person it goes to the chat that they prefer; where it can't be delivered there, to their next channel (nanobot people).

    Example: nanobot send telegram:123456789 "The backup is done." --file backup.log

    Example: nanobot send anna "Dinner is ready."

    Example: make 2>&1 | tail -n 20 | nanobot send telegram:123456789 - --key "build-$BUILD_ID"
    """
    loaded = configured(config)
    channels = ConfiguredChannels(loaded.config.channels.by_name())
    if thread is not None and names_person(to, channels.names):
        raise typer.BadParameter("a person has no threads: name the chat.", param_hint="--thread")
    address = None if names_person(to, channels.names) else channels.check(parse_address(to, thread))
    words = replace_surrogates(sys.stdin.read(MAX_CHARS + 1) if text == "-" else text)
    check_words(words, files=len(file or []))
    for path in file or []:
        if not path.is_file():
            raise typer.BadParameter(f"{path} is not a file.", param_hint="--file")
        if not 0 < path.stat().st_size <= MAX_FILE_BYTES:
            raise typer.BadParameter(f"{path} must hold 1 byte to {human_size(MAX_FILE_BYTES)}.", param_hint="--file")

    async def do(store: Store) -> tuple[Delivery, str]:
        receiver = address or await Addressees(store.people, channels).find(replace_surrogates(to), OWNER_ID)
        return await _send(store, loaded, receiver, words, file or [], at, key)

    delivery, outcome = with_store(loaded, do)
    typer.echo(f"{delivery.event.id}  {harmless(outcome)}")
    if delivery.state in UNSENT:
        raise typer.Exit(1)


async def _send(
    store: Store, loaded: Loaded, to: Address | Addressee, words: str, files: Sequence[Path], at: str | None, key: str | None
) -> tuple[Delivery, str]:
    """The delivery and its outcome in words. Raises InvalidRequest, IdempotencyMismatch, StoreUnavailable."""
    settings, now = loaded.config.deliver, datetime.now(UTC)
    due = None if at is None else read_time(at)
    event_id = new_id("evt") if key is None else derived_id("evt", "cli", replace_surrogates(key))
    if due is not None and (key is None or await store.outbox.get(None, event_id) is None):
        check_ahead(due, now)
    event = OutboundEvent(
        id=event_id,
        address=to.address if isinstance(to, Addressee) else to,
        person=to.person if isinstance(to, Addressee) else None,
        text=words,
        media=tuple([await store.media.keep(path, display_name(path.name, "file")) for path in files]),
        not_before=due,
        expires_at=(due or now) + timedelta(seconds=settings.expire_after),
        origin=Origin(kind="cli", owner=OWNER.id),
    )
    running = state_of_each(await store.channel_states.list())
    service = DeliveryService(store.outbox, enabled=running.__contains__)
    first = await service.send(event)
    if (first.event.aim, first.event.text, first.event.media) != (event.aim, event.text, event.media):
        raise IdempotencyMismatch("This --key was used for another message. Use a new one for a new message.")
    delivery = await service.outcome(event.id, 0 if due is not None else settings.receipt_wait)
    return delivery, _sent_or_waiting(delivery, loaded, running)


def _sent_or_waiting(delivery: Delivery, loaded: Loaded, running: Mapping[str, ChannelStatus]) -> str:
    channel = delivery.event.address.channel
    status = running.get(channel)
    if delivery.state == "queued" and delivery.trouble is None and status is not None and status.state == "stopped":
        return f"queued: the {channel} channel is stopped ({status.detail}); it is sent once that is fixed"
    if delivery.state == "queued" and channel not in running and channel in loaded.config.enabled_channels:
        when = "when it is due and a server runs" if delivery.event.not_before else "when one is started"
        return f"queued: no server runs that has the {channel} channel; it goes out {when} (nanobot serve)"
    return describe(delivery, channel in running or channel in loaded.config.enabled_channels, to_owner=True)
