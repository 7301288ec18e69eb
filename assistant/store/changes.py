"""What has changed for a person since the last look, found by the newest rows of each part: by an index, and the same for every process."""

from collections.abc import Mapping
from dataclasses import field
from typing import Final, Literal, get_args

from assistant.contracts.records import record
from assistant.store.codec import json_column, unescape
from assistant.store.database import Database, SqlValue, Transaction

Topic = Literal["sessions", "deliveries", "approvals", "tasks", "schedules", "memories", "jobs", "channels", "people", "usage"]
TOPICS: Final[tuple[Topic, ...]] = get_args(Topic)
_LOOKED_AT: Final = 100
"""Of the newest rows of each part; what changes in older ones is not told."""
LATEST_SESSIONS = """
    SELECT key, updated, title, opening, EXISTS (SELECT 1 FROM turns WHERE turns.session_id = sessions.id AND turns.ended IS NULL)
    FROM sessions WHERE owner = :person AND substr(key, 1, 5) <> 'once:' ORDER BY updated DESC, id DESC LIMIT :limit"""
LATEST_DELIVERIES = """
    SELECT seq, state, attempts, held, due, ended,
        (SELECT MAX(COALESCE(read_at, reached_at, receipt_at)) FROM outbox_parts WHERE outbox_parts.event = outbox.seq)
    FROM outbox WHERE owner = :person ORDER BY seq DESC LIMIT :limit"""
LATEST_APPROVALS = "SELECT id, state, started, ended FROM approvals WHERE person = :person ORDER BY created DESC, id DESC LIMIT :limit"
LATEST_TASKS = "SELECT id, state, cancel, started, ended FROM tasks WHERE owner = :person ORDER BY created DESC, id DESC LIMIT :limit"
LATEST_SCHEDULES = """
    SELECT id, state, next_at, last, failures, length(payload),
        (SELECT COALESCE(ended, started, instant) FROM occurrences WHERE schedule = schedules.id ORDER BY instant DESC LIMIT 1)
    FROM schedules
    WHERE owner = :person ORDER BY created DESC, id DESC LIMIT :limit"""
LATEST_MEMORIES = "SELECT id, until, superseded FROM memories WHERE owner = :person ORDER BY number DESC LIMIT :limit"
MANY_MEMORIES = "SELECT COUNT(*) FROM memories WHERE owner = :person"
LATEST_JOBS = """
    SELECT id, state, cancel, ended, (SELECT COUNT(*) + COUNT(ended) FROM job_nodes WHERE job = jobs.id)
    FROM jobs WHERE owner = :person ORDER BY id DESC LIMIT :limit"""
LATEST_USE = (
    "SELECT at, id, state, completion_tokens FROM (SELECT * FROM ledger ORDER BY at DESC, id DESC LIMIT :limit) AS l WHERE owner = :person"
)
OWN_PERSON = "SELECT name, role, zone, quiet_start, quiet_end, prefers FROM people WHERE id = :person"
OWN_IDENTITIES = "SELECT identity, created FROM identities WHERE person = :person ORDER BY created DESC LIMIT :limit"
ALL_PEOPLE = "SELECT id, name, role, zone, quiet_start, quiet_end, prefers FROM people ORDER BY created DESC, id DESC LIMIT :limit"
ALL_IDENTITIES = "SELECT person, COUNT(*) FROM identities GROUP BY person ORDER BY person LIMIT :limit"
ALL_PAIRINGS = "SELECT channel, sender_id, code FROM pairings ORDER BY created DESC LIMIT :limit"
CHANNEL_STATES = "SELECT runner, name, state, detail, since FROM channel_states ORDER BY runner, name LIMIT :limit"
_OF_ANYONE: Final[Mapping[Topic, tuple[str, ...]]] = {
    "deliveries": (LATEST_DELIVERIES,),
    "approvals": (LATEST_APPROVALS,),
    "tasks": (LATEST_TASKS,),
    "schedules": (LATEST_SCHEDULES,),
    "memories": (LATEST_MEMORIES, MANY_MEMORIES),
    "jobs": (LATEST_JOBS,),
    "usage": (LATEST_USE,),
    "people": (OWN_PERSON, OWN_IDENTITIES),
}
_OF_ADMIN: Final[Mapping[Topic, tuple[str, ...]]] = {
    **_OF_ANYONE,
    "people": (ALL_PEOPLE, ALL_IDENTITIES, ALL_PAIRINGS),
    "channels": (CHANNEL_STATES, ALL_PAIRINGS),
}


@record
class Glance:
    """How things stood. Equal marks: nothing changed."""

    marks: Mapping[Topic, int] = field(default_factory=dict[Topic, int])
    sessions: Mapping[str, int] = field(default_factory=dict[str, int])
    """By their keys, the latest first."""


class Changes:
    """Looks how things stand for a person."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, person: str, *, admin: bool) -> Glance:
        """`admin`: all people and the channels, too. Raises StoreUnavailable."""
        values: dict[str, SqlValue] = {"person": json_column(person), "limit": _LOOKED_AT}

        def read(connection: Transaction) -> Glance:
            statements = (_OF_ADMIN if admin else _OF_ANYONE).items()
            marks: dict[Topic, int] = {
                topic: hash(tuple([tuple(connection.execute(each, values)) for each in of])) for topic, of in statements
            }
            rows = connection.execute(LATEST_SESSIONS, {**values, "limit": 50})
            sessions = {unescape(row[0]): hash(row) for row in rows}
            return Glance(marks={"sessions": hash(tuple(rows)), **marks}, sessions=sessions)

        return await self._database.read(read)
