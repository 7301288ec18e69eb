"""Ranks what the index found: pure, so that every database gives the same order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from assistant.store.search import FoundText
from assistant.store.words import number_of, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, as far as it can be understood without a model."""

    now: datetime
    terms: Mapping[int, float]
    """What is looked for, by term: how much the asker wants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    text: FoundText
    score: float


def analyse(query: str, now: datetime) -> Asked:
    """`now`: from which moment "yesterday" counts, in the asker's zone."""
    return Asked(now=now, terms=dict.fromkeys([number_of(word) for word in words(query[:2000])][:48], 1.0))


def rank(asked: Asked, found: Sequence[FoundText], around: Mapping[tuple[int, int], FoundText]) -> list[Ranked]:
    """The best first. `around`: the found messages and their neighbours by (session's row, seq)."""
    return [Ranked(text=text, score=text.score) for text in found]
