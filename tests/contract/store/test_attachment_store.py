"""What AttachmentStore promises, on SQLite and PostgreSQL."""

import asyncio
import hashlib
import os
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from assistant.contracts.documents import DocumentPicture, ReadDocument, ReadImage, Section
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.messages import Document, Image
from assistant.contracts.turns import Upload
from assistant.store.attachments import AttachmentStore
from assistant.store.database import AttachmentSettings
from assistant.store.readings import ReadingStore
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .gate import behind_a_gate
from .said import turn

READ = ReadDocument(
    format="pdf",
    text="One\0 🦊\nTwo",
    sections=(Section(label="page 1", start=0), Section(label="page 2", start=7)),
    facts=("2 pages",),
    missing="page 3",
)
DRAWN = DocumentPicture(number=1, label="page 1", media_type="image/png", width=3, height=2, data=b"\x89PNG")
PICTURE = ReadImage(media_type="image/png", width=3, height=2, original="JPEG, 6×4", data=b"\x89PNG\0\xff")


def upload(tmp_path: Path, data: bytes = b"%PDF", name: str = "report.pdf") -> Upload:
    path = tmp_path / f"spool-{hashlib.sha256(data).hexdigest()[:8]}"
    path.write_bytes(data)
    return Upload(name=name, path=path, size=len(data), digest=hashlib.sha256(data).hexdigest())


def document(attachment_id: str) -> Document:
    return Document(attachment_id=attachment_id, name="report.pdf", format="pdf", size=4)


def image(attachment_id: str) -> Image:
    return Image(attachment_id=attachment_id, name="a.png", media_type="image/png", width=3, height=2, size=6, original="JPEG, 6×4")


def files_in(tmp_path: Path) -> list[str]:
    """Without the lock by which a backup holds removals."""
    found = [path.name for path in (tmp_path / "state" / "attachments").rglob("*") if path.is_file()]
    return sorted(name for name in found if name != "held")


async def test_what_was_read_comes_back_whole(store: Store, tmp_path: Path) -> None:
    sent = upload(tmp_path)
    attachment_id = await store.attachments.keep("anna", "api:one", sent, READ)
    found = await store.attachments.document("anna", "api:one", attachment_id)
    assert found is not None
    kept, read = found
    assert read == READ
    assert (kept.id, kept.name, kept.format, kept.size, kept.facts) == (attachment_id, "report.pdf", "pdf", 4, ("2 pages",))
    assert await store.attachments.find(sent.digest) == READ
    assert await store.attachments.find("0" * 64) is None


async def test_a_picture_comes_back_as_bytes_and_not_as_a_document(store: Store, tmp_path: Path) -> None:
    sent = upload(tmp_path, b"jpeg", "a.jpg")
    one = await store.attachments.keep("anna", "api:one", sent, PICTURE)
    two = await store.attachments.keep("anna", "api:two", sent, PICTURE)
    wanted = [image(one), image(two), image(one), image("att_gone")]
    assert await store.attachments.images(wanted) == {one: PICTURE.data, two: PICTURE.data}
    assert await store.attachments.images([]) == {}
    assert await store.attachments.document("anna", "api:one", one) is None
    assert await store.attachments.find(sent.digest) == PICTURE
    assert await store.attachments.list("anna", "api:one") == []  # no message refers to it: its request may yet be refused
    await store.sessions.begin_turn(turn("turn_1", image(one)), None)
    assert [(kept.format, kept.facts) for kept in await store.attachments.list("anna", "api:one")] == [("png", ("JPEG, 6×4",))]


async def test_many_pictures_are_read_in_one_call(store: Store, tmp_path: Path) -> None:
    sent = upload(tmp_path, b"jpeg", "a.jpg")
    ids = [await store.attachments.keep("anna", "api:one", sent, PICTURE) for _ in range(3)]
    asked = [image(each) for each in ids] + [image(f"att_{number}") for number in range(450)]
    assert len(await store.attachments.images(asked)) == 3


async def test_the_same_bytes_are_stored_once_with_an_id_for_each_session(store: Store, tmp_path: Path) -> None:
    sent = upload(tmp_path)
    one = await store.attachments.keep("anna", "api:one", sent, READ)
    two = await store.attachments.keep("bert", "api:two", sent, READ)
    assert one != two
    assert files_in(tmp_path) == [sent.digest, f"{sent.digest}.read.json"]
    assert (tmp_path / "state" / "attachments" / sent.digest[:2] / sent.digest).read_bytes() == b"%PDF"


