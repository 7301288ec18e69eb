"""Files on the disk by their SHA-256."""

import asyncio
import contextlib
import fcntl
import math
import os
import re
import stat
from collections.abc import AsyncIterator, Generator
from hashlib import sha256
from io import BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.util import copy_hashed, new_id

_BLOCK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """Files in one folder, as `ab/ab12…` by SHA-256 in hex, each with what belongs to it under a suffix.

    Files are owner-only, appear whole or not at all, and are synced to the disk. Every method but `take` blocks. A failing disk raises
    StoreUnavailable.

    Paths within are texts: pathlib keeps every name it sees in the interpreter's table of names, which grows by those that are gone.
    """

    def __init__(self, folder: Path, *, guarded: bool = False) -> None:
        """Folders are made when the first file is written. `guarded`: a lock keeps files from being placed while others are removed."""
        self._folder = folder
        self._root = str(folder)
        self._unfinished = folder / "tmp"
        self._guarded = guarded

    def path(self, digest: str, suffix: str = "") -> Path:
        """Where the file is, if it is. Raises ValueError for anything but a digest."""
        return Path(self._place_of(digest, suffix))

    def has(self, digest: str, suffix: str = "") -> bool:
        return _is_there(self._place_of(digest, suffix))

    def read(self, digest: str, suffix: str = "") -> bytes | None:
        try:
            file = os.open(self._place_of(digest, suffix), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(f"A stored file can't be read: {error.strerror}.") from error
        with open(file, "rb") as opened:
            return opened.read()

    def write(self, digest: str, contents: bytes | Path, suffix: str = "") -> None:
        """Write a file, in place of an older one. Its name is durable after `sync`."""
        with _storing(), self._new_file() as (file, unfinished):
            with BytesIO(contents) if isinstance(contents, bytes) else contents.open("rb") as source:
                while block := source.read(_BLOCK):
                    _write(file, block)
            self._place(file, unfinished, self._place_of(digest, suffix))

    def write_hashed(self, source: BinaryIO) -> tuple[str, int]:
        """Copy a file in; returns its digest and size. Raises OSError where `source` can't be read."""
        with self._new_file() as (file, unfinished):
            digest, size = copy_hashed(source, lambda block: _write(file, block))
            with _storing():
                self._place(file, unfinished, self._place_of(digest))
        return digest, size

    async def take(self, blocks: AsyncIterator[bytes], digest: str, suffix: str, checksum: str) -> bool:
        """Store a file that comes from elsewhere. False: nothing is stored, since the SHA-256 of what came is not `checksum`."""
        hashed, opened = sha256(), contextlib.ExitStack()
        try:
            file, unfinished = await asyncio.to_thread(opened.enter_context, self._new_file())
            async for block in blocks:
                await asyncio.to_thread(_write, file, block)
                hashed.update(block)
            if hashed.hexdigest() == checksum:
                with _storing():
                    await asyncio.to_thread(self._place, file, unfinished, self._place_of(digest, suffix))
        finally:
            await asyncio.to_thread(opened.close)
        return hashed.hexdigest() == checksum

    def sync(self, digest: str) -> None:
        """Make the names of a digest's files durable."""
        for folder in (os.path.dirname(self._place_of(digest)), self._root):
            with _storing():
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def remove(self, digest: str, *suffixes: str, before: float = math.inf) -> bool:
        """Remove the files of a digest, those with suffixes first. False: there are none, one was written since `before` (seconds since 1970), or
        a backup reads them (`removals_held`): the next sweep removes them."""
        with self._locked(), self._unheld() as unheld:
            if not unheld:
                return False
            there = [path for path in [self._place_of(digest, suffix) for suffix in (*suffixes, "")] if _is_there(path)]
            if not all(_is_older(path, before) for path in there):
                return False
            for path in there:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        return bool(there)

    def digests(self, before: float = math.inf) -> list[str]:
        """The digests of all files that were last written before this time (seconds since 1970), sorted."""
        found = [path for path in self._folder.glob("[0-9a-f][0-9a-f]/*") if _DIGEST.match(path.name)]
        return sorted({path.name[:64] for path in found if _is_older(path, before)})

    def remove_unfinished(self, before: float) -> None:
        """Remove the unfinished files of processes that died: those last written before this time."""
        for path in self._unfinished.glob("*"):
            if _is_older(path, before):
                path.unlink(missing_ok=True)

    def _place_of(self, digest: str, suffix: str = "") -> str:
        if not _DIGEST.fullmatch(digest):
            raise ValueError("not a SHA-256 in hexadecimal")
        return f"{self._root}/{digest[:2]}/{digest}{suffix}"

    @contextlib.contextmanager
    def _new_file(self) -> Generator[tuple[FileIO, str]]:
        with _storing():
            for folder in (self._folder, self._unfinished):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = f"{self._unfinished}/{new_id('tmp')}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb", buffering=0) as file:
                yield file, path
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _place(self, file: FileIO, unfinished: str, path: str) -> None:
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.dirname(path), 0o700)
        with self._locked():
            os.rename(unfinished, path)

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        """Excludes all other threads and processes that place or remove files here, if the folder is guarded."""
        if not self._guarded:
            yield
            return
        descriptor = _open_lock(self._folder / "lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _unheld(self) -> Generator[bool]:
        """Whether no backup reads the files; none begins until the end."""
        if not self._folder.is_dir():
            yield True
            return
        descriptor = _open_lock(self._folder / _HELD)
        unheld = False
        try:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                unheld = True
            yield unheld
        finally:
            os.close(descriptor)


_HELD = "held"


@contextlib.contextmanager
def removals_held(folder: Path) -> Generator[None]:
    """Keep every process from removing files of this folder, so that those that a backup's rows name stay. Waits for another one that does so."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = _open_lock(folder / _HELD)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _is_there(path: str) -> bool:
    """Whether there is a file. Raises OSError where the disk can't tell, which `os.path.isfile` takes for none."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_older(path: Path | str, before: float) -> bool:
    """Whether the file was last written before this time (seconds since 1970). False: another process removed it."""
    try:
        return os.lstat(path).st_mtime < before
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _storing() -> Generator[None]:
    """A failure of the store's disk becomes StoreUnavailable."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"The file can't be stored: {error.strerror}. Nothing was accepted.") from error


def _write(file: FileIO, block: bytes) -> None:
    left = memoryview(block)
    with _storing():
        while left:
            left = left[file.write(left) :]
