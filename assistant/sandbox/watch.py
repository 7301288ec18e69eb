"""What the kernel has no limit for without cgroups: memory of all processes of a command, how many there are, what they write. Looked at 5 times a
second; everything here blocks, and is called in a thread."""

import os
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final, Literal

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_MOST_KNOWN: Final = 20_000
"""Files of a folder that are remembered; in a fuller one, what was written is not told, and not removed."""
_MOST_FILES: Final = 100_000
"""New files of one command."""
_RESERVE: Final = 256 * 1024**2
"""Bytes of the disk that a command may not use up."""
Over = Literal["memory", "processes", "disk"]


def descendants(pid: int) -> list[int]:
    """It and all that it started. Empty where it is gone."""
    found, asked = [pid], [pid]
    while asked:
        for task in _listed(f"/proc/{(parent := asked.pop())}/task"):
            with suppress(OSError, ValueError):
                children = [int(child) for child in Path(f"/proc/{parent}/task/{task}/children").read_text().split()]
                found += children
                asked += children
    return found


def memory(pids: list[int], limit: int) -> int:
    """Bytes that they use. Pages that several share are counted for each, unless that is over the limit."""
    total = 0
    for pid in pids:
        with suppress(OSError, IndexError, ValueError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return total if total <= limit else sum(map(_proportional, pids))


def _proportional(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def tasks(pids: list[int]) -> int:
    """Processes and threads."""
    return sum(len(_listed(f"/proc/{pid}/task")) for pid in pids)


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def walk(folder: Path) -> Generator[tuple[str, os.stat_result]]:
    """All below a folder with its path in it, links not followed."""
    waiting = [(str(folder), "")]
    while waiting:
        place, name = waiting.pop()
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    yield f"{name}{entry.name}", found
                    if S_ISDIR(found.st_mode):
                        waiting.append((entry.path, f"{name}{entry.name}/"))


@dataclass(frozen=True, slots=True)
class FolderBefore:
    """A folder as it was when the command began."""

    folder: Path
    began: int
    """By the clock of the disk, in nanoseconds."""
    known: frozenset[str] | None
    """None: too many."""
    free: int
    free_files: int

    def fills_up(self, limit: int, pids: list[int]) -> bool:
        """Whether more than `limit` bytes were written. Costs one call, as long as the disk has not lost that much."""
        disk = os.statvfs(self.folder)
        lost = self.free - disk.f_bavail * disk.f_frsize
        if lost <= limit and self.free_files - disk.f_favail <= _MOST_FILES:
            return False
        if lost > limit and disk.f_bavail * disk.f_frsize < _RESERVE:
            return True
        count, size = 0, _unlinked(pids)
        for _, found in walk(self.folder):
            if found.st_ctime_ns >= self.began and S_ISREG(found.st_mode):
                count, size = count + 1, size + found.st_blocks * 512
        return size > limit or count > _MOST_FILES

    def written(self) -> list[str]:
        """Files that are new or changed, by their paths in the folder; empty where it was too full to tell."""
        if self.known is None:
            return []
        fresh = ((path, found) for path, found in walk(self.folder) if S_ISREG(found.st_mode))
        return sorted(path for path, found in fresh if path not in self.known or found.st_mtime_ns >= self.began)

    def remove_new(self) -> None:
        """Delete the files that are new. Blocks."""
        for path in self.written() if self.known is not None else ():
            if self.known is not None and path not in self.known:
                with suppress(OSError):
                    (self.folder / path).unlink()


def _unlinked(pids: list[int]) -> int:
    """Bytes of files that have no name any more and are held open."""
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        for number in _listed(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found = os.stat(f"/proc/{pid}/fd/{number}")
                if S_ISREG(found.st_mode) and found.st_nlink == 0:
                    sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())


def before(folder: Path, user: int | None) -> FolderBefore:
    """Look at the folder, and make it `user`'s where that is another than the server's: what has several names is left as it is, it may be a file of
    somewhere else."""
    known: set[str] = set()
    if user is not None:
        _give(folder, os.lstat(folder), user)
    for path, found in walk(folder):
        known.add(path)
        if user is not None:
            _give(folder / path, found, user)
        elif len(known) > _MOST_KNOWN:
            break
    disk, probe = os.statvfs(folder), folder / f".{os.urandom(8).hex()}"
    probe.touch()
    began = probe.stat().st_mtime_ns
    probe.unlink()
    known_all = frozenset(known) if len(known) <= _MOST_KNOWN else None
    return FolderBefore(folder, began, known_all, disk.f_bavail * disk.f_frsize, disk.f_favail)


def _give(path: Path, found: os.stat_result, user: int) -> None:
    if found.st_uid != user and (S_ISDIR(found.st_mode) or (S_ISREG(found.st_mode) and found.st_nlink == 1)):
        os.chown(path, user, user, follow_symlinks=False)


def over(pid: int, *, most_memory: int, most_tasks: int, most_disk: int, folders: list[FolderBefore]) -> Over | None:
    """What is more than it may be."""
    pids = descendants(pid)
    if memory(pids, most_memory) > most_memory:
        return "memory"
    if tasks(pids) > most_tasks:
        return "processes"
    return "disk" if any(each.fills_up(most_disk, pids) for each in folders) else None
