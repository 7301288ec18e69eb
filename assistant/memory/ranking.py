"""Ranks what the index found: pure, so that every database gives the same order.

Beyond BM25 over single messages: what was said around a message counts for it, a question's score goes to the answer behind it, and the
question's names, times and question word are looked for.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Final

from assistant.contracts.records import record
from assistant.contracts.util import lazy_pattern
from assistant.memory.dates import Days, days_in
from assistant.memory.related import WEIGHT, related_to
from assistant.store.codec import from_micros
from assistant.store.search import FoundText, Wanted
from assistant.store.words import ends_of, fold, is_weak, number_of, runs, words

_MOST_CHARS: Final = 2000
_MOST_SEARCHED: Final = 800
_MOST_TERMS: Final = 32
_MOST_RELATED: Final = 40
_WEAK: Final = 0.2
_ASKED: Final = 0.3
_LEAST_PART: Final = 5
_PART: Final = 0.3
"""What the beginning or end of a long word counts, that one of the question begins or ends with as well."""
_ASKING_WORDS: Final = (
    "remember mention tell talk say discuss know ask happen kind type thing something recently currently ever many much long often "
    "erzählen sagen erwähnen wissen erinnern passiert рассказывал говорил упоминал помнишь знаешь случилось 話した 教えて 言った 何 誰 どこ いつ"
)
_NUMBER: Final = lazy_pattern(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|dozen|twice|once|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|два|две|три|четыре|пять)\b"
    r"|[一二三四五六七八九十]"
)
_TIME: Final = lazy_pattern(
    r"\b(?:yesterday|today|tonight|tomorrow|ago|last|next|week\w*|month\w*|year\w*|morning|evening|weekend|monday|tuesday|wednesday|thursday|friday"
    r"|saturday|sunday|january|february|march|april|june|july|august|september|october|november|december|\d{4}|\d{1,2}(?:st|nd|rd|th)|since|gestern"
    r"|heute|morgen|letzte\w*|nächste\w*|vor|seit|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|uhr|вчера|сегодня|завтра|назад|недел\w+"
    r"|месяц\w*|год\w*|прошл\w+)\b|昨日|今日|明日|先週|先月|去年|来週|来月|年|月|日"
)
_PLACE: Final = lazy_pattern(
    r"\b(?:in|at|to|from|near|into|nach|aus|bei|в|на|из)\s+(?:the\s+|der\s+|dem\s+)?[A-ZÄÖÜА-Я]|[市県駅町村区国]|に|で"
)
_SPEAKER: Final = lazy_pattern(r"([^\W\d_][\w .'’-]{0,30}?)\s?[:：]\s")
_ASKS: Final = (
    (
        "when",
        lazy_pattern(r"\b(?:when|what (?:day|date|year|month|time)|how long|wann|seit wann|wie lange|когда|как долго)\b|いつ|何[月日年時]"),
        _TIME,
    ),
    (
        "many",
        lazy_pattern(
            r"\b(?:how (?:many|much|old|often|far)|wie ?viele?|wie (?:alt|oft|weit)|сколько|как часто)\b|いくつ|いくら|何[人回歳個匹冊]"
        ),
        _NUMBER,
    ),
    ("where", lazy_pattern(r"\b(?:where|which (?:city|country|place|town)|wo|woher|wohin|где|куда|откуда)\b|どこ"), _PLACE),
)
_BESIDE: Final = {-2: 0.10, -1: 0.30, 1: 0.20, 2: 0.08}
"""What the score of a message counts for those behind it and before it."""
_ANSWERED: Final = 0.60
"""What a question's score counts for the message behind it."""
_IN_TIME: Final = 6.0
"""About what a rare word counts."""
_FUSION: Final = 20
_RECENT_DAYS: Final = 120.0


@record
class Asked:
    """A question, as far as it can be understood without a model."""

    now: datetime
    wanted: Sequence[Wanted]
    days: Sequence[Days] = ()
    names: frozenset[str] = frozenset()
    """Its words, folded: who is named by it may be who speaks."""
    signs: tuple[re.Pattern[str], ...] = ()
    """What texts have that can answer it: a time, a number, a place."""


@record
class Ranked:
    text: FoundText
    score: float


