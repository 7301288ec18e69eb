"""What ResponseStore promises, on SQLite and PostgreSQL."""

from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import cast

import pytest

from assistant.contracts.documents import ReadDocument
from assistant.contracts.turns import Upload
from assistant.contracts.util import new_id
from assistant.store.responses import MOST_CHAIN_CHARS, Item, KeptResponse, SentFile
from assistant.store.store import Store

from .conftest import Opener, TurnedClock
from .processes import kill, line, other_process

READ = ReadDocument(format="text", text="Costs")
BODY: Item = {"status": "completed", "output": [{"text": "one \0 two \U0001f600"}]}


def response(clock: TurnedClock, *, previous: str | None = None, session: str | None = None, said: str = "hi") -> KeptResponse:
    sent: Item = {"id": new_id("msg"), "type": "message", "content": said}
    return KeptResponse(id=new_id("resp"), previous=previous, session=session, at=clock.now, input=(sent,), body={"status": "in_progress"})


async def begun(store: Store, clock: TurnedClock, *, owner: str = "anna", previous: str | None = None, said: str = "hi") -> KeptResponse:
    kept = response(clock, previous=previous, said=said)
    await store.responses.begin(owner, kept)
    return kept


def sent_file(folder: Path, data: bytes = b"Costs") -> SentFile:
    path = folder / new_id("up")
    path.write_bytes(data)
    upload = Upload(name="costs \0.txt", path=path, size=len(data), digest=sha256(data).hexdigest())
    return SentFile(id=new_id("file"), upload=upload, read=READ)


async def ids(store: Store, last: KeptResponse, owner: str = "anna") -> list[str]:
    return [each.id for each in await store.responses.chain(owner, last.id)]


async def test_a_response_is_kept_as_it_began_and_as_it_ended(store: Store, open_again: Opener, clock: TurnedClock) -> None:
    kept = response(clock, previous="resp_before", session="api:a \0 b", said="a \0 b")
    await store.responses.begin("anna", kept)
    assert await store.responses.get("anna", kept.id) == kept
    await store.responses.finish("anna", kept.id, BODY)
    found = await (await open_again()).responses.get("anna", kept.id)
    assert found is not None
    assert (found.state, found.body, found.input, found.session) == ("ended", BODY, kept.input, "api:a \0 b")


async def test_another_owners_response_is_not_there(store: Store, clock: TurnedClock, tmp_path: Path) -> None:
    kept, file = response(clock), sent_file(tmp_path)
    await store.responses.begin("anna", kept, [file])
    await store.responses.finish("bob", kept.id, BODY)
    assert await store.responses.get("bob", kept.id) is None
    assert await store.responses.chain("bob", kept.id) == []
    assert await store.responses.file("bob", file.id) is None
    assert not await store.responses.delete("bob", kept.id)
    assert await store.responses.get("anna", kept.id) == kept
    later = await begun(store, clock, owner="bob", previous=kept.id)
    assert await ids(store, later, "bob") == [later.id]


async def test_a_chain_reaches_back_to_its_beginning_or_to_what_is_missing(store: Store, clock: TurnedClock) -> None:
    first = await begun(store, clock)
    second = await begun(store, clock, previous=first.id)
    third = await begun(store, clock, previous=second.id)
    fork = await begun(store, clock, previous=first.id)
    assert await ids(store, third) == [first.id, second.id, third.id]
    assert await ids(store, fork) == [first.id, fork.id]
    assert await store.responses.delete("anna", second.id)
    assert await ids(store, third) == [third.id]
    assert await ids(store, second) == []


async def test_a_chain_is_looked_back_on_no_further_than_its_bounds(
    store: Store, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.store.responses.LONGEST_CHAIN", 3)
    made: list[KeptResponse] = []
    for _ in range(5):
        made.append(await begun(store, clock, previous=made[-1].id if made else None))
    assert await ids(store, made[-1]) == [each.id for each in made[-3:]]
    monkeypatch.setattr("assistant.store.responses.MOST_CHAIN_CHARS", 1_000)
    large = await begun(store, clock, previous=made[-1].id, said="x" * 2_000)
    last = await begun(store, clock, previous=large.id)
    assert await ids(store, last) == [last.id]
    assert await ids(store, large) == [large.id]  # what was asked for is always there
    assert MOST_CHAIN_CHARS > 1_000_000


async def test_files_that_were_sent_lie_there_as_long_as_their_response(store: Store, clock: TurnedClock, tmp_path: Path) -> None:
    first, second = response(clock), response(clock)
    file, same = sent_file(tmp_path), sent_file(tmp_path)
    await store.responses.begin("anna", first, [file])
    await store.responses.begin("anna", second, [same])
    found = await store.responses.file("anna", file.id)
    assert found is not None
    name, path = found
    assert (name, path.read_bytes()) == ("costs \0.txt", b"Costs")
    assert await store.responses.delete("anna", first.id)
    assert await store.responses.file("anna", file.id) is None
    assert path.exists()
    assert await store.responses.delete("anna", second.id)
    assert not path.exists()


async def test_what_is_old_is_purged_with_its_files(store: Store, clock: TurnedClock, tmp_path: Path) -> None:
    old, file = response(clock), sent_file(tmp_path)
    await store.responses.begin("anna", old, [file])
    found = await store.responses.file("anna", file.id)
    assert found is not None
    clock.turn(timedelta(days=1))
    young = await begun(store, clock)
    assert await store.responses.purge(clock.now) == 1
    await store.attachments.sweep(clock.now)
    assert await store.responses.get("anna", old.id) is None
    assert await store.responses.get("anna", young.id) == young
    assert not found[1].exists()


async def test_what_a_dead_process_was_answering_is_interrupted(url: str, store: Store, clock: TurnedClock, tmp_path: Path) -> None:
    own = await begun(store, clock)
    async with other_process("answers_a_response", url, tmp_path) as process:
        left = await line(process)
        assert await store.responses.recover() == 0
        await kill(process)
        settled = 0
        while not settled:  # PostgreSQL notices a dead client when it looks at its socket
            settled = await store.responses.recover()
    found = await store.responses.get("anna", left)
    assert found is not None
    assert found.state == "interrupted"
    assert await store.responses.get("anna", own.id) == own


async def test_one_whose_end_could_not_be_stored_is_not_running_for_ever(store: Store, open_again: Opener, clock: TurnedClock) -> None:
    kept, own = await begun(store, clock), await begun(store, clock)
    with pytest.raises(TypeError):
        await store.responses.finish("anna", kept.id, cast("Item", {"output": object()}))
    found = await store.responses.get("anna", kept.id)
    assert found is not None
    assert found.state == "interrupted"
    assert await store.responses.recover() == 1
    for reader in (store, await open_again()):
        states = [each.state for response_id in (kept.id, own.id) for each in await reader.responses.chain("anna", response_id)]
        assert states == ["interrupted", "running"]
    await store.responses.finish("anna", own.id, BODY)
    assert await store.responses.recover() == 0
