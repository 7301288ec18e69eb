"""Files kept by their hash: what sessions hold, and what goes out with an event."""

import asyncio
import contextlib
import errno
import fcntl
import mimetypes
import os
import re
import shutil
import stat
from collections.abc import Generator
from datetime import datetime, timedelta
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from assistant.contracts import outbox
from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.util import display_name, new_id
from assistant.store import outbox_statements as sql
from assistant.store.codec import decode_document, decode_image, encode_reading, is_current
from assistant.store.database import Database, Transaction

_DIGEST = re.compile(r"[0-9a-f]{64}")
_READING, _IMAGE = ".read.json", ".image"


class BlobFolder:
    """The files of one folder, by digest (SHA-256, 64 hex digits)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._temporary = folder / "tmp"

    def holds(self, digest: str) -> bool:
        """Whether what was read is kept: it is written last and removed first."""
        return self._path(digest, _READING).is_file()

    def store(self, digest: str, reading: ReadDocument | ReadImage, source: Path | None) -> None:
        """Keep the reading, and the bytes in `source` if there are any. What is there already is left as it is. Raises StoreUnavailable."""
        original, image, text = self._path(digest), self._path(digest, _IMAGE), self._path(digest, _READING)
        try:
            for folder in (self._folder, self._temporary, original.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if source is not None and not original.is_file():
                self._write(original, source)
            kept = _read(text)
            if kept is None or not is_current(kept) or (isinstance(reading, ReadImage) and not image.is_file()):
                if isinstance(reading, ReadImage):
                    self._write(image, reading.data)
                self._write(text, encode_reading(reading))
                sync_folder(original.parent)
                sync_folder(self._folder)
        except OSError as error:
            raise StoreUnavailable(f"The file can't be stored: {error.strerror}. Nothing was accepted.") from error

    def original(self, digest: str) -> Path:
        """Where the bytes lie as they were received, if they do."""
        return self._path(digest)

    def current_reading(self, digest: str) -> ReadDocument | ReadImage | None:
        """What today's readers found in the file, if it is kept."""
        stored = _read(self._path(digest, _READING))
        if stored is None or not is_current(stored):
            return None
        return decode_document(stored) or self._decoded_image(digest, stored)

    def document(self, digest: str) -> ReadDocument | None:
        """The text that was read in the file, by whatever version; None: not kept, or an image."""
        stored = _read(self._path(digest, _READING))
        return decode_document(stored) if stored is not None else None

    def image(self, digest: str) -> bytes | None:
        """The bytes of the picture as it is sent to models, if they are kept."""
        return _read(self._path(digest, _IMAGE))

    def copy(self, digest: str, to: Path) -> bool:
        """Copy the bytes as received into a new file. False: they are not kept. Raises StoreUnavailable."""
        try:
            with self._path(digest).open("rb") as source, open(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreUnavailable(f"A stored file can't be copied: {error.strerror}.") from error
        return True

    def remove(self, digest: str) -> bool:
        """Remove all that is kept of a file. False: there was nothing."""
        there = [path for path in (self._path(digest, _READING), self._path(digest, _IMAGE), self._path(digest)) if path.exists()]
        for path in there:
            path.unlink(missing_ok=True)
        return bool(there)

    def digests(self) -> set[str]:
        """All that something is kept of."""
        return {path.name[:64] for path in self._folder.glob("[0-9a-f][0-9a-f]/*") if _DIGEST.match(path.name)}

    def remove_unfinished(self, before: float) -> None:
        """Remove what a process that died was writing: temporary files last written before this time (seconds since 1970)."""
        for path in self._temporary.glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()

    def _decoded_image(self, digest: str, stored: bytes) -> ReadImage | None:
        data = self.image(digest)
        return decode_image(stored, data) if data is not None else None

    def _path(self, digest: str, suffix: str = "") -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ValueError("not a SHA-256 in hexadecimal")
        return self._folder / digest[:2] / f"{digest}{suffix}"

    def _write(self, path: Path, contents: Path | bytes) -> None:
        temporary = self._temporary / new_id("tmp")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                if isinstance(contents, bytes):
                    file.write(contents)
                else:
                    with contents.open("rb") as source:
                        shutil.copyfileobj(source, file, 1 << 20)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def _read(path: Path) -> bytes | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreUnavailable(f"A stored file can't be read: {error.strerror}.") from error
    with open(file, "rb") as opened:
        return opened.read()


def sync_folder(folder: Path) -> None:
    """Make the names of a folder's files as durable as what is in them. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_MEDIA_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNHELD_FOR = timedelta(hours=1)
_MEDIA_AT_ONCE = 200
_CHUNK = 1 << 20
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
        self._folder = folder
        self._temporary = folder / "tmp"

    async def keep(self, path: Path, name: str) -> outbox.Media:
        return await asyncio.to_thread(self._keep, path, display_name(name, "file"))

    def path(self, media: outbox.Media) -> Path:
        return self._path(media.digest)

    async def sweep(self, now: datetime) -> int:
        """Remove files that no delivery refers to, unless they were kept within the last hour; returns how many went."""
        before = (now - _UNHELD_FOR).timestamp()
        old = await asyncio.to_thread(self._older_than, before)
        removed = 0
        for start in range(0, len(old), _MEDIA_AT_ONCE):
            some = old[start : start + _MEDIA_AT_ONCE]

            def remove_unheld(connection: Transaction, some: list[str] = some) -> int:
                unheld = [digest for digest in some if not connection.execute(sql.MEDIA_HELD, {"digest": digest})]
                return sum(self._remove(digest, before) for digest in unheld)

            # While this holds the writer's place nobody can enqueue an event that refers to them; alone, so that what it sees is committed.
            removed += await self._database.write(remove_unheld, alone=True)
        return removed

    def _keep(self, path: Path, name: str) -> outbox.Media:
        # Opened without waiting, so that a pipe is refused instead of read for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as source:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Not a regular file", name)
            head = source.read(16)
            source.seek(0)
            digest, size = self._copy(source)
        return outbox.Media(name=name, media_type=_media_type(head, name), size=size, digest=digest)

    def _copy(self, source: BinaryIO) -> tuple[str, int]:
        """(digest, size) of what is kept now."""
        with _storing():
            for folder in (self._folder, self._temporary):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = self._temporary / new_id("tmp")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb", buffering=0) as file:
                digest, size = _copy(source, file)
            with _storing():
                self._place(temporary, self._path(digest))
        finally:
            temporary.unlink(missing_ok=True)
        return digest, size

    def _place(self, temporary: Path, path: Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # A sweep that found the older file unheld must not remove this one: it looks and removes under the same lock.
        with self._locked():
            temporary.rename(path)
        sync_folder(path.parent)
        sync_folder(self._folder)

    def _remove(self, digest: str, before: float) -> bool:
        """Remove a file unless it was kept anew since `before`."""
        path = self._path(digest)
        with self._locked(), contextlib.suppress(FileNotFoundError):
            if path.stat(follow_symlinks=False).st_mtime < before:
                path.unlink()
                return True
        return False

    def _older_than(self, before: float) -> list[str]:
        """The digests of files last kept before this time (seconds since 1970). Copies that a process which died left go at once."""
        for path in self._temporary.glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat(follow_symlinks=False).st_mtime < before:
                    path.unlink()
        files = [path for path in self._folder.glob("[0-9a-f][0-9a-f]/*") if _MEDIA_DIGEST.fullmatch(path.name)]
        return sorted([path.name for path in files if path.stat(follow_symlinks=False).st_mtime < before])

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        """Alone among all threads and processes that keep and remove files here."""
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _path(self, digest: str) -> Path:
        if not _MEDIA_DIGEST.fullmatch(digest):
            raise ValueError("not a SHA-256 in hexadecimal")
        return self._folder / digest[:2] / digest


@contextlib.contextmanager
def _storing() -> Generator[None]:
    """Trouble of the store's own disk, in words; that of the file which is copied stays an OSError."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"The file can't be stored: {error.strerror}. Nothing was accepted.") from error


def _copy(source: BinaryIO, to: FileIO) -> tuple[str, int]:
    digest, size = sha256(), 0
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        with _storing():
            left = memoryview(chunk)
            while left:
                left = left[to.write(left) :]
    with _storing():
        os.fsync(to.fileno())
    return digest.hexdigest(), size


def _media_type(head: bytes, name: str) -> str:
    """By content where that tells, else by name."""
    for magic, media_type in _MAGIC.items():
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
