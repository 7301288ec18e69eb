"""The lock file: which skills the owner has approved, and what exactly. It lies in the state's folder, where no tool reaches. Blocks."""

import fcntl
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from assistant.contracts.errors import NanobotError
from assistant.contracts.records import record
from assistant.contracts.util import write_new

FILE: Final = "skills.lock.json"


class LockBroken(NanobotError):
    """The lock file of skills can't be used."""


class LockDamaged(LockBroken):
    """It can be read, and is none of ours."""


@record
class ApprovedSkill:
    """An approval: of this content, under this name."""

    name: str
    description: str
    place: str
    """The folder, as seen from the workspace."""
    sha256: str
    """Of all its files; see `Contents.digest`."""
    files: Mapping[str, str]
    """The hash of each file."""
    instructions: str
    """SKILL.md as it was, for the comparison when it changes."""
    approved_at: datetime
    by: Literal["owner", "shipped"] = "owner"


class SkillLock:
    """The approvals by name. Another process may change them: `mark` shows it."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of the state."""
        self.path = folder / FILE

    def mark(self) -> tuple[int, int, int] | None:
        """Another one when the file was written; None: there is no file."""
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def read(self) -> dict[str, ApprovedSkill]:
        """Raises LockBroken; LockDamaged for a file that is not one of ours."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise LockBroken(f"{self.path} can't be read ({error.strerror}).") from error
        try:
            entries: dict[str, dict[str, Any]] = orjson.loads(data)["skills"]
            return {name: _approved(name, each) for name, each in sorted(entries.items())}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise LockDamaged(f"{self.path} is not a lock file of skills: remove it, then approve what you use again.") from None

    def change(self, edit: Callable[[dict[str, ApprovedSkill]], None]) -> None:
        """Read, edit and write it while no other process does. Raises LockBroken."""
        with self._alone():
            approved = self.read()
            edit(approved)
            self._write(approved)

    def set_aside(self) -> None:
        """Give the file another name if it is damaged; the one before under that name goes. Raises LockBroken."""
        with self._alone():
            try:
                self.read()
            except LockDamaged:  # not where another process that starts has set it aside
                os.replace(self.path, self.path.with_suffix(".damaged"))

    @contextmanager
    def _alone(self) -> Generator[None]:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.path.with_suffix(".changing").open("w") as guard:
                fcntl.flock(guard, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise LockBroken(f"{self.path} can't be written ({error.strerror}).") from error

    def _write(self, approved: Mapping[str, ApprovedSkill]) -> None:
        entries = {name: approved[name] for name in sorted(approved)}
        new = self.path.with_suffix(".new")
        write_new(new, orjson.dumps({"version": 1, "skills": entries}, option=orjson.OPT_INDENT_2))
        os.replace(new, self.path)


def _approved(name: str, fields: Mapping[str, Any]) -> ApprovedSkill:
    """Raises KeyError, TypeError, ValueError for what is none of ours."""
    texts = [fields[each] for each in ("description", "place", "sha256", "instructions")]
    files: dict[str, str] = dict(fields["files"])
    if not all(isinstance(each, str) for each in (*texts, *files.values())):
        raise TypeError(name)
    description, place, sha256, instructions = texts
    return ApprovedSkill(
        name=name,
        description=description,
        place=place,
        sha256=sha256,
        files=files,
        instructions=instructions,
        approved_at=datetime.fromisoformat(fields["approved_at"]),
        by="shipped" if fields["by"] == "shipped" else "owner",
    )
