"""The port to files that their owner uploads once and names in requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.contracts.errors import NotFound
from assistant.contracts.turns import Upload


class NoSuchFile(NotFound):
    """There is no such file. GET /v1/files lists those there are."""

    code = "file_not_found"


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


class FileStore(Protocol):
    """Files by (owner, id), kept until they are deleted, or for `attachments.keepDays`. The bytes lie with the attachments', once for each SHA-256.

    Every write is durable when the call returns. Raises StoreUnavailable.
    """

    async def keep(self, owner: str, upload: Upload, read: ReadDocument | ReadImage, purpose: str) -> KeptFile:
        """Store the bytes and what was read in them. `upload.path` stays the caller's."""
        ...

    async def get(self, owner: str, file_id: str) -> KeptFile | None: ...

    async def path(self, owner: str, file_id: str) -> Path | None:
        """Where the bytes lie as they were received: to be read, and soon, for the file may be deleted. None: there is no such file."""
        ...

    async def list(
        self, owner: str, *, purpose: str | None = None, limit: int = 100, after: str | None = None, oldest_first: bool = False
    ) -> Sequence[KeptFile]:
        """The latest first; `after`: the id of the last one of the page before."""
        ...

    async def delete(self, owner: str, file_id: str) -> bool:
        """False: there was none."""
        ...
