"""What the kernel has no limit for without cgroups: memory of all processes of a command, how many there are, what they write. Looked at 5 times a
second; everything here blocks, and is called in a thread."""

import os
import time
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final, Literal

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_COARSE: Final = 5
"""CLOCK_REALTIME_COARSE, by which files are stamped."""
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


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file or folder, by its path in the folder that is walked."""

    path: str
    stat: os.stat_result
    folder: int
    """The open folder that it is in, while it is looked at: what is done to it by `name` there reaches nothing else, whatever is moved meanwhile."""
    name: str


def walk(folder: Path) -> Generator[SeenFile]:
    """All below a folder, links not followed. Nothing where it is gone."""
    if not folder.is_dir():
        return
    for place, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        above = os.path.relpath(place, folder)
        for name in (*folders, *files):
            with suppress(OSError):
                path = name if above == "." else f"{above}/{name}"
                yield SeenFile(path, os.stat(name, dir_fd=descriptor, follow_symlinks=False), descriptor, name)


@dataclass(frozen=True, slots=True)
class FolderBefore:
    """A folder as it was when the command began."""

    folder: Path
    began: int
    """In nanoseconds, by the clock that files are stamped by."""
    known: Mapping[str, tuple[int, int]] | None
    """When each file was changed, and its size: two commands may fall into one tick of the clock. None: too many."""
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
        for found in walk(self.folder):
            if found.stat.st_ctime_ns >= self.began and S_ISREG(found.stat.st_mode):
                count, size = count + 1, size + found.stat.st_blocks * 512
        return size > limit or count > _MOST_FILES

    def written(self) -> list[str]:
        """Files that are new or changed, by their paths in the folder; empty where it was too full to tell."""
        if self.known is None:
            return []
        fresh = (found for found in walk(self.folder) if S_ISREG(found.stat.st_mode))
        return sorted(found.path for found in fresh if self.known.get(found.path) != (found.stat.st_mtime_ns, found.stat.st_size))

    def remove_new(self) -> None:
        """Delete the files that are new."""
        if self.known is None:
            return
        for found in walk(self.folder):
            if S_ISREG(found.stat.st_mode) and found.path not in self.known:
                with suppress(OSError):
                    os.unlink(found.name, dir_fd=found.folder)


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
    known: dict[str, tuple[int, int]] = {}
    if user is not None and os.lstat(folder).st_uid != user:
        os.chown(folder, user, user, follow_symlinks=False)
    for found in walk(folder):
        known[found.path] = (found.stat.st_mtime_ns, found.stat.st_size)
        if user is not None:
            _give(found, user)
        elif len(known) > _MOST_KNOWN:
            break
    disk = os.statvfs(folder)
    known_all = known if len(known) <= _MOST_KNOWN else None
    return FolderBefore(folder, time.clock_gettime_ns(_COARSE), known_all, disk.f_bavail * disk.f_frsize, disk.f_favail)


def _give(found: SeenFile, user: int) -> None:
    mode = found.stat.st_mode
    if found.stat.st_uid != user and (S_ISDIR(mode) or (S_ISREG(mode) and found.stat.st_nlink == 1)):
        os.chown(found.name, user, user, dir_fd=found.folder, follow_symlinks=False)


def over(pid: int, *, most_memory: int, most_tasks: int, most_disk: int, folders: list[FolderBefore]) -> Over | None:
    """What is more than it may be."""
    pids = descendants(pid)
    if memory(pids, most_memory) > most_memory:
        return "memory"
    if tasks(pids) > most_tasks:
        return "processes"
    return "disk" if any(each.fills_up(most_disk, pids) for each in folders) else None
