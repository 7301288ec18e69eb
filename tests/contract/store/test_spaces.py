"""A space moves, is exported and is deleted as a whole, on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from assistant.contracts.access import ApiKey, Limits
from assistant.contracts.causes import Payer
from assistant.contracts.inbox import Pairing, Sender
from assistant.contracts.memory import MemorySource, Statement
from assistant.contracts.people import OWNER_ID, PersonNotFound
from assistant.contracts.workflows import NewJob
from assistant.store.approvals import Outcome
from assistant.store.attachments import KeptFile
from assistant.store.spaces import NOT_OF_A_SPACE, OF_MEMORY, OWNED
from assistant.store.store import Store
from assistant.store.tables import SQLModel
from tests.clocks import TurnedClock

from .came_in import message, place
from .charged import a_call
from .sent import claimed, event
from .test_approval_store import approval
from .test_continuation_store import continuation
from .test_file_store import READ, bytes_of, keep, upload
from .test_moves import conversation, history
from .test_response_store import response
from .test_schedule_store import new as new_schedule
from .test_task_store import a_task

ANNA, BERT = "telegram:42", "telegram:43"
KEPT = (*OWNED, "memories")


def test_every_table_with_an_owner_belongs_to_spaces_or_is_excused() -> None:
    with_owner = {table.name for table in SQLModel.metadata.tables.values() if "owner" in table.columns}
    assert with_owner == {*OWNED, *OF_MEMORY, *NOT_OF_A_SPACE}
    assert not {*OWNED} & {*NOT_OF_A_SPACE}
    assert all(NOT_OF_A_SPACE.values())


async def filled(store: Store, owner: str, folder: Path, clock: TurnedClock) -> KeptFile:
    """Something in each table of a space."""
    await store.people.of(owner, owner)
    await conversation(store, owner, "api:default", f"secret of {owner}")
    await store.inbox.accept(message(f"waits for {owner}", external_id=f"m{owner}"), place("api:default", owner=owner))
    await store.outbox.enqueue([event(f"for {owner}", chat=owner.partition(":")[2], owner=owner)])
    await store.jobs.add(NewJob(id=f"job_{owner}", owner=owner, workflow="w", sources={}, inputs={"said": owner}))
    await store.jobs.begin(f"job_{owner}")
    await store.jobs.end(f"job_{owner}", "completed", results={"said": owner})
    sent = response(clock, said=owner)
    await store.responses.begin(owner, sent)
    await store.responses.finish(owner, sent.id, {"status": "completed"})
    await store.schedules.add(new_schedule(f"reminds {owner}", owner), clock.now + timedelta(hours=1), "2026a", most=9)
    await store.ledger.keep_now(replace(a_call(), payer=Payer(owner=owner, caller=owner, session="api:default")), None)
    source = MemorySource(session="api:default", message="msg_1", seq=1)
    await store.memories.add(owner, Statement(text=f"I know {owner}", about="knowing", source=source), explicit=True)
    await store.tasks.add(a_task(f"task_{owner}", owner=owner, session="api:default"))
    asked = approval(owner, clock)
    await store.approvals.add(asked, None)
    await store.approvals.answer(owner, asked.id, "session", lambda _: Outcome(state="approved", go=None), edit=True)
    await store.continuations.add(continuation(f"goes on for {owner}", owner=owner, session="api:default"))
    data = owner.encode()
    await store.attachments.keep(owner, "api:default", upload(folder, data), READ)
    return await keep(store, folder, owner, data)


async def counts(store: Store, owner: str) -> dict[str, int]:
    exported = await store.people.export(owner)
    return {table: len(exported[table]) for table in KEPT}


async def test_every_table_of_a_space_follows_and_nothing_of_another_does(store: Store, tmp_path: Path, clock: TurnedClock) -> None:
    for owner in (ANNA, BERT, "key:1"):
        await filled(store, owner, tmp_path, clock)
    assert await counts(store, BERT) == dict.fromkeys(KEPT, 1)
    await store.links.join(BERT, ANNA)
    assert await counts(store, ANNA) == dict.fromkeys(KEPT, 2)
    assert await counts(store, BERT) == dict.fromkeys(KEPT, 0)
    assert await counts(store, "key:1") == dict.fromkeys(KEPT, 1)
    taken = await store.inbox.take(ANNA, "api:default~2")
    assert taken is not None
    assert [each.text for each in taken.messages] == [f"waits for {BERT}"]
    (attached,) = (await store.people.export(ANNA))["attachments"][1:]
    assert attached["session"] == "api:default~2"
    for table in ("memories", "ledger"):
        sessions = {row["session"] for row in (await store.people.export(ANNA))[table]}
        assert sessions == {"api:default", "api:default~2"}, table
    claim = await claimed(store, "telegram:43")
    assert claim.event.origin.owner == ANNA
    assert [schedule.new.owner for schedule in await store.schedules.list(ANNA)] == [ANNA, ANNA]
    assert {memory.text for memory in await store.memories.list(ANNA, history=True)} == {f"I know {ANNA}", f"I know {BERT}"}


async def test_an_export_holds_what_the_person_said_and_no_others(store: Store, tmp_path: Path, clock: TurnedClock) -> None:
    for owner in (ANNA, BERT):
        await filled(store, owner, tmp_path, clock)
    exported = orjson.dumps(await store.people.export(ANNA)).decode()
    for words in (f"secret of {ANNA}", f"waits for {ANNA}", f"for {ANNA}"):
        assert words in exported
    assert BERT not in exported


async def test_a_forgotten_person_is_gone_with_files_and_access(store: Store, url: str, tmp_path: Path, clock: TurnedClock) -> None:
    file = await filled(store, ANNA, tmp_path, clock)
    other = await filled(store, BERT, tmp_path, clock)
    path = await store.files.path(ANNA, file.id)
    asked = Pairing(channel="telegram", sender=Sender(id="42", name="A"), chat_id="42", code="C", created=clock.now, expires_at=None)
    await store.pairings.request(replace(asked, expires_at=clock.now + timedelta(hours=1)), most_open=3)
    await store.pairings.approve("C", clock.now)
    key = ApiKey(id="k", name="k", prefix="nbk_", scopes=frozenset(), models=None, limits=Limits(), created=clock.now)
    await store.keys.add(key, "d")
    await store.links.join("key:k", ANNA)
    await store.attachments.collect(await store.people.forget(ANNA))
    if url.startswith("sqlite"):
        for database in Path(url.removeprefix("sqlite:///")).parent.glob("nanobot.db*"):
            assert not database.is_file() or f"secret of {ANNA}".encode() not in database.read_bytes(), database
    assert await counts(store, ANNA) == dict.fromkeys(KEPT, 0)
    assert await store.people.person(ANNA) is None
    assert not await store.pairings.paired("telegram", "42")
    assert await store.keys.find("d") is None
    assert path is not None
    assert not path.exists()
    assert await bytes_of(store, other, BERT) == BERT.encode()
    assert await history(store, BERT, "api:default") == ["user", "assistant"]
    with pytest.raises(PersonNotFound):
        await store.people.forget(ANNA)
    await store.people.forget(OWNER_ID)
    assert await store.people.person(OWNER_ID) is not None
