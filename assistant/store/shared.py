"""One of the state's folders of files, as a copy of what is kept for every server on the store.

What is read is looked for in the folder, then in the shared place. What is written is in both before the row that refers to it: the names are given
in the transaction of that row, and taken in the transaction that sees that no row refers to them, and writers take turns.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.util import Clock, utc_now
from assistant.store.blobs import BlobStore
from assistant.store.codec import to_micros
from assistant.store.database import Database, SqlValue, Transaction, select_in
from assistant.store.places import DROP_BLOB, Blob, SharedPlaces

_BLOB = "name, id, place, size, sha256"
GIVE_NAME = """
    UPDATE blobs SET name = :name WHERE id = :id AND name IS NULL AND at > 0
    AND NOT EXISTS (SELECT 1 FROM blobs AS other WHERE other.name = :name)"""
USE_NAME = "UPDATE blobs SET at = :at WHERE name = :name RETURNING id"
TAKE_NAME = "UPDATE blobs SET name = NULL, at = 0 WHERE name = :name AND at < :before RETURNING id"
_AT_ONCE = 200
_ALWAYS = 1 << 62
_DIGEST_LENGTH = 64


class _NameTaken(Exception):
    """A file lost its name since it was looked for."""


class SharedFolder:
    """A folder of files by digest, and the same files in the shared places as `<kind>/<digest><suffix>`. `suffixes`: all that there are."""

    def __init__(
        self,
        database: Database,
        places: SharedPlaces,
        files: BlobStore,
        kind: str,
        suffixes: Sequence[str] = ("",),
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._files = files
        self._kind = kind
        self._suffixes = suffixes
        self._clock = clock
        self.places = places

    async def fetch(self, digest: str, suffixes: Sequence[str] = ("",)) -> None:
        """Put into the folder what it lacks of a file. The last suffix is there only where the others are, as far as they exist."""
        if await asyncio.to_thread(self._files.has, digest, suffixes[-1]):
            return
        names = {self._name(digest, suffix): suffix for suffix in suffixes}
        for _ in range(2):
            rows = await self._database.read(lambda connection: select_in(connection, _BLOB, "name", names, "blobs"))
            found = {names[name]: Blob(*blob) for name, *blob in rows}
            read = [
                await self._files.take(self.places.read(found[each]), digest, each, found[each].sha256)
                for each in suffixes
                if each in found
            ]
            if all(read):
                return
        raise StoreUnavailable("A stored file could not be read from where it is kept. Try again later.")

    async def publish(
        self,
        wanted: Collection[tuple[str, str]],
        add: Callable[[Transaction], object] = lambda _: None,
        *,
        renewed: Collection[str] = (),
    ) -> None:
        """Keep files (digest, suffix) of the folder for every server, from the transaction of `add` on. What has its name is not written again, but
        what belongs to a `renewed` one. Raises FileNotFoundError where one is not in the folder any more."""
        paths = {self._name(digest, suffix): self._files.path(digest, suffix) for digest, suffix in wanted}
        again = {self._name(digest, suffix) for digest, suffix in wanted if suffix and digest in renewed}
        while True:
            fresh: dict[str, str] = {}
            try:
                for name in again | (paths.keys() - await self._known(paths)):
                    fresh[name] = await self._written(paths[name])
                return await self._database.write(lambda connection, fresh=fresh: self._add(connection, paths, fresh, again, add))
            except (_NameTaken, FileNotFoundError) as error:  # what was written would stay for a day
                await self._database.write(lambda link, fresh=fresh: [link.execute(DROP_BLOB, {"id": each}) for each in fresh.values()])
                if isinstance(error, FileNotFoundError):
                    raise

    def drop(self, connection: Transaction, digests: Iterable[str], before: int = _ALWAYS) -> set[str]:
        """Take the names of files, unless they were kept since `before`; returns whose. `SharedPlaces.reap` removes the bytes."""
        wanted = {self._name(digest, suffix): digest for digest in digests for suffix in self._suffixes}
        there = [name for (name,) in select_in(connection, "name", "name", wanted, "blobs")]
        return {wanted[name] for name in there if connection.execute(TAKE_NAME, {"name": name, "before": before})}

    async def unheld(self, tables: Sequence[str], before: int = _ALWAYS) -> list[str]:
        """The digests of files that had their names before this time, and to which no row of these tables refers."""
        digest = f"substr(blobs.name, {len(self._kind) + 2}, {_DIGEST_LENGTH})"
        # Names of this package's own schema only.
        free = " ".join(f"AND NOT EXISTS (SELECT 1 FROM {table} WHERE {table}.digest = {digest})" for table in tables)  # noqa: S608
        statement = f"SELECT DISTINCT {digest} FROM blobs WHERE name LIKE :kind AND at < :before {free}"  # noqa: S608 - as above
        values: dict[str, SqlValue] = {"kind": f"{self._kind}/%", "before": before}
        return [found for (found,) in await self._database.beside(lambda connection: connection.execute(statement, values))]

    async def carry(self, digests: Sequence[str], tables: Sequence[str] = ()) -> None:
        """Keep for every server what lies in this folder alone, as it does where the setting was another one. `tables`: whose rows refer to it;
        empty: all of it."""
        for start in range(0, len(digests) if self.places.keep else 0, _AT_ONCE):
            some = digests[start : start + _AT_ONCE]
            if tables:
                some = await self._held(some, tables)
            there = await asyncio.to_thread(self._there, some)
            known = await self._known(there)
            missing = [file for name, file in there.items() if name not in known]
            for digest in sorted({digest for digest, _ in missing}):
                with contextlib.suppress(FileNotFoundError):  # removed just now
                    await self.publish([file for file in missing if file[0] == digest])

    def _name(self, digest: str, suffix: str) -> str:
        return f"{self._kind}/{digest}{suffix}"

    def _there(self, digests: Collection[str]) -> dict[str, tuple[str, str]]:
        """The files of the folder, by name."""
        files = [(digest, suffix) for digest in digests for suffix in self._suffixes]
        return {self._name(*file): file for file in files if self._files.has(*file)}

    async def _held(self, digests: Sequence[str], tables: Sequence[str]) -> list[str]:
        def look(connection: Transaction) -> list[str]:
            return sorted({digest for table in tables for (digest,) in select_in(connection, "DISTINCT digest", "digest", digests, table)})

        return await self._database.read(look)

    async def _known(self, names: Collection[str]) -> set[str]:
        rows = await self._database.read(lambda connection: select_in(connection, "name", "name", names, "blobs"))
        return {name for (name,) in rows}

    async def _written(self, path: Path) -> str:
        with await asyncio.to_thread(path.open, "rb") as source:
            return await self.places.write(source)

    def _add(
        self,
        connection: Transaction,
        names: Collection[str],
        fresh: Mapping[str, str],
        again: Collection[str],
        add: Callable[[Transaction], object],
    ) -> None:
        for name in names:
            values: dict[str, SqlValue] = {"name": name, "id": fresh.get(name), "at": to_micros(self._clock()), "before": _ALWAYS}
            if name in fresh:
                if name in again:
                    connection.execute(TAKE_NAME, values)
                connection.execute(GIVE_NAME, values)
                connection.execute(DROP_BLOB, values)  # another process was quicker
            if not connection.execute(USE_NAME, values):
                raise _NameTaken
        add(connection)
