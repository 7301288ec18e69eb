"""How long a search takes over 100,000 messages of one person, and what indexing them costs."""

import bisect
import itertools
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from assistant.contracts.search import SearchWish
from assistant.memory.search import StoredSearch
from bench.memory.conversations import Conversation, Said
from bench.memory.facts import FACTS, FILLERS
from bench.memory.measured import filled

ROWS: Final = 100_000
_VOCABULARY: Final = 40_000
_SYLLABLES: Final = (
    "ba",
    "con",
    "der",
    "el",
    "fi",
    "gra",
    "hu",
    "im",
    "jo",
    "ka",
    "lin",
    "mor",
    "ne",
    "ost",
    "pra",
    "qui",
    "ro",
    "sta",
    "tur",
    "ven",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    rows: int
    p50: float
    """Milliseconds."""
    p99: float
    indexing: float
    """Microseconds a message."""


async def measure(rows: int = ROWS, searches: int = 400) -> Speed:
    draw = random.Random(7)
    texts = _Texts(draw)
    at = datetime(2020, 1, 1, tzinfo=UTC)
    said = [Said(place // 40, at + timedelta(minutes=25 * place), place % 2, texts.message()) for place in range(rows)]
    began = time.perf_counter()
    async with filled([Conversation(("A", "B"), said)]) as store:
        indexing = (time.perf_counter() - began) / rows * 1e6
        search = StoredSearch(store.database, store.history)
        took: list[float] = []
        for _ in range(searches):
            wish = SearchWish(owner="person-0", query=texts.question(), now=said[-1].at)
            began = time.perf_counter()
            await search.search(wish)
            took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return Speed(rows=rows, p50=took[len(took) // 2], p99=took[int(len(took) * 0.99)], indexing=indexing)


class _Texts:
    """Sentences of words by Zipf's law, and everyday ones among them."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        weights = [1 / (place + 2.7) ** 1.05 for place in range(_VOCABULARY)]
        self._sums = list(itertools.accumulate(weights))
        # Frequent words are short, as they are in languages; most rare ones have seven to ten letters.
        counts = (2 if place < 300 else 3 if place < 7_000 else 4 for place in range(_VOCABULARY))
        self._words = ["".join(draw.choices(_SYLLABLES, k=count)) for count in counts]
        self._told = [told for fact in FACTS for told in fact.told]
        self._asked = [question for fact in FACTS for question in fact.questions]

    def _some(self, most: int) -> str:
        count = self._draw.randint(3, most)
        return " ".join([self._words[bisect.bisect(self._sums, self._draw.random() * self._sums[-1])] for _ in range(count)])

    def message(self) -> str:
        if self._draw.random() < 0.2:
            return self._draw.choice(FILLERS)
        told = self._draw.choice(self._told).format(x=self._some(4)) if self._draw.random() < 0.2 else ""
        return f"{self._some(40)}. {told}"

    def question(self) -> str:
        return f"{self._draw.choice(self._asked).format(who='Nora')} {self._some(8)}"
