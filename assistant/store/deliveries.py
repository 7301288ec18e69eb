"""Deliveries out of the rows of the outbox."""

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.contracts.outbox import Claim, Delivery, PartState, Receipt, Trouble
from assistant.store import outbox_statements as sql
from assistant.store.codec import unescape
from assistant.store.connection import Connection, Row, Value
from assistant.store.envelopes import decode_event, decode_part
from assistant.store.times import from_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An event's row and the rows of its parts: read within a transaction, decoded outside of it."""

    row: Row
    parts: Sequence[Row]


def find(connection: Connection, owner: str | None, event_id: str) -> Stored | None:
    """By the event's id and its owner, both as stored; `owner` None: anybody's."""
    rows = connection.execute(sql.DELIVERY, {"id": event_id})
    return with_parts(connection, rows[0]) if rows and owner in {None, rows[0][-1]} else None


def with_parts(connection: Connection, row: Row) -> Stored:
    """`row`: of which the first is the event's seq."""
    seq: Value = row[0]
    return Stored(row=row, parts=connection.execute(sql.PARTS, {"seq": seq}))


def delivery(stored: Stored) -> Delivery:
    """Of the columns of `outbox_statements.DELIVERY`."""
    _, payload, state, attempts, created, due, expires, ended, code, words, maybe_duplicate, _ = stored.row
    return Delivery(
        event=decode_event(payload, from_micros(expires)),
        state=state,
        attempts=attempts,
        created=from_micros(created),
        due=from_micros(due),
        ended=from_micros(ended) if ended is not None else None,
        trouble=Trouble(code=unescape(code), words=unescape(words)) if code is not None else None,
        maybe_duplicate=bool(maybe_duplicate),
        parts=_parts(stored.parts),
    )


def claim(stored: Stored) -> Claim:
    """Of the event's seq and the columns that `outbox_statements.TAKE` returns."""
    _, payload, expires, fence, attempts, held, maybe_duplicate = stored.row
    return Claim(
        event=decode_event(payload, from_micros(expires)),
        fence=fence,
        attempts=attempts,
        held=held,
        maybe_duplicate=bool(maybe_duplicate),
        parts=_parts(stored.parts),
    )


def _parts(rows: Sequence[Row]) -> tuple[PartState, ...]:
    return tuple([_part(*row) for row in rows])


def _part(body: str, started: int | None, receipt_id: str | None, receipt_at: int | None) -> PartState:
    receipt: Receipt | None = None
    if receipt_at is not None:
        receipt = Receipt(message_id=unescape(receipt_id) if receipt_id is not None else None, at=from_micros(receipt_at))
    return PartState(part=decode_part(body), started=from_micros(started) if started is not None else None, receipt=receipt)
