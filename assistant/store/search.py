"""The index of what can be found: plain tables of terms, the same on both databases; see docs/search.md for the reasons.

`index` and `remove` work inside of other parts' transactions; `candidates` reads. What a term weighs in an entry is BM25's share without the
collection, computed once when it is indexed; how rare a term is, is counted when it is searched.
"""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import orjson

from assistant.contracts.records import record
from assistant.contracts.search import SearchKind
from assistant.store.codec import json_column, unescape
from assistant.store.database import SqlRow, SqlValue, Transaction
from assistant.store.words import terms as terms_of

MOST_TERMS: Final = 3000
"""Of a text: more are left out."""
POSTINGS: Final = 1000
"""How many of a term's postings are read, the newest; one that has more finds nothing by itself where another has fewer."""
RELATED_POSTINGS: Final = 250
_K1: Final = 1.2
_B: Final = 0.5
_LENGTH: Final = 12
"""A usual text's terms. A constant, so that what is stored stays right while the collection grows."""
_IMAGINED: Final = 500
"""Texts without any of the query's terms that every space is taken to have besides its own: in a small one no term is rare otherwise."""

MAKE_SPACE = """
    INSERT INTO search_spaces (owner, kind, entries, terms, seen) VALUES (:owner, :kind, 0, 0, 0)
    ON CONFLICT (owner, kind) DO UPDATE SET entries = search_spaces.entries RETURNING id"""
GROW_SPACE = "UPDATE search_spaces SET entries = entries + 1, terms = terms + :length WHERE id = :space"
ADD_ENTRY = """
    INSERT INTO search_entries (space, ref, session_id, seq, at, text, terms) VALUES (:space, :ref, :session, :seq, :at, :text, :terms)
    RETURNING id"""
ADD_TERM = "INSERT INTO search_terms (space, term, entry, weight) VALUES (:space, :term, :entry, :weight)"
SPACE = "SELECT id, entries FROM search_spaces WHERE owner = :owner AND kind = :kind"
ENTRY_OF_REF = """
    SELECT id, space, terms FROM search_entries
    WHERE space = (SELECT id FROM search_spaces WHERE owner = :owner AND kind = :kind) AND ref = :ref"""
ENTRY_OF_MESSAGE = "SELECT id, space, terms FROM search_entries WHERE session_id = :session AND seq = :seq"
ORPHANS = "SELECT id, space, terms FROM search_entries WHERE session_id IS NULL AND ref IS NULL ORDER BY id LIMIT :limit"
REMOVE_TERM = "DELETE FROM search_terms WHERE space = :space AND term = :term AND entry = :entry"
REMOVE_ENTRY = "DELETE FROM search_entries WHERE id = :entry"
SHRINK_SPACE = "UPDATE search_spaces SET entries = entries - 1, terms = terms - :length WHERE id = :space"
NEWEST = """
    SELECT t.term, t.entry, t.weight FROM search_terms AS t JOIN search_entries AS e ON e.id = t.entry
    WHERE t.space = :space AND t.term = :term AND e.at >= :after AND e.at < :before
        AND (CAST(:session AS BIGINT) IS NULL OR e.session_id = :session) ORDER BY t.entry DESC LIMIT :most"""
SAID_WITHIN = """
    SELECT id FROM search_entries WHERE space = :space AND at >= :after AND at < :before
        AND (CAST(:session AS BIGINT) IS NULL OR session_id = :session) ORDER BY at DESC LIMIT :most"""
SESSION_ROW = "SELECT id FROM sessions WHERE owner = :owner AND key = :key"


def index(connection: Transaction, owner: str, kind: SearchKind, ref: str, at: int, text: str) -> None:
    """Make a text findable by its owner, in the place of what was indexed under `ref`. `at`: microseconds."""
    remove(connection, owner, kind, ref)
    space = connection.execute(MAKE_SPACE, {"owner": json_column(owner), "kind": kind})[0][0]
    add_entry(connection, space, {"ref": ref, "session": None, "seq": None, "at": at, "text": json_column(text)}, text)


