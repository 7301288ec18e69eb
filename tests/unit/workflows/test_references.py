"""References in texts: what they find, and that they find nothing else."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.contracts.messages import Json
from assistant.workflows.references import InvalidReference, Reference, Template, UnresolvedReference, as_text, look_up, parse_template

NAMES = st.from_regex(re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,20}", re.ASCII), fullmatch=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
LITERALS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).filter(lambda text: "{" not in text and not text.endswith("\\"))


@given(st.lists(st.tuples(LITERALS, NAMES, st.sampled_from(["", " ", "\n\t"])), max_size=5), LITERALS, st.data())
def test_a_text_is_filled_with_just_what_is_referred_to(pieces: list[tuple[str, str, str]], last: str, data: st.DataObject) -> None:
    values: dict[str, Json] = {name: data.draw(VALUES) for _, name, _ in pieces}
    text = "".join([f"{literal}{{{{{space}inputs.{name}{space}}}}}" for literal, name, space in pieces]) + last
    filled = parse_template(text).fill(lambda reference: values[reference.steps[1]])
    if len(pieces) == 1 and not pieces[0][0] and not last:
        assert filled == values[pieces[0][1]]
    else:
        assert filled == "".join([literal + as_text(values[name]) for literal, name, _ in pieces]) + last


@given(st.text(max_size=60))
def test_what_is_put_in_is_never_looked_at_again(hostile: str) -> None:
    filled = parse_template("<{{ inputs.x }}>").fill(lambda reference: hostile + "{{ inputs.secret }}")
    assert filled == f"<{hostile}{{{{ inputs.secret }}}}>"


@given(st.text(alphabet="{}\\ .aijnopstu_-0()[]'\"%!|", max_size=60))
def test_any_text_is_a_template_or_is_refused_in_words(text: str) -> None:
    with contextlib.suppress(InvalidReference):
        template = parse_template(text)
        assert "{{" not in text or any(isinstance(part, Reference) for part in template.parts) or "\\{{" in text


@given(VALUES, st.lists(NAMES | st.integers(0, 5).map(str), min_size=1, max_size=5))
def test_a_look_up_reaches_keys_and_places_and_nothing_else(value: Json, steps: list[str]) -> None:
    expected = value
    for step in steps:
        if isinstance(expected, dict) and step in expected:
            expected = expected[step]
        elif isinstance(expected, list) and step.isdigit() and int(step) < len(expected):
            expected = expected[int(step)]
        else:
            with pytest.raises(UnresolvedReference):
                look_up(value, Reference(tuple(steps)), 0)
            return
    assert look_up(value, Reference(tuple(steps)), 0) is expected


@pytest.mark.parametrize(
    "inside",
    [
        "",
        " ",
        "a b",
        "a..b",
        ".a",
        "a.",
        "a.__class__()",
        "a[0]",
        "a|safe",
        "1a",
        "a.-1",
        "a.01",
        "ä.output",
        "a.output.x%",
        "a\x00b",
        "%",
        "a" * 65,
    ],
)
def test_what_is_no_path_is_refused(inside: str) -> None:
    with pytest.raises(InvalidReference, match="is no reference"):
        parse_template("{{" + inside + "}}")


def test_attributes_of_objects_are_not_there() -> None:
    for steps in (("x", "__class__"), ("x", "format"), ("x", "keys"), ("x", "0", "__len__")):
        with pytest.raises(UnresolvedReference):
            look_up({"x": ["text"]}, Reference(steps), 0)


def test_braces_themselves_are_written_with_a_backslash() -> None:
    assert parse_template(r"a \{{ b }} {{ inputs.x }}") == Template(("a {{ b }} ", Reference(("inputs", "x"))))


def test_an_open_reference_says_where_it_opens() -> None:
    with pytest.raises(InvalidReference, match="no '}}' behind it") as refused:
        parse_template("one\ntwo {{ inputs.x")
    assert refused.value.offset == 8
