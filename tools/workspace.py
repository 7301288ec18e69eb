"""The workspace as tools may reach it: files inside of it, and nothing that only looks as if it were."""

import os
import re
import stat
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

from assistant.contracts.errors import ToolFailed
from assistant.contracts.messages import human_size
from assistant.contracts.people import OWNER_ID, OWNER_SHOWN, OWNERS_FILE
from assistant.contracts.util import display_name

_SLICE = 1024 * 1024
_LONGEST = 4096
PEOPLE, SHARED = "people", "shared"
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
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


class Workspace:
    """A jail: a path is resolved, and opened step by step without following links: what was checked is what is read. Blocks."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def copy(self, path: str, most_bytes: int, *, owner: str) -> Generator[Path]:
        """A copy of a file of the workspace, for as long as the context lasts. `path`: relative to the workspace, or absolute within it. `owner`: for
        whom; what is there about the person who runs the server is copied for them alone.

        Raises ToolFailed with words for the model: outside of it (by `..`, by a link), not there, no file, empty, too large.
        """
        with TemporaryDirectory(prefix="nanobot-") as folder:
            copy = Path(folder) / "file"
            with self._opened(path, owner) as source, copy.open("xb") as target:
                if not _pour(source, target, path, most_bytes):
                    raise ToolFailed(f"{path!r} is empty: there is nothing to send.")
            yield copy

    @contextmanager
    def _opened(self, path: str, owner: str) -> Generator[BinaryIO]:
        *folders, name = self._steps(path)
        if owner != OWNER_ID and not folders and name.casefold() == OWNERS_FILE.casefold():
            raise ToolFailed(f"{path!r} is about the person who runs the server, and for them alone.")
        way = [*[(folder, os.O_DIRECTORY) for folder in (self._root.resolve(), *folders)], (name, os.O_NONBLOCK)]  # a pipe must not wait
        descriptor: int | None = None
        with ExitStack() as opened:
            try:
                for step, flag in way:
                    descriptor = os.open(step, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flag, dir_fd=descriptor)
                    opened.callback(os.close, descriptor)
            except FileNotFoundError:
                raise ToolFailed(f"There is no file {path!r} in the workspace.") from None
            except OSError as error:
                raise ToolFailed(f"{path!r} can't be read: {error.strerror}.") from None
            assert descriptor is not None
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ToolFailed(f"{path!r} is not a file.")
            with os.fdopen(os.dup(descriptor), "rb") as file:
                yield file

    def _steps(self, path: str) -> tuple[str, ...]:
        """The names from the workspace down to the file, none of them a link."""
        if not path.strip() or "\0" in path or len(path) > _LONGEST:
            raise ToolFailed("A file is named by its path in the workspace, such as 'reports/week.pdf'.")
        root = self._root.resolve()
        try:
            steps = (root / path).resolve().relative_to(root).parts
        except ValueError:
            raise ToolFailed(f"{path!r} is outside of the workspace. Only files of the workspace can be sent.") from None
        except (OSError, RuntimeError):  # links in a circle, a name that is too long
            raise ToolFailed(f"There is no file {path!r} in the workspace.") from None
        if not steps:
            raise ToolFailed(f"{path!r} is not a file.")
        return steps


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
