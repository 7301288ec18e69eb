"""What the owner is shown of skills: which are on, which wait for an approval, and what an approval would change. Blocks."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from assistant.contracts.records import record
from assistant.contracts.util import Clock, utc_now
from assistant.skills.files import INSTRUCTIONS, OWN, Contents
from assistant.skills.lock import ApprovedSkill, SkillLock
from assistant.skills.manifest import SkillManifest
from assistant.skills.scan import FoundSkill, look_at, scan, skill_folders

SkillState = Literal["on", "new", "changed", "hidden", "unusable", "gone"]
"""on: approved as it is. changed: approved once, and off until it is again. hidden: another one has its name. gone: approved, and not there."""
_MOST_DIFF: Final = 400


@record
class SurveyedSkill:
    """A skill that is in the workspace or in the lock file."""

    name: str
    state: SkillState
    place: str
    description: str
    found: FoundSkill | None
    approved: ApprovedSkill | None


def survey(workspace: Path, lock: SkillLock) -> Sequence[SurveyedSkill]:
    """By name, what counts first. Raises LockBroken."""
    approvals = lock.read()
    listed: list[SurveyedSkill] = []
    for each in scan(workspace):
        approved = approvals.get(each.name)
        if approved is None or approved.place != each.place:
            is_first = not any(other.name == each.name and other.found and not other.found.problem for other in listed)
            state, approved = ("new" if is_first else "hidden"), None
        else:
            state = "on" if each.contents and each.contents.digest == approved.sha256 else "changed"
        state = "unusable" if each.problem else state
        description = each.manifest.description if each.manifest else ""
        listed.append(SurveyedSkill(name=each.name, state=state, place=each.place, description=description, found=each, approved=approved))
    known = {(each.name, each.place) for each in listed}
    listed += [
        SurveyedSkill(name=each.name, state="gone", place=each.place, description=each.description, found=None, approved=each)
        for each in approvals.values()
        if (each.name, each.place) not in known
    ]
    return sorted(listed, key=lambda each: each.name)


def approval(
    skill: FoundSkill, manifest: SkillManifest, files: Contents, *, by: Literal["owner", "shipped"] = "owner", clock: Clock = utc_now
) -> ApprovedSkill:
    """Of exactly the content that was looked at."""
    return ApprovedSkill(
        name=skill.name,
        description=manifest.description,
        place=skill.place,
        sha256=files.digest,
        files=files.hashes,
        instructions=files.text(),
        approved_at=clock(),
        by=by,
    )


def differences(old: ApprovedSkill, new: Contents) -> str:
    """What changed since an approval: the files, and the lines of SKILL.md."""
    lines = [f"+ {name} (new)" for name in new.others if name not in old.files]
    lines += [f"- {name} (gone)" for name in sorted(old.files) if name not in new.hashes]
    lines += [f"! {name} (changed)" for name in sorted(old.files) if new.hashes.get(name, old.files[name]) != old.files[name]]
    if new.hashes.get(INSTRUCTIONS) != old.files.get(INSTRUCTIONS):
        said = difflib.unified_diff(old.instructions.splitlines(), new.text().splitlines(), "approved", "now", lineterm="")
        changed = list(said)
        lines += ["", *changed[:_MOST_DIFF]]
        lines += [f"… {len(changed) - _MOST_DIFF} more lines"] if len(changed) > _MOST_DIFF else []
    return "\n".join(lines)


def adopt_shipped(workspace: Path, lock: SkillLock, shipped: Path) -> None:
    """Approve those of our skills that lie in the workspace as they were shipped, once. Raises LockBroken."""
    approvals = lock.read()
    new: dict[str, ApprovedSkill] = {}
    for original in skill_folders(shipped):
        copy = workspace / OWN / original.name
        if original.name in approvals or not copy.is_dir():
            continue
        ours, found = look_at(original, ""), look_at(copy, f"{OWN}/{original.name}")
        if found.manifest and found.contents and ours.contents and found.contents.digest == ours.contents.digest:
            new[found.name] = approval(found, found.manifest, found.contents, by="shipped")
    if new:
        lock.change(lambda approved: approved.update({name: each for name, each in new.items() if name not in approved}))
