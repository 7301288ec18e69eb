"""The workspace as tools may reach it: a folder for each person and a common one, and nothing that only looks as if it were there."""

import asyncio
import errno
import os
import re
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

from assistant.contracts.errors import ToolFailed
from assistant.contracts.messages import human_size
from assistant.contracts.people import OWNER_ID, OWNER_SHOWN, PeopleDirectory
from assistant.contracts.util import display_name, replace_surrogates
from tools.jail import INSIDE, SHARED, Jail, split_path

_SLICE = 1024 * 1024
_LONGEST = 4096
PEOPLE: Final = "people"
_UNSAFE: Final = re.compile(r"[^a-z0-9]+")


def folder_of(workspace: Path, owner: str) -> Path:
    """A space's own folder, made at its first use: `people/owner`, `people/telegram-42-8c1f0a9d3e`. `owner`: a person's id, or a group's. Blocks."""
    return _made(workspace / PEOPLE, _folder_name(owner))


def shared_of(workspace: Path) -> Path:
    """The folder that all people have in common, made at its first use. Blocks."""
    return _made(workspace, SHARED)


def _folder_name(owner: str) -> str:
    """Readable, one for each id, and never a path: ids come from platforms."""
    if owner == OWNER_ID:
        return OWNER_SHOWN
    digest = blake2b(owner.encode(errors="surrogatepass"), digest_size=5).hexdigest()
    return "-".join(filter(None, (_UNSAFE.sub("-", owner.casefold())[:40].strip("-"), digest)))


def _made(parent: Path, name: str) -> Path:
    folder = parent / name
    if not folder.is_dir():
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if parent.name == PEOPLE:
            parent.chmod(0o711)  # commands that run as another user pass it to their own folder, and see no others
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _adopt(workspace: Path, owner: str, identities: Sequence[str]) -> None:
    """What an identity had before it was joined to this person is a folder in theirs."""
    for identity in identities:
        earlier = workspace / PEOPLE / _folder_name(identity)
        if identity != owner and earlier.is_dir():
            with suppress(FileNotFoundError):  # another process was first
                earlier.rename(folder_of(workspace, owner) / f"{earlier.name}-{token_hex(2)}")


def remove_folders(workspace: Path, owner: str, identities: Sequence[str]) -> None:
    """Delete the files of a person. Blocks; raises OSError."""
    for name in (owner, *identities):
        folder = workspace / PEOPLE / _folder_name(name)
        if folder.is_dir():
            rmtree(folder)


def files_in_folders(workspace: Path, owner: str, identities: Sequence[str]) -> Iterator[tuple[str, int]]:
    """(Path from the workspace, bytes) of each file of a person, those in the trash too; links are not followed. Blocks; raises OSError."""
    for name in dict.fromkeys((owner, *identities)):
        for folder, folders, files in os.walk(workspace / PEOPLE / _folder_name(name)):
            folders.sort()
            for path in [Path(folder, file) for file in sorted(files)]:
                with suppress(FileNotFoundError):  # removed meanwhile
                    if stat.S_ISREG((found := path.lstat()).st_mode):
                        yield replace_surrogates(str(path.relative_to(workspace))), found.st_size


