"""SKILL.md is read leniently: what can be used is used, and what is odd is said."""

import pytest

from assistant.skills.files import SkillError
from assistant.skills.manifest import SkillManifest, read_manifest


def read(front: str, body: str = "Do it.", folder: str = "pigeon-care") -> SkillManifest:
    return read_manifest(f"---\n{front}\n---\n{body}", folder)


def test_all_that_the_standard_names_is_read() -> None:
    front = (
        "name: pigeon-care\ndescription: >\n  Cares for\n  pigeons.\nlicense: MIT\ncompatibility: needs a loft\nmetadata:\n  author: x\n"
        "allowed-tools: run read_file"
    )
    found = read(front)
    assert (found.name, found.description, found.license) == ("pigeon-care", "Cares for pigeons.", "MIT")
    assert (found.compatibility, found.allowed_tools, found.body) == ("needs a loft", "run read_file", "Do it.")
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("front", "name", "warned"),
    [
        ("name: pigeon-care\ndescription: Use when: a pigeon is ill", "pigeon-care", ""),
        ("description: x", "pigeon-care", "is not that of its folder"),
        ("name: other\ndescription: x", "other", "is not that of its folder"),
        ("name: Pigeon Care!\ndescription: x", "pigeon-care", "is not that of its folder"),
        ("name: pigeon-care\ndescription: x\nalways: true", "pigeon-care", '"always" has no effect'),
        ('name: pigeon-care\ndescription: x\nmetadata: {"nanobot": {"always": true}}', "pigeon-care", '"always" has no effect'),
        (f"name: pigeon-care\ndescription: {'x' * 1_100}", "pigeon-care", "the first 1,024 are used"),
    ],
)
def test_odd_front_matter_is_used_and_warned_of(front: str, name: str, warned: str) -> None:
    found = read(front)
    assert found.name == name
    assert len(found.description) <= 1_024
    assert (warned in " ".join(found.warnings)) if warned else not found.warnings


def test_a_name_that_no_folder_may_have_is_made_one() -> None:
    found = read("name: Brieftauben & Co\ndescription: x", folder="Brieftauben & Co")
    assert (found.name, len(found.warnings)) == ("brieftauben-co", 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Do it.", 'does not begin with "---"'),
        ("---\nname: x\n", 'does not begin with "---"'),
        ("---\nname: x\n---\nDo it.", "has no description"),
        ("---\nname: x\ndescription: ' '\n---\n", "has no description"),
        ("---\ndescription: [a\n---\n", "is not valid YAML"),
        ("---\n- a\n- b\n---\n", "is not valid YAML"),
        ("---\nname: 鳩\ndescription: x\n---\n", "has none of"),
    ],
)
def test_what_is_no_skill_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(SkillError, match=why):
        read_manifest(text, "鳩" if "鳩" in text else "x")


def test_what_other_products_skills_need_is_told() -> None:
    metadata = 'metadata: {"openclaw": {"emoji": "x", "requires": {"bins": ["curl", "jq"], "env": ["TOKEN"], "odd": {"a": 1}}}}'
    assert read(f"name: pigeon-care\ndescription: x\n{metadata}").needs == ("bins: curl", "bins: jq", "env: TOKEN")


def test_a_front_matter_that_grows_without_bound_is_not_expanded() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
        f"{after}: &{after} [{','.join([f'*{before}'] * 8)}]\n" for before, after in zip("abcdefghi", "bcdefghij", strict=True)
    )
    assert read(f"{bomb}name: pigeon-care\ndescription: x\nlicense: *j").license == ""
