"""The files of a space as tools read and change them: a folder of its own, `shared/`, a trash in each."""

import asyncio
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import Final, NamedTuple

from assistant.contracts.errors import ToolFailed
from assistant.contracts.messages import human_size
from assistant.contracts.people import PeopleDirectory
from tools.jail import SHARED, TRASH, Jail, rename_new, split_path
from tools.workspace import PEOPLE, Workspace, refusal

MIB: Final = 1024 * 1024
MOST_READ, MOST_WRITTEN = 10 * MIB, 5 * MIB
DEEPEST, _MOST_MET, _WAITS, _COUNTED = 60, 100_000, 10, 30
"""Folders that a walk goes down; entries that it reads of one; seconds for which a change waits for others, and a folder is not counted again."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PART: Final = (".nanobot-", ".part")
"""How a file that is being written begins and ends."""


class Place(NamedTuple):
    """A path that was checked."""

    jail: Jail
    steps: tuple[str, ...]
    """From the jail's folder on; none: the folder itself."""
    path: str
    """In its one form: "reports/week.md", "shared/list.txt", "."."""

    @property
    def in_trash(self) -> bool:
        return self.steps[:1] == (TRASH,)


class Found(NamedTuple):
    """What a walk meets."""

    steps: tuple[str, ...]
    """From where it began."""
    status: os.stat_result
    """Of a link: its own."""
    folder: int
    """The descriptor of the folder it is in, until the walk goes on."""

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)


