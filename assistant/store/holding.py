"""Files that rows hold: stored before the row is added, and again if they went meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from assistant.contracts.documents import ReadDocument, ReadImage
from assistant.store.files import Files

Stored = tuple[str, ReadDocument | ReadImage, Path | None]
"""A file's digest, what was read in it, and where its bytes lie; None: there are none."""


async def hold(files: Files, stored: Sequence[Stored], add: Callable[[], Awaitable[object]]) -> None:
    """Store files, then `add` the rows that hold them. Raises StoreUnavailable."""
    for file in stored:
        await asyncio.to_thread(files.store, *file)
    await add()
    # Somebody may have removed the same file just before these rows held it. Now it stays.
    for digest, read, source in stored:
        if not await asyncio.to_thread(_is_whole, files, digest, source):
            await asyncio.to_thread(files.store, digest, read, source)


def _is_whole(files: Files, digest: str, source: Path | None) -> bool:
    return files.holds(digest) and (source is None or files.original(digest).is_file())
