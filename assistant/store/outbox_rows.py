"""The outbox's rows: its statements, in the SQL that SQLite and PostgreSQL share, and what is written into the columns and read from them.

Every condition on `state` and `yields` of an event at work is written out, so that both databases see which partial index serves it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from assistant.contracts.outbox import Claim, Delivery, DeliveryError, OutboundEvent, OutboundPart, PartState, Receipt, Settlement
from assistant.contracts.records import record
from assistant.store.codec import decode_event, decode_part, encode_json, from_micros, json_column, json_key, optional, to_micros, unescape
from assistant.store.database import SqlRow, SqlValue, Transaction
from assistant.store.processes import Notifier

ADD_EVENT = """
    INSERT INTO outbox (id, channel, lane, owner, state, yields, due, expires, created, attempts, held, fence, maybe_duplicate, follows, payload)
    VALUES (:id, :channel, :lane, :owner, 'queued', :yields, :due, :expires, :at, 0, 0, 0, 0, :follows, :payload)
    ON CONFLICT (id) DO NOTHING RETURNING seq"""
ADD_MEDIA = "INSERT INTO outbox_media (event, digest) VALUES (:seq, :digest) ON CONFLICT (event, digest) DO NOTHING"
MEDIA_HELD = "SELECT 1 FROM outbox_media WHERE digest = :digest LIMIT 1"

# Lanes: what is first in line in each, and what may pass because its time has come.


def first_in_lines(channels: int) -> str:
    """The statement that finds what is first in each line of so many channels (`:c0`, `:c1` …): from lane to lane along an index, so that what waits
    behind the first of each costs nothing, and so do channels that were not asked for."""
    names = " UNION ALL ".join(f"SELECT CAST(:c{number} AS VARCHAR) AS name" for number in range(channels))
    # Numbered parameters of ours only.
    return f"""
    WITH RECURSIVE lines (channel, lane) AS (
        SELECT name, (SELECT MIN(lane) FROM outbox WHERE state = 'queued' AND yields = 0 AND channel = name) FROM ({names}) AS asked
        UNION ALL
        SELECT lines.channel, (
            SELECT MIN(lane) FROM outbox WHERE state = 'queued' AND yields = 0 AND channel = lines.channel AND lane > lines.lane) FROM lines
        WHERE lines.lane IS NOT NULL
    )
    SELECT outbox.lane, outbox.channel, outbox.due FROM lines JOIN outbox ON outbox.seq = (
        SELECT MIN(seq) FROM outbox WHERE state = 'queued' AND yields = 0 AND lane = lines.lane)
    WHERE lines.lane NOT IN (SELECT lane FROM outbox WHERE state = 'sending')"""  # noqa: S608


YIELDING_DUE = """
    SELECT lane, channel, due FROM outbox WHERE state = 'queued' AND yields = 1 AND due <= :now
        AND lane NOT IN (SELECT lane FROM outbox WHERE state = 'sending')"""


def next_yielding(channels: int) -> str:
    """The statement that finds when the next event of so many channels (`:c0`, `:c1` …) falls due that is not in line."""
    names = ", ".join(f":c{number}" for number in range(channels))
    # Numbered parameters of ours only. Not plainly `channel`: SQLite would take the index of channels, and look at all that is queued.
    return f"""
    SELECT due FROM outbox WHERE state = 'queued' AND yields = 1 AND due > :now AND channel || '' IN ({names})
    ORDER BY due LIMIT 1"""  # noqa: S608


# Claims.

LANE_IS_SENDING = "SELECT 1 FROM outbox WHERE lane = :lane AND state = 'sending'"
FALL_IN_LINE = "UPDATE outbox SET yields = 0 WHERE lane = :lane AND state = 'queued' AND yields = 1 AND due <= :now"
ALL_FALL_IN_LINE = "UPDATE outbox SET yields = 0 WHERE state = 'queued' AND yields = 1 AND due <= :now"
FIRST_IN_LINE = "SELECT seq, due, expires FROM outbox WHERE lane = :lane AND state = 'queued' AND yields = 0 ORDER BY seq LIMIT 1"
NEXT_IN_LANE = "SELECT MIN(due) FROM outbox WHERE lane = :lane AND state = 'queued' AND yields = 1"
TAKE = """
    UPDATE outbox SET state = 'sending', fence = fence + 1, attempts = attempts + 1, runner = :runner, lease = :lease
    WHERE seq = :seq RETURNING payload, expires, fence, attempts, held, maybe_duplicate"""
PARTS = """
    SELECT body, started, receipt_id, receipt_at, receipt_notice, reached_at, read_at FROM outbox_parts WHERE event = :seq ORDER BY place"""
RENEW = "UPDATE outbox SET lease = :lease WHERE id = :id AND fence = :fence AND state = 'sending' RETURNING id"
CLAIMED = "SELECT seq FROM outbox WHERE id = :id AND fence = :fence AND state = 'sending'"
ADD_PART = "INSERT INTO outbox_parts (event, place, body) VALUES (:seq, :place, :body) ON CONFLICT (event, place) DO NOTHING"
START_PART = "UPDATE outbox_parts SET started = :at WHERE event = :seq AND place = :place RETURNING place"
UNSTART_PART = "UPDATE outbox_parts SET started = NULL WHERE event = :seq AND place = :place AND receipt_at IS NULL"
NOTE_RECEIPT = """
    UPDATE outbox_parts SET receipt_id = :receipt, receipt_at = :at, receipt_notice = :notice
    WHERE event = :seq AND place = :place RETURNING place"""
MAYBE_TWICE = "UPDATE outbox SET maybe_duplicate = 1 WHERE seq = :seq"
SETTLE = """
    UPDATE outbox SET state = :state, yields = CASE WHEN held + :counts >= :patience THEN 1 ELSE 0 END, held = held + :counts,
        due = COALESCE(:due, due), ended = :ended, runner = NULL, lease = NULL, trouble_code = :code, trouble_words = :words
    WHERE seq = :seq"""

# What is no longer being sent.

SENDERS = "SELECT DISTINCT runner FROM outbox WHERE state = 'sending'"
PUT_BACK = """
    UPDATE outbox SET state = 'queued', yields = 0, due = :now, runner = NULL, lease = NULL
    WHERE state = 'sending' AND (lease <= :now OR runner = :dead) RETURNING seq"""

# A part that was started and has no receipt may have arrived: then "expired unsent" would be a lie.
_UNCLEAR = "EXISTS (SELECT 1 FROM outbox_parts WHERE event = outbox.seq AND started IS NOT NULL AND receipt_at IS NULL)"
_EXPIRE = f"""
    UPDATE outbox SET state = CASE WHEN {_UNCLEAR} THEN 'unknown' ELSE 'expired' END, ended = :now,
        trouble_code = COALESCE(trouble_code, CASE WHEN {_UNCLEAR} THEN 'interrupted' ELSE 'expired' END),
        trouble_words = COALESCE(trouble_words, CASE WHEN {_UNCLEAR} THEN :unclear ELSE :expired END)"""  # noqa: S608 - a fragment of this file
EXPIRE_IN_LINE = f"""{_EXPIRE} WHERE lane = :lane AND state = 'queued' AND yields = 0 AND expires <= :now"""
EXPIRE_ALL = f"""{_EXPIRE} WHERE state = 'queued' AND expires <= :now"""

# By hand.

_DELIVERY = """
    SELECT seq, payload, state, attempts, created, due, expires, ended, trouble_code, trouble_words, maybe_duplicate, owner FROM outbox"""
DELIVERY = f"{_DELIVERY} WHERE id = :id"
RETRY = f"""
    UPDATE outbox SET state = 'queued', yields = 0, due = :now, expires = :expires, ended = NULL, held = 0,
        trouble_code = NULL, trouble_words = NULL,
        maybe_duplicate = CASE WHEN state = 'unknown' AND {_UNCLEAR} THEN 1 ELSE maybe_duplicate END
    WHERE seq = :seq"""  # noqa: S608 - a fragment of this file
CANCEL = "UPDATE outbox SET state = 'cancelled', ended = :now WHERE seq = :seq"
COUNTS = "SELECT channel, state, COUNT(*) FROM outbox GROUP BY state, channel"
PURGE = "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE ended < :before ORDER BY ended LIMIT :most) RETURNING seq"


HIDDEN: Final = '%"hidden"_true%'
"""In the payload of a message whose sender is not told where it goes; within its words, quotes are escaped."""


def deliveries_of(*, owner: bool, state: bool, channel: bool, before: bool) -> str:
    """The statement that lists deliveries, the latest first, under the conditions asked for. An owner is not told by a channel's name where a message
    to another person went."""
    conditions = {
        "owner = :owner": owner,
        "state = :state": state,
        "channel = :channel": channel,
        f"payload NOT LIKE '{HIDDEN}'": owner and channel,
        "seq < (SELECT seq FROM outbox WHERE id = :before)": before,
    }
    asked = [condition for condition, wanted in conditions.items() if wanted]
    where = f" WHERE {' AND '.join(asked)}" if asked else ""
    return f"{_DELIVERY}{where} ORDER BY seq DESC LIMIT :limit"


@record
class EncodedEvent:
    """An event as it will be stored: encoded outside of the writer's transaction."""

    values: dict[str, SqlValue]
    digests: frozenset[str]


