"""A backup takes files from wherever they are kept, and a restore puts them wherever the target keeps them."""

import asyncio
from asyncio import to_thread
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from assistant.backup.archive import BackupRefused
from assistant.backup.make import BackupMade, BackupSources, write_backup
from assistant.backup.restore import RestoreTarget, restore_backup
from assistant.contracts.documents import ReadDocument
from assistant.contracts.turns import Upload
from assistant.store.database import StoreSettings
from assistant.store.store import Store, open_engine, open_store, store_url
from tests.contract.store.sent import event
from tests.doubles.s3_server import S3Server
from tests.postgres import passing_database

READ = ReadDocument(format="text", text="Costs")
LARGE = bytes(range(256)) * 10_000
FOLDERS = ("attachments", "media")


@pytest.fixture
async def s3() -> AsyncGenerator[S3Server]:
    async with S3Server() as server:
        yield server


def back_up(store: StoreSettings, home: Path, file: Path) -> BackupMade:
    by_digest = {name: home / name for name in FOLDERS}
    engine = open_engine(store_url(store, home))
    with file.open("wb") as out:
        return write_backup(BackupSources(engine=engine, by_digest=by_digest, folders={}, texts={}, scratch=home, store=store), out)


def put_back(file: Path, store: StoreSettings, home: Path) -> None:
    folders = {name: home / name for name in FOLDERS}
    with file.open("rb") as source:
        restore_backup(source, RestoreTarget(url=store_url(store, home), home=home, folders=folders, files={}, store=store))


async def keep(store: Store, folder: Path) -> Mapping[str, bytes]:
    """Two files and one that goes out; by their ids."""
    kept: dict[str, bytes] = {}
    for data in (LARGE, b"small"):
        path = folder / "upload"
        path.write_bytes(data)
        upload = Upload(name="a", path=path, size=len(data), digest=sha256(data).hexdigest())
        kept[(await store.files.keep("anna", upload, READ, "user_data")).id] = data
    media = await store.media.keep(path, "small.bin")
    await store.outbox.enqueue([replace(event(), media=(media,))])
    return kept


async def found(settings: StoreSettings, home: Path) -> tuple[dict[str, bytes], bytes]:
    """What a machine whose folder is `home` reads."""
    store = await open_store(settings, home)
    files = {file.id: await store.files.path("anna", file.id) for file in await store.files.list("anna")}
    (delivery,) = await store.outbox.list(None, limit=2)
    (media,) = delivery.event.media
    await store.media.fetch(media)
    read = {id: path.read_bytes() for id, path in files.items() if path is not None}, store.media.path(media).read_bytes()
    await store.close()
    return read


async def test_from_the_database_to_a_folder_to_s3_and_back_it_is_the_same(postgres_server: str, tmp_path: Path, s3: S3Server) -> None:
    with passing_database(postgres_server) as first, passing_database(postgres_server) as last:
        database, folder = StoreSettings(url=first), StoreSettings()
        bucket = StoreSettings(url=last, files="s3", s3=s3.settings)
        store = await open_store(database, tmp_path / "one")
        wanted = (await keep(store, tmp_path), b"small")
        await store.close()
        (tmp_path / "other").mkdir()
        made = await to_thread(back_up, database, tmp_path / "other", tmp_path / "1")  # this machine has none of the bytes
        assert (made.files, made.size > len(LARGE)) == (5, True)
        await to_thread(put_back, tmp_path / "1", folder, tmp_path / "folder")
        assert await found(folder, tmp_path / "folder") == wanted
        await to_thread(back_up, folder, tmp_path / "folder", tmp_path / "2")
        await to_thread(put_back, tmp_path / "2", bucket, tmp_path / "bucket")
        assert await found(bucket, tmp_path / "elsewhere") == wanted
        assert len(s3.objects) == 5
        await to_thread(back_up, bucket, tmp_path / "other", tmp_path / "3")
        await to_thread(put_back, tmp_path / "3", database, tmp_path / "again")  # where the same files are
        assert await found(database, tmp_path / "elsewhere too") == wanted
        store = await open_store(database, tmp_path / "again")
        assert await store.database.select("SELECT COUNT(*) FROM blobs") == [(5,)]
        await store.close()


async def test_a_file_that_can_not_be_read_whole_is_no_part_of_a_backup(postgres_server: str, tmp_path: Path) -> None:
    with passing_database(postgres_server) as url:
        settings = StoreSettings(url=url)
        store = await open_store(settings, tmp_path / "one")
        await keep(store, tmp_path)
        await store.database.execute("DELETE FROM blob_chunks WHERE seq = 1")
        (tmp_path / "other").mkdir()
        with pytest.raises(BackupRefused, match="can't be read whole"):
            await to_thread(back_up, settings, tmp_path / "other", tmp_path / "file")
        assert (await to_thread(back_up, settings, tmp_path / "one", tmp_path / "file")).files == 5, "this machine has a copy"
        await store.close()


async def test_what_is_deleted_while_a_backup_is_made_is_in_it(postgres_server: str, tmp_path: Path, s3: S3Server) -> None:
    """By another machine, between the rows and the bytes."""
    with passing_database(postgres_server) as url:
        settings = StoreSettings(url=url, files="s3", s3=s3.settings)
        store = await open_store(settings, tmp_path / "one")
        wanted = await keep(store, tmp_path)
        (tmp_path / "other").mkdir()
        s3.faults.append("hang")
        making = asyncio.create_task(to_thread(back_up, settings, tmp_path / "other", tmp_path / "file"))
        await s3.going.wait()
        for id in wanted:
            assert await store.files.delete("anna", id)
        await store.close()
        s3.goes_on.set()
        assert (await making).files == 5
        await to_thread(put_back, tmp_path / "file", StoreSettings(), tmp_path / "folder")
        assert (await found(StoreSettings(), tmp_path / "folder"))[0] == wanted
