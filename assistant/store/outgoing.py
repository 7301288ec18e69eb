"""Enqueueing within any transaction: with a turn's end, with a message that came in, by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.contracts.outbox import OutboundEvent
from assistant.store import outbox_statements as sql
from assistant.store.bell import StoreBell
from assistant.store.connection import Connection, Value
from assistant.store.envelopes import encode, key
from assistant.store.times import to_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An event as it will be stored: encoded outside of the writer's transaction."""

    values: dict[str, Value]
    digests: frozenset[str]


def draft(event: OutboundEvent, now: int) -> Draft:
    """Raises InvalidRequest where an id or the address is too long to be stored."""
    not_before = to_micros(event.not_before) if event.not_before is not None else now
    event_id, channel, lane, owner = key(event.id, event.address.channel, event.address.lane, event.origin.owner)
    values: dict[str, Value] = {
        "id": event_id,
        "channel": channel,
        "lane": lane,
        "owner": owner,
        "yields": int(not_before > now),
        "due": max(not_before, now),
        "expires": to_micros(event.expires_at),
        "at": now,
        "payload": encode(event),
    }
    return Draft(values=values, digests=frozenset(media.digest for media in event.media))


def add(connection: Connection, drafts: Sequence[Draft], bell: StoreBell) -> None:
    """Enqueue those whose id is not known. Whoever commits calls `bell.announced` afterwards."""
    new = False
    for each in drafts:
        added = connection.execute(sql.ADD_EVENT, each.values)
        for (seq,) in added:
            new = True
            for digest in each.digests:
                connection.execute(sql.ADD_MEDIA, {"seq": seq, "digest": digest})
    if new:
        bell.announce(connection)
