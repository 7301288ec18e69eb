"""A chat whose platform gave it a new id (a Telegram group that became a supergroup): what is stored of it follows."""

from dataclasses import replace
from typing import TypeVar

from assistant.contracts.addresses import Address
from assistant.contracts.approvals import Approval
from assistant.contracts.continuations import Continuation
from assistant.contracts.outbox import OutboundEvent
from assistant.contracts.schedules import NewSchedule
from assistant.store.approvals import rewrite_approvals
from assistant.store.codec import (
    decode_event,
    decode_inbound,
    decode_new_schedule,
    decode_new_task,
    encode_json,
    from_micros,
    json_key,
    unescape,
)
from assistant.store.continuations import rewrite_continuations
from assistant.store.database import SqlValue, Transaction
from assistant.store.history import owner_moved
from assistant.store.memories import move_memories

SESSIONS_OF = "SELECT id, key FROM sessions WHERE owner = :old"
IS_SESSION = "SELECT 1 FROM sessions WHERE owner = :owner AND key = :key"
RENAME_SESSION = "UPDATE sessions SET owner = :owner, key = :key WHERE id = :id"
RENAME_ATTACHMENTS = "UPDATE attachments SET owner = :owner, session = :key WHERE owner = :old AND session = :was"
RENAME_SOURCES = tuple(
    f"UPDATE {table} SET session = :key WHERE owner = :old AND session = :was"  # noqa: S608 - names of ours
    for table in ("memories", "ledger", "approval_grants", "tasks")
)
WAITING_OF = "SELECT seq, session, payload FROM inbox WHERE owner = :old AND state IN ('waiting', 'taken')"
RENAME_WAITING = "UPDATE inbox SET owner = :owner, session = :session, payload = :payload WHERE seq = :seq"
QUEUED_IN = "SELECT seq, payload, expires FROM outbox WHERE lane = :old AND state = 'queued'"
RENAME_QUEUED = "UPDATE outbox SET lane = :lane, owner = :owner, payload = :payload WHERE seq = :seq"
SCHEDULES_OF = "SELECT id, payload FROM schedules WHERE state IN ('active', 'paused', 'done') AND (owner = :old OR payload LIKE :named)"
"""A group moves once in its life: then all schedules may be looked at."""
TASKS_OF = "SELECT id, payload FROM tasks WHERE owner = :old AND handover IN ('', 'kept')"
REWRITE_TASK = "UPDATE tasks SET payload = :payload WHERE id = :id"
RENAME_SCHEDULE = "UPDATE schedules SET owner = :owner, payload = :payload WHERE id = :id"
OWNED = tuple(
    f"UPDATE {table} SET owner = :owner WHERE owner = :old"  # noqa: S608 - names of ours
    for table in ("outbox", "jobs", "files", "responses", "ledger", "approval_grants", "tasks")
)
MOVE_CHAT = """
    UPDATE chats SET chat_id = :now WHERE channel = :channel AND chat_id = :was
        AND NOT EXISTS (SELECT 1 FROM chats AS other WHERE other.channel = :channel AND other.chat_id = :now)"""
MOVE_SENDER = """
    UPDATE pairings SET sender_id = :now WHERE channel = :channel AND sender_id = :was
        AND NOT EXISTS (SELECT 1 FROM pairings AS other WHERE other.channel = :channel AND other.sender_id = :now)"""
MOVE_PAIRED_CHAT = "UPDATE pairings SET chat_id = :now WHERE channel = :channel AND chat_id = :was"

C = TypeVar("C", Approval, Continuation)