def remove(connection: Transaction, owner: str, kind: SearchKind, ref: str) -> None:
    """Let a text no more be found: nothing of it stays in the index."""
    remove_entries(connection, connection.execute(ENTRY_OF_REF, {"owner": json_column(owner), "kind": kind, "ref": ref}))


def remove_message(connection: Transaction, session: int, seq: int) -> None:
    """The same for a message, by its session's row."""
    remove_entries(connection, connection.execute(ENTRY_OF_MESSAGE, {"session": session, "seq": seq}))


def add_entry(connection: Transaction, space: int, values: Mapping[str, SqlValue], text: str) -> None:
    """`values`: the entry's other columns."""
    terms = terms_of(text)[:MOST_TERMS]
    connection.execute(GROW_SPACE, {"space": space, "length": len(terms)})
    entry: int = connection.execute(ADD_ENTRY, {**values, "space": space, "terms": array("q", terms).tobytes()})[0][0]
    for term, weight in weights(terms).items():
        connection.execute(ADD_TERM, {"space": space, "term": term, "entry": entry, "weight": weight})


def remove_entries(connection: Transaction, rows: Iterable[SqlRow]) -> None:
    """`rows`: (id, space, terms)."""
    for entry, space, packed in rows:
        terms = array("q", packed)
        for term in set(terms):
            connection.execute(REMOVE_TERM, {"space": space, "term": term, "entry": entry})
        connection.execute(REMOVE_ENTRY, {"entry": entry})
        connection.execute(SHRINK_SPACE, {"space": space, "length": len(terms)})


def weights(terms: Sequence[int]) -> dict[int, int]:
    """What each term counts in a text: BM25's share of how often it is there and how long the text is, in thousandths."""
    norm = _K1 * (1 - _B + _B * len(terms) / _LENGTH)
    return {term: round(1000 * often * (_K1 + 1) / (often + norm)) for term, often in Counter(terms).items()}


@record
class Candidate:
    """An entry that has some of the query's terms."""

    entry: int
    score: float
    """BM25."""
    matched: float
    """The share of the query's weight that its terms have, from 0 to 1."""


@record
class Wanted:
    """A term that is looked for. `related`: not a word of the query, but one that may stand for `group`, which is."""

    term: int
    weight: float
    group: int
    related: bool = False


