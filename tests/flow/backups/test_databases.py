"""A backup of one database is restored into another, of either kind, and is the same there."""

import asyncio
import os
import tempfile
from asyncio import to_thread
from collections.abc import Generator
from io import BytesIO
from pathlib import Path

import pytest

from assistant.backup.archive import BackupRefused
from assistant.backup.make import BackupMade, BackupSources, write_backup
from assistant.backup.restore import RestoreTarget, restore_backup
from assistant.store.blobs import BlobStore, removals_held
from assistant.store.database import StoreSettings
from assistant.store.store import open_engine, open_store

from .filled import fill, rows_of

pytestmark = pytest.mark.usefixtures("empty")


async def make_store(url: str, home: Path) -> None:
    await (await open_store(StoreSettings(url=url), home)).close()


def back_up(url: str, home: Path, file: Path) -> BackupMade:
    names = ("attachments", "media")
    sources = BackupSources(
        engine=open_engine(url),
        by_digest={name: home / name for name in names},
        folders={"workspace": home / "workspace"},
        texts={},
        scratch=home,
    )
    with file.open("wb") as out:
        return write_backup(sources, out)


def put_back(file: Path, url: str, home: Path) -> None:
    folders = {name: home / name for name in ("attachments", "media", "workspace")}
    with file.open("rb") as source:
        restore_backup(source, RestoreTarget(url=url, home=home, folders=folders, files={}))


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_sqlite_to_postgresql_and_back_is_the_same_in_every_table(url: str, tmp_path: Path) -> None:
    first, last = f"sqlite:///{tmp_path}/first/nanobot.db", f"sqlite:///{tmp_path}/last/nanobot.db"
    await make_store(first, tmp_path / "first")
    fill(first)
    before = rows_of(first)
    assert min(len(rows) for rows in before.values()) > 20
    made = await to_thread(back_up, first, tmp_path / "first", tmp_path / "one")
    await to_thread(put_back, tmp_path / "one", url, tmp_path / "between")
    assert rows_of(url) == before
    await to_thread(back_up, url, tmp_path / "between", tmp_path / "two")
    await to_thread(put_back, tmp_path / "two", last, tmp_path / "last")
    assert rows_of(last) == before
    assert made.rows == sum(map(len, before.values()))
    for restored in (url, last):
        link = open_engine(restored).connect(writes=True)
        link.begin()
        ((id,),) = link.execute(
            "INSERT INTO sessions (owner, key, created, updated, messages, context_from, prompt_tokens, completion_tokens, cached_tokens)"
            " VALUES ('o', 'k', 1, 1, 0, 1, 0, 0, 0) RETURNING id"
        )
        link.rollback()
        link.close()
        assert id == 61  # 60 was deleted, and is not used again


async def test_what_is_there_is_replaced(url: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other/nanobot.db"
    for each, home, rows in ((url, "home", 5), (other, "other", 9)):
        await make_store(each, tmp_path / home)
        fill(each, rows)
    (tmp_path / "home" / "workspace").mkdir(parents=True)
    (tmp_path / "home" / "workspace" / "old").write_text("old")
    (tmp_path / "other" / "workspace").mkdir(parents=True)
    (tmp_path / "other" / "workspace" / "new").write_text("new")
    await to_thread(back_up, other, tmp_path / "other", tmp_path / "file")
    await to_thread(put_back, tmp_path / "file", url, tmp_path / "home")
    assert rows_of(url) == rows_of(other)
    assert os.listdir(tmp_path / "home" / "workspace") == ["new"]
    assert {"restoring", ".workspace.replaced"} & {*os.listdir(tmp_path / "home")} == set()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Generator[Path]:
    """A folder on another disk."""
    places = [place for place in (Path(tempfile.gettempdir()), Path("/dev/shm")) if os.access(place, os.W_OK)]
    others = [place for place in places if place.stat().st_dev != tmp_path.stat().st_dev]
    if not others:
        pytest.skip("there is no other disk here")
    with tempfile.TemporaryDirectory(dir=others[0]) as place:
        (Path(place) / "workspace").mkdir()
        (Path(place) / "workspace" / "old").write_text("old")
        yield Path(place)


def test_a_folder_on_another_disk_is_filled_in_place(tmp_path: Path, elsewhere: Path) -> None:
    """As a mount point is, which can't be renamed."""
    url = f"sqlite:///{tmp_path}/nanobot.db"
    asyncio.run(make_store(url, tmp_path))
    (tmp_path / "workspace" / "folder").mkdir(parents=True)
    (tmp_path / "workspace" / "folder" / "new").write_text("new")
    back_up(url, tmp_path, tmp_path / "file")
    home = tmp_path / "home"
    target = RestoreTarget(url=f"sqlite:///{home}/db", home=home, folders={"workspace": elsewhere / "workspace"}, files={})
    with (tmp_path / "file").open("rb") as source:
        restore_backup(source, target)
    found = sorted(path.relative_to(elsewhere).as_posix() for path in elsewhere.rglob("*"))
    assert found == ["workspace", "workspace/folder", "workspace/folder/new"]


def test_no_file_is_removed_while_a_backup_reads_them(tmp_path: Path) -> None:
    files = BlobStore(tmp_path)
    digest, _ = files.write_hashed(BytesIO(b"of the file"))
    with removals_held(tmp_path):
        assert not files.remove(digest)
        assert files.read(digest) == b"of the file"
        assert files.write_hashed(BytesIO(b"another"))[1] == 7
    assert files.remove(digest)
    assert files.read(digest) is None


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_rows_that_the_database_does_not_take_change_nothing(url: str, tmp_path: Path) -> None:
    """PostgreSQL takes no NUL and no number of 64 bits in such a column; no server of ours stores them."""
    source = f"sqlite:///{tmp_path}/first/nanobot.db"
    for each, home, rows in ((source, "first", 2), (url, "home", 3)):
        await make_store(each, tmp_path / home)
        fill(each, rows)
    before = rows_of(url)
    link = open_engine(source).connect(writes=True)
    link.begin()
    link.execute("UPDATE people SET quiet_start = :big", {"big": 2**40})
    link.commit()
    link.close()
    await to_thread(back_up, source, tmp_path / "first", tmp_path / "file")
    with pytest.raises(
        BackupRefused, match=r"Rows of 'people' can't be stored in this database \(NumericValueOutOfRange\). Nothing was changed"
    ):
        await to_thread(put_back, tmp_path / "file", url, tmp_path / "home")
    assert rows_of(url) == before
    await make_store(url, tmp_path / "home")  # drops what was unpacked
    assert "restoring" not in os.listdir(tmp_path / "home")
