"""The rows of approvals: their statements, and how the end of a turn or of a session ends them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.approvals import Approval
from assistant.contracts.outbox import Origin, OutboundEvent
from assistant.contracts.util import derived_id
from assistant.store.codec import decode_approval, encode_json, from_micros, json_column, json_key, optional, to_micros, unescape
from assistant.store.database import SqlRow, SqlValue, Transaction
from assistant.store.task_rows import KEEP_RESULTS

ADD: Final = """
    INSERT INTO approvals (id, code, owner, session, person, state, answer, turn, place, run, created, expires, started, ended, digest, payload)
    VALUES (:id, :code, :owner, :session, :person, 'waiting', NULL, :turn, :place, NULL, :created, :expires, NULL, NULL, :digest, :payload)"""
VOID_PLACE: Final = "UPDATE approvals SET state = 'void', ended = :now WHERE turn = :turn AND place = :place AND state = 'waiting'"
COUNT_WAITING: Final = "SELECT COUNT(*) FROM approvals WHERE person = :person AND state = 'waiting' AND expires > :now"
_SELECT: Final = "SELECT payload, owner, session, person, state, answer, ended FROM approvals"
BY_ID: Final = f"{_SELECT} WHERE id = :id"
BY_CODE: Final = f"{_SELECT} WHERE code = :code ORDER BY created DESC, id DESC LIMIT 100"
OPEN: Final = f"{_SELECT} WHERE state IN ('waiting', 'approved')"
OVER: Final = f"{_SELECT} WHERE state = 'waiting' AND expires <= :now LIMIT 100"
END: Final = "UPDATE approvals SET state = :state, answer = :answer, run = :run, ended = :ended WHERE id = :id AND state = 'waiting'"
START: Final = """
    UPDATE approvals SET started = :now
    WHERE id = :id AND digest = :digest AND state = 'approved' AND (started IS NULL OR :again = 1) RETURNING id"""
STARTED: Final = "SELECT 1 FROM approvals WHERE id = :id AND digest = :digest AND state = 'approved' AND started IS NOT NULL"
ALLOW: Final = """
    INSERT INTO approval_grants (id, owner, session, person, agent, tool, likeness, at)
    VALUES (:id, :owner, :session, :person, :agent, :tool, :likeness, :now) ON CONFLICT (id) DO NOTHING"""
ALLOWED: Final = """
    SELECT likeness FROM approval_grants
    WHERE owner = :owner AND session = :session AND person = :person AND agent = :agent AND tool = :tool"""
REWRITE: Final = "UPDATE approvals SET owner = :owner, session = :session, person = :person, payload = :payload WHERE id = :id"
PURGE: Final = "DELETE FROM approvals WHERE ended < :before RETURNING id"
CANCEL_QUESTION: Final = "UPDATE outbox SET state = 'cancelled', ended = :now WHERE id = :event AND state = 'queued'"
RECEIPT: Final = """
    SELECT receipt_id FROM outbox_parts JOIN outbox ON outbox.seq = event
    WHERE outbox.id = :event AND receipt_id IS NOT NULL ORDER BY place DESC LIMIT 1"""
"""Buttons are under the last part."""

_SETTLE_CONTINUATION: Final = "UPDATE continuations SET state = 'done', ended = :at, runner = NULL WHERE turn = :turn AND state = 'taken'"
_SETTLE: Final = """
    UPDATE approvals SET state = CASE WHEN started IS NULL THEN 'void' ELSE 'done' END, ended = :at
    WHERE run = :turn AND state = 'approved'"""
_LEAVE_SESSION: Final = (
    "UPDATE approvals SET state = 'void', ended = :at WHERE owner = :owner AND session = :key AND state IN ('waiting', 'approved')",
    "DELETE FROM session_profiles WHERE owner = :owner AND session = :key",
    # What a task found is kept for its person, who can have it told elsewhere.
    "UPDATE tasks SET handover = 'kept' WHERE owner = :owner AND session = :key AND handover = 'handed'"
    " AND EXISTS (SELECT 1 FROM continuations WHERE continuations.id = tasks.continuation AND continuations.state = 'waiting')",
    "DELETE FROM continuations WHERE owner = :owner AND session = :key AND state = 'waiting'",
)
_START_OVER: Final = (
    "UPDATE sessions SET context_from = messages + 1, read = 0, revision = revision + 1 WHERE owner = :owner AND key = :key RETURNING id"
)
_FORGET_GRANTS: Final = "DELETE FROM approval_grants WHERE owner = :owner AND session = :key"


def listed(*, person: bool, waiting: bool, before: bool) -> str:
    """The statement that lists approvals, the latest first, under the conditions asked for."""
    conditions = {
        "person = :person": person,
        "state = 'waiting' AND expires > :now": waiting,
        "(created, id) < (SELECT created, id FROM approvals WHERE id = :before)": before,
    }
    asked = [condition for condition, wanted in conditions.items() if wanted]
    return f"{_SELECT} WHERE {' AND '.join(asked or ['1 = 1'])} ORDER BY created DESC, id DESC LIMIT :limit"


def columns_of(approval: Approval) -> dict[str, SqlValue]:
    """The values of its columns, and of its grant's. Raises InvalidRequest where an id is too long to be stored."""
    id, code, owner, session = json_key(approval.id, approval.code, approval.owner, approval.session)
    person, turn, place = json_key(approval.person, approval.turn_id, approval.place)
    agent, tool = json_key(approval.agent, approval.tool)
    return {
        "id": id,
        "code": code,
        "owner": owner,
        "session": session,
        "person": person,
        "turn": turn,
        "place": place,
        "agent": agent,
        "tool": tool,
        "likeness": json_column(approval.like),
        "digest": approval.digest,
        "created": to_micros(approval.created),
        "expires": to_micros(approval.expires_at),
        "payload": encode_json(approval),
    }


def decode(row: SqlRow) -> Approval:
    payload, owner, session, person, state, answer, ended = row
    approval = replace(decode_approval(payload), owner=unescape(owner), session=unescape(session), person=unescape(person))
    return replace(approval, state=state, answer=answer, ended=optional(from_micros, ended))


def closing(approval: Approval, asked: Address, text: str, message_id: str, now: datetime) -> OutboundEvent:
    """What takes the place of the message that asked."""
    return OutboundEvent(
        id=derived_id("evt", approval.id, "end"),
        address=asked,
        text=text,
        replaces=message_id,
        expires_at=now + timedelta(hours=1),
        origin=Origin(kind="notice", owner=approval.owner, session=approval.session),
    )


def settle_with_turn(connection: Transaction, turn: str, at: int) -> None:
    """The turn of a continuation has ended, and the approved call that it ran, if it ran one."""
    connection.execute(_SETTLE_CONTINUATION, {"turn": turn, "at": at})
    connection.execute(_SETTLE, {"turn": turn, "at": at})


def remove_with_session(connection: Transaction, owner: str, key: str, at: int) -> None:
    """Nothing of a session that is deleted is asked, allowed, or goes on any more. Names as stored."""
    for statement in (KEEP_RESULTS, *_LEAVE_SESSION, _FORGET_GRANTS):
        connection.execute(statement, {"owner": owner, "key": key, "at": at})


def start_over_in(connection: Transaction, owner: str, key: str) -> bool:
    """Hide what was said so far, and end what was allowed for it. Names as stored. False: there is no such session."""
    connection.execute(_FORGET_GRANTS, {"owner": owner, "key": key})
    return bool(connection.execute(_START_OVER, {"owner": owner, "key": key}))