async def test_files_and_folders_are_the_owners_alone(store: Store, tmp_path: Path) -> None:
    await store.attachments.keep("anna", "api:one", upload(tmp_path, b"jpeg"), PICTURE)
    for path in [tmp_path / "state" / "attachments", *(tmp_path / "state" / "attachments").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_a_stranger_and_another_session_get_nothing(store: Store, tmp_path: Path) -> None:
    attachment_id = await store.attachments.keep("anna", "api:one", upload(tmp_path), READ)
    assert await store.attachments.document("bert", "api:one", attachment_id) is None
    assert await store.attachments.document("anna", "api:two", attachment_id) is None
    assert await store.attachments.document("anna", "api:one", "../../etc/passwd\0") is None
    assert await store.attachments.list("bert", "api:one") == []


async def test_odd_names_are_shown_as_they_came_and_never_used_as_paths(store: Store, tmp_path: Path, clock: TurnedClock) -> None:
    names = ["../../../x\0y", "/etc/passwd", "n" * 400, "\u202efdp.exe", ""]
    for number, name in enumerate(names):
        attachment_id = await store.attachments.keep("anna", "api:\0one", upload(tmp_path, name=name), READ)
        await store.sessions.begin_turn(turn(f"turn_{number}", document(attachment_id), session="api:\0one"), None)
        clock.turn(timedelta(microseconds=1))
    assert [kept.name for kept in await store.attachments.list("anna", "api:\0one")] == names
    assert len(files_in(tmp_path)) == 2


async def test_a_text_of_ours_is_not_taken_for_an_upload_of_the_same_bytes(store: Store, tmp_path: Path) -> None:
    attachment_id = await store.attachments.keep_text("anna", "api:one", "look result", "a;b")
    found = await store.attachments.document("anna", "api:one", attachment_id)
    assert found is not None
    assert (found[0].format, found[0].size, found[1].text) == ("text", 3, "a;b")
    assert await store.attachments.find(hashlib.sha256(b"a;b").hexdigest()) is None


async def test_a_picture_that_a_tool_brought_is_kept_for_its_session(store: Store, tmp_path: Path) -> None:
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    picture = ReadImage(media_type="image/png", width=1, height=1, original="PNG, 1×1", data=b"png")
    attachment_id = await store.attachments.keep_picture("anna", "api:one", "plot.png", picture)
    part = Image(attachment_id=attachment_id, name="plot.png", media_type="image/png", width=1, height=1, size=3, original="PNG, 1×1")
    assert await store.attachments.images([part]) == {attachment_id: b"png"}
    assert [(each.name, each.format, each.size) for each in await store.attachments.list("anna", "api:one")] == [("plot.png", "png", 3)]
    assert await store.attachments.list("ben", "api:one") == []
    assert await store.attachments.find(hashlib.sha256(b"png").hexdigest()) is None, "an upload of the same bytes is read anew"


async def test_files_go_with_the_last_session_that_holds_them(store: Store, tmp_path: Path) -> None:
    sent = upload(tmp_path)
    for number, key in enumerate(["api:one", "api:two"]):
        attachment_id = await store.attachments.keep("anna", key, sent, READ)
        await store.sessions.begin_turn(turn(f"turn_{number}", document(attachment_id), session=key), None)
    await store.attachments.keep_text("anna", "api:one", "result", "long")
    assert len(files_in(tmp_path)) == 3
    await store.sessions.delete("anna", "api:one")
    assert files_in(tmp_path) == [sent.digest, f"{sent.digest}.read.json"]
    await store.sessions.delete("anna", "api:two")
    assert files_in(tmp_path) == []


async def test_an_upload_on_its_way_survives_the_deletion_of_its_session(store: Store, tmp_path: Path) -> None:
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    attachment_id = await store.attachments.keep("anna", "api:one", upload(tmp_path), READ)
    await store.sessions.delete("anna", "api:one")
    await store.sessions.begin_turn(turn("turn_2", document(attachment_id)), None)
    assert await store.attachments.document("anna", "api:one", attachment_id) is not None


async def test_a_file_kept_while_its_last_holder_is_deleted_is_still_there(store: Store, tmp_path: Path) -> None:
    sent = upload(tmp_path)
    for number in range(15):
        old = await store.attachments.keep("anna", "api:old", sent, READ)
        await store.sessions.begin_turn(turn(f"turn_{number}", document(old), session="api:old"), None)
        new, _ = await asyncio.gather(store.attachments.keep("anna", f"api:{number}", sent, READ), store.sessions.delete("anna", "api:old"))
        assert await store.attachments.document("anna", f"api:{number}", new) is not None
        await store.sessions.begin_turn(turn(f"turn_new{number}", document(new), session=f"api:{number}"), None)
        await store.sessions.delete("anna", f"api:{number}")
        assert files_in(tmp_path) == []


async def test_a_file_collected_just_before_its_attachment_is_noted_is_stored_again(store: Store, tmp_path: Path) -> None:
    sent = upload(tmp_path)
    gate, held = await behind_a_gate(store.database)
    collecting = asyncio.create_task(store.attachments.collect([sent.digest]))
    await asyncio.sleep(0)
    keeping = asyncio.create_task(store.attachments.keep("anna", "api:one", sent, READ))
    for _ in range(500):
        if f"{sent.digest}.read.json" in files_in(tmp_path):
            break
        await asyncio.sleep(0.01)
    gate.open()
    await held
    assert await collecting == 1
    assert await store.attachments.document("anna", "api:one", await keeping) is not None
    kept = await store.attachments.contents("anna", "api:one", await keeping)
    assert kept is not None
    assert kept[1] == sent.path.read_bytes()


async def test_the_sweep_takes_what_no_message_refers_to_after_a_day(store: Store, tmp_path: Path, clock: TurnedClock) -> None:
    unused = await store.attachments.keep("anna", "api:one", upload(tmp_path), READ)
    used = await store.attachments.keep("anna", "api:one", upload(tmp_path, b"jpeg"), PICTURE)
    await store.sessions.begin_turn(turn("turn_1", image(used)), None)
    assert await store.attachments.sweep(clock.now + timedelta(hours=23)) == 0
    assert await store.attachments.sweep(clock.now + timedelta(hours=25)) == 1
    assert await store.attachments.document("anna", "api:one", unused) is None
    assert await store.attachments.images([image(used)]) == {used: PICTURE.data}


async def test_the_sweep_takes_old_attachments_when_days_are_set(store: Store, tmp_path: Path, clock: TurnedClock) -> None:
    used = await store.attachments.keep("anna", "api:one", upload(tmp_path, b"jpeg"), PICTURE)
    await store.sessions.begin_turn(turn("turn_1", image(used)), None)
    for_ever = AttachmentStore(
        store.database, ReadingStore(tmp_path / "state" / "attachments", store.database), AttachmentSettings(keep_days=0), clock=clock
    )
    assert await for_ever.sweep(clock.now + timedelta(days=3650)) == 0
    assert await store.attachments.sweep(clock.now + timedelta(days=29)) == 0
    assert await store.attachments.sweep(clock.now + timedelta(days=31)) == 1
    assert files_in(tmp_path) == []
    assert await store.attachments.images([image(used)]) == {}


async def test_the_sweep_takes_files_that_a_crash_left(store: Store, tmp_path: Path, clock: TurnedClock) -> None:
    kept = await store.attachments.keep("anna", "api:one", upload(tmp_path), READ)
    folder = tmp_path / "state" / "attachments"
    orphan = folder / "ab" / ("ab" * 32)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"no row")
    stale, fresh = folder / "tmp" / "tmp_old", folder / "tmp" / "tmp_new"
    for path, age in ((stale, timedelta(hours=2)), (fresh, timedelta(minutes=5))):
        path.write_bytes(b"half")
        written = (clock.now - age).timestamp()
        os.utime(path, (written, written))
    assert await store.attachments.sweep(clock.now) == 1
    assert (orphan.exists(), stale.exists(), fresh.exists()) == (False, False, True)
    assert await store.attachments.document("anna", "api:one", kept) is not None


