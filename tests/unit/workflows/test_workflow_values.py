"""What is put into a workflow's texts, and how much of it."""

import tracemalloc

import pytest

from assistant.contracts.messages import Json
from assistant.workflows.definition import Shape
from assistant.workflows.references import parse_template
from assistant.workflows.values import MOST_CHARS, TooLong, Values

MANY: list[Json] = ["x" * 1_000] * 200
LONG = Values(inputs={"x": "x" * (MOST_CHARS // 2), "many": MANY}, outputs={}, own=frozenset({"x"}))


@pytest.mark.parametrize(
    "shape",
    [
        parse_template("{{ inputs.x }}, " * 4_000),
        parse_template("{{ inputs.many }}, " * 4_000),
        [parse_template("{{ inputs.x }}")] * 4_000,
        {str(number): [parse_template("{{ inputs.many.0 }}")] for number in range(10_000)},
    ],
    ids=["text", "lists", "whole", "within"],
)
def test_a_page_of_references_to_a_long_text_costs_no_more_than_is_kept(shape: Shape) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLong):
            LONG.filled(shape)
        if not isinstance(shape, dict | list):
            with pytest.raises(TooLong):
                LONG.spoken(parse_template("{{ inputs.x }}, " * 4_000))
        assert tracemalloc.get_traced_memory()[1] < 10 * MOST_CHARS
    finally:
        tracemalloc.stop()


def test_what_is_kept_may_be_put_in() -> None:
    assert LONG.filled(parse_template("{{ inputs.x }}{{ inputs.x }}")) == "x" * MOST_CHARS