def candidates(
    connection: Transaction, owner: str, kind: SearchKind, query: Sequence[Wanted], within: "Within", most: int
) -> list[Candidate]:
    """The best `most` by BM25, the newer first where equal. Of a group's related words, the best one alone counts."""
    stored = json_column(owner)
    found = connection.execute(SPACE, {"owner": stored, "kind": kind})
    own = [each for each in query if not each.related]
    if not found or not own:
        return []
    reading = _Reading(connection, {"space": found[0][0], **within.values(connection, stored)}, query, found[0][1])
    if within == EVERYWHERE:
        reading.read_rare()
    else:
        reading.read_within()
    first = reading.best(most + most // 2)
    reading.complete(first)
    whole = sum(reading.rarity(each) for each in own)
    return [
        Candidate(entry=entry, score=reading.scores[entry] / 1000, matched=reading.matched.get(entry, 0.0) / whole)
        for entry in reading.best(most, first)
    ]


def candidates_within(connection: Transaction, owner: str, kind: SearchKind, within: "Within", most: int) -> list[Candidate]:
    """The newest entries of a time, whatever they say."""
    stored = json_column(owner)
    found = connection.execute(SPACE, {"owner": stored, "kind": kind})
    values: dict[str, SqlValue] = {"most": most, **within.values(connection, stored)}
    rows = connection.execute(SAID_WITHIN, {**values, "space": found[0][0]}) if found else []
    return [Candidate(entry=entry, score=0.0, matched=0.0) for (entry,) in rows]


class _Reading:
    """Adds up what a query's postings say of each entry."""

    def __init__(self, connection: Transaction, values: Mapping[str, SqlValue], query: Sequence[Wanted], entries: int) -> None:
        self.scores: dict[int, float] = defaultdict(float)
        self.matched: dict[int, float] = defaultdict(float)
        self._connection = connection
        self._values = values
        self._query = {each.term: each for each in query}
        self._entries = entries
        self._beside: dict[tuple[int, int], float] = {}
        self._late: list[int] = []
        limits = {each.term: RELATED_POSTINGS if each.related else 2 * POSTINGS for each in query}
        self._counts: dict[int, int] = dict(connection.execute(counts_of(limits), values))  # pyright: ignore[reportArgumentType, reportCallIssue]

    def read_rare(self) -> None:
        """Read the postings of the terms that are rare. Of the query's own the rarest is read, its newest, where none is rare; the rest waits for
        `complete`, and related words that are common tell nothing."""
        rare = [term for term, each in self._query.items() if self._counts[term] < (RELATED_POSTINGS if each.related else POSTINGS)]
        self._add(self._connection.execute(postings_of(rare), self._values) if rare else ())
        common = sorted((self._counts[term], term) for term, each in self._query.items() if not each.related and term not in rare)
        self._late = [term for _, term in common]
        if self._late and not self.scores:
            self._add(self._newest(self._late.pop(0)))

    def read_within(self) -> None:
        """Read the newest postings of every own term, of those that are searched."""
        for term, each in self._query.items():
            if not each.related:
                self._add(self._newest(term))

    def complete(self, entries: Sequence[int]) -> None:
        """Add what the terms that were too common say of some entries."""
        if self._late and entries:
            among = f"{postings_of(self._late)} AND entry IN ({_list(entries)})"
            self._add(self._connection.execute(among, self._values))

    def best(self, most: int, among: Sequence[int] | None = None) -> list[int]:
        scores = self.scores
        pairs = zip(scores.values(), scores, strict=True) if among is None else [(scores[entry], entry) for entry in among]
        return [entry for _, entry in sorted(pairs, reverse=True)[:most]]

    def rarity(self, wanted: Wanted) -> float:
        """What a match of the term is worth; of a related one at most what the query's own word is."""
        count = self._counts[wanted.term]
        if wanted.related:
            count = max(count, self._counts.get(wanted.group, 0))
        whole = max(self._entries, count) + _IMAGINED
        return wanted.weight * math.log(1 + (whole - count + 0.5) / (count + 0.5))

    def _newest(self, term: int) -> list[SqlRow]:
        values: dict[str, SqlValue] = {"after": 0, "before": 1 << 62, "session": None, **self._values, "term": term, "most": POSTINGS}
        return self._connection.execute(NEWEST, values)

    def _add(self, postings: Iterable[SqlRow]) -> None:
        scores, matched, beside = self.scores, self.matched, self._beside
        rarities = {term: (self.rarity(each), each.group if each.related else None) for term, each in self._query.items()}
        for term, entry, weight in postings:
            rarity, group = rarities[term]
            if group is None:
                scores[entry] += rarity * weight
                matched[entry] += rarity
            elif (score := rarity * weight) > (before := beside.get((entry, group), 0.0)):
                beside[entry, group] = score
                scores[entry] += score - before


def counts_of(limits: Mapping[int, int]) -> str:
    """The statement that counts the entries of each term, each up to its limit."""
    some = "SELECT 1 FROM search_terms WHERE space = :space AND term ="
    counts = [f"SELECT CAST({term} AS BIGINT), (SELECT count(*) FROM ({some} {term} LIMIT {most}) AS f)" for term, most in limits.items()]  # noqa: S608 - numbers
    return " UNION ALL ".join(counts)


def postings_of(terms: Sequence[int]) -> str:
    """The statement that reads all postings of some terms."""
    return f"SELECT term, entry, weight FROM search_terms WHERE space = :space AND term IN ({_list(terms)})"  # noqa: S608 - numbers


@record
class Within:
    """Where is searched: times in microseconds, and a session's key."""

    after: int | None = None
    before: int | None = None
    session: str | None = None

    def holds(self, at: int) -> bool:
        return (self.after is None or at >= self.after) and (self.before is None or at < self.before)

    def values(self, connection: Transaction, owner: str) -> dict[str, SqlValue]:
        row = None
        if self.session is not None:
            found = connection.execute(SESSION_ROW, {"owner": owner, "key": json_column(self.session)})
            row = found[0][0] if found else -1
        return {"after": self.after or 0, "before": (1 << 62) if self.before is None else self.before, "session": row}


EVERYWHERE: Final = Within()


@record
class FoundText:
    """An entry with its text. Of a message `session` is its session's row, `key` that session's key."""

    entry: int
    at: int
    text: str
    ref: str = ""
    session: int = 0
    seq: int = 0
    who: str = ""
    key: str = ""
    score: float = 0.0
    matched: float = 0.0


def read_entries(connection: Transaction, owner: str, found: Sequence[Candidate], *, leave_out: str = "") -> list[FoundText]:
    """The candidates with their texts, in their order, without those whose session is gone or is another owner's now. `leave_out`: a turn."""
    if not found:
        return []
    by_entry = {each.entry: each for each in found}
    read = {row[0]: row for row in connection.execute(entries_of([*by_entry]), {"owner": json_column(owner), "turn": leave_out})}
    return [_found(read[each.entry], each) for each in found if each.entry in read]


def _found(row: SqlRow, candidate: Candidate) -> FoundText:
    entry, ref, session, seq, at, text, role, payload, key = row
    return FoundText(
        entry=entry,
        at=at,
        text=unescape(text) if ref is not None else words_of(role, payload),
        ref=f"{session}/{seq}" if ref is None else ref,
        session=session or 0,
        seq=seq or 0,
        who=role or "",
        key="" if key is None else unescape(key),
        score=candidate.score,
        matched=candidate.matched,
    )


def entries_of(entries: Sequence[int]) -> str:
    """The statement that reads some entries, with their messages where their session is still the owner's."""
    return f"""
        SELECT e.id, e.ref, e.session_id, e.seq, e.at, e.text, m.role, m.payload, s.key FROM search_entries AS e
        LEFT JOIN sessions AS s ON s.id = e.session_id AND s.owner = :owner
        LEFT JOIN messages AS m ON m.session_id = s.id AND m.seq = e.seq AND m.turn_id <> :turn
        WHERE e.id IN ({_list(entries)}) AND (e.ref IS NOT NULL OR m.seq IS NOT NULL)"""  # noqa: S608 - numbers


def read_around(connection: Transaction, found: Sequence[FoundText], reach: int) -> dict[tuple[int, int], FoundText]:
    """What was said before and after the found messages, `reach` on each side, by (session's row, seq); with the found ones."""
    around = {(each.session, each.seq): each for each in found if each.session}
    keys = {each.session: each.key for each in found if each.session}
    spans = [(session, *span) for session in keys for span in _spans([seq for other, seq in around if other == session], reach)]
    for session, seq, at, role, payload in connection.execute(said_in(spans, reach)) if spans else ():
        if (session, seq) not in around and (words := words_of(role, payload)).strip():
            around[session, seq] = FoundText(
                entry=0, at=at, text=words, ref=f"{session}/{seq}", session=session, seq=seq, who=role, key=keys[session]
            )
    return around


def said_in(spans: Sequence[tuple[int, int, int]], reach: int) -> str:
    """The statement that reads the messages in some stretches of sessions, and `reach` before and after each."""
    values = ", ".join(f"({session}, {first - reach}, {last + reach})" for session, first, last in spans)
    return f"""
        WITH spans (session_id, first_seq, last_seq) AS (VALUES {values})
        SELECT m.session_id, m.seq, m.at, m.role, m.payload FROM spans CROSS JOIN messages AS m
        WHERE m.session_id = spans.session_id AND m.seq BETWEEN first_seq AND last_seq AND m.role IN ('user', 'assistant')"""  # noqa: S608 - numbers


def _spans(seqs: Sequence[int], gap: int) -> list[tuple[int, int]]:
    """The stretches that lie at most `gap` apart, first and last."""
    spans: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if spans and seq - spans[-1][1] <= gap:
            spans[-1] = (spans[-1][0], seq)
        else:
            spans.append((seq, seq))
    return spans


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def words_of(role: str, payload: str) -> str:
    """What the person or the assistant said in a stored message; empty for what a tool gave, and for what was recalled."""
    if role == "assistant":
        return orjson.loads(payload).get("text", "")
    if role != "user":
        return ""
    parts = orjson.loads(payload).get("parts", ())
    return "\n".join([part["text"] for part in parts if part.get("kind") == "text" and not part.get("recalled")])