def prepare_event(event: OutboundEvent, now: int) -> EncodedEvent:
    """Raises InvalidRequest where an id or the address is too long to be stored."""
    not_before = to_micros(event.not_before) if event.not_before is not None else now
    event_id, channel, lane, owner = json_key(event.id, event.address.channel, event.address.lane, event.origin.owner)
    values: dict[str, SqlValue] = {
        "id": event_id,
        "channel": channel,
        "lane": lane,
        "owner": owner,
        "yields": int(not_before > now),
        "due": max(not_before, now),
        "expires": to_micros(event.expires_at),
        "at": now,
        "follows": int(event.person is not None and event.person.follows),
        "payload": encode_json(event),
    }
    return EncodedEvent(values=values, digests=frozenset(media.digest for media in event.media))


def add_events(connection: Transaction, drafts: Sequence[EncodedEvent], notifier: Notifier) -> None:
    """Enqueue those whose id is not known. After the commit, call `notifier.announced`."""
    new = False
    for each in drafts:
        for (seq,) in connection.execute(ADD_EVENT, each.values):
            new = True
            for digest in each.digests:
                connection.execute(ADD_MEDIA, {"seq": seq, "digest": digest})
    if new:
        notifier.announce(connection)


@record
class StoredDelivery:
    """An event's row and the rows of its parts: read within a transaction, decoded outside of it."""

    row: SqlRow
    parts: Sequence[SqlRow]