class Workspace:
    """Files as a person may read them: of their own folder, of the common one, and for the person who runs the server what lies in the workspace
    itself. What was checked is what is read. Blocks."""

    def __init__(self, root: Path, *, openat2: bool | None = None) -> None:
        """`openat2`: as in `Jail`."""
        self.root = root
        self._openat2 = openat2

    async def admit(self, path: str, owner: str, people: PeopleDirectory) -> None:
        """Before a person uses a path: guests have no part in the common folder, and files of identities that were joined come along. Raises
        ToolFailed, and StoreUnavailable."""
        person = await people.person(owner)
        first = next((step for step in path.removeprefix(INSIDE).split("/") if step not in ("", ".")), "")
        if first.casefold() == SHARED and person and person.role == "guest":
            raise ToolFailed(f"{path!r} is in the household's folder, which guests have no part in.")
        if person and person.identities:
            await asyncio.to_thread(_adopt, self.root, owner, person.identities)

    def jail(self, steps: tuple[str, ...], owner: str) -> tuple[Jail, tuple[str, ...]]:
        """The folder that a path (as `split_path` gives it) is in, and the names from there on."""
        common = steps[:1] == (SHARED,)
        folder = shared_of(self.root) if common else folder_of(self.root, owner)
        return Jail(folder, openat2=self._openat2), steps[1:] if common else steps

    @contextmanager
    def copy(self, path: str, most_bytes: int, *, owner: str) -> Generator[Path]:
        """A copy of a file, for as long as the context lasts. `path`: from the person's folder, or `shared/…`. `owner`: for whom.

        Raises ToolFailed with words for the model: outside of it (by `..`, by a link), not there, no file, empty, too large.
        """
        with TemporaryDirectory(prefix="nanobot-") as folder:
            copy = Path(folder) / "file"
            with self.opened(path, owner) as source, copy.open("xb") as target:
                if not _pour(source, target, path, most_bytes):
                    raise ToolFailed(f"{path!r} is empty: there is nothing to send.")
            yield copy

    @contextmanager
    def opened(self, path: str, owner: str) -> Generator[BinaryIO]:
        """The file, to be read. Raises ToolFailed with words for the model."""
        with ExitStack() as opened:
            descriptor = self._own(path, owner, opened)
            if descriptor is None:
                descriptor = self._in_root(path, opened)
            yield opened.enter_context(os.fdopen(os.dup(descriptor), "rb"))

    def _own(self, path: str, owner: str, opened: ExitStack) -> int | None:
        """None: it is not there, and may be in the workspace itself."""
        try:
            steps = split_path(path)
        except ToolFailed:
            if owner != OWNER_ID:
                raise
            return None
        jail, rest = self.jail(steps, owner)
        try:
            return opened.enter_context(jail.file(rest))
        except OSError as error:
            if owner != OWNER_ID or error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EINVAL) or steps[:1] == (SHARED,):
                raise refusal(error, path) from None
        return None

    def _in_root(self, path: str, opened: ExitStack) -> int:
        steps = self._steps(path)
        way = [*[(folder, os.O_DIRECTORY) for folder in (self.root.resolve(), *steps[:-1])], (steps[-1], os.O_NONBLOCK)]
        descriptor: int | None = None
        try:
            for step, flag in way:
                descriptor = os.open(step, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flag, dir_fd=descriptor)
                opened.callback(os.close, descriptor)
        except OSError as error:
            raise refusal(error, path) from None
        assert descriptor is not None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ToolFailed(f"{path!r} is not a file.")
        return descriptor

    def _steps(self, path: str) -> tuple[str, ...]:
        """The names from the workspace down to the file, none of them a link."""
        if not path.strip() or "\0" in path or len(path) > _LONGEST:
            raise ToolFailed("A file is named by its path in the workspace, such as 'reports/week.pdf'.")
        root = self.root.resolve()
        try:
            steps = (root / path).resolve().relative_to(root).parts
        except ValueError:
            raise ToolFailed(f"{path!r} is outside of the workspace. Only files of the workspace can be sent.") from None
        except (OSError, RuntimeError):  # links in a circle, a name that is too long
            raise ToolFailed(f"There is no file {path!r} in the workspace.") from None
        if not steps:
            raise ToolFailed(f"{path!r} is not a file.")
        if steps[0].casefold() == PEOPLE:
            raise ToolFailed(f"{path!r} is in a person's folder, and only reached from there.")
        return steps


def refusal(error: OSError, path: str) -> ToolFailed:
    """Why a path was not opened, in words for the model."""
    match error.errno:
        case errno.ENOENT:
            return ToolFailed(f"There is no file {path!r} in the workspace.")
        case errno.ELOOP | errno.ENOTDIR:
            return ToolFailed(f"{path!r} goes through a link or a file: links are not followed.")
        case errno.EINVAL | errno.ENXIO | errno.EISDIR | errno.ENODEV:
            return ToolFailed(f"{path!r} is not a file.")
        case errno.EXDEV:
            return ToolFailed(f"{path!r} is outside of the workspace.")
        case _:
            return ToolFailed(f"{path!r} can't be used: {error.strerror}.")


def shown_name(path: str) -> str:
    return display_name(path, "file")


def _pour(source: BinaryIO, target: BinaryIO, path: str, most_bytes: int) -> int:
    size = 0
    while data := source.read(_SLICE):
        size += len(data)
        if size > most_bytes:
            raise ToolFailed(f"{path!r} is larger than {human_size(most_bytes)}, the most that can be sent.")
        target.write(data)
    return size
