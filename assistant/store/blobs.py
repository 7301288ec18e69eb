"""Files on the disk by their SHA-256: what sessions hold, and what goes out with an event."""

import asyncio
import contextlib
import errno
import fcntl
import math
import mimetypes
import os
import re
import shutil
import stat
from collections.abc import Awaitable, Callable, Generator, Sequence
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.outbox import Media
from assistant.contracts.util import copy_hashed, display_name, new_id
from assistant.store.codec import decode_document, decode_image, encode_reading, is_current, optional
from assistant.store.database import Database, Transaction
from assistant.store.outbox_rows import MEDIA_HELD

_BLOCK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """Files in one folder, as `ab/ab12…` by SHA-256 in hex, each with what belongs to it under a suffix.

    Files are owner-only, appear whole or not at all, and are synced to the disk. Every method blocks; a failing disk raises StoreUnavailable.
    """

    def __init__(self, folder: Path, *, guarded: bool = False) -> None:
        """Folders are made when the first file is written. `guarded`: a lock keeps files from being placed while others are removed."""
        self._folder = folder
        self._unfinished = folder / "tmp"
        self._guarded = guarded

    def path(self, digest: str, suffix: str = "") -> Path:
        """Where the file is, if it is. Raises ValueError for anything but a digest."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError("not a SHA-256 in hexadecimal")
        return self._folder / digest[:2] / f"{digest}{suffix}"

    def read(self, digest: str, suffix: str = "") -> bytes | None:
        try:
            file = os.open(self.path(digest, suffix), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
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
            self._place(file, unfinished, self.path(digest, suffix))

    def write_hashed(self, source: BinaryIO) -> tuple[str, int]:
        """Copy a file in; returns its digest and size. Raises OSError where `source` can't be read."""
        with self._new_file() as (file, unfinished):
            digest, size = copy_hashed(source, lambda block: _write(file, block))
            with _storing():
                self._place(file, unfinished, self.path(digest))
        return digest, size

    def sync(self, digest: str) -> None:
        """Make the names of a digest's files durable."""
        for folder in (self.path(digest).parent, self._folder):
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
            there = [path for path in (self.path(digest, suffix) for suffix in (*suffixes, "")) if path.exists()]
            if not all(_is_older(path, before) for path in there):
                return False
            for path in there:
                path.unlink(missing_ok=True)
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

    @contextlib.contextmanager
    def _new_file(self) -> Generator[tuple[FileIO, Path]]:
        with _storing():
            for folder in (self._folder, self._unfinished):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._unfinished / new_id("tmp")
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb", buffering=0) as file:
                yield file, path
        finally:
            path.unlink(missing_ok=True)

    def _place(self, file: FileIO, unfinished: Path, path: Path) -> None:
        os.fsync(file.fileno())
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with self._locked():
            unfinished.rename(path)

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


def _is_older(path: Path, before: float) -> bool:
    """Whether the file was last written before this time (seconds since 1970). False: another process removed it."""
    try:
        return path.stat(follow_symlinks=False).st_mtime < before
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


_READING, _IMAGE, _PICTURES = ".read.json", ".image", ".pictures"
HeldFile = tuple[str, ReadDocument | ReadImage, Path | None]
"""A file's digest, what was read in it, and where its bytes are; None: there are none."""


