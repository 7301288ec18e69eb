"""The vectors of what can be found (see `assistant.memory.vectors`)."""

from collections.abc import Iterable, Sequence
from typing import Final

from assistant.contracts.records import record
from assistant.contracts.search import SearchKind
from assistant.store.codec import json_column, unescape
from assistant.store.database import SqlRow, Transaction
from assistant.store.search import SPACE, words_of

WITHOUT_VECTOR: Final = """
    SELECT e.id, e.space, s.owner, e.ref, e.text, m.role, m.payload FROM search_entries AS e
    JOIN search_spaces AS s ON s.id = e.space
    LEFT JOIN search_vectors AS v ON v.entry = e.id AND v.model = :model
    LEFT JOIN messages AS m ON m.session_id = e.session_id AND m.seq = e.seq
    WHERE e.id > :behind AND v.entry IS NULL AND (e.ref IS NOT NULL OR m.seq IS NOT NULL) ORDER BY e.id LIMIT :limit"""
KEEP: Final = """
    INSERT INTO search_vectors (entry, space, model, vector) SELECT :entry, :space, :model, :vector
    WHERE EXISTS (SELECT 1 FROM search_entries WHERE id = :entry)
    ON CONFLICT (entry) DO UPDATE SET model = excluded.model, vector = excluded.vector, space = excluded.space"""
AFTER: Final = """
    SELECT entry, vector FROM search_vectors WHERE space = :space AND model = :model AND entry > :behind ORDER BY entry LIMIT 2000"""


@record
class MissingVector:
    """An entry of which a model has made no vector."""

    entry: int
    space: int
    owner: str
    text: str


def without_vector(connection: Transaction, model: str, behind: int, limit: int) -> list[MissingVector]:
    """The next entries of all owners that this model has made no vector of."""
    found = connection.execute(WITHOUT_VECTOR, {"model": model, "behind": behind, "limit": limit})
    return [
        MissingVector(entry=entry, space=space, owner=unescape(owner), text=words_of(role, payload) if ref is None else unescape(text))
        for entry, space, owner, ref, text, role, payload in found
    ]


def keep(connection: Transaction, model: str, vectors: Iterable[tuple[int, int, bytes]]) -> None:
    """`vectors`: (entry, space, vector). One whose entry was removed meanwhile is dropped."""
    for entry, space, vector in vectors:
        connection.execute(KEEP, {"entry": entry, "space": space, "model": model, "vector": vector})


def after(connection: Transaction, model: str, space: int, behind: int) -> list[SqlRow]:
    """The next (entry, vector) of a space."""
    return connection.execute(AFTER, {"space": space, "model": model, "behind": behind})


def vectors_of(connection: Transaction, model: str, entries: Sequence[int]) -> list[SqlRow]:
    if not entries:
        return []
    among = ", ".join(map(str, entries))
    return connection.execute(f"SELECT entry, vector FROM search_vectors WHERE model = :model AND entry IN ({among})", {"model": model})  # noqa: S608 - numbers


def space_of(connection: Transaction, owner: str, kind: SearchKind) -> int | None:
    found = connection.execute(SPACE, {"owner": json_column(owner), "kind": kind})
    return found[0][0] if found else None
