"""The media of outgoing messages, as adapters see them: files of the test in a folder, by digest."""

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from assistant.contracts.outbox import Media


@dataclass(frozen=True, slots=True)
class MediaFolder:
    """Implements MediaFiles."""

    folder: Path

    async def keep(self, path: Path, name: str) -> Media:
        return self.add(name, await asyncio.to_thread(path.read_bytes))

    def add(self, name: str, data: bytes, media_type: str = "application/octet-stream") -> Media:
        media = Media(name=name, media_type=media_type, size=len(data), digest=sha256(data).hexdigest())
        self.path(media).write_bytes(data)
        return media

    def path(self, media: Media) -> Path:
        return self.folder / media.digest
