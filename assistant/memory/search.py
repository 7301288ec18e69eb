"""Search: reads the candidates of an owner from the store, ranks them, and gives them with what was said around them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta, tzinfo
from functools import partial

from assistant.contracts.people import PeopleDirectory, UnknownPeople
from assistant.contracts.search import Hit, SearchKind, SearchWish
from assistant.contracts.util import Clock, utc_now
from assistant.memory.dates import Days
from assistant.memory.ranking import Asked, Ranked, analyse, fuse, rank
from assistant.memory.vectors import Vectors
from assistant.store.codec import from_micros, optional, to_micros
from assistant.store.database import Database, Transaction
from assistant.store.history import HistoryIndex
from assistant.store.search import Candidate, FoundText, Within, candidates, candidates_within, read_around, read_entries

_CANDIDATES = 80
_NEAR = 24
"""Of so many of the best candidates, neighbours are read that are none themselves."""
_DATED = 40
_REACH = 2
"""How far around a candidate its neighbours count."""

Near = Mapping[SearchKind, Mapping[int, float]]
Around = dict[tuple[int, int], FoundText]


class StoredSearch:
    """Implements Search."""

    def __init__(
        self,
        database: Database,
        history: HistoryIndex,
        people: PeopleDirectory | None = None,
        vectors: Vectors | None = None,
        *,
        clock: Clock = utc_now,
    ) -> None:
        """`people`: by whose clocks times count; None: all by UTC. `vectors`: where an embedding model is configured."""
        self._database = database
        self._history = history
        self._people = people or UnknownPeople()
        self._vectors = vectors
        self._clock = clock

    async def search(self, wish: SearchWish) -> Sequence[Hit]:
        if "message" in wish.kinds:
            await self._history.catch_up(wish.owner)
        now = wish.now or self._clock().astimezone(await self._people.zone(wish.owner))
        asked = analyse(wish.query, now)
        near: dict[SearchKind, Mapping[int, float]] = {}
        weight = 0.0
        if self._vectors and wish.query.strip():
            self._vectors.wake()
            if vector := await self._vectors.of(wish.query, wish.owner):
                weight = self._vectors.weight
                near = {kind: await self._vectors.nearest(wish.owner, kind, vector, _CANDIDATES) for kind in wish.kinds}
        return await self._database.read(lambda connection: found(connection, wish, asked, near, weight))


def found(connection: Transaction, wish: SearchWish, asked: Asked, near: Near, weight: float = 0.0) -> list[Hit]:
    """The hits, the best first. `near`: entries by their cosine; `weight`: what that counts."""
    zone = asked.now.tzinfo
    within = Within(
        after=optional(partial(_micros, zone), wish.after), before=optional(partial(_micros, zone), wish.before), session=wish.session
    )
    ranked: list[tuple[SearchKind, Ranked]] = []
    for kind in wish.kinds:
        best = {each.entry: each for each in candidates(connection, wish.owner, kind, asked.wanted, within, _CANDIDATES)}
        for days in asked.days[:2] if kind == "message" else ():
            named = _intersection(within, days, asked.now)
            dated = candidates(connection, wish.owner, kind, asked.wanted, named, _DATED)
            for each in (*dated, *candidates_within(connection, wish.owner, kind, named, _DATED)):
                best.setdefault(each.entry, each)
        for entry in near.get(kind, ()):
            best.setdefault(entry, Candidate(entry=entry, score=0.0, matched=0.0))
        texts = read_entries(connection, wish.owner, [*best.values()], leave_out=wish.leave_out)
        around = read_around(connection, texts[:_NEAR], _REACH)
        both = fuse(rank(asked, texts, around), near.get(kind, {}), weight)
        ranked.extend((kind, each) for each in both if each.score > 0 and within.holds(each.text.at))
    ranked.sort(key=lambda each: (-each[1].score, -each[1].text.at, each[1].text.ref))
    best = ranked[: wish.limit]
    beside = read_around(connection, [each.text for _, each in best], wish.neighbours) if wish.neighbours else {}
    return [_hit(kind, each, beside, wish.neighbours, zone) for kind, each in best]


def _micros(zone: tzinfo | None, at: date) -> int:
    """Of a time, or of a day's beginning."""
    return to_micros(at if isinstance(at, datetime) else datetime.combine(at, time.min, zone))


def _intersection(within: Within, days: Days, now: datetime) -> Within:
    """The days that the question names, by the asker's clock, as far as they are searched."""
    first = to_micros(datetime.combine(days.first, time.min, now.tzinfo))
    end = to_micros(datetime.combine(days.last + timedelta(1), time.min, now.tzinfo))
    return replace(within, after=max(first, within.after or first), before=min(end, within.before or end))


def _hit(kind: SearchKind, ranked: Ranked, around: Around, reach: int, zone: tzinfo | None) -> Hit:
    text = ranked.text
    near = sorted(seq for session, seq in around if session == text.session) if reach and text.session else []
    place = near.index(text.seq) if near else 0
    sides = (near[max(0, place - reach) : place], near[place + 1 : place + 1 + reach])
    before, after = (tuple(_bare(kind, around[text.session, seq], zone) for seq in side) for side in sides)
    return replace(_bare(kind, text, zone), score=ranked.score, share=text.matched, before=before, after=after)


def _bare(kind: SearchKind, text: FoundText, zone: tzinfo | None) -> Hit:
    at = from_micros(text.at).astimezone(zone)
    return Hit(kind=kind, ref=text.ref, at=at, text=text.text, score=0.0, session=text.key, seq=text.seq, who=text.who)
