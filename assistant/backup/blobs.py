"""The files of a backup that are in places which every server reads: written from there, and put back there."""

import asyncio
import contextlib
import tempfile
from collections.abc import Generator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

from assistant.backup.archive import ArchiveMember, ArchiveWriter, BackupRefused
from assistant.store.blobs import BlobStore
from assistant.store.database import Database, DatabaseEngine, StoreSettings, Transaction
from assistant.store.places import Blob, SharedPlaces, hold_removals
from assistant.store.readings import ReadingStore
from assistant.store.shared import SharedFolder

NAMED = "SELECT name, id, place, size, sha256 FROM blobs WHERE name IS NOT NULL ORDER BY name"


def named_blobs(connection: Transaction) -> dict[str, Blob]:
    """What there is, by name ("media/<digest>")."""
    return {name: Blob(*row) for name, *row in connection.execute(NAMED)}


@contextlib.contextmanager
def blobs_held(engine: DatabaseEngine) -> Generator[None]:
    """Keep every process from removing bytes that a row of a moment from now on names."""
    if engine.dialect == "sqlite":
        yield
        return
    link = engine.connect(writes=False)
    try:
        hold_removals(link)
        yield
    finally:
        link.close()


async def write_blobs(
    engine: DatabaseEngine, store: StoreSettings, blobs: Mapping[str, Blob], archive: ArchiveWriter, scratch: Path
) -> None:
    """Add these to an archive, one at a time by way of `scratch`. Raises BackupRefused where one is not as it was written."""
    database = Database(engine)
    places = SharedPlaces(database, store)
    try:
        for name, blob in blobs.items():
            kind, _, file = name.partition("/")
            hashed = sha256()
            with tempfile.TemporaryFile(dir=scratch) as copy:
                async for block in places.read(blob):
                    hashed.update(block)
                    copy.write(block)
                if hashed.hexdigest() != blob.sha256:
                    raise BackupRefused(f"A file that the store keeps in the {blob.place} can't be read whole ({name}). Try again later.")
                copy.seek(0)
                archive.add(ArchiveMember(name=f"files/{kind}/{file[:2]}/{file}", size=blob.size), cast("BinaryIO", copy))
    finally:
        await places.close()
        await database.close()


async def keep_blobs(engine: DatabaseEngine, store: StoreSettings, files: Path) -> None:
    """Put the files of an unpacked backup where every server reads them, if the target has such a place. What no row names in the end is swept."""
    database = Database(engine)
    places = SharedPlaces(database, store)
    try:
        readings = ReadingStore(files / "attachments", database, places)
        media = BlobStore(files / "media")
        for folder, shared in ((readings, readings.shared), (media, SharedFolder(database, places, media, "media"))):
            if shared is not None:
                await shared.carry(await asyncio.to_thread(folder.digests))
    finally:
        await places.close()
        await database.close()
