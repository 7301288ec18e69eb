"""Messages that are taken back, on SQLite and PostgreSQL."""

import asyncio
from pathlib import Path

import pytest

from assistant.contracts.documents import ReadDocument
from assistant.contracts.errors import InvalidRequest, SessionBusy
from assistant.contracts.memory import Statement
from assistant.contracts.messages import Document
from assistant.contracts.search import SearchWish
from assistant.contracts.sessions import CachedUpTo, SessionCut
from assistant.contracts.turns import Upload
from assistant.memory.search import StoredSearch
from assistant.store.store import Store

from .conftest import Opener, TurnedClock
from .said import answer, turn
from .test_approval_store import approval


async def talk(store: Store, *said: str, session: str = "api:one") -> None:
    for words in said:
        await store.sessions.begin_turn(turn(f"turn_{words}", words, session=session), None)
        await store.sessions.end_turn(f"turn_{words}", "finished", [answer(f"about {words}")])


async def texts(store: Store, session: str = "api:one") -> list[str]:
    found = await store.sessions.messages("anna", session)
    assert [each.seq for each in found] == list(range(1, len(found) + 1))
    return [each.message.text if each.message.role != "user" else each.message.parts[0].text for each in found]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


async def hits(store: Store, words: str) -> list[int]:
    search = StoredSearch(store.database, store.history)
    return sorted(hit.seq for hit in await search.search(SearchWish(owner="anna", query=words)) if words in hit.text)


async def test_what_is_taken_back_is_gone_and_what_was_said_before_stays(store: Store) -> None:
    await talk(store, "walnut", "hazelnut", "almond")
    assert await hits(store, "hazelnut") == [3, 4]
    assert await store.sessions.take_back("anna", "api:one", 3) == 4
    assert await texts(store) == ["walnut", "about walnut"]
    assert (await hits(store, "hazelnut"), await hits(store, "almond"), await hits(store, "walnut")) == ([], [], [1, 2])
    session = await store.sessions.get("anna", "api:one")
    assert session is not None
    assert (session.messages, session.title) == (2, "walnut")
    await talk(store, "pecan")
    assert await texts(store) == ["walnut", "about walnut", "pecan", "about pecan"]
    assert await hits(store, "pecan") == [3, 4]


async def test_a_session_whose_first_message_is_taken_back_begins_anew(store: Store) -> None:
    await talk(store, "walnut", "hazelnut")
    assert await store.sessions.take_back("anna", "api:one", 1) == 4
    session = await store.sessions.get("anna", "api:one")
    assert session is not None
    assert (session.messages, session.title) == (0, "")
    await talk(store, "pecan")
    assert await texts(store) == ["pecan", "about pecan"]
    (listed,) = await store.sessions.list("anna")
    assert listed.title == "pecan"


@pytest.mark.parametrize("seq", [0, 2, 4, 5, 100, -1])
async def test_only_a_message_of_the_persons_is_taken_back(store: Store, seq: int) -> None:
    await talk(store, "walnut", "hazelnut")
    with pytest.raises(InvalidRequest):
        await store.sessions.take_back("anna", "api:one", seq)
    assert len(await texts(store)) == 4


async def test_nothing_of_another_person_is_taken_back(store: Store) -> None:
    await talk(store, "walnut")
    assert await store.sessions.take_back("bert", "api:one", 1) is None
    assert await store.sessions.take_back("anna", "api:two", 1) is None
    assert len(await texts(store)) == 2


async def test_another_process_reads_the_session_anew(open_again: Opener) -> None:
    here, there = await open_again(), await open_again()
    await talk(here, "walnut", "hazelnut")
    known = await there.sessions.begin_turn(turn("turn_1", "pecan"), None)
    await there.sessions.end_turn("turn_1", "finished", [answer("about pecan")])
    assert await here.sessions.take_back("anna", "api:one", 3) == 4
    cached = CachedUpTo(row=known.row, seq=2, revision=known.revision)
    history = await there.sessions.begin_turn(turn("turn_2", "almond"), cached)
    assert (history.fresh, len(history.messages), history.seq) == (True, 2, 3)


