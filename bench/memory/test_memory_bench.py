"""The bench of search asks what can be answered, and finds more than plain BM25 on seeds that it was not made with."""

import pytest

from assistant.memory.search import StoredSearch
from bench.memory.baseline import Bm25
from bench.memory.conversations import Style, generate, generate_in
from bench.memory.measured import filled, ours, plain, recall


@pytest.mark.parametrize("style", ["chat", "letters"])
def test_the_evidence_is_what_the_asked_person_said(style: Style) -> None:
    made = generate(900, style)
    assert made == generate(900, style)
    assert len(made.questions) > 100
    for question in made.questions:
        assert (not question.evidence) == (question.kind == "none")
        said = [made.said[place].text for place in question.evidence]
        assert all(any(text.startswith(f"{name}: ") and name in question.text for name in made.names) for text in said)


def test_plain_bm25_prefers_rare_words_and_short_texts() -> None:
    index = Bm25(["the cat sat", "the dog sat on the mat with the cat", "the bird"])
    assert index.best("a bird", 1) == [2]
    assert index.best("cat", 2) == [0, 1]


async def test_search_finds_more_than_the_baseline() -> None:
    conversations = [generate(901, "chat", sessions=10), generate(902, "letters", sessions=10), generate_in("de", 903)]
    baseline = await recall(conversations, plain)
    async with filled(conversations) as store:
        found = await recall(conversations, ours(StoredSearch(store.database, store.history)))
    assert found.at(10) >= 1.08 * baseline.at(10)
