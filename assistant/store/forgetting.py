"""Forgets: a memory, its index, its older versions, and every trace of its words, in one transaction."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import orjson

from assistant.contracts.memory import FORGOTTEN, Memory
from assistant.contracts.statements import digest, fingerprint, keys, normal, without
from assistant.contracts.util import Clock, utc_now
from assistant.store import search
from assistant.store.codec import json_column, to_micros, unescape
from assistant.store.database import Database, SqlValue, Transaction
from assistant.store.memories import BY_ID, COLUMNS, memory, profile_line
from assistant.store.processes import Notifier
from assistant.store.titles import renew_opening

log = logging.getLogger(__name__)

OLDER = f"SELECT {COLUMNS} FROM memories WHERE owner = :owner AND superseded = :id"  # noqa: S608 - columns of this store
REMOVE = "DELETE FROM memories WHERE id = :id"
BURY = """
    INSERT INTO memory_tombstones (owner, digest, words, at) VALUES (:owner, :digest, :words, :at)
    ON CONFLICT (owner, digest) DO UPDATE SET at = excluded.at"""
PROFILES = "SELECT session, text FROM session_profiles WHERE owner = :owner"
CHANGE_PROFILE = "UPDATE session_profiles SET text = :text WHERE owner = :owner AND session = :session"
RECALLED = """
    SELECT m.session_id, m.seq, m.payload FROM messages AS m JOIN sessions AS s ON s.id = m.session_id
    WHERE s.owner = :owner AND m.role = 'user' AND m.payload LIKE :mark"""
CHANGE_MESSAGE = "UPDATE messages SET payload = :payload WHERE session_id = :session AND seq = :seq"
CHANGE_TITLE = "UPDATE sessions SET title = :title WHERE id = :id"
EDITED = "UPDATE sessions SET revision = revision + 1 WHERE id = :session"
UNKEEP_ANSWERS = """
    UPDATE answers SET state = 'not_kept', status = NULL, headers = NULL, body = NULL
    WHERE state = 'finished' AND (owner = :owner OR owner IN (SELECT identity FROM identities WHERE person = :owner))"""
"""What repeated requests would be answered: a stream's words are spread over its events, so none of them stays."""
MARKED = """
    SELECT k.space, m.at, m.role FROM search_marks AS k JOIN messages AS m ON m.session_id = k.session_id
    WHERE k.session_id = :session AND m.seq = :seq AND k.seq >= :seq"""
_PAYLOADS: Final[Mapping[str, tuple[str, ...]]] = {
    "inbox": ("payload",), "outbox": ("payload",), "responses": ("input", "body"), "jobs": ("payload", "results"),
    "schedules": ("payload", "watch"), "tasks": ("payload", "outcome"),
    "approvals": ("payload",), "continuations": ("payload",),
}  # fmt: skip
"""Where else words that were said are kept, each for some time."""
_OVER: Final[Mapping[str, str]] = {
    "inbox": "state NOT IN ('waiting', 'taken')",
    "outbox": "state NOT IN ('queued', 'sending')",
    "responses": "state <> 'running'",
    "jobs": "ended IS NOT NULL",
    "schedules": "state IN ('done', 'cancelled')",
    "tasks": "ended IS NOT NULL",
    "approvals": "state NOT IN ('waiting', 'approved')",
    "continuations": "state = 'done'",
}
_KEY: Final[Mapping[str, str]] = {**dict.fromkeys(_PAYLOADS, "id"), "inbox": "seq", "outbox": "seq"}
Redact = Callable[[Transaction, str, Sequence[str]], object]
"""(connection, owner, texts): removes what mentions the texts, in this transaction."""


class Forgetting:
    """What forgets. `redact`: what other parts derived from what was said, such as summaries."""

    def __init__(self, database: Database, notifier: Notifier, *, redact: Sequence[Redact] = (), clock: Clock = utc_now) -> None:
        self._database = database
        self._notifier = notifier
        self._redact = redact
        self._clock = clock

    async def forget(self, owner: str, ids: Sequence[str], *, everywhere: bool = False) -> Sequence[Memory]:
        """Forget these memories of the owner, with their older versions; returns all that are gone. `everywhere`: also in what was said. What is
        gone is in no table, and on SQLite in no byte of the file, once this returns. Raises StoreUnavailable."""
        now = to_micros(self._clock())

        def remove(connection: Transaction) -> list[Memory]:
            gone: dict[str, Memory] = {}
            waiting = [memory(row) for id in ids for row in connection.execute(BY_ID, {"id": json_column(id)})]
            while waiting:
                each = waiting.pop()
                if each.owner == owner and each.id not in gone:
                    gone[each.id] = each
                    waiting += [memory(row) for row in connection.execute(OLDER, {"owner": json_column(owner), "id": each.id})]
            for each in gone.values():
                _remove(connection, each, now)
            if gone:
                texts = [each.text for each in gone.values()]
                self._unsay(connection, owner, list(gone.values()))
                connection.execute(UNKEEP_ANSWERS, {"owner": json_column(owner)})
                if everywhere:
                    _black_out(connection, owner, texts)
                self._notifier.announce(connection)
            return list(gone.values())

        gone = await self._database.write(remove)
        if gone:
            self._notifier.announced()
            await self._scrub()
        return gone

    async def black_out(self, owner: str, session: str, texts: Sequence[str]) -> None:
        """Remove the words of statements from a session, too: from what a turn said of them while they were forgotten."""
        await self._database.write(lambda connection: _black_out(connection, owner, texts, session))
        await self._scrub()

    async def _scrub(self) -> None:
        if not await self._database.scrub():
            log.warning("memory.log_not_emptied")  # a reader was at work all the time: the next time that something is forgotten

    def _unsay(self, connection: Transaction, owner: str, gone: Sequence[Memory]) -> None:
        """From what was derived: profiles, what was recalled, summaries."""
        lines = {profile_line(each).strip() for each in gone}
        values: dict[str, SqlValue] = {"owner": json_column(owner)}
        for session, text in connection.execute(PROFILES, values):
            if (kept := _without_lines(unescape(text), lines)) != unescape(text):
                connection.execute(CHANGE_PROFILE, {**values, "session": session, "text": json_column(kept)})
        for session, seq, payload in connection.execute(RECALLED, {**values, "mark": '%"recalled":true%'}):
            message = orjson.loads(payload)
            parts: list[dict[str, Any]] = []
            for part in message["parts"]:
                text = _without_lines(part["text"], lines) if part.get("recalled") else None
                parts += [part if text is None else {**part, "text": text}] if text != "" else []
            if parts != message["parts"]:
                _change(connection, session, seq, orjson.dumps({**message, "parts": parts}).decode())
        for redact in self._redact:
            redact(connection, owner, [each.text for each in gone])