def find_delivery(connection: Transaction, owner: str | None, event_id: str) -> StoredDelivery | None:
    """By the event's id and its owner, both as stored; `owner` None: any owner's."""
    rows = connection.execute(DELIVERY, {"id": event_id})
    return with_parts(connection, rows[0]) if rows and owner in {None, rows[0][-1]} else None


def with_parts(connection: Transaction, row: SqlRow) -> StoredDelivery:
    """`row` begins with the event's seq."""
    seq: SqlValue = row[0]
    return StoredDelivery(row=row, parts=connection.execute(PARTS, {"seq": seq}))


def decode_delivery(stored: StoredDelivery) -> Delivery:
    """Of the columns of `DELIVERY`."""
    _, payload, state, attempts, created, due, expires, ended, code, words, maybe_duplicate, _ = stored.row
    return Delivery(
        event=decode_event(payload, from_micros(expires)),
        state=state,
        attempts=attempts,
        created=from_micros(created),
        due=from_micros(due),
        ended=optional(from_micros, ended),
        trouble=DeliveryError(code=unescape(code), words=unescape(words)) if code is not None else None,
        maybe_duplicate=bool(maybe_duplicate),
        parts=tuple([_part(*row) for row in stored.parts]),
    )


def decode_claim(stored: StoredDelivery) -> Claim:
    """Of the event's seq and the columns that `TAKE` returns."""
    _, payload, expires, fence, attempts, held, maybe_duplicate = stored.row
    return Claim(
        event=decode_event(payload, from_micros(expires)),
        fence=fence,
        attempts=attempts,
        held=held,
        maybe_duplicate=bool(maybe_duplicate),
        parts=tuple([_part(*row) for row in stored.parts]),
    )


