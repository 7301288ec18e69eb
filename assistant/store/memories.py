"""Memories: what is kept of a person's world, and the profile that a session's prompts begin with."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from assistant.contracts.memory import ForgottenOnce, Memory, MemoryNotFound, MemorySource, Statement
from assistant.contracts.provenance import UNTRUSTED
from assistant.contracts.statements import digest, normal, resembles, slug, subject_of, supersedes
from assistant.contracts.util import Clock, new_id, utc_now
from assistant.store import search
from assistant.store.codec import from_micros, json_column, json_key, optional, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue, Transaction
from assistant.store.processes import Notifier

COLUMNS: Final = "id, owner, number, text, kind, provenance, about, session, message, seq, learned, seen, until, superseded"
ADD: Final = f"""
    INSERT INTO memories ({COLUMNS}, digest)
    VALUES (:id, :owner, (SELECT coalesce(max(number), 0) + 1 FROM memories WHERE owner = :whose), :text, :kind, :provenance, :about, :session,
        :message, :seq, :learned, :seen, :until, NULL, :digest)
    RETURNING {COLUMNS}"""  # noqa: S608 - columns of this module
ANY = "SELECT 1 FROM memories WHERE owner = :owner LIMIT 1"
REPEATED = f"""
    UPDATE memories SET seen = :seen, until = :until WHERE owner = :owner AND digest = :digest AND superseded IS NULL
    RETURNING {COLUMNS}"""  # noqa: S608 - as above
SAME_SUBJECT = f"SELECT {COLUMNS} FROM memories WHERE owner = :owner AND about = :about AND superseded IS NULL"  # noqa: S608 - as above
NEWEST = f"""
    SELECT {COLUMNS} FROM memories WHERE owner = :owner AND superseded IS NULL ORDER BY number DESC LIMIT :limit"""  # noqa: S608 - as above
SUPERSEDE = "UPDATE memories SET superseded = :by WHERE id = :id"
BY_ID = f"SELECT {COLUMNS} FROM memories WHERE id = :id"  # noqa: S608 - as above
BY_NUMBER = f"SELECT {COLUMNS} FROM memories WHERE owner = :owner AND number = :number"  # noqa: S608 - as above
LAST_NUMBER = "SELECT coalesce(max(number), 0) FROM memories WHERE owner = :owner"
MOVE = f"UPDATE memories SET owner = :owner, number = number + :more WHERE owner = :old RETURNING {COLUMNS}"  # noqa: S608 - as above
MOVE_TOMBSTONES = """
    INSERT INTO memory_tombstones (owner, digest, words, at)
    SELECT CAST(:owner AS VARCHAR), digest, words, at FROM memory_tombstones WHERE owner = :old ON CONFLICT (owner, digest) DO NOTHING"""
MOVE_SWITCH = """
    INSERT INTO memory_owners (owner, learn) SELECT CAST(:owner AS VARCHAR), learn FROM memory_owners WHERE owner = :old AND learn = 0
    ON CONFLICT (owner) DO UPDATE SET learn = 0"""
LEFT_BEHIND: Final = tuple(
    f"DELETE FROM {table} WHERE owner = :old"  # noqa: S608 - names of ours
    for table in ("memory_tombstones", "memory_owners", "session_profiles")
)
TOMBSTONES = "SELECT digest, words FROM memory_tombstones WHERE owner = :owner"
RAISE = "DELETE FROM memory_tombstones WHERE owner = :owner AND digest = :digest"
PROFILE = """
    SELECT s.context_from, s.messages, p.context_from, p.text FROM sessions AS s
    LEFT JOIN session_profiles AS p ON p.owner = s.owner AND p.session = s.key WHERE s.owner = :owner AND s.key = :session"""
KEEP_PROFILE = """
    INSERT INTO session_profiles (owner, session, context_from, text) VALUES (:owner, :session, :context_from, :text)
    ON CONFLICT (owner, session) DO UPDATE SET context_from = excluded.context_from, text = excluded.text"""
_COMPARED: Final = 500
"""How many of the newest a statement is compared with."""
PROFILE_CHARS: Final = 2_000
_HEADING: Final = "# What you know about the user\n\nThey told you this before. Use it where it helps; do not recite it.\n"
_WEIGHTS: Final[Mapping[str, float]] = {"instruction": 4.0, "preference": 2.0, "person": 2.0, "fact": 1.5, "event": 1.0}
_HALF_LIFE: Final = timedelta(days=120)


def memories_of(*, everybody: bool, history: bool, before: bool) -> str:
    """The statement that lists memories, the newest first. `history`: with those that were superseded. `before`: those after the one `:before`."""
    where = [*([] if everybody else ["owner = :owner"]), *([] if history else ["superseded IS NULL"])]
    where += ["(seen, id) < (SELECT seen, id FROM memories WHERE id = :before)"] if before else []
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    return f"SELECT {COLUMNS} FROM memories {condition} ORDER BY seen DESC, id DESC LIMIT :limit"  # noqa: S608 - as above


class MemoryStore:
    """The memories of all spaces; each is seen by its owner only (`owner` None: the command line). Raises StoreUnavailable."""

    def __init__(self, database: Database, notifier: Notifier, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._notifier = notifier
        self._clock = clock

    async def any(self, owner: str) -> bool:
        return bool(await self._database.select(ANY, {"owner": json_column(owner)}))

    async def add(self, owner: str, statement: Statement, *, explicit: bool, seen_at: datetime | None = None) -> Memory:
        """Keep a statement; one about the same thing is superseded, and the same one is seen again. `explicit`: at the person's own wish, which
        brings back what was forgotten. Raises ForgottenOnce otherwise."""
        at = to_micros(seen_at or self._clock())

        def keep(connection: Transaction) -> SqlRow:
            row = add(connection, owner, statement, at, explicit=explicit)
            if row is None:
                raise ForgottenOnce
            self._notifier.announce(connection)
            return row

        row = await self._database.write(keep)
        self._notifier.announced()
        return memory(row)

    async def get(self, owner: str | None, ref: str) -> Memory:
        """By its id, or by its number ("12"). Raises MemoryNotFound."""
        if ref.isdecimal() and owner is not None and len(ref) < 10:
            rows = await self._database.select(BY_NUMBER, {"owner": json_column(owner), "number": int(ref)})
        else:
            rows = await self._database.select(BY_ID, {"id": json_key(ref)[0]})
        if not rows or (owner is not None and unescape(rows[0][1]) != owner):
            raise MemoryNotFound
        return memory(rows[0])

    async def list(self, owner: str | None, *, history: bool = False, limit: int = 50, before: str | None = None) -> Sequence[Memory]:
        """The newest first. `before`: the id of the last one of the page before."""
        values: dict[str, SqlValue] = {"owner": optional(json_column, owner), "limit": limit, "before": optional(json_column, before)}
        wanted = memories_of(everybody=owner is None, history=history, before=before is not None)
        return [memory(row) for row in await self._database.select(wanted, values)]

    async def known(self, owner: str, ids: Sequence[str]) -> Sequence[Memory]:
        """Those of these memories that hold now, in this order."""

        def read(connection: Transaction) -> list[SqlRow]:
            return [row for id in ids for row in connection.execute(BY_ID, {"id": id})]

        now = self._clock()
        found = [memory(row) for row in await self._database.read(read)]
        return [each for each in found if each.owner == owner and holds(each, now)]

    async def profile(self, owner: str, session: str, *, keep: bool) -> str:
        """What the prompts of this session begin with: made at its first turn and anew after each cut of its history, the same between. A session
        that began before its owner had memories has none until then. `keep`: it is stored."""
        key: dict[str, SqlValue] = {"owner": json_column(owner), "session": json_column(session)}

        def look(connection: Transaction) -> tuple[int, str | None]:
            found = connection.execute(PROFILE, key)
            if not found:
                return 1, None
            start, messages, kept_for, text = found[0]
            if kept_for == start:
                return start, unescape(text)
            return start, "" if kept_for is None and start == 1 and messages else None

        start, text = await self._database.read(look)
        if text is not None:
            return text
        rows = await self._database.select(NEWEST, {**key, "limit": _COMPARED})
        text = profile_text([memory(row) for row in rows], self._clock())
        if keep:
            await self._database.execute(KEEP_PROFILE, {**key, "context_from": start, "text": json_column(text)})
        return text


def add(connection: Transaction, owner: str, statement: Statement, at: int, *, explicit: bool) -> SqlRow | None:
    """Keep a statement in a transaction; None: it was forgotten, and this is not the person's explicit wish."""
    about = slug(statement.about) or subject_of(statement.text)
    source = statement.source
    values: dict[str, SqlValue] = {
        "id": new_id("mem"),
        "owner": json_column(owner),
        "text": json_column(statement.text),
        "kind": statement.kind,
        "provenance": statement.provenance,
        "about": json_column(about),
        "digest": digest(normal(statement.text)),
        "session": source and json_column(source.session),
        "message": source and json_column(source.message),
        "seq": source.seq if source else 0,
        "learned": int(statement.learned),
        "seen": at,
        "until": optional(to_micros, statement.valid_until),
    }
    for gone in _tombstones(connection, owner, statement.text, about):
        if not explicit:
            return None
        connection.execute(RAISE, {"owner": json_column(owner), "digest": gone})
    if again := connection.execute(REPEATED, values):
        return again[0]
    compared = connection.execute(NEWEST, {**values, "limit": _COMPARED})
    compared += connection.execute(SAME_SUBJECT, values) if about else []
    row = connection.execute(ADD, {**values, "whose": values["owner"]})[0]
    for old in {each[0]: memory(each) for each in compared}.values():
        if supersedes(statement.text, about, old.text, old.about):
            connection.execute(SUPERSEDE, {"id": old.id, "by": row[0]})
            search.remove(connection, owner, "memory", old.id)
    _index(connection, memory(row))
    return row


