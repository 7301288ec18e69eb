"""What is put into a workflow's texts, and how much of it."""

import tracemalloc

import pytest

from assistant.contracts.messages import Json
from assistant.workflows.references import MAX_CHARS, TemplateTree, TooLong, Values, parse_template

MANY: list[Json] = ["x" * 1_000] * 200
LONG = Values(inputs={"x": "x" * (MAX_CHARS // 2), "many": MANY}, outputs={}, own=frozenset({"x"}))


@pytest.mark.parametrize(
    "tree",
    [
        parse_template("{{ inputs.x }}, " * 4_000),
        parse_template("{{ inputs.many }}, " * 4_000),
        [parse_template("{{ inputs.x }}")] * 4_000,
        {str(number): [parse_template("{{ inputs.many.0 }}")] for number in range(10_000)},
    ],
    ids=["text", "lists", "whole", "within"],
)
def test_a_page_of_references_to_a_long_text_costs_no_more_than_is_kept(tree: TemplateTree) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLong):
            LONG.fill(tree)
        if not isinstance(tree, dict | list):
            with pytest.raises(TooLong):
                LONG.fill_prompt(parse_template("{{ inputs.x }}, " * 4_000))
        assert tracemalloc.get_traced_memory()[1] < 10 * MAX_CHARS
    finally:
        tracemalloc.stop()


def test_what_is_kept_may_be_put_in() -> None:
    assert LONG.fill(parse_template("{{ inputs.x }}{{ inputs.x }}")) == "x" * MAX_CHARS