def _part(
    body: str,
    started: int | None,
    receipt_id: str | None,
    receipt_at: int | None,
    notice: str | None,
    reached_at: int | None,
    read_at: int | None,
) -> PartState:
    receipt = None
    if receipt_at is not None:
        receipt = Receipt(message_id=optional(unescape, receipt_id), at=from_micros(receipt_at), notice=unescape(notice or ""))
    reported = {"reached_at": optional(from_micros, reached_at), "read_at": optional(from_micros, read_at)}
    return PartState(part=decode_part(body), started=optional(from_micros, started), receipt=receipt, **reported)


_PATIENCE = 5
"""How often an event may be held by its own failures before those behind it pass."""
EXPIRY: Mapping[str, SqlValue] = {
    "expired": "It expired before it could be sent.",
    "unclear": "It was cut off while it was being sent, and expired: whether it arrived is not known.",
}


def due_lanes(connection: Transaction, values: Mapping[str, SqlValue], channels: int) -> list[SqlRow]:
    """(lane, channel, due) of the first in each line, of events not in line that are due, and of the next of those that falls due."""
    now: Mapping[str, SqlValue] = {"now": values["now"]}
    asked = {name: value for name, value in values.items() if name != "now"}
    rows = connection.execute(first_in_lines(channels), asked) + connection.execute(YIELDING_DUE, now)
    later = connection.execute(next_yielding(channels), values)
    return rows + [("", values["c0"], due) for (due,) in later]


def take_next(connection: Transaction, values: Mapping[str, SqlValue]) -> StoredDelivery | int | None:
    """The lane's next event, taken; or the time when one is due; or None."""
    lane: Mapping[str, SqlValue] = {"lane": values["lane"]}
    at: Mapping[str, SqlValue] = {**lane, "now": values["now"]}
    if connection.execute(LANE_IS_SENDING, lane):
        return None
    connection.execute(FALL_IN_LINE, at)
    first = connection.execute(FIRST_IN_LINE, lane)
    if first and _passed(first[0][2], values["now"]):
        connection.execute(EXPIRE_IN_LINE, {**at, **EXPIRY})
        first = connection.execute(FIRST_IN_LINE, lane)
    if first and _passed(first[0][1], values["now"]):
        seq = first[0][0]
        taken = connection.execute(TAKE, {"seq": seq, "runner": values["runner"], "lease": values["lease"]})
        return with_parts(connection, (seq, *taken[0]))
    times = [due for _, due, _ in first] + [due for (due,) in connection.execute(NEXT_IN_LANE, lane) if due is not None]
    return min(times, default=None)


def noted(
    now: int,
    *,
    plan: Sequence[OutboundPart] | None,
    receipt: tuple[int, Receipt] | None,
    start: int | None,
    maybe_duplicate: bool,
    settle: Settlement | None,
) -> list[tuple[str, dict[str, SqlValue]]]:
    """The statements of `OutboxStore.note`, each for the event `:seq`."""
    written: list[tuple[str, dict[str, SqlValue]]] = [
        (ADD_PART, {"place": place, "body": encode_json(part)}) for place, part in enumerate(plan or ())
    ]
    if receipt is not None:
        place, given = receipt
        values: dict[str, SqlValue] = {
            "place": place,
            "receipt": optional(json_column, given.message_id),
            "at": to_micros(given.at),
            "notice": json_column(given.notice) if given.notice else None,
        }
        written.append((NOTE_RECEIPT, values))
    if maybe_duplicate:
        written.append((MAYBE_TWICE, {}))
    if start is not None:
        written.append((START_PART, {"place": start, "at": now}))
    if settle is not None:
        again = settle.state == "queued"
        trouble = settle.trouble if settle.state != "sent" else None
        values = {
            "state": settle.state,
            "counts": int(settle.counts and again),
            "patience": _PATIENCE,
            "due": (now if settle.due is None else to_micros(settle.due)) if again else None,
            "ended": None if again else now,
            "code": json_column(trouble.code) if trouble else None,
            "words": json_column(trouble.words) if trouble else None,
        }
        written.append((SETTLE, values))
    return written


def _passed(at: int, now: SqlValue) -> bool:
    return isinstance(now, int) and at <= now
