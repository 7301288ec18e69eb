"""SharedPlaces that every server on the store reaches: the database, in pieces, and an S3-compatible store. A row stands for what is in one.

The row is there before its bytes are written, with an id that is used once, and gets its name when all of them are there. What loses its name is
removed afterwards. So a crash leaves rows without a name, which the next sweep removes with their bytes, and what is removed late was never
written again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from os import urandom
from typing import BinaryIO, NamedTuple, Protocol

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.util import Clock, copy_hashed, new_id, utc_now
from assistant.store.codec import to_micros
from assistant.store.database import Database, DatabaseLink, StoreSettings, Transaction
from assistant.store.s3 import S3Bytes

log = logging.getLogger(__name__)

_BLOCK = 1 << 20
_HOLD = 0x6E616E6F626C6F
"""The advisory lock of a backup that reads what has lost its name meanwhile."""
_UNFINISHED = timedelta(days=1)
"""After that what has no name yet is taken for a dead process's."""

ADD_BLOB = "INSERT INTO blobs (id, place, size, sha256, at) VALUES (:id, :place, :size, :sha256, :at)"
ADD_CHUNK = "INSERT INTO blob_chunks (blob, seq, data) VALUES (:blob, :seq, :data)"
CHUNK = "SELECT data FROM blob_chunks WHERE blob = :blob AND seq = :seq"
REMOVE_CHUNKS = "DELETE FROM blob_chunks WHERE blob = :blob"
DROP_BLOB = "UPDATE blobs SET at = 0 WHERE id = :id AND name IS NULL"
BEGIN_REMOVAL = "UPDATE blobs SET at = -1 WHERE name IS NULL AND at >= 0 AND at < :before"
REMOVABLE = "SELECT id, place FROM blobs WHERE name IS NULL AND at = -1"
REMOVE_BLOB = "DELETE FROM blobs WHERE id = :id AND name IS NULL"


class Blob(NamedTuple):
    """What a row says of bytes."""

    id: str
    place: str
    size: int
    sha256: str


class BytePlace(Protocol):
    """Keeps bytes by an id that is used once. Every method may raise StoreUnavailable."""

    async def put(self, id: str, source: BinaryIO, size: int, digest: str) -> None:
        """Keep so many bytes with this SHA-256, from where `source` is. They are durable when this returns."""
        ...

    def read(self, id: str, size: int) -> AsyncIterator[bytes]:
        """The bytes, in blocks; fewer than `size` where they were removed, or the connection is cut."""
        ...

    async def remove(self, id: str) -> None:
        """Does nothing where there are none."""
        ...

    async def close(self) -> None: ...


class DatabaseBytes:
    """Implements BytePlace by rows of a MiB, each in a transaction of its own that holds up no writer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, id: str, source: BinaryIO, size: int, digest: str) -> None:
        seq = 0
        while block := await asyncio.to_thread(source.read, _BLOCK):
            values = {"blob": id, "seq": seq, "data": block}
            # Relaxed: the commit that gives the name syncs the log up to there.
            await self._database.beside(lambda connection, values=values: connection.execute(ADD_CHUNK, values), relaxed=True)
            seq += 1

    async def read(self, id: str, size: int) -> AsyncIterator[bytes]:
        got = seq = 0
        while got < size:
            values = {"blob": id, "seq": seq}
            rows = await self._database.beside(lambda connection, values=values: connection.execute(CHUNK, values))
            if not rows:
                return
            yield rows[0][0]
            got, seq = got + len(rows[0][0]), seq + 1

    async def remove(self, id: str) -> None:
        await self._database.beside(lambda connection: connection.execute(REMOVE_CHUNKS, {"blob": id}))

    async def close(self) -> None: ...


class SharedPlaces:
    """The places of a store on PostgreSQL, and which of them keeps what is new."""

    def __init__(self, database: Database, settings: StoreSettings, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self.keep = settings.files != "folder"
        """Whether new files are kept here; else only what was kept before is read."""
        self._places: dict[str, BytePlace] = {"database": DatabaseBytes(database)}
        if settings.s3 is not None:
            self._places["s3"] = S3Bytes(settings.s3)

    async def write(self, source: BinaryIO) -> str:
        """Keep all that `source` holds, under no name yet. Returns the id."""
        digest, size = await asyncio.to_thread(copy_hashed, source, len)
        await asyncio.to_thread(source.seek, 0)
        small = self._settings.s3 is None or size < self._settings.s3.smaller_in_database
        place = "s3" if self._settings.files == "s3" and not small else "database"
        return await self._put(place, source, size, digest)

    def read(self, blob: Blob) -> AsyncIterator[bytes]:
        return self._of(blob.place).read(blob.id, blob.size)

    async def reap(self) -> None:
        """Remove the bytes that no name stands for any more, unless a backup reads them. What can't be removed now is removed by a later call."""
        before = to_micros(self._clock() - _UNFINISHED)

        def begin(connection: Transaction) -> None:
            if connection.execute(f"SELECT pg_try_advisory_xact_lock_shared({_HOLD})")[0][0]:
                connection.execute(BEGIN_REMOVAL, {"before": before})

        failed: set[str] = set()
        try:
            await self._database.write(begin)
            for id, place in await self._database.select(REMOVABLE):
                if place not in failed and not await self._removed(id, place):
                    failed.add(place)
        except StoreUnavailable as error:
            log.warning("store.bytes_not_removed why=%s", error.message)

    async def _removed(self, id: str, place: str) -> bool:
        try:
            await self._of(place).remove(id)
        except StoreUnavailable as error:
            log.warning("store.bytes_not_removed place=%s why=%s", place, error.message)
            return False
        await self._database.beside(lambda connection: connection.execute(REMOVE_BLOB, {"id": id}), relaxed=True)
        return True

    async def check(self) -> str:
        """Write, read and remove some bytes where large files are kept. Returns where that is. Raises StoreUnavailable."""
        place, data = "s3" if self._settings.files == "s3" else "database", urandom(64)
        id = await self._put(place, BytesIO(data), len(data), sha256(data).hexdigest())
        try:
            found = b"".join([block async for block in self._of(place).read(id, len(data))])
        finally:
            await self._database.execute(DROP_BLOB, {"id": id})
        await self.reap()
        if found != data:
            raise StoreUnavailable(f"What was written to the {place} was not read as it was written.")
        return place

    async def close(self) -> None:
        for place in self._places.values():
            await place.close()

    async def _put(self, place: str, source: BinaryIO, size: int, digest: str) -> str:
        id = new_id("blob")
        values = {"id": id, "place": place, "size": size, "sha256": digest, "at": to_micros(self._clock())}
        # Elsewhere than in the database, the row is on the disk before the bytes are there.
        await self._database.beside(lambda connection: connection.execute(ADD_BLOB, values), relaxed=place == "database")
        await self._of(place).put(id, source, size, digest)
        return id

    def _of(self, place: str) -> BytePlace:
        found = self._places.get(place)
        if found is None:
            raise StoreUnavailable("The file is in an S3 store that the configuration does not name any more: put store.s3 back.")
        return found


def hold_removals(link: DatabaseLink) -> None:
    """Keep every process from removing bytes, until this connection is closed. Raises StoreUnavailable where that takes too long."""
    link.execute(f"SELECT pg_advisory_lock({_HOLD})")
