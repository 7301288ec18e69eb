"""The files of a skill: what is there, its hash, and what was read of it. No links, no devices, bounded. Blocks."""

import hashlib
import os
import stat
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final

from assistant.contracts.messages import human_size
from assistant.contracts.records import record

INSTRUCTIONS: Final = "SKILL.md"
OWN: Final = "skills"
"""The assistant's own folder of skills, in the workspace: it beats the one that agents share."""
MOST_FILES: Final = 500
MOST_BYTES: Final = 20 * 1024**2
_MOST_TEXT: Final = 256 * 1024
_DEEPEST: Final = 8
Stamp = tuple[tuple[str, int, int, int, int, int], ...]


class SkillError(Exception):
    """This folder can't be used as a skill. `str(error)` says why, on one line."""


@record
class Contents:
    """All files of a skill at one time."""

    hashes: Mapping[str, str]
    """SHA-256 in hex, by the path within the skill."""
    wanted: bytes | None
    """Of the file that was asked for: the bytes that went into its hash."""

    @property
    def digest(self) -> str:
        """One hash of all names and contents."""
        return hashlib.sha256("".join(f"{each}\0{self.hashes[each]}\n" for each in sorted(self.hashes)).encode()).hexdigest()

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.hashes) - {INSTRUCTIONS}))

    def text(self) -> str:
        """The wanted file's. Raises SkillError where it is no text, or too long."""
        if self.wanted is None:
            raise SkillError("there is no such file in it")
        if len(self.wanted) > _MOST_TEXT:
            raise SkillError(f"the file is larger than {human_size(_MOST_TEXT)}")
        try:
            text = self.wanted.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise SkillError("the file is no text") from None
        if "\0" in text:
            raise SkillError("the file is no text")
        return text


def contents(folder: Path, wanted: str = INSTRUCTIONS) -> Contents:
    """Read all files. Raises SkillError: a link or device among them, too much, or what can't be read."""
    hashes: dict[str, str] = {}
    kept, left = None, MOST_BYTES
    for name, status in _walk(folder):
        left -= status.st_size
        if left < 0:
            raise SkillError(f"it is larger than {human_size(MOST_BYTES)}")
        try:
            descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise SkillError(f"{name} can't be read ({error.strerror})") from None
        hashes[name] = hashlib.sha256(data).hexdigest()
        if name == wanted:
            kept = data
    return Contents(hashes=hashes, wanted=kept)


def stamp(folder: Path) -> Stamp:
    """Changes whenever a file does: by names, sizes, inodes and times, of which a program can't set the last. Raises SkillError."""
    return tuple(
        [(name, each.st_size, each.st_mode, each.st_ino, each.st_mtime_ns, each.st_ctime_ns) for name, each in sorted(_walk(folder))]
    )


def _walk(folder: Path) -> Generator[tuple[str, os.stat_result]]:
    count, waiting = 0, [("", 0)]
    while waiting:
        inside, depth = waiting.pop()
        try:
            with os.scandir(folder / inside) as entries:
                for entry in entries:
                    name, count = f"{inside}{entry.name}", count + 1
                    status = entry.stat(follow_symlinks=False)
                    if count > MOST_FILES or depth >= _DEEPEST:
                        raise SkillError(f"it has more than {MOST_FILES} files, or folders within folders beyond {_DEEPEST}")
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append((f"{name}/", depth + 1))
                    elif stat.S_ISREG(status.st_mode):
                        yield name, status
                    else:
                        raise SkillError(f"{name} is a link or no file: put the file itself there")
        except OSError as error:
            raise SkillError(f"its folder can't be read ({error.strerror})") from None