async def test_a_link_in_place_of_a_file_is_not_followed(store: Store, tmp_path: Path) -> None:
    sent = upload(tmp_path, b"jpeg")
    attachment_id = await store.attachments.keep("anna", "api:one", sent, PICTURE)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path = tmp_path / "state" / "attachments" / sent.digest[:2] / f"{sent.digest}.image"
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(StoreUnavailable):
        await store.attachments.images([image(attachment_id)])


async def test_a_reading_of_an_older_reader_is_shown_but_not_reused(store: Store, tmp_path: Path) -> None:
    sent = upload(tmp_path)
    attachment_id = await store.attachments.keep("anna", "api:one", sent, READ)
    path = tmp_path / "state" / "attachments" / sent.digest[:2] / f"{sent.digest}.read.json"
    path.write_bytes(path.read_bytes().replace(b'"version":3', b'"version":1'))
    assert await store.attachments.find(sent.digest) is None
    found = await store.attachments.document("anna", "api:one", attachment_id)
    assert found is not None
    assert found[1] == READ
    better = ReadDocument(format="pdf", text="more")
    await store.attachments.keep("anna", "api:two", sent, better)
    assert await store.attachments.find(sent.digest) == better


@pytest.mark.parametrize("plain", [PICTURE, replace(READ, pictures=(DRAWN,))], ids=["a picture", "a document"])
async def test_words_in_pictures_are_kept_once_they_were_read(store: Store, tmp_path: Path, plain: ReadDocument | ReadImage) -> None:
    sent = upload(tmp_path, b"scan")
    with_words = replace(plain, words="Dear Ann") if isinstance(plain, ReadImage) else replace(plain, words_read=True)
    for session, read, kept in (("one", plain, plain), ("two", with_words, with_words), ("three", plain, with_words)):
        await store.attachments.keep("anna", f"api:{session}", sent, read)
        assert await store.attachments.find(sent.digest) == kept
