"""What MediaFiles promises: the bytes as they were, owner-only, for as long as a delivery refers to them."""

import asyncio
import hashlib
import math
import os
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.outbox import Media
from assistant.store.blobs import BlobStore
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .sent import event

HOUR = timedelta(hours=1)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"as they were")
    return path


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
class TestOnTheDisk:
    async def test_later_changes_of_the_file_do_not_matter(self, store: Store, source: Path) -> None:
        media = await store.media.keep(source, "../notes\u202e.txt")
        write(source, b"other words")
        assert store.media.path(media).read_bytes() == b"as they were"
        assert media == Media(name="notes.txt", media_type="text/plain", size=12, digest=hashlib.sha256(b"as they were").hexdigest())

    async def test_everything_is_the_owners_alone_and_nothing_unfinished_is_left(self, store: Store, source: Path, tmp_path: Path) -> None:
        await asyncio.gather(*(store.media.keep(source, "a") for _ in range(8)))
        found = list((tmp_path / "state" / "media").rglob("*"))
        assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_file()} == {0o600}
        assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_dir()} == {0o700}
        assert list((tmp_path / "state" / "media" / "tmp").iterdir()) == []

    @pytest.mark.parametrize(
        ("content", "name", "media_type"),
        [
            (PNG, "photo.txt", "image/png"),
            (b"\xff\xd8\xff\xe0 jfif", "x", "image/jpeg"),
            (b"GIF89a....", "x.pdf", "image/gif"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "x", "image/webp"),
            (b"%PDF-1.7\n", "x.bin", "application/pdf"),
            (b"OggS", "voice.ogg", "audio/ogg"),
            (b"", "empty", "application/octet-stream"),
            (b"{}", "a.json", "application/json"),
        ],
    )
    async def test_what_it_is_says_the_content_before_the_name(
        self, store: Store, source: Path, content: bytes, name: str, media_type: str
    ) -> None:
        write(source, content)
        media = await store.media.keep(source, name)
        assert (media.media_type, media.size) == (media_type, len(content))

    async def test_what_is_no_readable_file_is_an_error_of_the_caller(self, store: Store, source: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(source)
        os.mkfifo(tmp_path / "pipe")
        for name in ("missing", "link", "pipe", "state"):
            with pytest.raises(OSError):
                await store.media.keep(tmp_path / name, "a")

    async def test_a_place_that_can_not_be_written_is_an_error_of_the_store(self, store: Store, source: Path, tmp_path: Path) -> None:
        (tmp_path / "state").mkdir(exist_ok=True)
        (tmp_path / "state" / "media").write_bytes(b"in the way")
        with pytest.raises(StoreUnavailable):
            await store.media.keep(source, "a")

    async def test_a_digest_that_is_none_opens_no_file(self, store: Store) -> None:
        with pytest.raises(ValueError):
            store.media.path(Media(name="a", media_type="a/b", size=1, digest="../../etc/passwd"))


async def test_a_sweep_removes_what_nothing_refers_to_after_an_hour(store: Store, clock: TurnedClock, source: Path) -> None:
    held = await store.media.keep(source, "held")
    write(source, b"dropped")
    dropped = await store.media.keep(source, "dropped")
    write(source, b"new")
    new = await store.media.keep(source, "new")
    await store.outbox.enqueue([replace(event(), media=(held,))])
    kept_at = clock.now.timestamp()
    for media in (held, dropped, new):
        os.utime(store.media.path(media), (kept_at, kept_at))
    clock.turn(HOUR * 1.5)
    assert await store.media.keep(source, "new") == new
    assert await store.media.sweep(clock.now) == 1
    assert [store.media.path(media).exists() for media in (held, dropped, new)] == [True, False, True]


async def test_a_copy_that_a_dead_process_left_is_swept(store: Store, clock: TurnedClock, source: Path, tmp_path: Path) -> None:
    await store.media.keep(source, "a")
    left = tmp_path / "state" / "media" / "tmp" / "tmp_left"
    left.write_bytes(b"half of")
    os.utime(left, (0, 0))
    await store.media.sweep(clock.now)
    assert not left.exists()


def test_a_file_that_another_process_removes_during_a_sweep_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = BlobStore(tmp_path)

    def glob(folder: Path, pattern: str) -> list[Path]:
        return [files.path("ab" * 32)]

    monkeypatch.setattr(Path, "glob", glob)
    files.remove_unfinished(math.inf)
    assert files.digests() == []
