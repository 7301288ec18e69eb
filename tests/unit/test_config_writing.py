"""Values are written into a configuration's text, and all else stays as it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.config.file import NotJson, read_json
from assistant.config.writing import with_values

COMMENTED = """// mine
{
    // the API
    "api": {"port": 9000}, // here
    'channels': {
        telegram: {
            enabled: true, /* on */
            "token": "${T}",
        },
    },
}
"""


@pytest.mark.parametrize(
    ("text", "path", "value", "wanted"),
    [
        ("", ("a", "b"), 1, '{\n  "a": {\n    "b": 1\n  }\n}\n'),
        ("{}", ("a",), "x", '{\n  "a": "x"\n}'),
        ('{"a": 1}', ("a",), 2, '{"a": 2}'),
        ('{"a": {"b": [1, {"c": 2}], "d": 3}}', ("a", "d"), {"e": 4}, '{"a": {"b": [1, {"c": 2}], "d": {\n      "e": 4\n    }}}'),
        ('{\n  "a": {\n    "b": 1\n  }\n}\n', ("a", "c"), True, '{\n  "a": {\n    "b": 1,\n    "c": true\n  }\n}\n'),
        ('{\n\t"a": 1 // one\n}', ("b",), None, '{\n\t"a": 1, // one\n\t"b": null\n}'),
        ('{"a": "}{,:"}', ("b",), "{", '{"a": "}{,:",\n  "b": "{"}'),
        ("{/* none yet */}", ("a",), 1, '{/* none yet */\n  "a": 1\n}'),
    ],
)
def test_a_value_is_put_in_its_place(text: str, path: tuple[str, ...], value: object, wanted: str) -> None:
    assert with_values(text, {path: value}) == wanted  # pyright: ignore[reportArgumentType] - JSON


def test_comments_and_order_stay() -> None:
    text = with_values(
        COMMENTED, {("channels", "telegram", "token"): "${U}", ("channels", "slack", "enabled"): True, ("api", "host"): "::1"}
    )
    assert [line for line in text.splitlines() if line in COMMENTED.splitlines()].count("// mine") == 1
    assert all(comment in text for comment in ("// the API", "// here", "/* on */"))
    assert read_json(text) == {
        "api": {"port": 9000, "host": "::1"},
        "channels": {"telegram": {"enabled": True, "token": "${U}"}, "slack": {"enabled": True}},
    }
    assert '            "token": "${U}",' in text


@pytest.mark.parametrize(("text", "path"), [('{"a": 1}', ("a", "b")), ("[]", ("a",)), ('{"a": [1]}', ("a", "0", "b")), ('{"a"', ("b",))])
def test_what_can_not_be_changed_is_said(text: str, path: tuple[str, ...]) -> None:
    with pytest.raises(NotJson):
        with_values(text, {path: 1})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(st.text(max_size=6), VALUES, max_size=4), st.lists(st.text(max_size=6), min_size=1, max_size=3), VALUES, st.booleans()
)
def test_any_object_takes_any_value(found: dict[str, object], path: list[str], value: object, indented: bool) -> None:
    text = json.dumps(found, indent=2 if indented else None, ensure_ascii=False)
    try:
        changed = read_json(with_values(text, {tuple(path): value}))  # pyright: ignore[reportArgumentType] - JSON
    except NotJson:
        place: object = found
        for name in path[:-1]:
            place = place.get(name, {}) if isinstance(place, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        assert not isinstance(place, dict)
        return
    for name in path:
        assert isinstance(changed, dict)
        changed = changed[name]
    assert changed == value