def move_chat(connection: Transaction, channel: str, was: str, now: str) -> None:
    """Rename everything of a chat. Sessions that exist under the new id already stay as they are, and so does the old one then."""
    (old, owner), (_, chat_was, chat_now) = json_key(f"{channel}:{was}", f"{channel}:{now}"), json_key(channel, was, now)
    names: dict[str, SqlValue] = {"old": old, "owner": owner}
    for row, key in connection.execute(SESSIONS_OF, {"old": old}):
        renamed = _session(key, old, owner)
        if not connection.execute(IS_SESSION, {"owner": owner, "key": renamed}):
            connection.execute(RENAME_SESSION, {"owner": owner, "key": renamed, "id": row})
            for statement in (RENAME_ATTACHMENTS, *RENAME_SOURCES):
                connection.execute(statement, {**names, "key": renamed, "was": key})
    for seq, session, payload in connection.execute(WAITING_OF, {"old": old}):
        message = decode_inbound(payload)
        moved = replace(message, address=replace(message.address, chat_id=now))
        renamed = _session(session, old, owner)
        connection.execute(RENAME_WAITING, {"seq": seq, "owner": owner, "session": renamed, "payload": encode_json(moved)})
    for seq, payload, expires in connection.execute(QUEUED_IN, {"old": old}):
        event = _moved(decode_event(payload, from_micros(expires)), f"{channel}:{was}", f"{channel}:{now}", now)
        lane, event_owner = json_key(event.address.lane, event.origin.owner)
        connection.execute(RENAME_QUEUED, {"seq": seq, "lane": lane, "owner": event_owner, "payload": encode_json(event)})
    for schedule, payload in connection.execute(SCHEDULES_OF, {"old": old, "named": f'%"chat_id":{encode_json(was)}%'}):
        new = _rescheduled(decode_new_schedule(payload), channel, was, now)
        (schedule_owner,) = json_key(new.owner)
        connection.execute(RENAME_SCHEDULE, {"id": schedule, "owner": schedule_owner, "payload": encode_json(new)})
    rewrite_continuations(connection, lambda each: _continued(each, channel, was, now))
    for task, payload in connection.execute(TASKS_OF, {"old": old}):
        asked = decode_new_task(payload)
        asked = replace(asked, address=_there(asked.address, f"{channel}:{was}", now))
        connection.execute(REWRITE_TASK, {"id": task, "payload": encode_json(asked)})
    rewrite_approvals(connection, lambda each: _continued(replace(each, asked=_there(each.asked, old, now)), channel, was, now))
    owner_moved(connection, old, owner)
    for statement in OWNED:
        connection.execute(statement, names)
    move_memories(connection, old, owner)
    ids: dict[str, SqlValue] = {"channel": channel, "was": chat_was, "now": chat_now}
    for statement in (MOVE_CHAT, MOVE_SENDER, MOVE_PAIRED_CHAT):
        connection.execute(statement, ids)


def _session(key: str, old: str, owner: str) -> str:
    """The key of a session of the chat, or of one of its threads, under the new id."""
    return owner + key.removeprefix(old) if key == old or key.startswith(f"{old}:") else key


def _there(address: Address | None, old: str, now: str) -> Address | None:
    return replace(address, chat_id=now) if address is not None and address.lane == old else address


def _rescheduled(new: NewSchedule, channel: str, was: str, now: str) -> NewSchedule:
    old, owner = f"{channel}:{was}", f"{channel}:{now}"
    address, home = _there(new.address, old, now), _there(new.home, old, now)
    session = new.session and _session(new.session, old, owner)
    return replace(new, owner=owner if new.owner == old else new.owner, session=session, address=address, home=home)


def _continued(each: C, channel: str, was: str, now: str) -> C:
    old, owner = f"{channel}:{was}", f"{channel}:{now}"
    address = _there(each.address, old, now)
    if each.owner != old:
        return replace(each, address=address)
    return replace(each, owner=owner, session=_session(each.session, old, owner), address=address)


def _moved(event: OutboundEvent, old: str, owner: str, now: str) -> OutboundEvent:
    origin = event.origin
    if origin.owner == old:
        session = origin.session and _session(unescape(origin.session), old, owner)
        origin = replace(origin, owner=owner, session=session)
    return replace(event, address=replace(event.address, chat_id=now), origin=origin)
