"""Generates conversations of two people over many sessions, with questions about them and the messages that answer these."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from bench.memory.closer import CLOSER
from bench.memory.facts import FACTS, FILLERS, OPENERS, Fact
from bench.memory.languages import GERMAN, JAPANESE, RUSSIAN, TALK

Style = Literal["chat", "letters"]
Kind = Literal["single", "several", "time", "none"]
_PAIRS: Final = (("Nora", "Emil"), ("Tessa", "Hugo"), ("Ada", "Bruno"), ("Mira", "Stellan"), ("Cleo", "Victor"), ("Dana", "Ivor"))
_OTHERS: Final = {"de": (GERMAN, ("Lena", "Uwe")), "ru": (RUSSIAN, ("Катя", "Женя")), "ja": (JAPANESE, ("さくら", "健太"))}
_CLOSER: Final = dict(zip(FACTS, CLOSER, strict=True))
_MONTHS: Final = ("January February March April May June July August September October November December").split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Said:
    session: int
    at: datetime
    who: int
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    kind: Kind
    text: str
    evidence: frozenset[int]
    """The places of the messages that answer it; empty: none does."""


@dataclass(slots=True)
class Conversation:
    names: tuple[str, str]
    said: list[Said] = field(default_factory=list[Said])
    questions: list[Question] = field(default_factory=list[Question])

    def add(self, session: int, at: datetime, who: int, text: str) -> int:
        self.said.append(Said(session, at, who, f"{self.names[who]}: {text}"))
        return len(self.said) - 1


@dataclass(frozen=True, slots=True)
class _Told:
    fact: Fact
    who: int
    value: str
    place: int
    at: datetime


def generate(seed: int, style: Style, *, sessions: int = 28) -> Conversation:
    """In English. "chat": short messages, some facts as answers to what the other one asked. "letters": long messages, a fact amid other things."""
    draw = random.Random(f"{style} {seed}")
    made = Conversation(_PAIRS[seed % len(_PAIRS)])
    facts = [(fact, who) for fact in FACTS for who in (0, 1)]
    draw.shuffle(facts)
    told: list[_Told] = []
    untold = facts[: len(facts) // 6]
    waiting = facts[len(facts) // 6 :] + draw.sample(facts[len(facts) // 6 :], 10)
    at = datetime(2022, 1, 4 + seed % 20, 18, 5, tzinfo=UTC)
    for session in range(sessions):
        mine, waiting = waiting[: -(-len(waiting) // (sessions - session))], waiting[-(-len(waiting) // (sessions - session)) :]
        told += (_chat if style == "chat" else _letters)(draw, made, session, at, mine)
        at += timedelta(days=draw.randint(4, 17), minutes=draw.randint(-200, 200))
    _ask(draw, made, told, untold)
    return made


def generate_in(language: str, seed: int) -> Conversation:
    """ "de", "ru" or "ja"."""
    facts, names = _OTHERS[language]
    draw = random.Random(f"{language} {seed}")
    made = Conversation(names)
    at = datetime(2022, 2, 3, 19, 0, tzinfo=UTC)
    pairs = [(fact, who) for fact in facts for who in (0, 1)]
    draw.shuffle(pairs)
    for session, (fact, who) in enumerate(pairs):
        for turn in range(14):
            made.add(session, at + timedelta(minutes=turn), turn % 2, draw.choice(TALK[language]))
        value = draw.choice(fact.values)
        place = made.add(session, at + timedelta(minutes=20), who, draw.choice(fact.told).format(x=value))
        made.add(session, at + timedelta(minutes=21), 1 - who, draw.choice(TALK[language]))
        made.questions += [Question("single", question.format(who=names[who]), frozenset({place})) for question in fact.questions]
        at += timedelta(days=draw.randint(4, 12))
    return made


def _chat(draw: random.Random, made: Conversation, session: int, at: datetime, facts: list[tuple[Fact, int]]) -> list[_Told]:
    told: list[_Told] = []
    first = session % 2
    made.add(session, at, first, draw.choice(OPENERS).format(name=made.names[1 - first]))
    who, minute = 1 - first, 1

    def talk(count: int) -> None:
        nonlocal who, minute
        for _ in range(count):
            made.add(session, at + timedelta(minutes=minute), who, draw.choice(FILLERS))
            who, minute = 1 - who, minute + 1

    for fact, teller in facts:
        talk(draw.randint(3, 7))
        value = draw.choice(fact.values)
        answers = bool(fact.short) and draw.random() < 0.5
        if answers:
            made.add(session, at + timedelta(minutes=minute), 1 - teller, fact.asked)
        text = fact.short if answers else draw.choice(fact.told)
        place = made.add(session, at + timedelta(minutes=minute + 1), teller, text.format(x=value))
        told.append(_Told(fact, teller, value, place, at))
        minute += 2
        for step, line in enumerate(_CLOSER[fact].around[: draw.randint(0, 3)]):
            made.add(session, at + timedelta(minutes=minute + step), 1 - teller if step % 2 == 0 else teller, line)
        who, minute = 1 - teller, minute + 3
    talk(draw.randint(3, 8))
    return told


def _letters(draw: random.Random, made: Conversation, session: int, at: datetime, facts: list[tuple[Fact, int]]) -> list[_Told]:
    told: list[_Told] = []
    for turn in range(max(6, 2 * len(facts) + 2)):
        who = turn % 2
        sentences = draw.sample(FILLERS, draw.randint(2, 5))
        mine = next((pair for pair in facts if pair[1] == who), None)
        if mine and draw.random() < 0.8:
            facts = [pair for pair in facts if pair != mine]
            value = draw.choice(mine[0].values)
            sentences.insert(draw.randint(0, len(sentences)), draw.choice(mine[0].told).format(x=value))
            told.append(_Told(mine[0], who, value, len(made.said), at))
        made.add(session, at + timedelta(minutes=7 * turn), who, " ".join(sentences))
    return told


def _ask(draw: random.Random, made: Conversation, told: list[_Told], untold: list[tuple[Fact, int]]) -> None:
    for fact, who in dict.fromkeys((each.fact, each.who) for each in told):
        mine = [each for each in told if each.fact is fact and each.who == who]
        name = made.names[who]
        kind: Kind = "single" if len(mine) == 1 else "several"
        for wordings in (fact.questions, _CLOSER[fact].questions, _CLOSER[fact].questions):
            made.questions.append(Question(kind, draw.choice(wordings).format(who=name), frozenset(each.place for each in mine)))
        if fact.dated:
            first = mine[0]
            same = frozenset(each.place for each in mine if "{x}" not in fact.dated or each.value == first.value)
            made.questions.append(Question("time", fact.dated.format(who=name, x=first.value), same))
    for fact in dict.fromkeys(each.fact for each in told):
        both = [each for each in told if each.fact is fact]
        if len({each.who for each in both}) == 2 and draw.random() < 0.5:
            plain = fact.questions[0].replace("{who}'s", "both of them's").format(who="each of them")
            question = plain.replace("both of them's", f"{made.names[0]}'s and {made.names[1]}'s").replace(
                "each of them", " and ".join(made.names)
            )
            made.questions.append(Question("several", question, frozenset(each.place for each in both)))
    for each in draw.sample(told, min(8, len(told))):
        same_month = [other for other in told if (other.at.year, other.at.month, other.who) == (each.at.year, each.at.month, each.who)]
        named = draw.choice((f"{_MONTHS[each.at.month - 1]} {each.at.year}", f"{_MONTHS[each.at.month - 1]}, {each.at.year}"))
        question = f"What news did {made.names[each.who]} have in {named}?"
        made.questions.append(Question("time", question, frozenset(other.place for other in same_month)))
    told_pairs = {(each.fact, each.who) for each in told}
    for fact, who in untold:
        if (fact, who) not in told_pairs:
            made.questions.append(Question("none", fact.questions[-1].format(who=made.names[who]), frozenset()))
