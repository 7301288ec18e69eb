"""What sessions are called, on SQLite and PostgreSQL."""

import pytest

from assistant.contracts.messages import Document, Part, Text
from assistant.contracts.sessions import NewTurn
from assistant.store.store import Store

from .said import answer, turn, user
from .test_memory_store import add
from .test_outbox_store import ODD

LONG = "What would be a good way to plan a week of meals for four people who like neither fish nor mushrooms?"
FILE = Document(attachment_id="att_1", name="costs\u202e.pdf", format="pdf", size=3)
OPENINGS: list[tuple[tuple[str | Part, ...], str]] = [
    (("hi  there\n\tyou",), "hi there you"),
    ((LONG,), "What would be a good way to plan a week of meals for four people who like…"),
    (("x" * 100,), "x" * 79 + "…"),
    (("\x1b[31mred\u202e\u200b\0",), "[31mred"),
    ((Text(text="what Bert wrote", quoted=True), Text(text="what is this?")), "what is this?"),
    ((Text(text="likes tea", quoted=True, recalled=True), Text(text="what Bert wrote", quoted=True)), "what Bert wrote"),
    ((FILE,), "costs .pdf"),
    (("\n \n", FILE), "costs .pdf"),
    ((Text(text="", quoted=False),), ""),
    (("🦊" * 90,), "🦊" * 79 + "…"),
]


async def title(store: Store, key: str = "api:one") -> str:
    found = await store.sessions.get("anna", key)
    assert found is not None
    (listed,) = [each for each in await store.sessions.list("anna") if each.key == key]
    assert listed == found
    return found.title


async def test_a_session_is_called_after_its_first_words(store: Store) -> None:
    for number, (parts, called) in enumerate(OPENINGS):
        await store.sessions.begin_turn(turn(f"turn_{number}", *parts, session=f"api:{number}"), None)
        assert await title(store, f"api:{number}") == called
        await store.sessions.end_turn(f"turn_{number}", "finished", [answer("well")])
        await store.sessions.begin_turn(turn(f"turn_{number}_2", "and more", session=f"api:{number}"), None)
        assert await title(store, f"api:{number}") == called


async def test_a_session_that_brings_its_history_is_called_after_that(store: Store) -> None:
    new = NewTurn(
        id="turn_1", owner="anna", session="api:one", message=user("now"), history=(answer("hello"), user("before"), answer("well"))
    )
    await store.sessions.begin_turn(new, None)
    assert await title(store) == "before"


@pytest.mark.parametrize("name", ["Plans", ODD, "  two\nlines  ", "100% _ !", "Übung"])
async def test_a_session_is_called_as_the_person_wants_until_they_take_it_back(store: Store, name: str) -> None:
    await store.sessions.begin_turn(turn("turn_1", "hi"), None)
    await store.sessions.begin_turn(turn("turn_2", "hi", session="api:two"), None)
    assert await store.sessions.rename("anna", "api:one", name)
    called = await title(store)
    assert called.split() == "".join(c if c.isprintable() else " " for c in name).split()
    assert [each.key for each in await store.sessions.list("anna", words=called)] == ["api:one"]
    assert await title(store, "api:two") == "hi"
    assert await store.sessions.rename("anna", "api:one", "")
    assert await title(store) == "hi"
    assert not await store.sessions.rename("bert", "api:one", "mine")
    assert not await store.sessions.rename("anna", "api:none", "x")


async def test_sessions_are_found_by_their_titles_and_by_their_keys(store: Store) -> None:
    for number, words in enumerate(("Kitchen plans", "Bath plans", "100% sure", "100 sure")):
        await store.sessions.begin_turn(turn(f"turn_{number}", words, session=f"api:{number}"), None)
    await store.sessions.begin_turn(turn("turn_other", "Kitchen plans", owner="bert"), None)
    for words, among, found in (
        ("PLANS", [], ["api:1", "api:0"]),
        ("kitchen", ["api:3", "api:none"], ["api:3", "api:0"]),
        ("0% s", [], ["api:2"]),
        ("_", [], []),
        ("'; --", [], []),
    ):
        assert [each.key for each in await store.sessions.list("anna", words=words, among=among)] == found
    assert [each.key for each in await store.sessions.list("anna", words="plans", before="api:1")] == ["api:0"]


async def test_whether_a_turn_runs_is_listed(store: Store) -> None:
    await store.sessions.begin_turn(turn("turn_1", "hi"), None)
    assert [each.running for each in await store.sessions.list("anna")] == [True]
    await store.sessions.end_turn("turn_1", "finished", [answer("well")])
    assert [each.running for each in await store.sessions.list("anna")] == [False]


async def test_what_is_forgotten_everywhere_is_in_no_title(store: Store) -> None:
    secret = "My locker code is 77-Quokka-31"
    kept = await add(store, secret)
    await store.sessions.begin_turn(turn("turn_1", secret), None)
    await store.sessions.end_turn("turn_1", "finished", [answer("noted")])
    await store.sessions.begin_turn(turn("turn_2", "hi", session="api:two"), None)
    await store.sessions.end_turn("turn_2", "finished", [answer("noted")])
    await store.sessions.rename("anna", "api:two", secret)
    assert [await title(store, key) for key in ("api:one", "api:two")] == [secret, secret]
    await store.forgetting.forget("anna", [kept.id], everywhere=True)
    assert not [each.title for each in await store.sessions.list("anna") if "Quokka" in each.title]
