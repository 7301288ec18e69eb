"""Files where every server on the store reads them: in a shared folder, in PostgreSQL, in an S3 store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from pydantic import SecretStr

from assistant.contracts.documents import DocumentPicture, ReadDocument, ReadImage
from assistant.contracts.errors import StoreUnavailable
from assistant.contracts.messages import Image
from assistant.store.database import StoreSettings
from assistant.store.places import hold_removals
from assistant.store.responses import KeptResponse, SentFile
from assistant.store.s3 import S3Bytes
from assistant.store.store import Store, open_engine, open_store
from tests.clocks import TurnedClock
from tests.doubles.s3_server import S3Server
from tests.postgres import passing_database

from .machines import Machines
from .processes import kill, line, other_process
from .said import turn
from .sent import event

READ = ReadDocument(format="text", text="Costs")
DRAWN = ReadDocument(
    format="pdf",
    text="One",
    pictures=(DocumentPicture(number=1, label="", media_type="image/png", width=1, height=1, data=b"drawn"),),
)
PICTURE = ReadImage(media_type="image/jpeg", width=3, height=2, original="JPEG, 30×20", data=b"as sent")
LARGE = bytes(range(256)) * 10_000
"""In three pieces."""
HOUR = timedelta(hours=1)


@pytest.fixture
async def s3() -> AsyncIterator[S3Server]:
    async with S3Server() as server:
        yield server


@pytest.fixture(params=["folder", "database", "s3"])
async def machines(
    request: pytest.FixtureRequest, postgres_server: str, tmp_path: Path, clock: TurnedClock, s3: S3Server
) -> AsyncIterator[Machines]:
    with passing_database(postgres_server) as url:
        async with AsyncExitStack() as stack:
            yield Machines(url, request.param, tmp_path, clock, s3, stack)


shared_only = pytest.mark.parametrize("machines", ["database", "s3"], indirect=True)


def part(attachment: str) -> Image:
    return Image(attachment_id=attachment, name="a", media_type="image/png", width=1, height=1, size=3, original="PNG")


async def bytes_of(store: Store, file: str, owner: str = "anna") -> bytes | None:
    path = await store.files.path(owner, file)
    return path.read_bytes() if path is not None and path.exists() else None


async def test_what_one_machine_keeps_another_reads(machines: Machines, tmp_path: Path) -> None:
    one, two = await machines.open("one"), await machines.open("two")
    text, drawn = machines.upload(LARGE), machines.upload(b"%PDF", "a.pdf")
    file = await one.files.keep("anna", text, READ, "user_data")
    kept = [await one.attachments.keep("anna", "api:one", each, read) for each, read in ((text, READ), (drawn, DRAWN))]
    picture = await one.attachments.keep("anna", "api:one", machines.upload(b"jpeg"), PICTURE)
    words = await one.attachments.keep_text("anna", "api:one", "result", "a;b")
    response = KeptResponse(id="resp_1", previous=None, session=None, at=machines.clock.now, input=(), body={})
    await one.responses.begin("anna", response, [SentFile(id="file_sent", upload=text, read=READ)])
    media = await one.media.keep(text.path, "costs.txt")
    text.path.unlink()

    assert await bytes_of(two, file.id) == LARGE
    found = [await two.attachments.document("anna", "api:one", each) for each in (*kept, words)]
    assert [each[1].text for each in found if each] == ["Costs", "One", "a;b"]
    assert await two.attachments.images([part(picture), part(f"{kept[1]}/1")]) == {picture: b"as sent", f"{kept[1]}/1": b"drawn"}
    contents = [await two.attachments.contents("anna", "api:one", each) for each in (kept[0], f"{kept[1]}/1", picture, words)]
    assert [each[1] for each in contents if each] == [LARGE, b"drawn", b"jpeg", b"a;b"]
    copied = await two.attachments.copy("anna", "api:one", kept[0], tmp_path / "copy")
    assert copied is not None
    assert (tmp_path / "copy").read_bytes() == LARGE
    sent = await two.responses.file("anna", "file_sent")
    assert sent is not None
    assert sent[1].read_bytes() == LARGE
    await two.media.fetch(media)
    assert two.media.path(media).read_bytes() == LARGE
    assert await two.attachments.find(drawn.digest) == DRAWN, "it is read once"
    assert machines.here("two") == machines.here("one")


async def test_what_no_row_holds_is_nowhere(machines: Machines) -> None:
    one, two = await machines.open("one"), await machines.open("two")
    file = await one.files.keep("anna", machines.upload(LARGE), READ, "user_data")
    attachment = await one.attachments.keep("ben", "api:one", machines.upload(LARGE), READ)
    assert await bytes_of(two, file.id) == LARGE
    assert await two.files.delete("anna", file.id)
    assert await two.attachments.document("ben", "api:one", attachment), "the other's attachment still holds it"
    await two.attachments.sweep(machines.clock.now + 25 * HOUR)  # no message refers to it
    await one.attachments.sweep(machines.clock.now)
    assert (machines.here("one"), machines.here("two")) == ([], [])
    assert await machines.shared(one) == (0, 0, 0)


async def test_media_goes_an_hour_after_it_was_kept_unless_a_delivery_holds_it(machines: Machines) -> None:
    one, two = await machines.open("one"), await machines.open("two")
    held, dropped = [await one.media.keep(machines.upload(name).path, "a") for name in (b"held", b"dropped")]
    again = await one.media.keep(machines.upload(b"again").path, "a")
    await one.outbox.enqueue([replace(event(), media=(held,))])
    await two.media.fetch(dropped)
    machines.clock.turn(HOUR * 1.5)
    await two.media.keep(machines.upload(b"again").path, "a")
    if machines.place == "folder":
        return  # by the time of its files: test_media_files
    assert await two.media.sweep(machines.clock.now) == 1
    assert await machines.shared(one) == ((2, 2, 0) if machines.place == "database" else (2, 0, 2))
    for each in (held, again):
        await two.media.fetch(each)
        assert two.media.path(each).exists()
    await (other := await machines.open("three")).media.fetch(dropped)
    assert not other.media.path(dropped).exists()


async def test_whatever_is_deleted_meanwhile_what_was_kept_has_its_bytes(machines: Machines) -> None:
    """The same bytes are kept and deleted on two machines at once."""
    one, two, third = [await machines.open(name) for name in ("one", "two", "three")]

    async def keep_and_delete(store: Store, by: Store) -> None:
        for _ in range(4):
            file = await store.files.keep("anna", machines.upload(), READ, "user_data")
            assert await by.files.delete("anna", file.id)

    busy = [asyncio.create_task(keep_and_delete(store, by)) for store, by in ((one, one), (two, one), (one, two), (two, two))]
    kept = [await store.files.keep("anna", machines.upload(), READ, "user_data") for store in (one, two, one)]
    assert [await bytes_of(third, file.id) for file in kept] == [b"Costs"] * 3
    await asyncio.gather(*busy)
    assert [await bytes_of(await machines.open("four"), file.id) for file in kept] == [b"Costs"] * 3
    for file in kept:
        await third.files.delete("anna", file.id)
    for store in (one, two, third):
        await store.attachments.sweep(machines.clock.now)
    assert await machines.shared(one) == (0, 0, 0)


@pytest.mark.parametrize("machines", ["s3"], indirect=True)
@pytest.mark.parametrize("removed_here", [False, True])
async def test_what_was_written_for_a_file_that_is_deleted_meanwhile_does_not_stay(machines: Machines, removed_here: bool) -> None:
    """Its bytes lose their name while its new reading is written; here, the folder may lack them then, too."""
    one, two = await machines.open("one"), await machines.open("two")
    sent = machines.upload()
    file = await one.files.keep("anna", sent, READ, "user_data")
    path = machines.home("one") / "attachments" / sent.digest[:2] / f"{sent.digest}.read.json"
    path.write_bytes(path.read_bytes().replace(b'"version":', b'"version":9'))
    machines.s3.faults.append("hang")
    keeping = asyncio.create_task(one.attachments.keep("anna", "api:one", sent, READ))
    await machines.s3.going.wait()
    assert await (one if removed_here else two).files.delete("anna", file.id)
    machines.s3.goes_on.set()
    await keeping
    await one.attachments.sweep(machines.clock.now)
    assert await machines.shared(one) == (2, 0, 2)


@shared_only
async def test_what_lies_in_the_folder_is_carried_over_and_is_still_read_where_the_folder_keeps_files_again(machines: Machines) -> None:
    before = await machines.open("one", "folder")
    file = await before.files.keep("anna", machines.upload(LARGE), READ, "user_data")
    attachment = await before.attachments.keep("anna", "api:one", machines.upload(b"%PDF", "a.pdf"), DRAWN)
    await before.sessions.begin_turn(turn("turn_1", part(attachment)), None)
    media = await before.media.keep(machines.upload(b"picture").path, "a.png")
    await before.outbox.enqueue([replace(event(), media=(media,))])
    await before.close()
    upgraded = await machines.open("one")
    assert await bytes_of(upgraded, file.id) == LARGE, "before the first sweep"
    for _ in range(2):
        await upgraded.attachments.carry()
        await upgraded.media.carry()
    for files in (None, "folder"):
        two = await machines.open(f"two-{files}", files)
        assert await bytes_of(two, file.id) == LARGE
        assert await two.attachments.images([part(f"{attachment}/1")]) == {f"{attachment}/1": b"drawn"}
        await two.media.fetch(media)
        assert two.media.path(media).read_bytes() == b"picture"


@shared_only
async def test_a_reading_of_another_version_is_replaced_everywhere(machines: Machines) -> None:
    one, two = await machines.open("one"), await machines.open("two")
    sent = machines.upload()
    await one.attachments.keep("anna", "api:one", sent, READ)
    path = machines.home("one") / "attachments" / sent.digest[:2] / f"{sent.digest}.read.json"
    path.write_bytes(path.read_bytes().replace(b'"version":', b'"version":9'))
    assert await one.attachments.find(sent.digest) is None
    await one.attachments.keep("anna", "api:two", sent, replace(READ, text="Better"))
    found = await two.attachments.find(sent.digest)
    assert isinstance(found, ReadDocument)
    assert found.text == "Better"
    assert (await machines.shared(one))[0] == 3, "the old one is not removed yet"
    await one.attachments.sweep(machines.clock.now)
    assert await machines.shared(one) == ((2, 2, 0) if machines.place == "database" else (2, 0, 2))


@shared_only
async def test_what_a_dead_process_had_begun_to_write_is_swept_after_a_day(machines: Machines) -> None:
    store = await machines.open("one")
    assert store.places is not None
    with machines.upload(LARGE).path.open("rb") as source:
        await store.places.write(source)  # a kill before the row is added leaves this
    await store.attachments.sweep(machines.clock.now)
    assert (await machines.shared(store))[0] == 1
    machines.clock.turn(25 * HOUR)
    await store.attachments.sweep(machines.clock.now)
    assert await machines.shared(store) == (0, 0, 0)


@shared_only
async def test_what_was_being_removed_by_a_dead_process_is_removed_by_the_next(machines: Machines) -> None:
    store = await machines.open("one")
    file = await store.files.keep("anna", machines.upload(LARGE), READ, "user_data")
    await store.database.execute("DELETE FROM files")
    await store.database.execute("UPDATE blobs SET name = NULL, at = -1")
    await store.attachments.sweep(machines.clock.now)
    assert await machines.shared(store) == (0, 0, 0)
    assert await bytes_of(store, file.id) is None


@pytest.mark.parametrize("machines", ["database"], indirect=True)
async def test_what_was_promised_before_a_kill_is_there_for_another_machine(machines: Machines, tmp_path: Path) -> None:
    async with other_process("upload", machines.url, tmp_path / "one") as process:
        told = [await line(process) for _ in range(12)]
        await kill(process)
    store = await machines.open("two")
    for file in told:
        data = await bytes_of(store, file)
        assert data is not None
        assert sha256(data).hexdigest() == (await store.database.select("SELECT digest FROM files WHERE id = :id", {"id": file}))[0][0]
    machines.clock.turn(timedelta(days=20_000))
    await until_swept(machines, store)


async def until_swept(machines: Machines, store: Store) -> None:
    """Nothing stays. The database sees in a moment that a connection, or its process, is gone."""
    async with asyncio.timeout(30):
        await store.attachments.sweep(machines.clock.now)
        while await machines.shared(store) != (0, 0, 0):
            await asyncio.sleep(0.02)
            await store.attachments.sweep(machines.clock.now)


@shared_only
async def test_nothing_is_removed_while_a_backup_reads(machines: Machines) -> None:
    store = await machines.open("one")
    file = await store.files.keep("anna", machines.upload(LARGE), READ, "user_data")
    link = open_engine(machines.url).connect(writes=False)
    await asyncio.to_thread(hold_removals, link)
    before = await machines.shared(store)
    assert await store.files.delete("anna", file.id)
    assert await machines.shared(store) == before
    link.close()
    await until_swept(machines, store)


@shared_only
async def test_bytes_that_are_not_as_they_were_kept_are_no_file(machines: Machines) -> None:
    one, two = await machines.open("one"), await machines.open("two")
    file = await one.files.keep("anna", machines.upload(LARGE), READ, "user_data")
    await one.database.execute("UPDATE blobs SET sha256 = 'other'")
    with pytest.raises(StoreUnavailable, match="could not be read from where it is kept"):
        await two.files.path("anna", file.id)
    assert machines.here("two") == []


@pytest.mark.parametrize("machines", ["s3"], indirect=True)
class TestWithoutTheS3Store:
    async def test_nothing_is_accepted_and_the_next_try_is(self, machines: Machines) -> None:
        store = await machines.open("one")
        machines.s3.faults.extend([503] * 3)
        with pytest.raises(StoreUnavailable, match="does not answer") as refused:
            await store.files.keep("anna", machines.upload(LARGE), READ, "user_data")
        assert refused.value.retry_after
        assert await store.files.list("anna") == []
        file = await store.files.keep("anna", machines.upload(LARGE), READ, "user_data")
        assert await bytes_of(await machines.open("two"), file.id) == LARGE

    async def test_a_file_goes_now_and_its_bytes_later(self, machines: Machines) -> None:
        store = await machines.open("one")
        file = await store.files.keep("anna", machines.upload(LARGE), READ, "user_data")
        machines.s3.faults.extend([500] * 3)
        assert await store.files.delete("anna", file.id)
        assert machines.s3.objects
        await store.attachments.sweep(machines.clock.now)
        assert await machines.shared(store) == (0, 0, 0)

    async def test_a_connection_that_is_cut_is_made_again(self, machines: Machines) -> None:
        file = await (await machines.open("one")).files.keep("anna", machines.upload(LARGE), READ, "user_data")
        two = await machines.open("two")
        machines.s3.faults.append("cut")
        assert await bytes_of(two, file.id) == LARGE

    async def test_small_files_are_in_the_database_where_that_is_asked_for(self, machines: Machines) -> None:
        settings = machines.s3.settings.model_copy(update={"smaller_in_database": 1000})
        store = await machines.open("one", s3=settings)
        await store.files.keep("anna", machines.upload(LARGE), READ, "user_data")
        assert await machines.shared(store) == (2, 1, 1)

    @pytest.mark.parametrize(
        ("wrong", "code"),
        [
            ({"key_id": "AKIANOTTHERE"}, "InvalidAccessKeyId"),
            ({"secret": SecretStr("another")}, "SignatureDoesNotMatch"),
            ({"bucket": "another"}, "NoSuchBucket"),
        ],
    )
    async def test_a_check_says_what_is_refused(self, machines: Machines, wrong: dict[str, object], code: str) -> None:
        store = await machines.open("one", s3=machines.s3.settings.model_copy(update=wrong))
        assert store.places is not None
        with pytest.raises(StoreUnavailable, match=f"The S3 store refuses: {code}"):
            await store.places.check()

    async def test_a_check_leaves_nothing(self, machines: Machines) -> None:
        store = await machines.open("one")
        assert store.places is not None
        assert await store.places.check() == "s3"
        assert await machines.shared(store) == (0, 0, 0)
        assert [each.split()[0] for each in machines.s3.asked] == ["PUT", "GET", "DELETE"]

    async def test_what_was_kept_in_one_that_is_not_configured_any_more_says_so(self, machines: Machines) -> None:
        file = await (await machines.open("one")).files.keep("anna", machines.upload(LARGE), READ, "user_data")
        store = await open_store(StoreSettings(url=machines.url), machines.home("two"))
        with pytest.raises(StoreUnavailable, match=r"put store\.s3 back"):
            await store.files.path("anna", file.id)
        assert await store.files.delete("anna", file.id)
        await store.attachments.sweep(machines.clock.now)
        assert (await machines.shared(store))[0] == 2, "they are removed once it is back"
        await store.close()

    async def test_an_answer_that_does_not_come_is_waited_for_once(self, machines: Machines) -> None:
        place = S3Bytes(machines.s3.settings, patience=0.2)
        machines.s3.faults.append("hang")
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await place.put("blob_1", BytesIO(b"a"), 1, sha256(b"a").hexdigest())
        machines.s3.faults.append("drop")
        await place.put("blob_1", BytesIO(b"a"), 1, sha256(b"a").hexdigest())
        assert machines.s3.asked == ["PUT nanobot/blob_1"] * 3
        assert b"".join([block async for block in place.read("blob_1", 1)]) == b"a"
        await place.remove("blob_2")
        await place.close()