def analyse(query: str, now: datetime) -> Asked:
    """`now`: from which moment "yesterday" counts, in the asker's zone."""
    query = query[:_MOST_CHARS]
    own, ends = _own_terms(query)
    wanted = [Wanted(term=term, weight=weight, group=term) for term, weight in own.items()]
    related = ends | {other: term for term in sorted(own, key=lambda term: own[term]) for other in related_to(term)}
    others = ((other, term) for other, term in related.items() if other not in own)
    wanted += [
        Wanted(term=other, weight=(_PART if other in ends else WEIGHT) * own[term], group=term, related=True)
        for other, term in islice(others, _MOST_RELATED)
    ]
    folded = fold(query)
    return Asked(
        now=now,
        wanted=wanted,
        days=days_in(query, now),
        names=frozenset(run.removesuffix("'s").removesuffix("’s") for run in runs(query)),
        signs=tuple(sign for _, question, sign in _ASKS if question.search(folded)),
    )


def _own_terms(query: str) -> tuple[dict[int, float], dict[int, int]]:
    """The terms of a question with their weights, and of its words the ends, by which compounds are found, each with its word's term."""
    own: dict[int, float] = {}
    ends: dict[int, int] = {}
    for word in words(query):
        if "-" in word:
            continue
        if len(own) >= _MOST_TERMS:
            break
        term = number_of(word)
        own[term] = max(own.get(term, 0.0), _weight(word, term))
        if len(word) >= _LEAST_PART and word[0].isalpha():
            ends |= dict.fromkeys(map(number_of, ends_of(word)), term)
    return own, ends


@cache
def _asking() -> frozenset[int]:
    """What questions are made of: it is in few answers."""
    return frozenset(map(number_of, words(_ASKING_WORDS)))


def _weight(word: str, term: int) -> float:
    return _WEAK if is_weak(word) else _ASKED if term in _asking() else 1.0


def rank(asked: Asked, found: Sequence[FoundText], around: Mapping[tuple[int, int], FoundText]) -> list[Ranked]:
    """The best first. `around`: the found messages and their neighbours by (session's row, seq)."""
    texts = {(each.session, each.seq or -place): each for place, each in enumerate(found, 1)}
    texts |= around
    own = {place: each.score for place, each in texts.items()}
    is_question = {place: each.text.rstrip().endswith(("?", "？")) for place, each in texts.items()}
    ranked = [
        Ranked(
            text=each,
            score=(_in_context(place, texts, own, is_question) + _in_time(asked, each)) * _fit(asked, each, asks=is_question[place]),
        )
        for place, each in texts.items()
    ]
    return sorted(ranked, key=lambda each: (-each.score, -each.text.at, each.text.ref))


def fuse(ranked: Sequence[Ranked], near: Mapping[int, float], weight: float) -> list[Ranked]:
    """Reciprocal rank fusion (Cormack et al., 2009) with the order by cosine. `weight`: what that order counts.
    Without vectors the ranks stay as they are."""
    if not near:
        return [*ranked]
    by_cosine = {entry: place for place, entry in enumerate(sorted(near, key=lambda entry: (-near[entry], -entry)), 1)}
    fused = [
        replace(
            each,
            score=(1 / (_FUSION + place) if each.score > 0 else 0.0)
            + (weight / (_FUSION + by_cosine[each.text.entry]) if each.text.entry in by_cosine else 0.0),
        )
        for place, each in enumerate(ranked, 1)
    ]
    return sorted(fused, key=lambda each: (-each.score, -each.text.at, each.text.ref))


def _in_context(
    place: tuple[int, int],
    texts: Mapping[tuple[int, int], FoundText],
    own: Mapping[tuple[int, int], float],
    is_question: Mapping[tuple[int, int], bool],
) -> float:
    """A text's own score, and what its neighbours' scores count for it."""
    session, seq = place
    score = own[place]
    if not session:
        return score
    for step, share in _BESIDE.items():
        other = session, seq + step
        if other in texts:
            score += own[other] * (_ANSWERED if step == -1 and is_question[other] and not is_question[place] else share)
    return score


def _in_time(asked: Asked, text: FoundText) -> float:
    """What it counts that something was said when the question says."""
    if not asked.days:
        return 0.0
    at = from_micros(text.at).astimezone(asked.now.tzinfo)
    return _IN_TIME * max(days.fits(at) for days in asked.days)


def _fit(asked: Asked, text: FoundText, *, asks: bool) -> float:
    """How well a text could answer the question, besides its words."""
    fit = 0.75 if asks else 1.0
    if asked.names and (found := _SPEAKER.match(text.text)) and any(run in asked.names for run in runs(found[1])):
        fit *= 1.4
    if asked.signs:
        written = text.text[:_MOST_SEARCHED]
        folded = fold(written)
        for sign in asked.signs:
            if sign.search(written if sign is _PLACE else folded):
                fit *= 1.15
    age = max(0.0, (asked.now - from_micros(text.at)).total_seconds() / 86_400)
    return fit * (1 + 0.05 * 0.5 ** (age / _RECENT_DAYS)) * min(1.0, 0.6 + len(text.text) / 130)
