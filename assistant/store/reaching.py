"""Where a person is reached: their chats, the preferred first; and the delivery that follows where one to them failed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

import orjson

from assistant.contracts.addresses import Address
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.outbox import FailedRoute, OutboundEvent, following_id
from assistant.store.codec import decode_event, encode_json, from_micros, json_column, unescape
from assistant.store.database import Transaction
from assistant.store.occurrence_rows import follow_delivery
from assistant.store.outbox_rows import PARTS, EncodedEvent, add_events, prepare_event
from assistant.store.processes import Notifier

Offers = Callable[[Address], bool]
"""Whether an address can be written to now: its channel is enabled, and has such an address. Pure; called within a transaction."""

JOINED_TO = "SELECT person FROM identities WHERE identity = :id AND NOT EXISTS (SELECT 1 FROM people WHERE id = :id)"
PREFERRED = "SELECT prefers FROM people WHERE id = :id AND prefers IS NOT NULL"
WROTE_FROM = """
    SELECT chats.channel, chats.chat_id FROM identities JOIN chats ON chats.identity = identities.identity
    WHERE identities.person = :id ORDER BY chats.at DESC, chats.channel LIMIT 50"""
PAIRED_FROM = """
    SELECT pairings.channel, pairings.chat_id FROM pairings JOIN identities ON identities.identity = pairings.channel || ':' || pairings.sender_id
    WHERE identities.person = :id AND pairings.code IS NULL ORDER BY pairings.created DESC, pairings.channel LIMIT 50"""
IDENTITIES = "SELECT identity FROM identities WHERE person = :id ORDER BY created, identity LIMIT 100"
OF_ANOTHER = """
    SELECT 1 FROM identities WHERE person <> :id AND (identity = :lane OR identity IN (
        SELECT chats.identity FROM chats WHERE chats.channel = :channel AND chats.chat_id = :chat_id)) LIMIT 1"""
"""A chat that was separated from the person is no way to them any more, whatever they preferred."""
TO_FOLLOW = """
    SELECT seq, payload, expires, created, trouble_words FROM outbox
    WHERE follows = 1 AND state IN ('failed', 'expired') ORDER BY seq LIMIT 100"""
FOLLOWED = "UPDATE outbox SET follows = 0 WHERE seq = :seq"
_NO_REASON: Final = "no reason was given"


def chats_of(connection: Transaction, person: str, offers: Offers) -> list[Address]:
    """The chats in which a person (as stored) is reached: as they prefer, then the private chats that they wrote from, the latest first, then those
    in which they were paired, then their identities by themselves (a telephone number, an address)."""
    joined = connection.execute(JOINED_TO, {"id": person})
    known = {"id": joined[0][0] if joined else person}
    preferred = [(channel, chat) for (text,) in connection.execute(PREFERRED, known) for channel, chat in orjson.loads(text)]
    by_id = [tuple(identity.split(":", 1)) for (identity,) in connection.execute(IDENTITIES, known) if ":" in identity]
    found: dict[tuple[str, str], Address] = {}
    for channel, chat in chain(preferred, connection.execute(WROTE_FROM, known), connection.execute(PAIRED_FROM, known), by_id):
        address = Address(channel=unescape(channel), chat_id=unescape(chat))
        if (channel, chat) not in found and offers(address):
            lane = json_column(address.lane)
            if not connection.execute(OF_ANOTHER, {**known, "lane": lane, "channel": channel, "chat_id": chat}):
                found[channel, chat] = address
    return list(found.values())


def encode_preferred(addresses: Sequence[Address]) -> str | None:
    """As the column `prefers` has them; None: none."""
    stored = [(json_column(address.channel), json_column(address.chat_id)) for address in addresses]
    return encode_json(stored) if stored else None


def decode_preferred(stored: str | None) -> tuple[Address, ...]:
    """What `encode_preferred` wrote; none: nothing is preferred."""
    return tuple([Address(channel=unescape(channel), chat_id=unescape(chat)) for channel, chat in orjson.loads(stored or "[]")])


def follow(connection: Transaction, notifier: Notifier, offers: Offers, now: int) -> frozenset[str]:
    """Have each delivery to a person that has certainly failed followed by one on their next channel, if there is one: in the transaction in which it
    fails, so that a crash loses neither. Returns the ids of those that are followed; then call `notifier.announced` after the commit."""
    followed: set[str] = set()
    for seq, payload, expires, created, words in connection.execute(TO_FOLLOW):
        connection.execute(FOLLOWED, {"seq": seq})
        event = decode_event(payload, from_micros(expires))
        then = _following(connection, seq, event, from_micros(created), unescape(words or _NO_REASON), offers, now)
        if then is not None:
            add_events(connection, [then], notifier)
            follow_delivery(connection, json_column(event.id), str(then.values["id"]))
            followed.add(event.id)
    return frozenset(followed)


def _following(
    connection: Transaction, seq: int, event: OutboundEvent, created: datetime, words: str, offers: Offers, now: int
) -> EncodedEvent | None:
    parts = connection.execute(PARTS, {"seq": seq})
    to = event.person
    if to is None or any(started is not None and receipt is None for _, started, _, receipt, *_ in parts):
        return None  # a part may have arrived: then it is not certain that they lack it
    arrived = sum(row[3] is not None for row in parts)
    why = words.rstrip(".") + (f" ({arrived} of {len(parts)} parts arrived)" if arrived else "")
    after = replace(to, after=event.id, tried=(*to.tried, FailedRoute(channel=event.address.channel, words=why)))
    channels = {route.channel for route in after.tried}
    address = next((each for each in chats_of(connection, json_column(to.id), offers) if each.channel not in channels), None)
    if address is None:
        return None
    began = max(event.not_before or created, created)
    following = replace(
        event,
        id=following_id(event.id),
        address=address,
        text=(event.text.removesuffix(to.note) + after.note).lstrip(),
        reply_to=None,
        replaces=None,
        not_before=None,
        expires_at=from_micros(now) + max(event.expires_at - began, timedelta(minutes=1)),
        person=after,
    )
    try:
        return prepare_event(following, now)
    except InvalidRequest:  # an address too long to be stored beside its owner
        return None
