"""Files that sessions hold, with what was read in them."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from assistant.contracts.documents import ReadDocument, ReadImage, lacks_words
from assistant.contracts.errors import StoreUnavailable
from assistant.store.blobs import BlobStore
from assistant.store.codec import decode_document, decode_image, encode_reading, is_current, optional
from assistant.store.database import Database, Transaction
from assistant.store.places import SharedPlaces
from assistant.store.shared import SharedFolder

_BLOCK = 1 << 20
_READING, _IMAGE, _PICTURES = ".read.json", ".image", ".pictures"
HeldFile = tuple[str, ReadDocument | ReadImage, Path | None]
"""A file's digest, what was read in it, and where its bytes are; None: there are none."""


class ReadingStore(BlobStore):
    """Files with what was read in them: the reading as JSON, and pictures as they are sent to models. The reading is written last."""

    def __init__(self, folder: Path, database: Database, places: SharedPlaces | None = None) -> None:
        """`places`: where all servers read the files; None: in this folder."""
        super().__init__(folder)
        self._database = database
        suffixes = ("", _PICTURES, _IMAGE, _READING)
        self.shared = None if places is None else SharedFolder(database, places, self, "attachments", suffixes)

    async def hold(self, files: Sequence[HeldFile], add: Callable[[Transaction], object]) -> None:
        """Store files, and `add` the rows that hold them."""
        renewed = [file[0] for file in files if await asyncio.to_thread(self.store, *file)]
        if self.shared is None or not self.shared.places.keep:
            await self._database.write(add)
            # A file may have been collected before its row was added. From now on it stays.
            for digest, reading, source in files:
                if not await asyncio.to_thread(self._is_whole, digest, source):
                    await asyncio.to_thread(self.store, digest, reading, source)
            return None
        wanted = [(digest, suffix) for digest, reading, source in files for suffix in _suffixes_of(reading, source)]
        while True:
            try:
                return await self.shared.publish(wanted, add, renewed=renewed)
            except FileNotFoundError:  # collected here, before its row was added
                renewed = [file[0] for file in files if await asyncio.to_thread(self.store, *file)]

    async def fetch(self, digest: str) -> None:
        """Put the bytes as received here, where this folder lacks them and they are kept elsewhere."""
        if self.shared is not None:
            await self.shared.fetch(digest)

    async def fetch_readings(self, digests: Iterable[str]) -> None:
        """Likewise what was read in files."""
        if self.shared is not None:
            for digest in digests:
                await self.shared.fetch(digest, (_PICTURES, _IMAGE, _READING))

    def store(self, digest: str, reading: ReadDocument | ReadImage, source: Path | None) -> bool:
        """Store the reading, and the bytes in `source` if there are any. What is stored already stays, unless this has the words in its pictures
        and that has not. Returns whether the reading was written."""
        if source is not None and not self.has(digest):
            self.write(digest, source)
        stored = self.read(digest, _READING)
        if isinstance(reading, ReadImage):
            suffix, pictures = _IMAGE, reading.data
        else:
            suffix, pictures = _PICTURES, b"".join(picture.data for picture in reading.pictures)
        known = None if stored is None or not is_current(stored) else decode_document(stored) or decode_image(stored, b"")
        if known is None or (lacks_words(known) and not lacks_words(reading)) or (pictures and not self.has(digest, suffix)):
            if pictures:
                self.write(digest, pictures, suffix)
            self.write(digest, encode_reading(reading), _READING)
            self.sync(digest)
            return True
        return False

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
        return self.has(digest, _READING) and (source is None or self.has(digest))


def _suffixes_of(reading: ReadDocument | ReadImage, source: Path | None) -> list[str]:
    """What is stored of a file."""
    received = [""] if source is not None else []
    if isinstance(reading, ReadImage):
        return [*received, _IMAGE, _READING]
    return [*received, *([_PICTURES] if any(picture.data for picture in reading.pictures) else []), _READING]
