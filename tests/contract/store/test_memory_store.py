"""What is remembered, superseded and forgotten, on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from assistant.contracts.memory import FORGOTTEN, ForgottenOnce, Memory, MemoryNotFound, MemorySource, Statement
from assistant.contracts.messages import Text, ToolCall, UserMessage
from assistant.contracts.schedules import At, NewSchedule
from assistant.contracts.search import SearchWish
from assistant.contracts.sessions import CachedUpTo
from assistant.memory.search import StoredSearch
from assistant.store.idempotency import IdempotencyClaim, StoredAnswer
from assistant.store.learned import SERVER
from assistant.store.memories import move_memories
from assistant.store.store import Store

from .conftest import Opener, TurnedClock
from .said import answer, turn, user
from .test_outbox_store import ODD

PIN = "My locker code is 77-Quokka-31"


async def add(store: Store, text: str, owner: str = "anna", *, explicit: bool = False, **more: object) -> Memory:
    statement = replace(Statement(text=text), **more)  # pyright: ignore[reportArgumentType]
    return await store.memories.add(owner, statement, explicit=explicit)


async def texts(store: Store, owner: str = "anna", *, history: bool = False) -> list[str]:
    return [each.text for each in await store.memories.list(owner, history=history)]


async def found(store: Store, query: str, owner: str = "anna") -> list[str]:
    await store.history.finish()
    search = StoredSearch(store.database, store.history)
    now = (await store.memories.list(owner, history=True, limit=1) or [None])[0]
    wish = SearchWish(owner=owner, query=query, now=now.seen_at if now else TurnedClock().now, kinds=("memory", "message"))
    return [hit.text for hit in await search.search(wish)]


async def test_a_memory_is_kept_with_all_that_is_known_of_it(store: Store, clock: TurnedClock) -> None:
    source = MemorySource(session=ODD, message="msg_1", seq=7)
    made = await add(
        store, ODD, kind="event", about="A thing", provenance="file", source=source, valid_until=clock.now + timedelta(1), learned=True
    )
    assert made == await store.memories.get("anna", made.id) == await store.memories.get("anna", "1")
    assert (made.text, made.about, made.source, made.seen_at) == (ODD, "thing", source, clock.now)
    assert [made] == list(await store.memories.list("anna"))
    for ref in ("2", "mem_none", made.id):
        with pytest.raises(MemoryNotFound):
            await store.memories.get("bert", ref)


SUPERSEDED = [
    ("My phone number is 555-1234", "my phone number is 555-9876", True),
    ("I live in Berlin", "I have moved to Hamburg", True),
    ("Ich wohne in Berlin", "Ich wohne in Bonn", True),
    ("My favourite tea is Assam", "My favorite tea is Darjeeling", False),
    ("Мой адрес: Невский 1", "Мой адрес — Садовая 5", True),
    ("私の誕生日は5月3日です", "私の誕生日は5月4日です", True),
    ("I like tea", "I like coffee", False),
    ("My sister is a doctor", "My sister is in Berlin", False),
    ("The meeting with Bob is on 3 May", "The meeting with Bob is on 4 May", False),
    ("The dog of the neighbours is called Rex", "The neighbours' dog is called Rex", True),
    ("Anna's birthday is 3 May", "Anna's birthday is 4 May", True),
    ("Anna's birthday is 3 May", "Bert's birthday is 3 May", False),
]


@pytest.mark.parametrize(("old", "new", "replaced"), SUPERSEDED)
async def test_a_statement_about_the_same_thing_supersedes(store: Store, old: str, new: str, replaced: bool) -> None:
    first, second = await add(store, old), await add(store, new)
    assert await texts(store) == ([new] if replaced else [new, old])
    assert sorted(await texts(store, history=True)) == sorted([old, new])
    assert (await store.memories.get("anna", first.id)).superseded_by == (second.id if replaced else None)


async def test_what_a_tool_names_decides_what_is_the_same(store: Store) -> None:
    await add(store, "Lives in the Invalidenstraße", about="home address")
    await add(store, "Lives in the Torstraße", about="Home-Address")
    await add(store, "Works in the Torstraße", about="office")
    assert await texts(store) == ["Works in the Torstraße", "Lives in the Torstraße"]
    assert not any("Invalidenstraße" in text for text in await found(store, "Invalidenstraße"))


async def test_the_same_statement_is_kept_once(store: Store, clock: TurnedClock) -> None:
    first = await add(store, "I like  tea.")
    clock.turn(timedelta(1))
    again = await add(store, "i like tea", valid_until=clock.now + timedelta(1))
    assert (again.id, again.seen_at) == (first.id, clock.now)
    assert len(await texts(store)) == 1


async def test_what_has_ended_does_not_hold_any_more(store: Store, clock: TurnedClock) -> None:
    made = await add(store, "Wears a cast", valid_until=clock.now + timedelta(1))
    assert list(await store.memories.known("anna", [made.id])) == [made]
    assert list(await store.memories.known("bert", [made.id])) == []
    clock.turn(timedelta(1))
    assert list(await store.memories.known("anna", [made.id])) == []
    assert await store.memories.profile("anna", "s", keep=False) == ""


async def test_each_owner_has_memories_of_their_own(store: Store) -> None:
    await add(store, PIN, "anna")
    await add(store, "I like tea", "telegram:-100")
    assert await texts(store, "bert") == []
    assert await store.memories.any("anna")
    assert not await store.memories.any("bert")
    assert (await store.memories.list("telegram:-100"))[0].number == 1
    assert await found(store, "locker code", "telegram:-100") == []
    assert await store.forgetting.forget("bert", [(await store.memories.get("anna", "1")).id]) == []
    assert await texts(store) == [PIN]


async def test_a_profile_stays_as_it_was_until_the_history_is_cut(store: Store, clock: TurnedClock) -> None:
    await add(store, "Always answer in German", kind="instruction")
    for number in range(60):
        await add(store, f"Fact {number}: {'word ' * 20}{number * 7919}")
    made = await store.memories.profile("anna", "api:one", keep=True)
    assert len(made) <= 2000
    assert "Always answer in German" in made
    assert "Fact 59" in made
    assert "Fact 1:" not in made
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    clock.turn(timedelta(1))
    await add(store, "I like tea")
    assert await store.memories.profile("anna", "api:one", keep=True) == made
    await store.sessions.end_turn("turn_1", "finished", [answer("yes")])
    await store.sessions.start_over("anna", "api:one")
    assert "I like tea" in await store.memories.profile("anna", "api:one", keep=True)


async def test_a_profile_goes_with_its_session(store: Store) -> None:
    await add(store, "I like tea")
    await store.memories.profile("anna", "api:one", keep=True)
    await store.sessions.begin_turn(turn("turn_1", "hi", owner="anna", session="api:one"), None)
    await store.sessions.end_turn("turn_1", "finished", [answer("x")])
    assert await store.sessions.delete("anna", "api:one")
    assert await store.database.select("SELECT count(*) FROM session_profiles") == [(0,)]


async def test_a_session_that_began_without_memories_has_no_profile(store: Store) -> None:
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    await add(store, "I like tea")
    assert await store.memories.profile("anna", "api:one", keep=True) == ""
    assert "I like tea" in await store.memories.profile("anna", "api:two", keep=True)


async def said_and_recalled(store: Store) -> Memory:
    """A secret that is a memory with an older version, in a profile, in what was recalled, in what was said, and in arguments of a call."""
    await add(store, "My locker code is 11-Wombat-99")
    await store.memories.profile("anna", "api:one", keep=True)
    made = await add(store, PIN)
    await add(store, "I like tea")
    await store.memories.profile("anna", "api:two", keep=True)
    recalled = Text(text=f"Recalled:\n- {made.seen_at:%Y-%m-%d}: {PIN}\n- {made.seen_at:%Y-%m-%d}: I like tea", quoted=True, recalled=True)
    await store.sessions.begin_turn(turn("turn_1", f"Hello. {PIN}! Remember that.", recalled), None)
    call = ToolCall(id="call_1", name="remember", arguments='{"text":"' + PIN + '"}')
    await store.sessions.end_turn("turn_1", "finished", [answer(f"Noted: {PIN}.", calls=(call,))])
    await store.history.finish()
    return made


async def test_forgetting_leaves_nothing_but_what_was_said(store: Store, open_again: Opener, clock: TurnedClock) -> None:
    other = await open_again()
    made = await said_and_recalled(store)
    known = await store.sessions.begin_turn(turn("turn_2", "next"), None)
    await store.sessions.end_turn("turn_2", "finished", [answer("ok")])
    gone = await store.forgetting.forget("anna", [made.id])
    assert {each.text for each in gone} == {PIN, "My locker code is 11-Wombat-99"}
    assert await texts(other, history=True) == ["I like tea"]
    for session in ("api:one", "api:two"):
        assert "locker" not in await other.memories.profile("anna", session, keep=True)
    assert "tea" in await other.memories.profile("anna", "api:two", keep=True)
    [first, second, *_] = [stored.message for stored in await other.sessions.messages("anna", "api:one")]
    assert isinstance(first, UserMessage)
    assert [part.text for part in first.parts if isinstance(part, Text)] == [
        f"Hello. {PIN}! Remember that.",
        f"Recalled:\n- {clock.now:%Y-%m-%d}: I like tea",
    ]
    assert PIN in str(second)
    again = await other.sessions.begin_turn(turn("turn_3", "more"), CachedUpTo(row=known.row, seq=known.seq + 1, revision=known.revision))
    assert again.fresh


async def test_forgetting_everywhere_leaves_nothing_at_all(store: Store, url: str, clock: TurnedClock) -> None:
    made = await said_and_recalled(store)
    assert any("Quokka" in text for text in await found(store, "locker code"))
    kept = IdempotencyClaim(id="clm_1", owner="anna", key="k", fingerprint="f", expires_at=clock.now + timedelta(days=1))
    await store.idempotency.claim(kept)
    await store.idempotency.finish(kept, StoredAnswer(status=200, headers=(), body=PIN.encode()))
    new = NewSchedule(owner="anna", kind="reminder", rule=At(at=clock.now + timedelta(hours=1)), zone="UTC", text=f"{PIN}. Open it.")
    planned = await store.schedules.add(new, clock.now + timedelta(hours=1), "2026a", most=9)
    await store.schedules.update("anna", planned.id, "2026a", lambda each: replace(each, state="cancelled", next_at=None))
    await store.forgetting.forget("anna", [made.id], everywhere=True)
    assert await store.idempotency.claim(replace(kept, id="clm_2")) == "not_kept"
    assert (await store.schedules.get("anna", planned.id)).new.text == f"{FORGOTTEN} Open it."
    stored = await store.sessions.messages("anna", "api:one")
    assert "Quokka" not in str(stored)
    first, step = stored[0].message, stored[1].message
    assert first.role == "user"
    assert isinstance(first.parts[0], Text)
    assert first.parts[0].text == f"Hello. {FORGOTTEN} Remember that."
    assert step.role == "assistant"
    assert step.tool_calls[0].arguments == '{"text":"' + FORGOTTEN + '"}'
    assert not any("Quokka" in text for text in await found(store, "locker code Quokka"))
    assert any("Remember that" in text for text in await found(store, "hello"))
    if url.startswith("sqlite"):
        for file in Path(url.removeprefix("sqlite:///")).parent.glob("nanobot.db*"):
            if file.is_file():
                assert b"Quokka" not in file.read_bytes(), file
                assert b"Wombat" not in file.read_bytes(), file


@pytest.mark.parametrize(
    "again",
    [
        PIN,
        "my LOCKER code is  77-quokka-31!",
        "The locker's code: 77-Quokka-31",
        "The code of my locker is 77-Quokka-31",
        "My locker code is 5",
    ],
)
async def test_what_was_forgotten_comes_back_at_the_persons_own_wish_alone(store: Store, again: str) -> None:
    made = await add(store, PIN)
    await store.forgetting.forget("anna", [made.id])
    for _ in range(3):
        with pytest.raises(ForgottenOnce):
            await add(store, again)
    await add(store, again, "bert")
    await add(store, "I like tea")
    await add(store, again, explicit=True)
    await add(store, again)
    assert await texts(store) == [again, "I like tea"]


async def test_memories_move_with_their_owner(store: Store) -> None:
    gone = await add(store, PIN, "telegram:77")
    await store.forgetting.forget("telegram:77", [gone.id])
    await add(store, "I keep falcons", "telegram:77")
    await store.learned.switch("telegram:77", learn=False)
    await add(store, "I like tea")
    await store.database.write(lambda connection: move_memories(connection, "telegram:77", "anna"))
    assert {each.text: each.number for each in await store.memories.list("anna")} == {"I keep falcons": 2, "I like tea": 1}
    assert await texts(store, "telegram:77") == []
    assert any("falcons" in text for text in await found(store, "falcons"))
    assert await found(store, "falcons", "telegram:77") == []
    assert not await store.learned.learns("anna")
    with pytest.raises(ForgottenOnce):
        await add(store, PIN)


async def test_a_session_is_searched_by_one_process_once(store: Store, open_again: Opener, clock: TurnedClock) -> None:
    other = await open_again()
    await store.learned.switch(SERVER, learn=True)
    await store.sessions.begin_turn(turn("turn_1", PIN), None)
    await store.sessions.end_turn("turn_1", "finished", [answer("ok")])
    assert [each[:2] for each in await other.learned.left()] == [("anna", "api:one")]
    claimed = await store.learned.claim("anna", "api:one")
    assert claimed is not None
    assert [(seq, message.parts) for seq, _, message in claimed.said] == [(1, user(PIN).parts)]
    assert claimed.seq == 2
    assert await other.learned.claim("anna", "api:one") is None
    clock.turn(timedelta(minutes=4))
    stolen = await other.learned.claim("anna", "api:one")
    assert stolen is not None
    assert await store.learned.looked_at("anna", claimed, [(Statement(text=PIN), clock.now)]) == []
    assert [each.text for each in await other.learned.looked_at("anna", stolen, [(Statement(text=PIN), clock.now)])] == [PIN]
    assert await other.learned.left() == []
    empty = await store.learned.claim("anna", "api:one")
    assert empty is not None
    assert empty.said == ()
    assert await store.learned.claim("anna", "api:none") is None


async def test_what_was_said_while_it_was_off_is_never_searched(store: Store) -> None:
    async def say(id: str, session: str = "api:one") -> None:
        await store.sessions.begin_turn(turn(id, PIN, session=session), None)
        await store.sessions.end_turn(id, "finished", [answer("ok")])

    await say("turn_1")
    await store.learned.switch(SERVER, learn=True)
    assert await store.learned.left() == []
    await say("turn_2")
    assert len(await store.learned.left()) == 1
    await store.learned.switch("anna", learn=False)
    assert not await store.learned.learns("anna")
    await say("turn_3", "api:two")
    await store.learned.switch("anna", learn=True)
    assert await store.learned.left() == []
    assert await store.learned.learns("anna")
    await store.learned.switch(SERVER, learn=True)
    await say("turn_4")
    assert len(await store.learned.left()) == 1
