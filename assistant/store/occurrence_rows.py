"""The statements of occurrences, in the SQL that SQLite and PostgreSQL share, and how the end of a delivery, turn or job ends its occurrence."""

from collections.abc import Sequence
from typing import Final, Literal

from assistant.contracts.schedules import FAILURES_PAUSED, FAILURES_TOLD
from assistant.store.codec import json_column, optional
from assistant.store.database import SqlRow, SqlValue, Transaction
from assistant.store.processes import Notifier

_SCHEDULE: Final = "s.id, s.state, s.created, s.next_at, s.failures, s.last, s.payload"
"""As `schedules.SCHEDULE_COLUMNS`."""

# What is due. Conditions are written as the partial indexes have them.

EARLIEST = """
    SELECT (SELECT MIN(next_at) FROM schedules WHERE state = 'active' AND next_at IS NOT NULL),
        (SELECT MIN(instant) FROM occurrences WHERE state = 'waiting'),
        (SELECT MIN(id) FROM schedules WHERE untold = 1),
        (SELECT MIN(runner) FROM occurrences WHERE state = 'claimed' AND runner IS NOT NULL AND runner <> :runner)"""
DUE = f"""
    SELECT {_SCHEDULE}, s.watch FROM schedules AS s WHERE s.state = 'active' AND s.next_at IS NOT NULL AND s.next_at <= :now
    ORDER BY s.next_at LIMIT :most"""  # noqa: S608 - columns of this file, here and below
WAITING_DUE = f"""
    SELECT o.instant, o.root, o.round, {_SCHEDULE}, s.watch FROM occurrences AS o JOIN schedules AS s ON s.id = o.schedule
    WHERE o.state = 'waiting' AND o.instant <= :now ORDER BY o.instant LIMIT :most"""  # noqa: S608
DUE_OWNERS = """
    SELECT owner FROM (SELECT owner FROM schedules WHERE state = 'active' AND next_at IS NOT NULL AND next_at <= :now
        ORDER BY next_at LIMIT :most) AS by_rule
    UNION SELECT owner FROM (SELECT s.owner FROM occurrences AS o JOIN schedules AS s ON s.id = o.schedule
        WHERE o.state = 'waiting' AND o.instant <= :now ORDER BY o.instant LIMIT :most) AS waiting"""
DUE_RECEIVERS = """
    SELECT payload FROM (SELECT payload FROM schedules WHERE state = 'active' AND next_at IS NOT NULL AND next_at <= :now
        ORDER BY next_at LIMIT :most) AS by_rule WHERE payload LIKE '%"person":{%'
    UNION ALL SELECT payload FROM (SELECT s.payload FROM occurrences AS o JOIN schedules AS s ON s.id = o.schedule
        WHERE o.state = 'waiting' AND o.instant <= :now ORDER BY o.instant LIMIT :most) AS waiting WHERE payload LIKE '%"person":{%'"""
"""Those that name a person: within their words, quotes are escaped."""
PAUSE_OF_LOST_KEYS = """
    UPDATE schedules SET state = 'paused' WHERE state = 'active' AND next_at IS NOT NULL AND next_at <= :now
    AND owner IN (SELECT person FROM identities WHERE identity LIKE 'key:%') AND owner NOT IN (
        SELECT person FROM identities LEFT JOIN api_keys ON identity = 'key:' || api_keys.id
        WHERE identity NOT LIKE 'key:%' OR (revoked IS NULL AND (expires IS NULL OR expires > :now))) RETURNING id"""
"""A person who could reach the assistant by API keys alone, none of which holds any more, has nothing done either."""
ADVANCE = """
    UPDATE schedules SET next_at = :next_at, last = :last, zones = :zones, state = CASE WHEN :over = 1 THEN 'done' ELSE state END,
        ended = CASE WHEN :over = 1 THEN :now ELSE ended END WHERE id = :id"""
CLAIM_WAITING = """
    UPDATE occurrences SET state = :state, started = :started, ended = :ended, ref = :ref, runner = :runner, error = :error
    WHERE schedule = :schedule AND instant = :instant AND state = 'waiting'"""


# What a process works on.

HELD_BY = f"""
    SELECT o.runner, o.crashes, EXISTS (SELECT 1 FROM turns WHERE turns.id = o.ref), o.id, o.instant, o.ref, o.error, o.material, {_SCHEDULE}, s.watch
    FROM occurrences AS o JOIN schedules AS s ON s.id = o.schedule
    WHERE o.state = 'claimed' AND o.runner IS NOT NULL AND o.runner <> :runner ORDER BY o.instant"""  # noqa: S608
HOLD = "UPDATE occurrences SET runner = :runner, crashes = :crashes WHERE id = :id"
GIVE_BACK = "UPDATE occurrences SET runner = :no_runner WHERE id = :id AND runner = :runner AND state = 'claimed'"
LEAVE = "UPDATE occurrences SET runner = NULL WHERE id = :id AND runner = :runner"
FOUND = "UPDATE occurrences SET ref = :ref, material = :material WHERE id = :id AND runner = :runner AND state = 'claimed' RETURNING id"
SAW = "UPDATE schedules SET watch = :watch WHERE id = :id"

COUNTS = "SELECT state, count(*) FROM occurrences GROUP BY state"

# Ends.

_END = """
    UPDATE occurrences
    SET state = CASE WHEN state = 'claimed' AND error IS NOT NULL AND :state IN ('delivered', 'done') THEN 'missed' ELSE :state END,
        ended = :now, runner = NULL, error = COALESCE(:error, CASE WHEN state = 'claimed' THEN error END)"""