class ReadingStore(BlobStore):
    """Files with what was read in them: the reading as JSON, and pictures as they are sent to models. The reading is written last."""

    async def hold(self, files: Sequence[HeldFile], add: Callable[[], Awaitable[object]]) -> None:
        """Store files, then `add` the rows that hold them."""
        for file in files:
            await asyncio.to_thread(self.store, *file)
        await add()
        # A file may have been collected before its row was added. From now on it stays.
        for digest, reading, source in files:
            if not await asyncio.to_thread(self._is_whole, digest, source):
                await asyncio.to_thread(self.store, digest, reading, source)

    def store(self, digest: str, reading: ReadDocument | ReadImage, source: Path | None) -> None:
        """Store the reading, and the bytes in `source` if there are any. What is stored already stays."""
        if source is not None and not self.path(digest).is_file():
            self.write(digest, source)
        stored = self.read(digest, _READING)
        if isinstance(reading, ReadImage):
            suffix, pictures = _IMAGE, reading.data
        else:
            suffix, pictures = _PICTURES, b"".join(picture.data for picture in reading.pictures)
        if stored is None or not is_current(stored) or (pictures and not self.path(digest, suffix).is_file()):
            if pictures:
                self.write(digest, pictures, suffix)
            self.write(digest, encode_reading(reading), _READING)
            self.sync(digest)

    def current_reading(self, digest: str) -> ReadDocument | ReadImage | None:
        """What this version's readers found in the file, if it is stored."""
        stored = self.read(digest, _READING)
        if stored is None or not is_current(stored):
            return None
        document = decode_document(stored)
        if document is None:
            return optional(partial(decode_image, stored), self.image(digest))
        if not document.pictures:
            return document
        pictures = self.read(digest, _PICTURES)
        return None if pictures is None else decode_document(stored, pictures)

    def document(self, digest: str) -> ReadDocument | None:
        """The text that any version read in the file. None: it is not stored, or an image."""
        return optional(decode_document, self.read(digest, _READING))

    def image(self, digest: str) -> bytes | None:
        """The bytes of the picture as it is sent to models, if they are stored."""
        return self.read(digest, _IMAGE)

    def pictures(self, digest: str) -> dict[int, bytes]:
        """The bytes of the pictures in a document as they are sent to models, by number, if they are stored."""
        stored, pictures = self.read(digest, _READING), self.read(digest, _PICTURES)
        document = decode_document(stored, pictures) if stored and pictures else None
        return {picture.number: picture.data for picture in document.pictures} if document else {}

    def copy(self, digest: str, to: Path) -> bool:
        """Copy the bytes as received into a new file. False: they are not stored."""
        try:
            with self.path(digest).open("rb") as source, open(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                shutil.copyfileobj(source, target, _BLOCK)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreUnavailable(f"A stored file can't be copied: {error.strerror}.") from error
        return True

    def remove_all(self, digest: str) -> bool:
        """Remove all that is stored of a file. False: there was nothing."""
        return self.remove(digest, _READING, _IMAGE, _PICTURES)

    def _is_whole(self, digest: str, source: Path | None) -> bool:
        return self.path(digest, _READING).is_file() and (source is None or self.path(digest).is_file())


_AT_ONCE = 200
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"%PDF-": "application/pdf",
}


class MediaFolder:
    """Implements MediaFiles in a folder. All disk work is done in threads."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._files = BlobStore(folder, guarded=True)

    async def keep(self, path: Path, name: str) -> Media:
        return await asyncio.to_thread(self._keep, path, display_name(name, "file"))

    def path(self, media: Media) -> Path:
        return self._files.path(media.digest)

    async def sweep(self, now: datetime) -> int:
        """Remove files that no delivery refers to, unless they were kept within the last hour; returns how many."""
        before = (now - timedelta(hours=1)).timestamp()
        await asyncio.to_thread(self._files.remove_unfinished, before)
        old = await asyncio.to_thread(self._files.digests, before)
        removed = 0
        for start in range(0, len(old), _AT_ONCE):
            some = old[start : start + _AT_ONCE]

            def remove_unheld(connection: Transaction, some: list[str] = some) -> int:
                unheld = [digest for digest in some if not connection.execute(MEDIA_HELD, {"digest": digest})]
                return sum(self._files.remove(digest, before=before) for digest in unheld)

            # The writer's turn keeps events that refer to these files from being enqueued; `alone`, so that what it sees is committed.
            removed += await self._database.write(remove_unheld, alone=True)
        return removed

    def _keep(self, path: Path, name: str) -> Media:
        # Opened without waiting, so that a pipe is refused and does not block.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as source:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Not a regular file", name)
            head = source.read(16)
            source.seek(0)
            digest, size = self._files.write_hashed(source)
            self._files.sync(digest)
        return Media(name=name, media_type=_media_type(head, name), size=size, digest=digest)


def _media_type(head: bytes, name: str) -> str:
    """By content if that tells, else by name."""
    for magic, media_type in _MAGIC.items():
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
