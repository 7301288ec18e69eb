"""SKILL.md: the front matter that says what a skill is, read leniently, and the instructions behind it. Pure.

The rules are those of the AgentSkills specification (agentskills.io): name, description, license, compatibility, metadata, allowed-tools.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from assistant.contracts.records import record
from assistant.skills.files import SkillError

MOST_DESCRIPTION: Final = 1_024
_FRONT: Final = r"(?ms)\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?(?:\n|\Z)"
_NAME: Final = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_LINE: Final = r"(?m)^([A-Za-z][\w-]*):[ \t]+([^\"'\[{|>&*!\s].*?)[ \t]*\r?$"
_LONGEST_NAME: Final = 64
_LONGEST_FRONT: Final = 32_000
_MANY_LINES: Final = 500
_PRODUCTS: Final = ("nanobot", "openclaw", "moltbot", "clawdbot")
"""Whose `metadata.<product>.requires` is read."""


@record
class SkillManifest:
    """A SKILL.md. Texts that were not given are empty."""

    name: str
    description: str
    license: str
    compatibility: str
    allowed_tools: str
    needs: tuple[str, ...]
    """Programs, environment variables and settings that its front matter asks for."""
    body: str
    warnings: tuple[str, ...]
    """What the standard would have otherwise, and what has no effect here."""


def read_manifest(text: str, folder: str) -> SkillManifest:
    """`folder`: the name of the skill's folder. Raises SkillError where there is no front matter, or no description in it."""
    front = re.match(_FRONT, text[:_LONGEST_FRONT])
    if front is None:
        raise SkillError('SKILL.md does not begin with "---", the front matter and "---"')
    fields = _fields(front[1])
    description = " ".join(_text(fields, "description").split())
    if not description:
        raise SkillError("its front matter has no description")
    warnings: list[str] = []
    name = _name(_text(fields, "name"), folder, warnings)
    if len(description) > MOST_DESCRIPTION:
        warnings.append(f"its description has {len(description):,} characters; the first {MOST_DESCRIPTION:,} are used")
    body = text[front.end() :].strip()
    if body.count("\n") > _MANY_LINES:
        warnings.append(f"SKILL.md has more than {_MANY_LINES} lines: put details into files beside it")
    if not body:
        warnings.append("there are no instructions behind the front matter")
    if _metadata(fields, "always") or fields.get("always"):
        warnings.append('"always" has no effect: name the skill in AGENTS.md')
    return SkillManifest(
        name=name,
        description=description[:MOST_DESCRIPTION],
        license=_text(fields, "license"),
        compatibility=_text(fields, "compatibility"),
        allowed_tools=_text(fields, "allowed-tools"),
        needs=_needs(fields),
        body=body,
        warnings=tuple(warnings),
    )


def _fields(front: str) -> Mapping[str, Any]:
    import yaml  # noqa: PLC0415 - the start reads no skill, only the lock file

    for text in (front, re.sub(_LINE, _quoted, front)):  # "description: Use when: …" is no YAML, and common
        try:
            fields: object = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            continue
        if isinstance(fields, dict):
            return cast("Mapping[str, Any]", fields)
    raise SkillError("its front matter is not valid YAML")


def _quoted(line: re.Match[str]) -> str:
    value = line[2].replace("\\", "\\\\").replace('"', '\\"')
    return f'{line[1]}: "{value}"'


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value.strip() if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""


def _name(given: str, folder: str, warnings: list[str]) -> str:
    for name in (given, folder):
        if len(name) <= _LONGEST_NAME and re.fullmatch(_NAME, name):
            if given != folder:
                warnings.append(f'its name "{given[:80]}" is not that of its folder "{folder[:80]}"; "{name}" is used')
            return name
    name = re.sub(r"[^a-z0-9]+", "-", (given or folder).casefold())[:_LONGEST_NAME].strip("-")
    if not name:
        raise SkillError('its name has none of "a" to "z" and "0" to "9"')
    warnings.append(f'its name "{(given or folder)[:80]}" is not of a-z, 0-9 and single "-"; "{name}" is used')
    return name


def _metadata(fields: Mapping[str, Any], key: str) -> Any:
    """What the metadata has under this key, by itself or for one of the products."""
    metadata = fields.get("metadata")
    if not isinstance(metadata, dict):
        return None
    known = cast("Mapping[str, Any]", metadata)
    of_products = [cast("Mapping[str, Any]", known[name]) for name in _PRODUCTS if isinstance(known.get(name), dict)]
    return next((found for each in (known, *of_products) if (found := each.get(key))), None)


def _needs(fields: Mapping[str, Any]) -> tuple[str, ...]:
    required = _metadata(fields, "requires")
    found: list[str] = []
    for kind, lists in cast("Mapping[str, Any]", required).items() if isinstance(required, dict) else ():
        if isinstance(lists, list):
            found += [f"{kind}: {name[:80]}" for name in cast("list[object]", lists) if isinstance(name, str)]
    return tuple(found[:20])