def _index(connection: Transaction, each: Memory) -> None:
    search.index(connection, each.owner, "memory", each.id, to_micros(each.seen_at), f"{each.text}\n{each.about.replace('-', ' ')}")


def move_memories(connection: Transaction, old: str, owner: str) -> None:
    """Give the memories of one owner to another, with what is forgotten, in the transaction that moves the rest. Both as stored."""
    names: dict[str, SqlValue] = {"old": old, "owner": owner, "more": connection.execute(LAST_NUMBER, {"owner": owner})[0][0]}
    moved = connection.execute(MOVE, names)
    for row in moved:
        search.remove(connection, unescape(old), "memory", row[0])
    for row in moved:
        if row[-1] is None:
            _index(connection, memory(row))
    for statement in (MOVE_TOMBSTONES, MOVE_SWITCH, *LEFT_BEHIND):
        connection.execute(statement, names)


def _tombstones(connection: Transaction, owner: str, text: str, about: str) -> list[str]:
    """The digests of what was forgotten and says the same, or is about the same thing."""
    mine = {digest(normal(text)), *([digest(f"about:{about}")] if about else ())}
    rows = connection.execute(TOMBSTONES, {"owner": json_column(owner)})
    return [gone for gone, words in rows if gone in mine or (words and resembles(text, [words]))]


