"""Files that sessions hold (attachments), and uploaded files that requests name by id."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import orjson

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.messages import Image
from assistant.contracts.records import record
from assistant.contracts.sessions import Attachment
from assistant.contracts.turns import Upload
from assistant.contracts.util import Clock, new_id, utc_now
from assistant.store.codec import escape, from_micros, identity, json_column, optional, owned, to_micros, unescape
from assistant.store.database import AttachmentSettings, Database, SqlRow, SqlValue, Transaction, select_in
from assistant.store.readings import ReadingStore

_AT_ONCE = 200
_HOLDING = ("attachments", "files", "response_files")
_OWN_TEXT = b"text made by the server\0"
"""Prefix of a text of ours when it is hashed: an upload of the same bytes is another file, with a reading of its own."""
_OWN_PICTURE = b"picture that a tool brought\0"
"""Likewise of a picture."""

_ADD = """
    INSERT INTO attachments (id, owner, session, digest, at, used, size, label)
    VALUES (:id, :owner, :session, :digest, :at, 0, :size, :label)"""
# The model learns the id of what we keep for it, so its session uses it at once (unless it was deleted meanwhile).
_USE_IN_SESSION = """
    UPDATE attachments SET used = 1
    WHERE id = :id AND EXISTS (SELECT 1 FROM sessions WHERE sessions.owner = :owner AND sessions.key = :session)"""
_COLUMNS = "SELECT id, label, size, at, digest FROM attachments"
_ONE = f"{_COLUMNS} WHERE id = :id AND owner = :owner AND session = :session"
_ALL = f"{_COLUMNS} WHERE owner = :owner AND session = :session AND used = 1 ORDER BY at, id"
_REMOVE_DUE_FILES = "DELETE FROM files WHERE at < :before"
_REMOVE_DUE = "DELETE FROM attachments WHERE (used = 0 AND at < :unused_before) OR at < :before RETURNING digest"


class AttachmentStore:
    """Files, stored once by SHA-256; each session that holds one has an attachment with an id of its own.

    An attachment that no message refers to is removed after a day, others with their session or after `keep_days`.
    Every method may raise StoreUnavailable.
    """

    def __init__(self, database: Database, files: ReadingStore, settings: AttachmentSettings, *, clock: Clock = utc_now) -> None:
        self._database = database
        self._files = files
        self._settings = settings
        self._clock = clock

    async def find(self, digest: str) -> ReadDocument | ReadImage | None:
        """What was read in the same bytes before, if it is still stored."""
        await self._files.fetch_readings([digest])
        return await asyncio.to_thread(self._files.current_reading, digest)

    async def keep(self, owner: str, session: str, upload: Upload, read: ReadDocument | ReadImage, *, used: bool = False) -> str:
        """Store the bytes and what was read in them. Returns the new attachment's id (`att_…`). `used`: as of a message that the session has."""
        if isinstance(read, ReadImage):
            label = _label(upload.name, read.media_type.removeprefix("image/"), (read.original,))
        else:
            label = _label(upload.name, read.format, read.facts)
        return await self._keep(owner, session, upload.digest, upload.size, label, read, upload.path, used=used)

    async def keep_file(self, owner: str, session: str, upload: Upload, read: ReadDocument | ReadImage) -> str:
        """As `keep`, for a file that a tool read or made: its session uses it at once."""
        return await self.keep(owner, session, upload, read, used=True)

    async def keep_text(self, owner: str, session: str, name: str, text: str) -> str:
        """Store a text that the server made (a long tool result) as an attachment of format "text". Returns its id."""
        data = text.encode()
        reading = ReadDocument(format="text", text=text)
        digest = sha256(_OWN_TEXT + data).hexdigest()
        return await self._keep(owner, session, digest, len(data), _label(name, "text", ()), reading, None, used=True)

    async def keep_picture(self, owner: str, session: str, name: str, picture: ReadImage) -> str:
        """Store a picture that a tool brought as an attachment, without the bytes that it was read from. Returns its id."""
        label = _label(name, picture.media_type.removeprefix("image/"), (picture.original,))
        digest = sha256(_OWN_PICTURE + picture.data).hexdigest()
        return await self._keep(owner, session, digest, len(picture.data), label, picture, None, used=True)

    async def document(self, owner: str, session: str, attachment_id: str) -> tuple[Attachment, ReadDocument] | None:
        """The whole text of an attachment of this session. None: the session has none with that id, or it is an image."""
        rows = await self._database.select(_ONE, _place(owner, session, attachment_id))
        if not rows:
            return None
        await self._files.fetch_readings([rows[0][-1]])
        reading = await asyncio.to_thread(self._files.document, rows[0][-1])
        return (_attachment(rows[0]), reading) if reading is not None else None

    async def copy(self, owner: str, session: str, attachment_id: str, to: Path) -> Upload | None:
        """Copy an attachment's bytes as received into a new file. None: the session has none with that id, or the bytes are not stored."""
        rows = await self._database.select(_ONE, _place(owner, session, attachment_id))
        if not rows:
            return None
        await self._files.fetch(rows[0][-1])
        if not await asyncio.to_thread(self._files.copy, rows[0][-1], to):
            return None
        return Upload(name=_attachment(rows[0]).name, path=to, size=rows[0][2], digest=rows[0][-1])

    async def contents(self, owner: str, session: str, attachment_id: str) -> tuple[Attachment, bytes] | None:
        """The bytes of an attachment as received, else the picture or text that is kept of it; of "att_1/3" a picture of that document. None: the
        session has none with that id, or nothing is stored of it."""
        base, slash, number = attachment_id.partition("/")
        rows = await self._database.select(_ONE, _place(owner, session, base))
        if not rows:
            return None
        digest = rows[0][-1]
        await self._files.fetch(digest)
        await self._files.fetch_readings([digest])

        def read() -> bytes | None:
            if slash:
                return self._files.pictures(digest).get(int(number)) if number.isdecimal() and len(number) < 10 else None
            data = self._files.read(digest) or self._files.image(digest)
            text = None if data else self._files.document(digest)
            return text.text.encode() if text else data

        data = await asyncio.to_thread(read)
        return None if data is None else (_attachment(rows[0]), data)

    async def images(self, parts: Sequence[Image]) -> dict[str, bytes]:
        """The bytes of those that are still stored, by attachment id."""
        wanted = {part.attachment_id: part.attachment_id.partition("/") for part in parts}
        if not wanted:
            return {}
        ids = list(dict.fromkeys(attachment for attachment, _, _ in wanted.values()))
        digests = dict(await self._database.read(lambda connection: select_in(connection, "id, digest", "id", ids, "attachments")))
        await self._files.fetch_readings(digests.values())

        def read() -> dict[str, bytes]:
            there = {name: (digests[attachment], number) for name, (attachment, _, number) in wanted.items() if attachment in digests}
            documents = {digest: self._files.pictures(digest) for digest in {digest for digest, number in there.values() if number}}
            found = {name: documents[of].get(int(number)) if number else self._files.image(of) for name, (of, number) in there.items()}
            return {name: data for name, data in found.items() if data is not None}

        return await asyncio.to_thread(read)

    async def list(self, owner: str, session: str) -> Sequence[Attachment]:
        """The session's attachments that a message refers to, the oldest first. (The others came with a refused request.)"""
        rows = await self._database.select(_ALL, {"owner": escape(owner), "session": escape(session)})
        return [_attachment(row) for row in rows]

    async def sweep(self, now: datetime) -> int:
        """Remove what is due; returns how many files. Called at start and once an hour."""
        keep = self._settings.keep_days
        values: dict[str, SqlValue] = {
            "unused_before": to_micros(now - timedelta(days=1)),
            "before": to_micros(now - timedelta(days=keep)) if keep else 0,
        }
        await self._database.execute(_REMOVE_DUE, values)
        await self._database.execute(_REMOVE_DUE_FILES, {"before": values["before"]})
        await asyncio.to_thread(self._files.remove_unfinished, (now - timedelta(hours=1)).timestamp())
        here, shared = await asyncio.to_thread(self._files.digests), self._files.shared
        if shared is None:
            return await self._collect(here)
        removed = await self._collect(sorted({*here, *await shared.unheld(_HOLDING)}))
        await shared.places.reap()
        return removed

    async def carry(self) -> None:
        """Keep for every server what was kept in this folder alone, as before an upgrade."""
        if self._files.shared is not None:
            await self._files.shared.carry(await asyncio.to_thread(self._files.digests), _HOLDING)

    async def collect(self, digests: Sequence[str]) -> int:
        """Remove those of the files that no attachment, upload or response holds any more; returns how many."""
        removed = await self._collect(digests)
        if removed and self._files.shared is not None:
            await self._files.shared.places.reap()
        return removed

    async def _collect(self, digests: Sequence[str]) -> int:
        removed, shared = 0, self._files.shared
        for start in range(0, len(digests), _AT_ONCE):
            some = digests[start : start + _AT_ONCE]

            def remove_unheld(connection: Transaction, some: Sequence[str] = some) -> int:
                held = {digest for table in _HOLDING for (digest,) in select_in(connection, "DISTINCT digest", "digest", some, table)}
                unheld = [digest for digest in some if digest not in held]
                dropped = shared.drop(connection, unheld) if shared is not None else set[str]()
                return len(dropped | {digest for digest in unheld if self._files.remove_all(digest)})

            # The writer's turn keeps rows that hold these files from being added; `alone`, so that the removals it sees are committed.
            removed += await self._database.write(remove_unheld, alone=True)
        return removed

    async def _keep(
        self,
        owner: str,
        session: str,
        digest: str,
        size: int,
        label: str,
        reading: ReadDocument | ReadImage,
        source: Path | None,
        *,
        used: bool,
    ) -> str:
        stored_owner, stored_session = identity(owner, session)
        values: dict[str, SqlValue] = {
            "id": new_id("att"),
            "owner": stored_owner,
            "session": stored_session,
            "digest": digest,
            "at": to_micros(self._clock()),
            "size": size,
            "label": label,
        }

        def add(connection: Transaction) -> None:
            connection.execute(_ADD, values)
            if used:
                connection.execute(_USE_IN_SESSION, values)

        await self._files.hold([(digest, reading, source)], add)
        return str(values["id"])


