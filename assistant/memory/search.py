"""Search: reads the candidates of an owner from the store, ranks them, and gives them with what was said around them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta

from assistant.contracts.search import Hit, SearchKind, SearchWish
from assistant.contracts.util import Clock, utc_now
from assistant.memory.dates import Days
from assistant.memory.ranking import Asked, Ranked, analyse, rank
from assistant.store.codec import from_micros, to_micros
from assistant.store.database import Database, Transaction
from assistant.store.history import HistoryIndex
from assistant.store.search import FoundText, Within, candidates, candidates_within, read_around, read_entries

_CANDIDATES = 120
_DATED = 60
_REACH = 2
"""How far around a candidate its neighbours count."""

Around = dict[tuple[int, int], FoundText]


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
    ranked: list[tuple[SearchKind, Ranked, Around]] = []
    for kind in wish.kinds:
        best = {each.entry: each for each in candidates(connection, wish.owner, kind, asked.wanted, within, _CANDIDATES)}
        for days in asked.days[:2] if kind == "message" else ():
            named = _intersection(within, days, asked.now)
            dated = candidates(connection, wish.owner, kind, asked.wanted, named, _DATED)
            for each in (*dated, *candidates_within(connection, wish.owner, kind, named, _DATED)):
                best.setdefault(each.entry, each)
        texts = read_entries(connection, wish.owner, [*best.values()])
        around = read_around(connection, texts, _REACH)
        ranked.extend((kind, each, around) for each in rank(asked, texts, around) if each.score > 0 and within.holds(each.text.at))
    ranked.sort(key=lambda each: (-each[1].score, -each[1].text.at, each[1].text.ref))
    return [_hit(kind, each, around, wish.neighbours) for kind, each, around in ranked[: wish.limit]]


def _intersection(within: Within, days: Days, now: datetime) -> Within:
    """The days that the question names, by the asker's clock, as far as they are searched."""
    first = to_micros(datetime.combine(days.first, time.min, now.tzinfo))
    end = to_micros(datetime.combine(days.last + timedelta(1), time.min, now.tzinfo))
    return replace(within, after=max(first, within.after or first), before=min(end, within.before or end))


def _hit(kind: SearchKind, scored: Ranked, around: Around, reach: int) -> Hit:
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
