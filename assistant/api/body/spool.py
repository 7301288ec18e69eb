"""Files of a request, on disk while it is being taken in."""

import asyncio
import os
import stat
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from assistant.api.settings import ApiLimits
from assistant.contracts.errors import FileTooLarge, InvalidRequest, RequestTooLarge, StoreUnavailable
from assistant.contracts.files import NoSuchFile
from assistant.contracts.ids import new_id
from assistant.contracts.messages import human_size
from assistant.contracts.turns import Upload

_PREFIX = "up"
_LEFT_BEHIND_SECONDS = 3600
_PIECE = 1024 * 1024
_LONGEST_ID = 64

Named = Callable[[str], Awaitable[tuple[str, Path] | None]]
"""Finds a file by the id that a request names: what it is called, and where it lies. None: there is none that this request may name."""


def prepare_spool(folder: Path) -> None:
    """Make the folder, private, and sweep it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    sweep_spool(folder)


def sweep_spool(folder: Path) -> int:
    """Remove what a process that died left there: files untouched for an hour, which no request takes. Returns how many went. Raises OSError."""
    dead = time.time() - _LEFT_BEHIND_SECONDS
    removed = 0
    for path in folder.glob(f"{_PREFIX}_*"):
        with suppress(FileNotFoundError):  # another process sweeps, too
            status = path.lstat()
            if status.st_mtime < dead and not stat.S_ISDIR(status.st_mode):
                path.unlink()
                removed += 1
    return removed


class Spool:
    """The files of one request. Whoever makes one calls `remove` in the end, which does nothing to files that were handed over.

    Everything that touches a file blocks: call it in a thread. Files have names of our own, are new, and only the server's user may read them.
    """

    def __init__(self, folder: Path, limits: ApiLimits, named: Named | None = None) -> None:
        """`folder` exists and is private. `named`: finds files that the request names; None: it may name none."""
        self._folder = folder
        self._named = named
        self._limits = limits
        self._files: list[SpooledFile] = []
        self._bytes = 0

    def open(self, name: str, param: str | None) -> "SpooledFile":
        """Begin a file. Raises InvalidRequest where there are as many as a request may have."""
        if len(self._files) >= self._limits.files:
            raise InvalidRequest(f"A request may hold {self._limits.files} files at most.", param=param)
        file = SpooledFile(self, self._folder / new_id(_PREFIX), name, param)
        self._files.append(file)
        return file

    async def take_named(self, file_id: str, param: str) -> Upload:
        """A copy of a file that was uploaded before, as if it had come with the request. Raises NoSuchFile, and what a file's taking in raises."""
        found = None if self._named is None or len(file_id) > _LONGEST_ID else await self._named(file_id)
        if found is None:
            raise NoSuchFile(param=param)
        return await asyncio.to_thread(self._copy, *found, param)

    def _copy(self, name: str, path: Path, param: str) -> Upload:
        file = self.open(name, param)
        try:
            with path.open("rb") as source:
                while data := source.read(_PIECE):
                    file.write(data)
        except FileNotFoundError:  # it was deleted just now
            raise NoSuchFile(param=param) from None
        return file.finish()

    def claim(self, size: int, file: "SpooledFile") -> None:
        """Count bytes before they are written. Raises FileTooLarge, RequestTooLarge."""
        if file.size + size > self._limits.file_bytes:
            raise FileTooLarge(f"'{file.name}' is larger than {human_size(self._limits.file_bytes)}.", param=file.param)
        self._bytes += size
        if self._bytes > self._limits.request_bytes:
            raise RequestTooLarge(f"The files are larger than {human_size(self._limits.request_bytes)} together.", param=file.param)

    def hand_over(self) -> None:
        """From here on somebody else removes the files."""
        self._files.clear()

    @property
    def holds_files(self) -> bool:
        return bool(self._files)

    def remove(self) -> None:
        for file in self._files:
            file.discard()
        self._files.clear()


class SpooledFile:
    """A file that is being received: counted and hashed as it is written. Raises StoreUnavailable where the disk does not take it."""

    __slots__ = ("_descriptor", "_digest", "_spool", "name", "param", "path", "size")

    def __init__(self, spool: Spool, path: Path, name: str, param: str | None) -> None:
        self._spool = spool
        self._digest = sha256()
        with _written():
            self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self.path = path
        self.name = name
        self.param = param
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Raises FileTooLarge and RequestTooLarge before anything beyond the limit is written."""
        if self._descriptor is None:
            raise ValueError("the file is closed")
        self._spool.claim(len(data), self)
        self._digest.update(data)
        rest = memoryview(data)
        with _written():
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        self.size += len(data)

    def finish(self) -> Upload:
        self._close()
        return Upload(name=self.name, path=self.path, size=self.size, digest=self._digest.hexdigest(), param=self.param)

    def discard(self) -> None:
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def _written() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"The file can't be taken in: {error.strerror}. Nothing was accepted.") from error
