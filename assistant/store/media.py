"""Files that go out with events."""

import asyncio
import errno
import mimetypes
import os
import stat
from datetime import datetime, timedelta
from pathlib import Path

from assistant.contracts.outbox import Media
from assistant.contracts.util import Clock, display_name, utc_now
from assistant.store.blobs import BlobStore
from assistant.store.codec import to_micros
from assistant.store.database import Database, Transaction
from assistant.store.outbox_rows import MEDIA_HELD
from assistant.store.places import SharedPlaces
from assistant.store.shared import SharedFolder

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

    def __init__(self, database: Database, folder: Path, places: SharedPlaces | None = None, *, clock: Clock = utc_now) -> None:
        """`places`: where all servers read the files; None: in this folder."""
        self._database = database
        self._files = BlobStore(folder, guarded=True)
        self._shared = None if places is None else SharedFolder(database, places, self._files, "media", clock=clock)

    async def keep(self, path: Path, name: str) -> Media:
        media = await asyncio.to_thread(self._keep, path, display_name(name, "file"))
        if self._shared is not None and self._shared.places.keep:
            await self._shared.publish([(media.digest, "")])
        return media

    def path(self, media: Media) -> Path:
        return self._files.path(media.digest)

    async def fetch(self, media: Media) -> None:
        """Put the bytes where `path` says, if this folder lacks them and they are kept elsewhere. Raises StoreUnavailable."""
        if self._shared is not None:
            await self._shared.fetch(media.digest)

    async def sweep(self, now: datetime) -> int:
        """Remove files that no delivery refers to, unless they were kept within the last hour; returns how many."""
        hour_ago = now - timedelta(hours=1)
        before, shared = hour_ago.timestamp(), self._shared
        await asyncio.to_thread(self._files.remove_unfinished, before)
        old = await asyncio.to_thread(self._files.digests, before)
        if shared is not None:
            old = sorted({*old, *await shared.unheld(["outbox_media"], to_micros(hour_ago))})
        removed = 0
        for start in range(0, len(old), _AT_ONCE):
            some = old[start : start + _AT_ONCE]

            def remove_unheld(connection: Transaction, some: list[str] = some) -> int:
                unheld = [digest for digest in some if not connection.execute(MEDIA_HELD, {"digest": digest})]
                dropped = shared.drop(connection, unheld, to_micros(hour_ago)) if shared is not None else set[str]()
                return len(dropped | {digest for digest in unheld if self._files.remove(digest, before=before)})

            # The writer's turn keeps events that refer to these files from being enqueued; `alone`, so that what it sees is committed.
            removed += await self._database.write(remove_unheld, alone=True)
        if shared is not None:
            await shared.places.reap()
        return removed

    async def carry(self) -> None:
        """Keep for every server what was kept in this folder alone."""
        if self._shared is not None:
            await self._shared.carry(await asyncio.to_thread(self._files.digests), ["outbox_media"])

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
