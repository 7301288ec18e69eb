"""Media of outgoing messages on the disk: `<2 hex>/<sha-256>`, as they were when the message was accepted. The contract is `outbox.MediaFiles`.

Everything is owner-only; a file appears under its name when it is whole and on the disk, or not at all.
"""

import asyncio
import contextlib
import errno
import fcntl
import mimetypes
import os
import re
import stat
from collections.abc import Generator
from datetime import datetime, timedelta
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from assistant.contracts import outbox
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.ids import new_id
from assistant.contracts.names import display_name
from assistant.store import outbox_statements as sql
from assistant.store.connection import Connection
from assistant.store.database import Database
from assistant.store.files import sync_folder

_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNHELD_FOR = timedelta(hours=1)
_AT_ONCE = 200
_CHUNK = 1 << 20
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"%PDF-": "application/pdf",
}


class Media:
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
        for start in range(0, len(old), _AT_ONCE):
            some = old[start : start + _AT_ONCE]

            def remove_unheld(connection: Connection, some: list[str] = some) -> int:
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
        files = [path for path in self._folder.glob("[0-9a-f][0-9a-f]/*") if _DIGEST.fullmatch(path.name)]
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
        if not _DIGEST.fullmatch(digest):
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