def _place(owner: str, session: str, attachment_id: str) -> dict[str, SqlValue]:
    return {"id": escape(attachment_id), "owner": escape(owner), "session": escape(session)}


def _label(name: str, file_format: str, facts: tuple[str, ...]) -> str:
    return orjson.dumps({"name": name, "format": file_format, "facts": facts}).decode()


def _attachment(row: SqlRow) -> Attachment:
    attachment_id, label, size, at, _ = row
    known = orjson.loads(label)
    return Attachment(
        id=attachment_id, name=known["name"], format=known["format"], size=size, facts=tuple(known["facts"]), at=from_micros(at)
    )


@record
class KeptFile:
    """An uploaded file, as listed."""

    id: str
    """`file_…`"""
    name: str
    """For display only."""
    purpose: str
    size: int
    at: datetime


_ADD_FILE = "INSERT INTO files (id, owner, digest, at, size, name, purpose) VALUES (:id, :owner, :digest, :at, :size, :name, :purpose)"
_FILE = "SELECT id, name, purpose, size, at, digest FROM files WHERE id = :id AND owner = :owner"
_REMOVE_FILE = "DELETE FROM files WHERE id = :id AND owner = :owner RETURNING digest"
_FILES = "SELECT id, name, purpose, size, at, digest FROM files WHERE owner = :owner"
_BEHIND = " AND (at, id) {sign} (SELECT at, id FROM files WHERE id = :after AND owner = :owner)"


