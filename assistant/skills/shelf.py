"""The approved skills, as the assistant uses them: what is in the lock file, as long as the files are the approved ones."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from assistant.contracts.errors import ToolFailed
from assistant.contracts.skills import SkillCard, SkillText
from assistant.skills.files import INSTRUCTIONS, OWN, Contents, SkillError, Stamp, contents, stamp
from assistant.skills.lock import ApprovedSkill, LockBroken, LockDamaged, SkillLock

log = logging.getLogger(__name__)


class SkillShelf:
    """Each use reads the files of the skill and compares their hash with the approved one: what the model is given is what was compared."""

    def __init__(self, workspace: Path, lock: SkillLock) -> None:
        self._workspace = workspace
        self._lock = lock
        self._mark: tuple[int, int, int] | None = None
        self._approved: Mapping[str, ApprovedSkill] = {}
        self._off: frozenset[str] = frozenset()
        """Those that were found changed or gone."""
        self._cards: Sequence[SkillCard] = ()
        self._seen: dict[str, tuple[Stamp, str]] = {}
        """Of each folder that was hashed: its stamp then, and the hash."""

    def cards(self) -> Sequence[SkillCard]:
        mark = self._lock.mark()
        if mark != self._mark:
            self._mark, self._off = mark, frozenset()
            try:
                self._approved = self._lock.read()
            except LockBroken as error:
                log.error("skills.all_off reason=%s", error.message)  # noqa: TRY400 - the words say it all
                self._approved = {}
            self._lay_out()
        return self._cards

    async def read(self, name: str, file: str = "") -> SkillText:
        self.cards()
        approved = self._approved.get(name)
        if approved is None:
            raise ToolFailed(f"There is no skill {name!r}. There are: {', '.join(each.name for each in self._cards) or 'none'}.")
        if file and file not in approved.files:
            there = ", ".join(each for each in sorted(approved.files) if each != INSTRUCTIONS)
            raise ToolFailed(f"{name} has no file {file!r}. It has: {there or 'none but its instructions'}.")
        folder = self._folder(approved)
        try:
            found = await asyncio.to_thread(contents, folder, file or INSTRUCTIONS)
        except SkillError as error:
            self._note(name, off=True)
            raise ToolFailed(f"The skill {name} can't be used: {error}.") from None
        self._note(name, off=found.digest != approved.sha256)
        if name in self._off:
            raise ToolFailed(f"The skill {name} was changed since it was approved, and is off until its owner runs: {approve_it(name)}")
        return SkillText(text=_shown(found, name, file), folder=folder, files=found.others)

    async def folders(self) -> Sequence[Path]:
        self.cards()
        kept: list[Path] = []
        for name, approved in list(self._approved.items()):
            folder = self._folder(approved)
            is_same = await asyncio.to_thread(self._is_approved, folder, approved.sha256)
            self._note(name, off=not is_same)
            kept += [folder] if is_same else []
        return kept

    def _is_approved(self, folder: Path, sha256: str) -> bool:
        """Blocks. A folder that no one touched is not read again."""
        try:
            now = stamp(folder)
            seen, digest = self._seen.get(str(folder), ((), ""))
            if seen != now:
                digest = contents(folder).digest
                self._seen[str(folder)] = now, digest
        except SkillError:
            return False
        return digest == sha256

    def _folder(self, approved: ApprovedSkill) -> Path:
        return self._workspace / approved.place

    def _note(self, name: str, *, off: bool) -> None:
        if off == (name in self._off):
            return
        self._off = self._off | {name} if off else self._off - {name}
        if off:
            log.warning("skill.off skill=%s reason=%s", name, "changed")
        self._lay_out()

    def _lay_out(self) -> None:
        self._cards = tuple(
            [SkillCard(name=name, description=each.description) for name, each in sorted(self._approved.items()) if name not in self._off]
        )


def open_shelf(workspace: Path, home: Path, shipped: Path) -> SkillShelf:
    """`home`: where the lock file is; a damaged one is set aside, and its approvals are given again. `shipped`: the folder of our own skills, which
    need no approval as long as they are as they were shipped. Blocks."""
    lock = SkillLock(home)
    try:
        here = {each.name for each in shipped.iterdir() if (workspace / OWN / each.name).is_dir()}
        if here - _approved(lock).keys():
            from assistant.skills.survey import adopt_shipped  # noqa: PLC0415 - at the first start only

            adopt_shipped(workspace, lock, shipped)
    except LockBroken as error:
        log.error("skills.not_approved reason=%s", error.message)  # noqa: TRY400 - the words say it all
    shelf = SkillShelf(workspace, lock)
    shelf.cards()
    return shelf


def _approved(lock: SkillLock) -> Mapping[str, ApprovedSkill]:
    try:
        return lock.read()
    except LockDamaged as error:
        log.error("skills.lock_damaged reason=%s", error.message)  # noqa: TRY400 - the words say it all
        lock.set_aside()
        return lock.read()


def approve_it(name: str) -> str:
    return f"nanobot skills approve {name}"


def _shown(found: Contents, name: str, file: str) -> str:
    """Raises ToolFailed for what is no text."""
    from assistant.skills.manifest import read_manifest  # noqa: PLC0415 - the start reads no skill

    try:
        text = found.text()
        return text if file else read_manifest(text, name).body
    except SkillError as error:
        raise ToolFailed(f"{file or INSTRUCTIONS} of {name} can't be shown: {error}. A program can read it in the sandbox.") from None
