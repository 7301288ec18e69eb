"""What FileStore promises, on SQLite and PostgreSQL."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from assistant.contracts.documents import ReadDocument
from assistant.contracts.turns import Upload
from assistant.contracts.util import new_id
from assistant.store.attachments import KeptFile
from assistant.store.store import Store

from .conftest import Opener, TurnedClock

READ = ReadDocument(format="text", text="Costs")


def upload(folder: Path, data: bytes = b"Costs", name: str = "costs.txt") -> Upload:
    path = folder / new_id("up")
    path.write_bytes(data)
    return Upload(name=name, path=path, size=len(data), digest=sha256(data).hexdigest())


async def keep(store: Store, folder: Path, owner: str = "anna", data: bytes = b"Costs", name: str = "costs.txt") -> KeptFile:
    return await store.files.keep(owner, upload(folder, data, name), READ, "user_data")


async def bytes_of(store: Store, file: KeptFile, owner: str = "anna") -> bytes | None:
    path = await store.files.path(owner, file.id)
    return path.read_bytes() if path is not None and path.exists() else None


async def test_a_file_is_kept_with_its_bytes_and_its_name(store: Store, open_again: Opener, tmp_path: Path, clock: TurnedClock) -> None:
    kept = await keep(store, tmp_path, name="Kostenübersicht \0 \\0.txt")
    assert (kept.name, kept.purpose, kept.size, kept.at) == ("Kostenübersicht \0 \\0.txt", "user_data", 5, clock.now)
    again = await open_again()
    assert await again.files.get("anna", kept.id) == kept
    assert await bytes_of(again, kept) == b"Costs"


async def test_another_owners_file_is_not_there(store: Store, tmp_path: Path) -> None:
    kept = await keep(store, tmp_path)
    assert await store.files.get("bob", kept.id) is None
    assert await store.files.path("bob", kept.id) is None
    assert not await store.files.delete("bob", kept.id)
    assert await store.files.list("bob") == []
    assert await bytes_of(store, kept) == b"Costs"


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_files_are_listed_page_by_page(store: Store, tmp_path: Path, clock: TurnedClock, oldest_first: bool) -> None:
    kept: list[KeptFile] = []
    for number in range(5):
        kept.append(await store.files.keep("anna", upload(tmp_path, b"%d" % number), READ, "vision" if number % 2 else "user_data"))
        clock.turn(timedelta(seconds=number % 2))  # some at the same moment
    kept = sorted(kept, key=lambda file: (file.at, file.id), reverse=not oldest_first)
    found = list(await store.files.list("anna", limit=2, oldest_first=oldest_first))
    while more := await store.files.list("anna", limit=2, after=found[-1].id, oldest_first=oldest_first):
        found += more
    assert found == kept
    wanted = [file for file in kept if file.purpose == "vision"]
    assert await store.files.list("anna", purpose="vision", oldest_first=oldest_first) == wanted
    assert await store.files.list("anna", after="file_none") == []


async def test_the_bytes_go_with_the_last_who_holds_them(store: Store, tmp_path: Path) -> None:
    first, second = await keep(store, tmp_path), await keep(store, tmp_path, owner="bob")
    attachment = await store.attachments.keep("anna", "api:one", upload(tmp_path), READ)
    assert await store.files.delete("anna", first.id)
    assert not await store.files.delete("anna", first.id)
    assert await bytes_of(store, second, "bob") == b"Costs"
    assert await store.files.delete("bob", second.id)
    assert await store.attachments.document("anna", "api:one", attachment)
    third = await keep(store, tmp_path)
    await store.attachments.sweep(third.at + timedelta(days=2))  # the attachment goes: no message refers to it
    assert await store.attachments.document("anna", "api:one", attachment) is None
    path = await store.files.path("anna", third.id)
    assert path is not None
    assert path.read_bytes() == b"Costs"
    await store.files.delete("anna", third.id)
    assert not path.exists()


async def test_a_file_goes_after_the_days_that_attachments_are_kept(store: Store, tmp_path: Path) -> None:
    kept = await keep(store, tmp_path)
    path = await store.files.path("anna", kept.id)
    await store.attachments.sweep(kept.at + timedelta(days=30))
    assert await store.files.get("anna", kept.id) == kept
    await store.attachments.sweep(kept.at + timedelta(days=30, seconds=1))
    assert await store.files.get("anna", kept.id) is None
    assert path is not None
    assert not path.exists()


async def test_whatever_is_deleted_meanwhile_what_was_kept_has_its_bytes(store: Store, open_again: Opener, tmp_path: Path) -> None:
    other = await open_again()

    async def keep_and_delete(number: int) -> None:
        for _ in range(5):
            kept = await keep(other if number % 2 else store, tmp_path)
            assert await other.files.delete("anna", kept.id)

    await asyncio.gather(*[keep_and_delete(number) for number in range(6)])
    deleting = asyncio.create_task(keep_and_delete(0))
    for file in await asyncio.gather(*[keep(store, tmp_path) for _ in range(3)]):
        assert await bytes_of(store, file) == b"Costs"
    await deleting
