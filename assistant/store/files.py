"""Uploaded files that requests name by id."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.turns import Upload
from assistant.contracts.util import Clock, new_id, utc_now
from assistant.store.blobs import ReadingStore
from assistant.store.codec import from_micros, json_column, optional, owned, to_micros, unescape
from assistant.store.database import Database, SqlRow, SqlValue


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """An uploaded file, as listed."""

    id: str
    """`file_…`"""
    name: str
    """For display only."""
    purpose: str
    size: int
    at: datetime


ADD = "INSERT INTO files (id, owner, digest, at, size, name, purpose) VALUES (:id, :owner, :digest, :at, :size, :name, :purpose)"
ONE = "SELECT id, name, purpose, size, at, digest FROM files WHERE id = :id AND owner = :owner"
REMOVE = "DELETE FROM files WHERE id = :id AND owner = :owner RETURNING digest"
_LIST = "SELECT id, name, purpose, size, at, digest FROM files WHERE owner = :owner"
_BEHIND = " AND (at, id) {sign} (SELECT at, id FROM files WHERE id = :after AND owner = :owner)"


def files_of(*, purpose: bool, after: bool, oldest_first: bool) -> str:
    """The statement that lists an owner's files. `after`: those that follow the one with the id `:after`."""
    order, behind = ("ASC", ">") if oldest_first else ("DESC", "<")
    by_purpose = " AND purpose = :purpose" if purpose else ""
    page = _BEHIND.format(sign=behind) if after else ""
    return f"{_LIST}{by_purpose}{page} ORDER BY at {order}, id {order} LIMIT :limit"


class FileStore:
    """Files by (owner, id), kept until they are deleted, or for `attachments.keepDays`. The bytes are in the attachments' folder.

    Every write is durable when the call returns. Every method may raise StoreUnavailable.
    """

    def __init__(
        self, database: Database, folder: Path, *, collect: Callable[[Sequence[str]], Awaitable[int]], clock: Clock = utc_now
    ) -> None:
        """`collect`: removes those of some files that no row holds any more, by digest."""
        self._database = database
        self._files = ReadingStore(folder)
        self._collect = collect
        self._clock = clock

    async def keep(self, owner: str, upload: Upload, read: ReadDocument | ReadImage, purpose: str) -> KeptFile:
        """Store the bytes and what was read in them. `upload.path` stays the caller's."""
        at = to_micros(self._clock())
        values: dict[str, SqlValue] = {
            **owned(owner, new_id("file")),
            "digest": upload.digest,
            "at": at,
            "size": upload.size,
            "name": json_column(upload.name),
            "purpose": json_column(purpose),
        }
        held = [(upload.digest, read, upload.path)]
        await self._files.hold(held, lambda: self._database.execute(ADD, values))
        return KeptFile(id=str(values["id"]), name=upload.name, purpose=purpose, size=upload.size, at=from_micros(at))

    async def get(self, owner: str, file_id: str) -> KeptFile | None:
        return optional(_kept, await self._one(owner, file_id))

    async def path(self, owner: str, file_id: str) -> Path | None:
        """The path of the bytes as received. Open it soon: the file may be deleted. None: there is no such file."""
        row = await self._one(owner, file_id)
        return None if row is None else self._files.path(row[-1])

    async def list(
        self, owner: str, *, purpose: str | None = None, limit: int = 100, after: str | None = None, oldest_first: bool = False
    ) -> Sequence[KeptFile]:
        """The latest first. `after`: the id of the last file of the previous page."""
        values: dict[str, SqlValue] = {"owner": json_column(owner), "limit": limit}
        if purpose is not None:
            values["purpose"] = json_column(purpose)
        if after is not None:
            values["after"] = json_column(after)
        statement = files_of(purpose=purpose is not None, after=after is not None, oldest_first=oldest_first)
        return [_kept(row) for row in await self._database.select(statement, values)]

    async def delete(self, owner: str, file_id: str) -> bool:
        """Returns False if there is no such file."""
        rows = await self._database.execute(REMOVE, owned(owner, file_id))
        await self._collect([digest for (digest,) in rows])
        return bool(rows)

    async def _one(self, owner: str, file_id: str) -> SqlRow | None:
        rows = await self._database.select(ONE, owned(owner, file_id))
        return rows[0] if rows else None


def _kept(row: SqlRow) -> KeptFile:
    file_id, name, purpose, size, at, _ = row
    return KeptFile(id=file_id, name=unescape(name), purpose=unescape(purpose), size=size, at=from_micros(at))
