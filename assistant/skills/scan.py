"""Which skills the workspace holds, approved or not: `skills/*/SKILL.md` and `.agents/skills`. Blocks."""

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from assistant.contracts.records import record
from assistant.skills.files import INSTRUCTIONS, OWN, Contents, SkillError, contents
from assistant.skills.manifest import SkillManifest, read_manifest

PLACES: Final = (OWN, ".agents/skills")
_DEEPEST: Final = 4
_MOST_FOLDERS: Final = 2_000
_PASSED_OVER: Final = frozenset({".git", "node_modules", "__pycache__", ".venv"})


@record
class FoundSkill:
    """A folder with a SKILL.md."""

    name: str
    folder: Path
    place: str
    """The folder, as seen from where it was looked for."""
    manifest: SkillManifest | None
    """None: it is not usable."""
    contents: Contents | None
    problem: str = ""
    """Why it is not usable."""
    warnings: tuple[str, ...] = ()


def look_at(folder: Path, place: str) -> FoundSkill:
    """A folder that may be a skill. Never raises: `problem` says what is wrong."""
    try:
        files = contents(folder)
        manifest = read_manifest(files.text(), folder.name)
    except SkillError as error:
        return FoundSkill(name=folder.name, folder=folder, place=place, manifest=None, contents=None, problem=str(error))
    return FoundSkill(name=manifest.name, folder=folder, place=place, manifest=manifest, contents=files, warnings=manifest.warnings)


def scan(workspace: Path) -> Sequence[FoundSkill]:
    """All skills by name; of several with one name, the first is the one that counts, and the others have a warning."""
    found: list[FoundSkill] = []
    for place in PLACES:
        for folder in skill_folders(workspace / place):
            skill = look_at(folder, folder.relative_to(workspace).as_posix())
            if first := next((each for each in found if each.name == skill.name and not each.problem), None):
                skill = replace(skill, warnings=(*skill.warnings, f"{first.place} has the same name and comes first"))
            found.append(skill)
    return sorted(found, key=lambda each: each.name)  # stable: the first stays the first


def skill_folders(root: Path) -> Generator[Path]:
    """The folders below `root`, and itself, that hold a SKILL.md, in the order of their names: at most 4 deep, of 2,000 folders. Links are not
    followed, and within a skill there is no other."""
    waiting, seen = [(root, 0)], 0
    while waiting and seen < _MOST_FOLDERS:
        folder, depth = waiting.pop()
        seen += 1
        try:
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError:
            continue
        if any(entry.name == INSTRUCTIONS for entry in inside):
            yield folder
        elif depth < _DEEPEST:
            waiting += [
                (Path(entry.path), depth + 1) for entry in inside if entry.name not in _PASSED_OVER and entry.is_dir(follow_symlinks=False)
            ]
