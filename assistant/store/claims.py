"""What is claimed next, and what is written under a claim: the transactions of the outbox, as plain code on a connection."""

from collections.abc import Mapping, Sequence

from assistant.contracts.outbox import OutboundPart, Receipt, Settlement
from assistant.store import outbox_statements as sql
from assistant.store.connection import Connection, Row, Value
from assistant.store.deliveries import Stored, with_parts
from assistant.store.envelopes import column, encode
from assistant.store.times import to_micros

_PATIENCE = 5
"""How often an event may have been held by trouble of its own before those behind it pass."""
EXPIRY: Mapping[str, Value] = {
    "expired": "It expired before it could be sent.",
    "unclear": "It was cut off while it was being sent, and expired: whether it arrived is not known.",
}


def due_lanes(connection: Connection, values: Mapping[str, Value], channels: int) -> list[Row]:
    """(lane, channel, due) of what is first in line, of what may be sent besides, and of what may be sent next."""
    now: Mapping[str, Value] = {"now": values["now"]}
    asked = {name: value for name, value in values.items() if name != "now"}
    rows = connection.execute(sql.first_in_lines(channels), asked) + connection.execute(sql.YIELDING_DUE, now)
    later = connection.execute(sql.next_yielding(channels), values)
    return rows + [("", values["c0"], due) for (due,) in later]


def take_next(connection: Connection, values: Mapping[str, Value]) -> Stored | int | None:
    """The lane's next event, taken; or when there will be one; or None."""
    lane: Mapping[str, Value] = {"lane": values["lane"]}
    at: Mapping[str, Value] = {**lane, "now": values["now"]}
    if connection.execute(sql.LANE_IS_SENDING, lane):
        return None
    connection.execute(sql.FALL_IN_LINE, at)
    first = connection.execute(sql.FIRST_IN_LINE, lane)
    if first and _passed(first[0][2], values["now"]):
        connection.execute(sql.EXPIRE_IN_LINE, {**at, **EXPIRY})
        first = connection.execute(sql.FIRST_IN_LINE, lane)
    if first and _passed(first[0][1], values["now"]):
        seq = first[0][0]
        taken = connection.execute(sql.TAKE, {"seq": seq, "runner": values["runner"], "lease": values["lease"]})
        return with_parts(connection, (seq, *taken[0]))
    times = [due for _, due, _ in first] + [due for (due,) in connection.execute(sql.NEXT_IN_LANE, lane) if due is not None]
    return min(times, default=None)


def noted(
    now: int,
    *,
    plan: Sequence[OutboundPart] | None,
    receipt: tuple[int, Receipt] | None,
    start: int | None,
    maybe_duplicate: bool,
    settle: Settlement | None,
) -> list[tuple[str, dict[str, Value]]]:
    """The statements of `OutboxStore.note`, each on an event `:seq`."""
    written: list[tuple[str, dict[str, Value]]] = [
        (sql.ADD_PART, {"place": place, "body": encode(part)}) for place, part in enumerate(plan or ())
    ]
    if receipt is not None:
        place, given = receipt
        message_id = column(given.message_id) if given.message_id is not None else None
        written.append((sql.NOTE_RECEIPT, {"place": place, "receipt": message_id, "at": to_micros(given.at)}))
    if maybe_duplicate:
        written.append((sql.MAYBE_TWICE, {}))
    if start is not None:
        written.append((sql.START_PART, {"place": start, "at": now}))
    if settle is not None:
        written.append((sql.SETTLE, _settled(settle, now)))
    return written


def _settled(settle: Settlement, now: int) -> dict[str, Value]:
    again = settle.state == "queued"
    trouble = settle.trouble if settle.state != "sent" else None
    return {
        "state": settle.state,
        "counts": int(settle.counts and again),
        "patience": _PATIENCE,
        "due": (to_micros(settle.due) if settle.due is not None else now) if again else None,
        "ended": None if again else now,
        "code": column(trouble.code) if trouble is not None else None,
        "words": column(trouble.words) if trouble is not None else None,
    }


def _passed(at: int, now: Value) -> bool:
    return isinstance(now, int) and at <= now