async def test_while_a_turn_runs_in_any_process_nothing_is_taken_back(open_again: Opener) -> None:
    here, there = await open_again(), await open_again()
    await talk(here, "walnut")
    await there.sessions.begin_turn(turn("turn_1", "pecan"), None)
    with pytest.raises(SessionBusy):
        await here.sessions.take_back("anna", "api:one", 1)
    await there.sessions.end_turn("turn_1", "finished", [answer("about pecan")])
    assert [each.running for each in await here.sessions.list("anna")] == [False], "it left no place in the line"
    taken = await asyncio.gather(*[store.sessions.take_back("anna", "api:one", 1) for store in (here, there)], return_exceptions=True)
    assert sorted(map(str, taken))[0] == "4"
    assert sum(isinstance(each, InvalidRequest) for each in taken) == 1


async def test_what_was_summed_up_or_left_behind_stays(store: Store, clock: TurnedClock) -> None:
    await talk(store, "walnut", "hazelnut", "almond")
    known = await store.sessions.begin_turn(turn("turn_1", "pecan"), None)
    await store.sessions.end_turn("turn_1", "finished", [answer("about pecan")])
    cut = SessionCut(seq=3, text="They spoke of walnuts.", results_from=3, tokens=5, made_by="", at=clock.now)
    assert await store.summaries.cut("anna", CachedUpTo(row=known.row, seq=8, revision=known.revision), cut)
    with pytest.raises(InvalidRequest):
        await store.sessions.take_back("anna", "api:one", 1)
    assert await store.sessions.take_back("anna", "api:one", 3) == 6
    shown = await store.summaries.shown("anna", "api:one")
    assert shown is not None
    assert (shown.context_from, shown.messages) == (3, ())
    assert shown.cut == cut
    await store.sessions.start_over("anna", "api:one")
    await talk(store, "brazil")
    assert await store.sessions.take_back("anna", "api:one", 3) == 2


async def test_files_go_with_the_last_message_that_names_them(store: Store, tmp_path: Path) -> None:
    async def kept(name: str) -> Document:
        (tmp_path / name).write_bytes(name.encode())
        upload = Upload(name=name, path=tmp_path / name, size=len(name), digest=f"{len(name):064x}")
        id = await store.attachments.keep("anna", "api:one", upload, ReadDocument(format="text", text=name))
        return Document(attachment_id=id, name=name, format="text", size=1)

    both, late = await kept("both.txt"), await kept("later.txt")
    for name, parts in (("turn_1", ["look", both]), ("turn_2", ["and", both, late])):
        await store.sessions.begin_turn(turn(name, *parts), None)  # pyright: ignore[reportArgumentType]
        await store.sessions.end_turn(name, "finished", [answer("seen")])
    assert await store.sessions.take_back("anna", "api:one", 3) == 2
    assert await store.attachments.contents("anna", "api:one", both.attachment_id) is not None
    assert await store.attachments.contents("anna", "api:one", late.attachment_id) is None
    assert [each.name for each in await store.attachments.list("anna", "api:one")] == ["both.txt"]


async def test_what_waits_for_a_yes_is_void_with_its_message(store: Store, clock: TurnedClock) -> None:
    await talk(store, "walnut", "anna")  # its turn is that of the approval
    asked = approval("anna", clock, session="api:one")
    await store.approvals.add(asked, None)
    assert await store.sessions.take_back("anna", "api:one", 3) == 2
    assert (await store.approvals.get("anna", asked.id)).state == "void"


async def test_what_is_taken_back_is_not_learned_and_what_follows_is(store: Store) -> None:
    await talk(store, "walnut", "hazelnut")
    claimed = await store.learned.claim("anna", "api:one")
    assert claimed is not None
    await store.sessions.take_back("anna", "api:one", 3)
    assert await store.learned.looked_at("anna", claimed, [(Statement(text="likes hazelnut"), claimed.said[0][1])]) == []
    await talk(store, "pecan")
    again = await store.learned.claim("anna", "api:one")
    assert again is not None
    assert [seq for seq, _, _ in again.said] == [1, 3]
