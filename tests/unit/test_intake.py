"""How documents share the room in a message, and what one is estimated to take."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.contracts.messages import Verbatim
from assistant.contracts.models import Sampling
from assistant.contracts.turns import HistoryMessage, Upload, UserText
from assistant.turns.intake import excerpt, share
from assistant.turns.prompt import ANSWER_ESTIMATE, FILE_ESTIMATE, estimated_tokens


def test_what_short_documents_leave_goes_to_the_long_ones() -> None:
    assert share([10, 1_000, 1_000], 210) == [10, 100, 100]


@given(st.lists(st.integers(min_value=0, max_value=10_000), max_size=20), st.integers(min_value=0, max_value=50_000))
def test_shares_stay_within_budget_and_need_and_waste_nothing(lengths: list[int], budget: int) -> None:
    shares = share(lengths, budget)
    assert sum(shares) <= budget
    assert all(got <= length for got, length in zip(shares, lengths, strict=True))
    assert sum(lengths) <= budget or sum(shares) > budget - max(len(lengths), 1)


@given(st.text(max_size=500), st.integers(min_value=1, max_value=400))
def test_an_excerpt_is_the_beginning_and_not_longer_than_asked(text: str, chars: int) -> None:
    assert text.startswith(excerpt(text, chars))
    assert len(excerpt(text, chars)) <= chars


def test_an_excerpt_ends_with_a_line_where_one_is_near() -> None:
    assert excerpt("x" * 90 + "\n" + "y" * 50, 100) == "x" * 90 + "\n"
    assert excerpt("x" * 200, 100) == "x" * 100


FILE = Upload(name="a.png", path=Path("a"), size=9, digest="")
SOUND = Verbatim(text="", value={"type": "input_audio"})


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ((), 0),
        ((UserText(text=""),), 0),
        ((UserText(text="x" * 4_000),), 1_000),
        ((Verbatim(text="x" * 4_000, value={"type": "text", "cache_control": {}}),), 1_000),
        ((Verbatim(text="x" * 400_000, value={"type": "text"}), UserText(text="x" * 4)), 100_001),
        ((FILE,), FILE_ESTIMATE),
        ((SOUND,), FILE_ESTIMATE),
        ((SOUND, FILE, UserText(text="x" * 40), SOUND), 3 * FILE_ESTIMATE + 10),
    ],
)
def test_a_message_is_estimated_by_its_words_in_whatever_part(content: tuple[UserText | Upload | Verbatim, ...], tokens: int) -> None:
    assert estimated_tokens([HistoryMessage(content=content)], (), Sampling()) == tokens + ANSWER_ESTIMATE