def profile_text(memories: Sequence[Memory], now: datetime) -> str:
    """The newest and most important memories within `PROFILE_CHARS`; empty where there is none. What others' words said is recalled only where it
    fits, and marks its conversation as theirs then."""
    ranked = sorted(
        [each for each in memories if holds(each, now) and each.provenance not in UNTRUSTED],
        key=lambda each: -_WEIGHTS.get(each.kind, 1.0) * 0.5 ** (max(now - each.seen_at, timedelta()) / _HALF_LIFE),
    )
    text = _HEADING
    for each in ranked:
        line = profile_line(each)
        if len(text) + len(line) <= PROFILE_CHARS:
            text += line
    return "" if text == _HEADING else text.rstrip("\n")


def profile_line(each: Memory) -> str:
    """A memory as the profile and what is recalled give it, on one line, with where its words came from."""
    whence = "" if each.provenance == "person" else f" (from {each.provenance}, confirmed by the user)"
    return f"- {each.seen_at:%Y-%m-%d}: {' '.join(each.text.split())}{whence}\n"


def holds(each: Memory, now: datetime) -> bool:
    return each.superseded_by is None and (each.valid_until is None or each.valid_until > now)


def memory(row: SqlRow) -> Memory:
    id, owner, number, text, kind, provenance, about, session, message, seq, learned, seen, until, superseded = row
    return Memory(
        id=id,
        owner=unescape(owner),
        number=number,
        text=unescape(text),
        kind=kind,
        provenance=provenance,
        about=unescape(about),
        source=None if session is None else MemorySource(session=unescape(session), message=unescape(message), seq=seq),
        learned=bool(learned),
        seen_at=from_micros(seen),
        valid_until=optional(from_micros, until),
        superseded_by=superseded,
    )