def _remove(connection: Transaction, each: Memory, now: int) -> None:
    search.remove(connection, each.owner, "memory", each.id)
    connection.execute(REMOVE, {"id": each.id})
    grave: dict[str, SqlValue] = {"owner": json_column(each.owner), "at": now}
    words = fingerprint(each.text)
    connection.execute(BURY, {**grave, "digest": digest(normal(each.text)), "words": words})
    if each.about:
        connection.execute(BURY, {**grave, "digest": digest(f"about:{each.about}"), "words": ""})


def _without_lines(text: str, lines: set[str]) -> str:
    """A profile, or what was recalled, without these lines; empty where no other is left."""
    kept = [line for line in text.split("\n") if line.strip() not in lines]
    return "\n".join(kept) if any(line.startswith("- ") for line in kept) else ""


def _change(connection: Transaction, session: int, seq: int, payload: str) -> None:
    """Store a message anew, and index it so."""
    values: dict[str, SqlValue] = {"session": session, "seq": seq, "payload": payload}
    connection.execute(CHANGE_MESSAGE, values)
    connection.execute(EDITED, values)
    renew_opening(connection, session)
    search.remove_message(connection, session, seq)
    for space, at, role in connection.execute(MARKED, values):
        if words := search.words_of(role, payload):
            search.add_entry(connection, space, {"ref": None, "session": session, "seq": seq, "at": at, "text": None}, words)


def _black_out(connection: Transaction, owner: str, texts: Sequence[str], session: str | None = None) -> None:
    """Replace the sentences that mention a statement, wherever its owner's words are kept; with `session` in that one alone."""
    values: dict[str, SqlValue] = {"owner": json_column(owner), "key": session and json_column(session)}
    likely, found = _likely(texts)
    one = "" if session is None else " AND key = :key"
    words = f"""
        SELECT session_id, seq, payload FROM messages
        WHERE session_id IN (SELECT id FROM sessions WHERE owner = :owner{one}) AND {likely("payload")}"""  # noqa: S608 - as above
    for row, seq, payload in connection.execute(words, {**values, **found}):
        if (changed := redacted(payload, texts)) != payload:
            _change(connection, row, seq, changed)
    titles = f"SELECT id, title FROM sessions WHERE owner = :owner{one} AND {likely('title')}"  # noqa: S608 - as above
    for row, title in connection.execute(titles, {**values, **found}):
        if (changed := without(unescape(title), texts, FORGOTTEN)) != unescape(title):
            connection.execute(CHANGE_TITLE, {"id": row, "title": json_column(changed)})
    for table, columns in _PAYLOADS.items() if session is None else ():
        for column in columns:
            rows = f"SELECT {_KEY[table]}, {column} FROM {table} WHERE owner = :owner AND {_OVER[table]} AND {likely(column)}"  # noqa: S608 - names of ours
            for key, payload in connection.execute(rows, {**values, **found}):
                if (changed := redacted(payload, texts)) != payload:
                    change = f"UPDATE {table} SET {column} = :payload WHERE {_KEY[table]} = :key"  # noqa: S608 - names of ours
                    connection.execute(change, {"payload": changed, "key": key})


def _likely(texts: Sequence[str]) -> tuple[Callable[[str], str], dict[str, SqlValue]]:
    """(column → the condition that it may hold one of the texts, its parameters): by their longest words, but for the first letter's case."""
    words = sorted({word[1:] for text in texts for word in sorted(keys(text), key=len)[-3:]})
    found: dict[str, SqlValue] = {f"word{place}": f"%{_pattern(word)}%" for place, word in enumerate(words)}

    def condition(column: str) -> str:
        return "(" + (" OR ".join(f"lower({column}) LIKE :{name} ESCAPE '!'" for name in found) or "1 = 0") + ")"

    return condition, found


def _pattern(word: str) -> str:
    return word.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def redacted(payload: str, texts: Sequence[str]) -> str:
    """JSON whose words no more mention the statements; the arguments of calls stay JSON."""

    def walk(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {each: walk(inner, each) for each, inner in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [walk(inner) for inner in cast("list[Any]", value)]
        if not isinstance(value, str):
            return value
        if name == "arguments" and (inner := _json(value)) is not None:
            changed = walk(inner)
            return value if changed == inner else orjson.dumps(changed).decode()
        return without(value, texts, FORGOTTEN)

    value = orjson.loads(payload)
    changed = walk(value)
    return payload if changed == value else orjson.dumps(changed).decode()


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None
