"""Servers on several machines with one store: each has a state folder of its own, unless the folder is where files are kept."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from assistant.contracts.turns import Upload
from assistant.contracts.util import new_id
from assistant.store.database import AttachmentSettings, S3Settings, StoreSettings
from assistant.store.store import Store, open_store
from tests.clocks import TurnedClock
from tests.doubles.s3_server import S3Server


@dataclass(frozen=True, slots=True)
class Machines:
    """`open` a store on one of them; all are closed with `stack`."""

    url: str
    place: str
    folder: Path
    clock: TurnedClock
    s3: S3Server
    stack: AsyncExitStack

    async def open(self, name: str, files: str | None = None, s3: S3Settings | None = None) -> Store:
        """`files`: where this one keeps files; None: where all do. `s3`: where that is, for this one."""
        place = files or self.place
        settings = StoreSettings.model_validate(
            {"url": self.url, "files": place, "s3": s3 or (self.s3.settings if "s3" in (place, self.place) else None)}
        )
        store = await open_store(settings, self.home(name), AttachmentSettings(keep_days=30), clock=self.clock)
        self.stack.push_async_callback(store.close)
        return store

    def home(self, name: str) -> Path:
        return self.folder / ("all" if self.place == "folder" else name)

    def upload(self, data: bytes = b"Costs", name: str = "costs.txt") -> Upload:
        path = self.folder / new_id("up")
        path.write_bytes(data)
        return Upload(name=name, path=path, size=len(data), digest=sha256(data).hexdigest())

    def here(self, name: str, which: Callable[[Path], bool] = Path.is_file) -> list[str]:
        """The names of the files that a machine's folders hold."""
        kept = [path for kind in ("attachments", "media") for path in (self.home(name) / kind).rglob("*") if which(path)]
        return sorted(path.name for path in kept if path.name not in ("lock", "held"))

    async def shared(self, store: Store) -> tuple[int, int, int]:
        """How many rows, pieces and objects there are."""

        def count(table: str) -> str:
            return f"SELECT COUNT(*) FROM {table}"

        rows = [(await store.database.select(count(table)))[0][0] for table in ("blobs", "blob_chunks")]
        return rows[0], rows[1], len(self.s3.objects)
