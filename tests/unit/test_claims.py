"""What counts as a claim: 300 ordinary answers that must not be doubted, and claims that must be found."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from assistant.contracts.effects import EFFECT_KINDS, EffectKind
from assistant.turns.claim_words import ClaimPattern
from assistant.turns.claims import ClaimKind, claimed, unbacked

DATA = Path(__file__).parent / "data"
NOTHING: frozenset[EffectKind] = frozenset()


def records(name: str) -> Iterator[tuple[str, str]]:
    """(What the user said, the answer) of each record."""
    for record in (DATA / name).read_text(encoding="utf-8").split("\n== "):
        head, _, answer = record.removeprefix("== ").partition("\n")
        yield head.strip(), answer.strip()


def doubted(asked: str, answer: str) -> list[ClaimKind]:
    return [claim.kind for claim in unbacked(claimed(answer, asked), done=NOTHING, before=NOTHING)]


def test_at_most_one_of_a_hundred_ordinary_answers_is_doubted() -> None:
    ordinary = list(records("ordinary_answers.txt"))
    wrong = [(asked, answer, kinds) for asked, answer in ordinary if (kinds := doubted(asked, answer))]
    assert len(ordinary) >= 300
    assert len(wrong) <= len(ordinary) // 100, wrong


def test_claims_without_an_effect_are_found() -> None:
    claims = list(records("claims.txt"))
    missed = [(head, answer) for head, answer in claims if head.partition(" | ")[0] not in doubted(head.partition(" | ")[2], answer)]
    assert len(claims) >= 60
    assert missed == []


def test_none_of_them_is_doubted_where_its_effect_is_there() -> None:
    for head, answer in records("claims.txt"):
        asked = head.partition(" | ")[2]
        assert unbacked(claimed(answer, asked), done=EFFECT_KINDS, before=NOTHING) == ()


def searches(answer: str, asked: str) -> int:
    """How many patterns are tried."""
    tried = 0

    def count(_: FrameType, event: str, function: Any) -> None:
        nonlocal tried
        tried += event == "c_call" and getattr(function, "__name__", "") == "search"

    sys.setprofile(count)
    try:
        claimed(answer, asked)
    finally:
        sys.setprofile(None)
    return tried


def test_a_sentence_costs_the_patterns_of_what_it_speaks_of_alone() -> None:
    asked = "Send Anna a message, remind me, remember it, forget that, cancel the alarm and stop the job."
    claims = "I sent Anna a message. Reminder set. I saved it. I deleted that from memory. The alarm is cancelled. I stopped the job. "
    few = searches(claims, asked)
    more = searches(claims + "I like the blue one, as it is warm. " * 100, asked)
    assert len(claimed(claims, asked)) >= 5
    assert few < 130
    assert more - few <= 60


def test_text_made_to_be_slow_is_not_looked_at_for_ever() -> None:
    negated = "I have not sent Anna anything. "
    assert searches(negated * 250, "Send it") == searches(negated * 100, "Send it")
    assert claimed("I sent Anna a message, " + "and so on, " * 100, "Send it") == ()


def test_a_pattern_is_compiled_when_it_is_first_needed() -> None:
    broken = ClaimPattern("(")
    with pytest.raises(re.error):
        broken.search("")
