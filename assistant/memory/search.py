"""Search: reads the candidates of an owner from the store, ranks them, and gives them with what was said around them."""

from collections.abc import Sequence

from assistant.contracts.search import Hit, SearchKind, SearchWish
from assistant.contracts.util import Clock, utc_now
from assistant.memory.ranking import Asked, Ranked, analyse, rank
from assistant.store.codec import from_micros, to_micros
from assistant.store.database import Database, Transaction
from assistant.store.history import HistoryIndex
from assistant.store.search import FoundText, Within, candidates, read_around, read_entries

_CANDIDATES = 120
_REACH = 2
"""How far around a candidate its neighbours count."""


class StoredSearch:
    """Implements Search."""

    def __init__(self, database: Database, history: HistoryIndex, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._history = history
        self._clock = clock

    async def search(self, wish: SearchWish) -> Sequence[Hit]:
        if "message" in wish.kinds:
            await self._history.catch_up(wish.owner)
        asked = analyse(wish.query, wish.now or self._clock())
        return await self._database.read(lambda connection: found(connection, wish, asked))


def found(connection: Transaction, wish: SearchWish, asked: Asked) -> list[Hit]:
    """The hits, the best first."""
    within = Within(
        after=None if wish.after is None else to_micros(wish.after),
        before=None if wish.before is None else to_micros(wish.before),
        session=wish.session,
    )
    scored: list[tuple[SearchKind, Ranked]] = []
    around: dict[tuple[int, int], FoundText] = {}
    for kind in wish.kinds:
        texts = read_entries(connection, wish.owner, candidates(connection, wish.owner, kind, asked.terms, within, _CANDIDATES))
        if kind == "message":
            around = read_around(connection, texts, _REACH)
        scored.extend((kind, each) for each in rank(asked, texts, around))
    scored.sort(key=lambda each: (-each[1].score, -each[1].text.at, each[1].text.ref))
    return [_hit(kind, each, around, wish.neighbours) for kind, each in scored[: wish.limit]]


def _hit(kind: SearchKind, scored: Ranked, around: dict[tuple[int, int], FoundText], reach: int) -> Hit:
    text = scored.text
    near = sorted(seq for session, seq in around if session == text.session) if reach and text.session else []
    place = near.index(text.seq) if near else 0
    sides = (near[max(0, place - reach) : place], near[place + 1 : place + 1 + reach])
    before, after = (tuple(_bare(kind, around[text.session, seq]) for seq in side) for side in sides)
    return _bare(kind, text, score=scored.score, share=text.matched, before=before, after=after)


def _bare(
    kind: SearchKind, text: FoundText, *, score: float = 0.0, share: float = 0.0, before: tuple[Hit, ...] = (), after: tuple[Hit, ...] = ()
) -> Hit:
    return Hit(
        kind=kind,
        ref=text.ref,
        at=from_micros(text.at),
        text=text.text,
        score=score,
        share=share,
        session=text.key,
        seq=text.seq,
        who=text.who,
        before=before,
        after=after,
    )