END_BY: Final = {
    "id": f"{_END} WHERE id = :key AND state = 'claimed' RETURNING schedule",
    "ref": f"{_END} WHERE ref = :key AND state IN ('claimed', 'failed') RETURNING schedule",
    "report": f"{_END} WHERE ref = :key AND state IN ('claimed', 'delivered') RETURNING schedule",
}
DELIVERS = "UPDATE occurrences SET ref = :event, runner = NULL WHERE ref = :turn AND state = 'claimed' RETURNING id"
FAIL = f"""
    UPDATE schedules SET failures = failures + 1,
        untold = CASE WHEN next_at IS NULL OR failures + 1 IN ({FAILURES_TOLD}, {FAILURES_PAUSED}) THEN 1 ELSE untold END,
        state = CASE WHEN state = 'active' AND failures + 1 >= {FAILURES_PAUSED} THEN 'paused' ELSE state END,
        next_at = CASE WHEN failures + 1 >= {FAILURES_PAUSED} THEN NULL ELSE next_at END
    WHERE id = :id"""  # noqa: S608 - numbers of ours
SUCCEED = "UPDATE schedules SET failures = 0 WHERE id = :id AND failures > 0"
UNTOLD = f"SELECT {_SCHEDULE} FROM schedules AS s WHERE s.untold = 1"  # noqa: S608
TOLD = "UPDATE schedules SET untold = 0 WHERE id = :id AND untold = 1 RETURNING id"

FOLLOW = """
    UPDATE occurrences SET ref = :next, state = 'claimed', ended = NULL
    WHERE ref = :event AND state IN ('claimed', 'delivered')"""

LOST = """
    SELECT o.ref, x.state FROM occurrences AS o JOIN outbox AS x ON x.id = o.ref
    WHERE o.state = 'claimed' AND x.state IN ('expired', 'unknown', 'cancelled')"""
"""Deliveries that ended without a try."""

# Upkeep.

STALE = f"SELECT {_SCHEDULE} FROM schedules AS s WHERE s.state = 'active' AND s.next_at IS NOT NULL AND s.zones <> :zones LIMIT :most"  # noqa: S608
REZONE = "UPDATE schedules SET next_at = :next_at, zones = :zones WHERE id = :id"
PURGE = "DELETE FROM occurrences WHERE ended < :before RETURNING id"
PURGE_SCHEDULES = """
    DELETE FROM schedules WHERE ended < :before AND NOT EXISTS (SELECT 1 FROM occurrences WHERE schedule = schedules.id)"""

Ending = Literal["delivered", "done", "failed", "skipped", "missed"]


def note_end(
    connection: Transaction,
    notifier: Notifier,
    by: Literal["id", "ref", "report"],
    key: str,
    state: Ending,
    now: int,
    error: str | None = None,
) -> bool:
    """End a claimed occurrence by its id, or by that of its delivery, turn or job (as stored). One whose delivery failed and was sent later is
    delivered after all; "report": one that was delivered ends, too. Counts the schedule's failures. True: it failed, so call
    `notifier.announced` after the commit."""
    values: dict[str, SqlValue] = {"key": key, "state": state, "now": now, "error": optional(json_column, error)}
    ended = connection.execute(END_BY[by], values)
    failed = False
    for (schedule,) in ended:
        if state == "failed":
            connection.execute(FAIL, {"id": schedule})
            notifier.announce(connection)
            failed = True
        elif state in ("delivered", "done"):
            connection.execute(SUCCEED, {"id": schedule})
    return failed


UNSENT: Final = {
    "failed": "the message could not be delivered",
    "expired": "the message could not be delivered in time",
    "unknown": "the message may not have arrived",
    "cancelled": "its message was cancelled",
}


def end_with_delivery(connection: Transaction, notifier: Notifier, event: str, state: str, now: int) -> bool:
    """A delivery ended in this state. True: as `note_end`."""
    ending: Ending = "delivered" if state == "sent" else "skipped" if state == "cancelled" else "failed"
    return note_end(connection, notifier, "ref", event, ending, now, UNSENT.get(state))


def follow_delivery(connection: Transaction, event: str, following: str) -> None:
    """Another delivery takes the place of one that failed: its end is the occurrence's."""
    connection.execute(FOLLOW, {"event": event, "next": following})


def end_undelivered(connection: Transaction, notifier: Notifier, event: str, now: int) -> bool:
    """A delivery that was sent did not arrive, as the platform reported later. True: as `note_end`."""
    return note_end(connection, notifier, "report", event, "failed", now, UNSENT["failed"])


def end_lost(connection: Transaction, notifier: Notifier, lost: Sequence[SqlRow], now: int) -> bool:
    """End the occurrences whose deliveries expired or were cancelled: the rows of `LOST`. True: as `note_end`."""
    return any([end_with_delivery(connection, notifier, event, state, now) for event, state in lost])  # noqa: C419 - all of them


def end_with_turn(connection: Transaction, notifier: Notifier, turn: str, events: list[str], now: int, error: str | None) -> bool:
    """A turn ended: with an answer that is to be delivered, the occurrence ends with that; else it is done, or failed for `error`. True: as
    `note_end`."""
    if error is None and events:
        connection.execute(DELIVERS, {"turn": turn, "event": events[-1]})
        return False
    why = None if error is None else f"its turn failed ({error})"
    return note_end(connection, notifier, "ref", turn, "done" if error is None else "failed", now, why)


def end_with_job(connection: Transaction, notifier: Notifier, job: str, state: str, now: int) -> None:
    """A job ended in this state. After a failed one, call `notifier.announced`."""
    ending: Ending = "done" if state == "completed" else "skipped" if state == "cancelled" else "failed"
    note_end(
        connection,
        notifier,
        "ref",
        job,
        ending,
        now,
        None if ending == "done" else f"the job was {state}" if ending == "skipped" else "the job failed",
    )