def files_of(*, purpose: bool, after: bool, oldest_first: bool) -> str:
    """The statement that lists an owner's files. `after`: those that follow the one with the id `:after`."""
    order, behind = ("ASC", ">") if oldest_first else ("DESC", "<")
    by_purpose = " AND purpose = :purpose" if purpose else ""
    page = _BEHIND.format(sign=behind) if after else ""
    return f"{_FILES}{by_purpose}{page} ORDER BY at {order}, id {order} LIMIT :limit"


class FileStore:
    """Files by (owner, id), kept until they are deleted, or for `attachments.keepDays`. The bytes are in the attachments' folder.

    Every write is durable when the call returns. Every method may raise StoreUnavailable.
    """

    def __init__(
        self, database: Database, files: ReadingStore, *, collect: Callable[[Sequence[str]], Awaitable[int]], clock: Clock = utc_now
    ) -> None:
        """`collect`: removes those of some files that no row holds any more, by digest."""
        self._database = database
        self._files = files
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
        await self._files.hold(held, lambda connection: connection.execute(_ADD_FILE, values))
        return KeptFile(id=str(values["id"]), name=upload.name, purpose=purpose, size=upload.size, at=from_micros(at))

    async def get(self, owner: str, file_id: str) -> KeptFile | None:
        return optional(_kept, await self._one(owner, file_id))

    async def path(self, owner: str, file_id: str) -> Path | None:
        """The path of the bytes as received. Open it soon: the file may be deleted. None: there is no such file."""
        row = await self._one(owner, file_id)
        if row is None:
            return None
        await self._files.fetch(row[-1])
        return self._files.path(row[-1])

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
        rows = await self._database.execute(_REMOVE_FILE, owned(owner, file_id))
        await self._collect([digest for (digest,) in rows])
        return bool(rows)

    async def _one(self, owner: str, file_id: str) -> SqlRow | None:
        rows = await self._database.select(_FILE, owned(owner, file_id))
        return rows[0] if rows else None


def _kept(row: SqlRow) -> KeptFile:
    file_id, name, purpose, size, at, _ = row
    return KeptFile(id=file_id, name=unescape(name), purpose=unescape(purpose), size=size, at=from_micros(at))
