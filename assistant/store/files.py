"""Attachments on the disk: `<2 hex>/<sha-256>` for the bytes as received, `….read.json` and `….image` for what was read in them.

Blocking: called in threads. Everything is owner-only; a file appears under its name when it is whole and on the disk, or not at all.
"""

import contextlib
import os
import re
import shutil
from pathlib import Path

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.ids import new_id
from assistant.store.readings import decode_document, decode_image, encode_reading, is_current

_DIGEST = re.compile(r"[0-9a-f]{64}")
_READING, _IMAGE = ".read.json", ".image"


class Files:
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
