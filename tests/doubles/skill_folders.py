"""Skills as folders, and a shelf of them."""

from collections.abc import Mapping
from pathlib import Path

from assistant.skills.files import OWN
from assistant.skills.lock import SkillLock
from assistant.skills.scan import look_at
from assistant.skills.shelf import SkillShelf
from assistant.skills.survey import approval

BODY = "1. Weigh the pigeon.\n2. Write the weight down."


def put_skill(
    workspace: Path, name: str = "pigeon-care", description: str = "How pigeons are cared for.", *, body: str = BODY, place: str = OWN,
    files: Mapping[str, str] | None = None,
) -> Path:  # fmt: skip
    """A skill in the workspace; returns its folder."""
    folder = workspace / place / name
    for file, text in {"SKILL.md": f"---\nname: {name}\ndescription: {description}\n---\n{body}\n", **(files or {})}.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def approve(workspace: Path, home: Path, *folders: Path) -> SkillLock:
    """As `nanobot skills approve` does."""
    lock = SkillLock(home)
    for folder in folders:
        found = look_at(folder, folder.relative_to(workspace).as_posix())
        assert found.manifest is not None
        assert found.contents is not None
        granted = approval(found, found.manifest, found.contents)
        lock.change(lambda approved, granted=granted: approved.update({granted.name: granted}))
    return lock


def shelf_of(workspace: Path, home: Path, *folders: Path) -> SkillShelf:
    return SkillShelf(workspace, approve(workspace, home, *folders))