class SpaceFiles:
    """What may be done with the files of people. What is not async blocks. Raises ToolFailed with words for the model."""

    def __init__(self, workspace: Path, people: PeopleDirectory, *, quota: int = 1024 * MIB, openat2: bool | None = None) -> None:
        """`quota`: bytes that a person's folder may hold, and the common one, their trash included. `openat2`: as in `Jail`."""
        self.workspace = Workspace(workspace, openat2=openat2)
        self.people = people
        self._quota = quota
        self._used: dict[Path, tuple[float, int]] = {}
        """When a folder was counted last, and the bytes in it then, with those written since."""

    async def place(self, path: str, owner: str) -> Place:
        """What a path means for this person. Raises StoreUnavailable."""
        steps = split_path(path)
        await self.workspace.admit(path, owner, self.people)
        jail, rest = await asyncio.to_thread(self.workspace.jail, steps, owner)
        return Place(jail, rest, "/".join(steps) or ".")

    async def times(self, owner: str) -> Callable[[float], str]:
        """Writes the time of a file by the person's clock."""
        zone = await self.people.zone(owner)
        return lambda seconds: f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M}"

    async def shares(self, owner: str) -> bool:
        """Whether the common folder is theirs, too."""
        person = await self.people.person(owner)
        return person is None or person.role != "guest"

    def walk(self, place: Place, depth: int) -> Generator[Found]:
        """What is in a folder and, `depth` folders deep, below it, by name; links are met, not followed. The trash is passed by, unless it is
        where the walk begins."""
        try:
            with place.jail.open(place.steps, os.O_DIRECTORY) as folder:
                yield from _walk(folder, (), depth, own=place.path == ".")
        except OSError as error:
            raise refusal(error, place.path) from None

    def update(self, place: Place, change: Callable[[bytes | None], bytes], *, reads: bool = True, new: bool = True) -> int:
        """Write what `change` makes of the file's bytes (None: there is no file), all of it or nothing; returns how many. One at a time in a
        folder. `reads`: False: it is given b"" for what is there. `new`: whether the file, and folders above it, may be made."""
        self._must_be_own(place)
        with self._changing(place), place.jail.parent(place.steps, make=new) as (folder, name):
            there = _status(folder, name, missing_ok=new)
            if there is not None and not stat.S_ISREG(there.st_mode):
                raise ToolFailed(f"{place.path!r} is not a file.")
            data = change(None if there is None else self._bytes(place) if reads else b"")
            if len(data) > MOST_WRITTEN:
                raise ToolFailed(f"{place.path!r} would have {human_size(len(data))}; at most {human_size(MOST_WRITTEN)} can be written.")
            self._room(place.jail, len(data) - (there.st_size if there else 0))
            _put(folder, name, data, 0o600 if there is None else stat.S_IMODE(there.st_mode) & 0o777)
            return len(data)

    def move(self, source: Place, target: Place) -> None:
        """Rename, between a person's folder and the common one, too. Never onto something."""
        self._must_be_own(target)
        if not source.steps or source.steps == (TRASH,):
            raise ToolFailed(f"{source.path!r} can't be moved.")
        with self._changing(source, target), source.jail.parent(source.steps) as (folder, name):
            there = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(there.st_mode) and not stat.S_ISDIR(there.st_mode):
                raise ToolFailed(f"{source.path!r} is not a file.")
            if source.jail.root != target.jail.root:
                whole = self.walk(source, DEEPEST) if stat.S_ISDIR(there.st_mode) else ()
                self._room(target.jail, there.st_size + sum(found.status.st_size for found in whole if found.is_file))
            with target.jail.parent(target.steps, make=True) as (other, new):
                try:
                    rename_new(name, new, source_folder=folder, target_folder=other)
                except FileExistsError:
                    raise ToolFailed(f"There is {target.path!r} already: give another path, or delete that first.") from None
                except OSError as error:
                    if error.errno != errno.EINVAL:
                        raise
                    raise ToolFailed(f"{source.path!r} can't be moved into itself.") from None
                _sync(other)

    def delete(self, place: Place, now: datetime) -> str:
        """Move to the trash of its folder; returns where it lies now."""
        self._must_be_own(place)
        with self._changing(place), place.jail.parent(place.steps) as (folder, name):
            os.stat(name, dir_fd=folder, follow_symlinks=False)
            for day in (
                f"{now:%Y-%m-%d}",
                f"{now:%Y-%m-%d}/{now:%H%M%S}-{token_hex(2)}",
            ):  # the second: where the first has one of that name
                steps = (TRASH, *day.split("/"), *place.steps)
                with suppress(FileExistsError, NotADirectoryError), place.jail.parent(steps, make=True) as (trash, _):
                    rename_new(name, name, source_folder=folder, target_folder=trash)
                    _sync(folder)
                    return "/".join((SHARED, *steps) if place.path.startswith(f"{SHARED}/") else steps)
        raise ToolFailed(f"{place.path!r} can't be moved to the trash: {TRASH} is a link or a file there.")

    def _must_be_own(self, place: Place) -> None:
        if not place.steps or place.in_trash:
            raise ToolFailed(
                f"{place.path!r} can't be changed: delete_file fills the trash, and it empties itself; move_file takes out of it."
            )
        if place.steps[-1].startswith(_PART[0]):
            raise ToolFailed(f"{place.path!r} is a name that the server uses itself: choose another.")

    def _bytes(self, place: Place) -> bytes:
        with place.jail.file(place.steps) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
            data = file.read(MOST_READ + 1)
        if len(data) > MOST_READ:
            raise ToolFailed(f"{place.path!r} is larger than {human_size(MOST_READ)}.")
        return data

    @contextmanager
    def _changing(self, *places: Place) -> Generator[None]:
        """Waits until no one else changes these folders, in any process. The locks lie where no tool and no command can hold them."""
        with ExitStack() as held:
            for root in sorted({place.jail.root for place in places}):
                lock = os.open(root.parent / f".{root.name}.lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                held.callback(os.close, lock)
                _lock(lock, root.name)
            try:
                yield
            except OSError as error:
                raise refusal(error, places[0].path) from None

    def _room(self, jail: Jail, more: int) -> None:
        if more <= 0:
            return
        counted, used = self._used.get(jail.root, (0.0, 0))
        if time.monotonic() - counted > _COUNTED or used + more > self._quota:
            with jail.open((), os.O_DIRECTORY) as folder:
                used = _size(folder, DEEPEST)
            counted = time.monotonic()
        self._used[jail.root] = (counted, used + more)
        if used + more > self._quota:
            del self._used[jail.root]
            raise ToolFailed(
                f"Not done: the folder would hold {human_size(used + more)}, and may hold {human_size(self._quota)} (files.quotaMib). "
                "What is deleted counts for 7 days more."
            )


def open_found(found: Found) -> int | None:
    """A descriptor of a file that a walk has just met. None: it is gone, is no such file any more, or has a second name."""
    try:
        descriptor = os.open(found.steps[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=found.folder)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return descriptor
    os.close(descriptor)
    return None


def sweep(workspace: Path, now: datetime, *, keep_days: int = 7) -> int:
    """Remove what was deleted so long ago, and parts of files whose writing was cut off; returns how many days' trash. Blocks."""
    from shutil import rmtree  # noqa: PLC0415 - once an hour

    removed = 0
    people = workspace / PEOPLE
    for root in (workspace / SHARED, *(sorted(people.iterdir()) if people.is_dir() else ())):
        if not root.is_dir():
            continue
        jail = Jail(root)
        with suppress(OSError), jail.open((TRASH,), os.O_DIRECTORY) as trash:
            for day in os.listdir(trash):
                if _age(day, now) > keep_days:
                    rmtree(day, ignore_errors=True, dir_fd=trash)  # what can't be removed is tried again in an hour
                    removed += 1
        with suppress(OSError), jail.open((), os.O_DIRECTORY) as folder:
            for found in _walk(folder, (), DEEPEST, parts=True):
                name = found.steps[-1]
                if name.startswith(_PART[0]) and name.endswith(_PART[1]) and now.timestamp() - found.status.st_mtime > 3_600:
                    os.unlink(name, dir_fd=found.folder)
    return removed


def _lock(descriptor: int, folder: str) -> None:
    end = time.monotonic() + _WAITS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise ToolFailed(f"Not done: files in {folder} are being changed elsewhere for {_WAITS} s. Call again.") from None
            time.sleep(0.01)


def _age(day: str, now: datetime) -> int:
    """In days; of a name that is no day: 0."""
    try:
        return (now - datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)).days
    except ValueError:
        return 0


def _walk(folder: int, above: tuple[str, ...], depth: int, *, own: bool = False, parts: bool = False) -> Generator[Found]:
    """`own`: it is a person's folder, in which `shared` would be what a sandbox made to put the common one there."""
    with os.scandir(folder) as entries:
        named = sorted(islice(entries, _MOST_MET), key=lambda entry: entry.name)
    for entry in named:
        name = entry.name.casefold()
        if not above and (name == TRASH or (own and name == SHARED)):
            continue
        if name.startswith(_PART[0]) and name.endswith(_PART[1]) and not parts:
            continue
        try:
            status = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
        except OSError:  # gone meanwhile
            continue
        found = Found((*above, entry.name), status, folder)
        yield found
        if found.is_folder and depth > 0:
            try:
                below = os.open(entry.name, _FOLDER, dir_fd=folder)
            except OSError:
                continue
            try:
                yield from _walk(below, found.steps, depth - 1)
            finally:
                os.close(below)


def _size(folder: int, depth: int) -> int:
    """Bytes in the files below a folder."""
    size = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # gone, or not ours to read
                if entry.is_file(follow_symlinks=False):
                    size += entry.stat(follow_symlinks=False).st_size
                elif depth > 0 and entry.is_dir(follow_symlinks=False):
                    below = os.open(entry.name, _FOLDER, dir_fd=folder)
                    try:
                        size += _size(below, depth - 1)
                    finally:
                        os.close(below)
    return size


def _status(folder: int, name: str, *, missing_ok: bool) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        if missing_ok:
            return None
        raise


def _put(folder: int, name: str, data: bytes, mode: int) -> None:
    """All of it or nothing, also where the power fails."""
    part = token_hex(8).join(_PART)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(part, dir_fd=folder)
        raise
    _sync(folder)


def _sync(folder: int) -> None:
    os.fsync(folder)
