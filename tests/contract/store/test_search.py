"""What was said is found, by its owner alone, in the same order on SQLite and PostgreSQL."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.contracts.causes import Payer
from assistant.contracts.errors import ProviderFailed
from assistant.contracts.ledger import BudgetUsedUp
from assistant.contracts.messages import Json, Text, ToolCall
from assistant.contracts.models import EmbeddingInput, Embeddings
from assistant.contracts.people import Person, UnknownPeople
from assistant.contracts.search import Hit, SearchKind, SearchWish
from assistant.memory.ranking import analyse
from assistant.memory.search import StoredSearch, found
from assistant.memory.vectors import Vectors
from assistant.providers.offline import OfflineEmbeddings
from assistant.store import migrations
from assistant.store import search as index
from assistant.store.database import StoreSettings
from assistant.store.history import HistoryIndex, owner_moved
from assistant.store.sqlite import SqliteEngine
from assistant.store.store import Store, open_store

from .conftest import Opener, TurnedClock
from .said import answer, result, turn

SAID = [
    ("Nora: I bought a red bicycle in Hamburg.", "Nice! What will you do with the old one?"),
    ("Nora: My sister Almut is allergic to hazelnuts.", "Then no nougat for her."),
    ("Meine Zahnarzttermine sind immer dienstags.", "Gut zu wissen."),
    ("Wir haben zwei Häuser in Krakau besichtigt.", "Und, welches wird es?"),
    ("Мой брат живёт в Новосибирске и играет на виолончели.", "Здорово!"),
    ("Врач сказал, что мне нельзя креветки.", "Запомню."),
    ("昨日、京都へ旅行しました。", "楽しかったですか?"),
    ("妹の千尋は看護師として働いています。", "そうですか。"),
    ("The code for the garage is 4711-B.", "I won't tell anyone."),
    ("Where did you hide it?", "Under the third flower pot, behind the shed."),
]
FINDS = [
    ("Where did Nora buy the bicycles?", "bicycle"),
    ("who is allergic to a hazelnut", "hazelnuts"),
    ("Wann ist der Termin beim Zahnarzt?", "Zahnarzttermine"),
    ("Welches Haus haben wir besichtigt", "Häuser"),
    ("hauser krakau", "Häuser"),
    ("Где живут братья?", "брат"),
    ("какая у меня аллергия на креветку", "креветки"),
    ("京都旅行", "京都"),
    ("千尋の仕事は何ですか?", "看護師"),
    ("garage 4711", "4711-B"),
    ("ＧＡＲＡＧＥ ４７１１", "4711-B"),
    ("flower-pot hide", "flower pot"),
]
ODD = [
    "",
    " ",
    "\0",
    '"',
    "'; DROP TABLE sessions; --",
    "a AND (b OR NOT",
    "NEAR(x,",
    "*",
    ":colon col:x",
    "%s %(a)s :named",
    "🙂🙂",
    "\ud800",
    "\\0",
]


class Berlin(UnknownPeople):
    async def person(self, owner: str) -> Person | None:
        return None

    async def zone(self, owner: str) -> ZoneInfo:
        return ZoneInfo("Europe/Berlin")


async def say(store: Store, said: list[tuple[str, str]], *, session: str = "api:one", owner: str = "anna") -> None:
    for number, (words, reply) in enumerate(said):
        name = f"turn_{owner}_{session}_{number}_{len(words)}"
        await store.sessions.begin_turn(turn(name, words, session=session, owner=owner), None)
        await store.sessions.end_turn(name, "finished", [answer(reply)])


async def look(store: Store, query: str, owner: str = "anna", *, kinds: tuple[SearchKind, ...] = ("message",), **more: object) -> list[Hit]:
    search = StoredSearch(store.database, store.history, Berlin(), clock=TurnedClock())
    wish = SearchWish(owner=owner, query=query, kinds=kinds, **more)  # pyright: ignore[reportArgumentType]
    return list(await search.search(wish))


@pytest.mark.parametrize(("query", "has"), FINDS)
async def test_what_was_said_is_found_in_other_forms_of_its_words(store: Store, query: str, has: str) -> None:
    await say(store, SAID)
    best, *_ = await look(store, query)
    assert has in best.text
    assert (best.session, best.kind) == ("api:one", "message")


async def test_both_databases_give_the_same_order(open_again: Opener, url: str, tmp_path: Path) -> None:
    store = await open_again()
    other = await open_store(StoreSettings(url=f"sqlite:///{tmp_path}/other.db"), tmp_path, clock=TurnedClock())
    try:
        for each in (store, other):
            await say(each, SAID)
            await each.database.write(lambda connection: index.index(connection, "anna", "memory", "mem_1", 5, "Anna has a bicycle"))
        for query, _ in FINDS:
            mine, theirs = [await look(each, query, kinds=("message", "memory")) for each in (store, other)]
            assert [(hit.ref, hit.text, round(hit.score, 9)) for hit in mine] == [
                (hit.ref, hit.text, round(hit.score, 9)) for hit in theirs
            ]
    finally:
        await other.close()


@pytest.mark.parametrize("query", [*ODD, "word " * 20_000])
async def test_any_text_is_a_query(store: Store, query: str) -> None:
    await say(store, SAID[:2])
    await look(store, query)
    await store.database.write(lambda connection: index.index(connection, "anna", "memory", "mem_odd", 1, query))
    await look(store, query, kinds=("memory",))
    await store.database.write(lambda connection: index.remove(connection, "anna", "memory", "mem_odd"))
    assert await store.database.select("SELECT count(*) FROM search_entries WHERE ref IS NOT NULL") == [(0,)]


@settings(max_examples=60, deadline=None)
@given(query=st.text(max_size=60), text=st.text(max_size=200))
def test_any_text_is_indexed_found_and_removed(query: str, text: str) -> None:
    with TemporaryDirectory() as folder:
        link = SqliteEngine(Path(folder) / "any.db").connect(writes=True)
        for statement in (Path(migrations.__file__).parent / "sqlite.sql").read_text(encoding="utf-8").split(";\n"):
            link.execute(statement)
        index.index(link, "anna", "memory", "one", 1, text)
        for asked in (query, text):
            for owner, may in (("anna", {"one"}), ("bert", set[str]())):
                wish = SearchWish(owner=owner, query=asked, kinds=("memory",))
                assert {hit.ref for hit in found(link, wish, analyse(asked, TurnedClock().now), {})} <= may
        index.remove(link, "anna", "memory", "one")
        assert link.execute("SELECT count(*) FROM search_terms") == [(0,)]
        link.close()


async def test_nothing_of_another_owner_is_found(store: Store) -> None:
    await say(store, SAID)
    await say(store, [("I hide the bicycle in the shed.", "All right.")], owner="bert", session="api:one")
    for query, _ in FINDS:
        assert {hit.text for hit in await look(store, query, "bert")} <= {"I hide the bicycle in the shed.", "All right."}
    assert await look(store, "bicycle", "carl") == []
    assert "Hamburg" not in str(await look(store, "bicycle", "bert", session="api:one"))


async def test_tools_recalled_parts_and_sessions_of_one_request_are_not_indexed(store: Store) -> None:
    await store.sessions.begin_turn(turn("turn_1", "Look up the quokka"), None)
    call = ToolCall(id="c", name="look", arguments="{}")
    await store.sessions.end_turn("turn_1", "finished", [answer("", calls=(call,)), result("c", "zyzzyva lives here"), answer("Done.")])
    await say(store, [("A wombat of one request", "Yes.")], session="once:1")
    assert await look(store, "zyzzyva") == []
    assert await look(store, "wombat") == []
    assert [hit.text for hit in await look(store, "quokka", limit=1)] == ["Look up the quokka"]


async def test_the_turn_that_searches_does_not_find_itself(store: Store) -> None:
    await say(store, SAID[:1])
    await store.sessions.begin_turn(turn("turn_now", "Where did I buy my bicycle?"), None)
    assert (await look(store, "Where did I buy my bicycle?", leave_out="turn_now"))[0].text == SAID[0][0]


async def test_times_and_sessions_bound_a_search(store: Store, clock: TurnedClock) -> None:
    clock.now = datetime(2023, 3, 14, 23, 30, tzinfo=UTC)  # the 15th in Berlin
    await say(store, [("My tulips are in bloom", "Lovely.")], session="march")
    clock.now = datetime(2023, 5, 7, 12, tzinfo=UTC)
    await say(store, [("My tulips are gone", "Too bad.")], session="may")
    both = {"My tulips are in bloom", "My tulips are gone"}

    async def tulips(**more: object) -> set[str]:
        return {hit.text for hit in await look(store, "tulips", "anna", kinds=("message",), **more)} & both

    assert await tulips() == both
    assert await tulips(after=date(2023, 3, 15), before=date(2023, 3, 16)) == {"My tulips are in bloom"}
    assert await tulips(before=date(2023, 3, 15)) == set()
    assert await tulips(session="may") == {"My tulips are gone"}
    assert await tulips(session="april") == set()
    now = datetime(2023, 6, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert (await look(store, "the tulips last March", now=now))[0].text == "My tulips are in bloom"
    assert (await look(store, "What did we talk about on 7 May 2023?", now=now))[0].session == "may"
    assert f"{(await look(store, 'bloom'))[0].at:%d %H:%M %Z}" == "15 00:30 CET"


async def test_a_removed_session_is_not_found_and_its_terms_go(store: Store) -> None:
    await say(store, SAID)
    await say(store, [("The bicycle is green", "Indeed.")], session="api:two")
    assert await look(store, "bicycle")
    await store.sessions.delete("anna", "api:one")
    assert [hit.text for hit in await look(store, "bicycle", limit=1)] == ["The bicycle is green"]
    await store.history.finish()
    assert await store.database.select("SELECT count(*) FROM search_entries") == [(2,)]
    (terms,) = await store.database.select("SELECT count(*), sum(length(terms)) FROM search_entries")
    assert (await store.database.select("SELECT entries, terms * 8 FROM search_spaces WHERE kind = 'message'"))[0] == terms
    assert await store.database.select("SELECT count(DISTINCT entry) FROM search_terms") == [(2,)]


async def test_sessions_that_move_to_another_owner_are_found_by_that_one_alone(store: Store) -> None:
    await say(store, SAID[:1], session="a")
    await say(store, [("bicycle of bert", "Yes.")], owner="bert", session="b")
    assert await look(store, "bicycle")
    assert await look(store, "bicycle", "bert")

    def move(connection: index.Transaction) -> None:
        connection.execute("UPDATE sessions SET owner = 'bert' WHERE owner = 'anna'")
        owner_moved(connection, "anna", "bert")

    await store.database.write(move)
    assert {hit.text for hit in await look(store, "bicycle", "bert", limit=2)} == {SAID[0][0], "bicycle of bert"}
    assert await look(store, "bicycle") == []


async def test_two_processes_index_each_message_once(open_again: Opener) -> None:
    one, two = await open_again(), await open_again()
    await say(one, SAID * 6)
    await asyncio.gather(*[each.history.finish() for each in (one, two)], look(one, "bicycle"), look(two, "bicycle"))
    assert await one.database.select("SELECT count(*), count(DISTINCT seq) FROM search_entries") == [(120, 120)]


async def test_what_an_older_store_holds_is_indexed_in_the_background(open_again: Opener) -> None:
    store = await open_again()
    await say(store, SAID)
    done = asyncio.Event()
    history = HistoryIndex(store.database)
    history.indexed = done.set
    history.start()
    async with asyncio.timeout(30):
        await done.wait()
    await history.close()
    assert await store.database.select("SELECT count(*) FROM search_entries") == [(20,)]


async def test_a_turn_is_indexed_once_it_is_quiet(store: Store) -> None:
    await say(store, SAID[:2])
    (row,) = (await store.database.select("SELECT id FROM sessions"))[0]
    done = asyncio.Event()
    history = HistoryIndex(store.database, quiet=0.01)
    history.indexed = done.set
    history.touch(row)
    async with asyncio.timeout(30):
        await done.wait()
    await history.close()
    assert await store.database.select("SELECT seq FROM search_marks") == [(4,)]


async def test_sessions_beyond_those_it_can_note_are_indexed_too(store: Store) -> None:
    for name in ("api:one", "api:two", "api:three", "api:four"):
        await say(store, SAID[:1], session=name)
    rows = [row for (row,) in await store.database.select("SELECT id FROM sessions ORDER BY id")]
    passes = asyncio.Queue[None]()
    history = HistoryIndex(store.database, quiet=0.01, most=2)
    history.indexed = lambda: passes.put_nowait(None)
    for row in (*rows[:2], rows[0], *rows[2:]):
        history.touch(row)
    async with asyncio.timeout(30):
        await passes.get()
        await say(store, SAID[1:2], session="api:four")
        history.touch(rows[3])
        await passes.get()
    await history.close()
    assert await store.database.select("SELECT session_id, seq FROM search_marks ORDER BY session_id") == [
        (row, 4 if row == rows[3] else 2) for row in rows
    ]


async def test_vectors_find_what_words_alone_do_not(store: Store) -> None:
    await say(store, SAID)
    await store.history.finish()
    model = OfflineEmbeddings(256)

    async def opened() -> OfflineEmbeddings:
        return model

    vectors = Vectors(store.database, "offline-embedding", opened)
    assert await vectors.fill() == 20
    assert await vectors.fill() == 0
    search = StoredSearch(store.database, store.history, vectors=vectors)
    hits = await search.search(SearchWish(owner="anna", query="hazelnutty sisterly", limit=3))
    assert SAID[1][0] in [hit.text for hit in hits]
    assert await search.search(SearchWish(owner="bert", query="hazelnutty sisterly")) == []
    await store.sessions.delete("anna", "api:one")
    await store.history.finish()
    assert await search.search(SearchWish(owner="anna", query="hazelnutty sisterly")) == []
    assert await store.database.select("SELECT count(*) FROM search_vectors") == [(0,)]
    await vectors.close()


async def test_a_search_does_without_vectors_where_the_model_fails(store: Store) -> None:
    await say(store, SAID)

    async def closed() -> OfflineEmbeddings:
        raise ProviderFailed("down")

    vectors = Vectors(store.database, "m", closed)
    search = StoredSearch(store.database, store.history, vectors=vectors)
    assert (await search.search(SearchWish(owner="anna", query="bicycle")))[0].text == SAID[0][0]
    await vectors.close()


async def test_one_whose_budget_is_used_up_keeps_no_one_else_from_vectors(store: Store) -> None:
    await say(store, SAID[:2])
    await say(store, SAID[:2], owner="bert", session="api:two")
    await store.history.finish()

    class Budgeted(OfflineEmbeddings):
        async def embed(
            self,
            inputs: Sequence[EmbeddingInput],
            dimensions: int | None,
            extra_fields: Mapping[str, Json] | None = None,
            payer: Payer | None = None,
        ) -> Embeddings:
            if payer is not None and payer.owner == "anna":
                raise BudgetUsedUp
            return await super().embed(inputs, dimensions, extra_fields, payer)

    async def opened() -> OfflineEmbeddings:
        return Budgeted(256)

    vectors = Vectors(store.database, "m", opened)
    with pytest.raises(BudgetUsedUp):
        await vectors.fill()
    owners = "SELECT DISTINCT owner FROM search_vectors AS v JOIN search_spaces AS s ON s.id = v.space"
    assert await store.database.select(owners) == [("bert",)]
    await vectors.close()


async def test_neighbours_come_with_what_was_found(store: Store) -> None:
    await say(store, SAID)
    best, *_ = await look(store, "flower pot shed", neighbours=1)
    assert [hit.text for hit in best.before] == ["Where did you hide it?"]
    assert best.after == ()
    assert best.at - best.before[0].at == timedelta(0)


async def test_quoted_words_are_found_too(store: Store) -> None:
    await store.sessions.begin_turn(turn("turn_1", Text(text="the heron flew", quoted=True), "what is this?"), None)
    assert (await look(store, "heron"))[0].who == "user"
