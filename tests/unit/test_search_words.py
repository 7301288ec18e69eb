"""What texts are found by, and what is understood of a question."""

from datetime import UTC, date, datetime

import pytest

from assistant.memory.dates import days_in
from assistant.memory.ranking import analyse, rank
from assistant.store.codec import to_micros
from assistant.store.search import FoundText, weights
from assistant.store.words import MOST_CHARS, words

NOW = datetime(2023, 8, 9, 12, tzinfo=UTC)  # a Wednesday

SAME = [
    ("studies", "study"),
    ("stopped", "stopping"),
    ("bought", "buy"),
    ("adoption", "adopting"),
    ("education", "educated"),
    ("engagement", "engaged"),
    ("children", "child"),
    ("Häuser", "haus"),
    ("Wohnungen", "wohnen"),
    ("Straße", "STRASSE"),
    ("gekauft", "kaufen"),
    ("живёт", "живут"),
    ("больницы", "больницей"),
    ("братья", "брат"),
    ("café", "cafe"),
    ("ｋａｆｅｅ", "kafee"),
]
FOUND_BY = [
    ("Zahnarzttermine", {"zahnarzttermin", "zahna-", "-ermin"}),
    ("東京都", {"東京", "京都", "東", "京", "都"}),
    ("妹", {"妹"}),
    ("กรุงเทพ", {"กร", "เท"}),
    ("4711-B", {"4711", "b"}),
    ("the and of", set[str]()),
    ("\0 🙂 \ud800", set[str]()),
]
DAYS = [
    ("what did we do last March?", date(2023, 3, 1), date(2023, 3, 31)),
    ("yesterday", date(2023, 8, 8), date(2023, 8, 8)),
    ("on 7 May 2022", date(2022, 5, 7), date(2022, 5, 7)),
    ("May 7th, 2022", date(2022, 5, 7), date(2022, 5, 7)),
    ("in October", date(2022, 10, 1), date(2022, 10, 31)),
    ("2022-11-30", date(2022, 11, 30), date(2022, 11, 30)),
    ("last week", date(2023, 7, 31), date(2023, 8, 6)),
    ("two days ago", date(2023, 8, 7), date(2023, 8, 7)),
    ("in the summer of 2021", date(2021, 6, 1), date(2021, 8, 31)),
    ("letzten Monat", date(2023, 7, 1), date(2023, 7, 31)),
    ("vor drei Tagen", date(2023, 8, 6), date(2023, 8, 6)),
    ("im März 2021", date(2021, 3, 1), date(2021, 3, 31)),
    ("в марте 2022", date(2022, 3, 1), date(2022, 3, 31)),
    ("вчера", date(2023, 8, 8), date(2023, 8, 8)),
    ("先週", date(2023, 7, 31), date(2023, 8, 6)),
    ("2022年3月5日", date(2022, 3, 5), date(2022, 3, 5)),
    ("昨日", date(2023, 8, 8), date(2023, 8, 8)),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_forms_of_a_word_are_one_term(one: str, other: str) -> None:
    assert words(one)[:1] == words(other)[:1] != []


@pytest.mark.parametrize(("text", "wanted"), FOUND_BY)
def test_a_text_is_found_by(text: str, wanted: set[str]) -> None:
    assert wanted <= {*words(text)}
    assert wanted or not words(text)


def test_of_a_long_text_the_beginning_is_found() -> None:
    assert words("a1 " * MOST_CHARS + "end") == ["a1"] * -(-MOST_CHARS // 3)


@pytest.mark.parametrize(("question", "first", "last"), DAYS)
def test_the_times_of_a_question(question: str, first: date, last: date) -> None:
    assert [(days.first, days.last) for days in days_in(question, NOW)] == [(first, last)]


@pytest.mark.parametrize("text", ["may I ask", "2022-02-31x", "the offspring", "31 February", "march on", "", "99999999"])
def test_no_time_is_seen_where_none_is_named(text: str) -> None:
    assert [days for days in days_in(text, NOW) if days.sharp] == []


def said(seq: int, text: str, score: float = 0.0) -> FoundText:
    return FoundText(entry=seq, at=to_micros(NOW), text=text, ref=f"1/{seq}", session=1, seq=seq, who="user", score=score)


@pytest.mark.parametrize(
    ("question", "texts", "best"),
    [
        ("What does Nora fear?", [("Emil: Spiders, I think, scare me a lot.", 5), ("Nora: Spiders, I think, scare me a lot.", 5)], 1),
        ("When did it arrive?", [("The parcel came to our house.", 5), ("The parcel came to us yesterday.", 5)], 1),
        ("How many plants?", [("There are many plants on it.", 5), ("There are seven plants on it.", 5)], 1),
        ("the parcel", [("Did the big parcel ever arrive?", 6), ("Yes, and it was full of glass.", 0)], 1),
    ],
)
def test_names_questions_times_and_numbers_decide(question: str, texts: list[tuple[str, float]], best: int) -> None:
    found = [said(seq, text, score) for seq, (text, score) in enumerate(texts, 1)]
    ranked = rank(analyse(question, NOW), found, {(1, each.seq): each for each in found})
    if question != "the parcel":
        assert ranked[0].text.seq == best + 1
    else:
        assert ranked[1].score > 0


def test_a_term_counts_less_in_a_long_text_and_more_where_it_is_repeated() -> None:
    short, long, twice = weights([1]), weights([1, *range(2, 90)]), weights([1, 1])
    assert long[1] < short[1] < twice[1]
