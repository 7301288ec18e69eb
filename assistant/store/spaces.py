"""A space, everything of one owner: moved to another owner, exported, deleted."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Final

import orjson

from assistant.contracts.continuations import Continuation
from assistant.store.codec import decode_event, decode_inbound, decode_new_schedule, encode_json, from_micros, unescape
from assistant.store.continuations import rewrite_continuations
from assistant.store.database import SqlRow, SqlValue, Transaction
from assistant.store.history import owner_moved
from assistant.store.memories import move_memories

OWNED: Final = (
    *("approval_grants", "approvals", "attachments", "audit", "continuations", "files", "inbox", "jobs"),
    *("ledger", "outbox", "responses", "schedules", "sessions", "tasks"),
)
"""The tables whose rows belong to a space, by their column `owner`: they are moved, exported and deleted with it."""
OF_MEMORY: Final = ("memories", "memory_tombstones", "memory_owners", "session_profiles")
"""Those too, but they move by rules of their own (`memories.move_memories`)."""
OF_SEARCH: Final = ("search_vectors", "search_terms", "search_entries")
"""What is indexed of a space, by its row in `search_spaces`; it is made again from the rest, and never exported."""
NOT_OF_A_SPACE: Final[Mapping[str, str]] = {
    "answers": "belong to the credential that repeats its request, and last a day",
    "search_spaces": "are made again from what is said and remembered",
    "limit_uses": "count what a credential uses, and last a minute",
}
"""The other tables with such a column, and why. A test compares both with the tables."""

SESSIONS_IN = "SELECT id, key FROM sessions WHERE owner = :old"
IS_TAKEN = "SELECT 1 FROM sessions WHERE owner = :owner AND key = :key"
RENAME = (
    "UPDATE sessions SET key = :key WHERE owner = :old AND key = :was",
    "UPDATE attachments SET session = :key WHERE owner = :old AND session = :was",
    "UPDATE inbox SET session = :key WHERE owner = :old AND session = :was",
    "UPDATE responses SET session = :key WHERE owner = :old AND session = :was",
    "UPDATE memories SET session = :key WHERE owner = :old AND session = :was",
    "UPDATE ledger SET session = :key WHERE owner = :old AND session = :was",
    "UPDATE tasks SET session = :key WHERE owner = :old AND session = :was",
    "UPDATE audit SET session = :key WHERE owner = :old AND session = :was",
    "UPDATE approvals SET session = :key WHERE owner = :old AND session = :was",
    "UPDATE approval_grants SET session = :key WHERE owner = :old AND session = :was",
)
UNSENT_IN = "SELECT seq, payload, expires FROM outbox WHERE owner = :old AND state IN ('queued', 'sending')"
REWRITE_EVENT = "UPDATE outbox SET payload = :payload WHERE seq = :seq"
ANSWERS = tuple(f"UPDATE {table} SET person = :owner WHERE person = :old" for table in ("approvals", "approval_grants"))  # noqa: S608 - as below
"""Who may answer."""
OWN = tuple(f"UPDATE {table} SET owner = :owner WHERE owner = :old" for table in OWNED)  # noqa: S608 - names of ours
AT_WORK = (
    "SELECT 1 FROM turns, sessions WHERE sessions.id = turns.session_id AND sessions.owner = :owner AND turns.ended IS NULL LIMIT 1",
    "SELECT 1 FROM inbox WHERE owner = :owner AND state = 'taken' LIMIT 1",
    "SELECT 1 FROM continuations WHERE owner = :owner AND state = 'taken' LIMIT 1",
    "SELECT 1 FROM tasks WHERE owner = :owner AND state = 'running' LIMIT 1",
    "SELECT 1 FROM jobs WHERE owner = :owner AND ended IS NULL LIMIT 1",
    "SELECT 1 FROM responses WHERE owner = :owner AND state = 'running' LIMIT 1",
)
DIGESTS_IN = (
    "SELECT digest FROM attachments WHERE owner = :owner",
    "SELECT digest FROM files WHERE owner = :owner",
    "SELECT response_files.digest FROM response_files, responses WHERE responses.id = response AND responses.owner = :owner",
)
DELETE = (
    *[f"DELETE FROM {table} WHERE space IN (SELECT id FROM search_spaces WHERE owner = :owner)" for table in OF_SEARCH],  # noqa: S608 - as above
    *[f"DELETE FROM {table} WHERE owner = :owner" for table in (*OF_MEMORY, "search_spaces", *OWNED)],  # noqa: S608 - as above
)
SCHEDULES_OF = "SELECT id, payload FROM schedules WHERE owner = :old"
REWRITE_SCHEDULE = "UPDATE schedules SET payload = :payload WHERE id = :id"
GIVE_SCHEDULE = "UPDATE schedules SET owner = :owner, payload = :payload WHERE id = :id"
PAUSE_SCHEDULE = "UPDATE schedules SET state = 'paused', next_at = NULL WHERE id = :id AND state = 'active'"
PRIVATE_OF = "SELECT payload FROM inbox WHERE owner = :old AND channel = :channel AND payload LIKE :sender"
FORGET_SUMS = "DELETE FROM budget_windows WHERE subject = :subject"
"""They are made again from the ledger."""
FORGET_BUDGETS = "DELETE FROM budgets WHERE subject = :subject"
MESSAGES_IN = "SELECT seq, at, payload FROM messages WHERE session_id = :id ORDER BY seq"
_COLUMNS: Final = {
    "sqlite": "SELECT name FROM pragma_table_info(:table) ORDER BY cid",
    "postgresql": "SELECT column_name FROM information_schema.columns"
    " WHERE table_schema = current_schema() AND table_name = :table ORDER BY ordinal_position",
}
_JSON: Final = frozenset({"payload", "results", "outcome", "label", "input", "body", "context"})
"""Columns that hold JSON."""


def is_at_work(connection: Transaction, owner: str) -> bool:
    """Whether a turn, a job or a response of the space is under way. `owner`: as stored, here and below."""
    return any(connection.execute(statement, {"owner": owner}) for statement in AT_WORK)


def move_space(connection: Transaction, old: str, owner: str) -> None:
    """Give everything of one owner to another. A session whose key the other has too becomes `<key>~2`."""
    names: dict[str, SqlValue] = {"old": old, "owner": owner}
    renamed: dict[str, str] = {}
    for _, key in connection.execute(SESSIONS_IN, {"old": old}):
        if connection.execute(IS_TAKEN, {"owner": owner, "key": key}):
            free = (f"{key}~{number}" for number in count(2))
            renamed[key] = next(
                name for name in free if not any(connection.execute(IS_TAKEN, {"owner": of, "key": name}) for of in (owner, old))
            )
    for was, key in renamed.items():
        for statement in RENAME:
            connection.execute(statement, {"old": old, "was": was, "key": key})
    shown = {unescape(was): unescape(key) for was, key in renamed.items()}
    for seq, payload, expires in connection.execute(UNSENT_IN, {"old": old}):
        event = decode_event(payload, from_micros(expires))
        session = event.origin.session
        origin = replace(event.origin, owner=unescape(owner), session=session and shown.get(session, session))
        connection.execute(REWRITE_EVENT, {"seq": seq, "payload": encode_json(replace(event, origin=origin))})
    for schedule, payload in connection.execute(SCHEDULES_OF, {"old": old}):
        new = decode_new_schedule(payload)
        new = replace(new, owner=unescape(owner), session=new.session and shown.get(new.session, new.session))
        connection.execute(REWRITE_SCHEDULE, {"id": schedule, "payload": encode_json(new)})
    rewrite_continuations(connection, lambda each: _continued(each, unescape(old), unescape(owner), shown))
    move_memories(connection, old, owner)
    owner_moved(connection, old, owner)
    for statement in (*OWN, *ANSWERS):
        connection.execute(statement, names)
    for subject in (old, owner):
        connection.execute(FORGET_SUMS, {"subject": f"person:{subject}"})
    connection.execute(FORGET_BUDGETS, {"subject": f"person:{old}"})


def _continued(each: Continuation, old: str, owner: str, sessions: Mapping[str, str]) -> Continuation:
    if each.owner == old:
        each = replace(each, owner=owner, session=sessions.get(each.session, each.session))
    return replace(each, asker=owner) if each.asker == old else each


def separate_schedules(connection: Transaction, old: str, owner: str, identity: str) -> None:
    """After an identity was separated from a person: what was planned in its private chats is its own, and what else was to be delivered there is
    paused. All as stored."""
    channel, _, sender = unescape(identity).partition(":")
    lanes = {unescape(identity)}
    for (payload,) in connection.execute(PRIVATE_OF, {"old": old, "channel": channel, "sender": f'%"id":{encode_json(sender)}%'}):
        message = decode_inbound(payload)
        lanes |= {message.address.lane} if message.private and message.sender.id == sender else set()
    for schedule, payload in connection.execute(SCHEDULES_OF, {"old": old}):
        new = decode_new_schedule(payload)
        if new.home is not None and new.home.lane in lanes:
            payload = encode_json(replace(new, owner=unescape(owner)))
            connection.execute(GIVE_SCHEDULE, {"id": schedule, "owner": owner, "payload": payload})
        elif new.address is not None and new.address.lane in lanes:
            connection.execute(PAUSE_SCHEDULE, {"id": schedule})


def delete_space(connection: Transaction, owner: str) -> list[str]:
    """Delete everything of an owner; returns the digests of files that may have no holder any more."""
    digests = [digest for statement in DIGESTS_IN for (digest,) in connection.execute(statement, {"owner": owner})]
    for statement in DELETE:
        connection.execute(statement, {"owner": owner})
    for statement in (FORGET_SUMS, FORGET_BUDGETS):
        connection.execute(statement, {"subject": f"person:{owner}"})
    return list(dict.fromkeys(digests))


def export_space(connection: Transaction, owner: str) -> dict[str, Any]:
    """Everything of an owner, by table, as JSON takes it; sessions with their messages. Times are microseconds since 1970."""
    exported: dict[str, Any] = {table: _rows(connection, table, owner) for table in (*OWNED, *OF_MEMORY)}
    for delivery in exported["outbox"]:
        person: dict[str, Any] | None = delivery["payload"].get("person")
        if person and person["hidden"]:  # where another person is reached is theirs
            person["tried"] = []
            delivery["payload"]["address"] = delivery["channel"] = delivery["lane"] = delivery["trouble_words"] = None
    for session in exported["sessions"]:
        messages = connection.execute(MESSAGES_IN, {"id": session.pop("id")})
        session["messages"] = [{"seq": seq, "at": at, **orjson.loads(payload)} for seq, at, payload in messages]
    return exported


def _rows(connection: Transaction, table: str, owner: str) -> list[dict[str, Any]]:
    names = [name for (name,) in connection.execute(_COLUMNS[connection.dialect], {"table": table}) if name != "owner"]
    statement = f"SELECT {', '.join(names)} FROM {table} WHERE owner = :owner ORDER BY 1"  # noqa: S608 - names of ours
    return [_plain(names, row) for row in connection.execute(statement, {"owner": owner})]


def _plain(names: list[str], row: SqlRow) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in zip(names, row, strict=True)}


def _value(name: str, value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if not isinstance(value, str):
        return value
    return orjson.loads(value) if name in _JSON else unescape(value)
