"""Sessions that other assistants held, on each database."""

import asyncio
from datetime import UTC, datetime, timedelta

from assistant.contracts.messages import AssistantMessage, Text, UserMessage
from assistant.contracts.search import SearchWish
from assistant.memory.search import StoredSearch
from assistant.store.imported import ImportedMessage, mark_of
from assistant.store.store import Store

from .conftest import Opener

BEGAN = datetime(2024, 5, 1, 10, tzinfo=UTC)


def message(place: int, text: str) -> ImportedMessage:
    id = f"msg_{place}"
    said = UserMessage(id=id, parts=(Text(text=text),)) if place % 2 else AssistantMessage(id=id, text=text)
    return ImportedMessage(mark=mark_of("chatgpt", "c", id), at=BEGAN + timedelta(minutes=place), message=said)


async def test_messages_come_once_with_their_times_and_those_that_are_new_behind_them(store: Store) -> None:
    first = [message(1, "hello"), message(2, "good day")]
    assert await store.imported.add("local", "api:chatgpt:c", first) == 2
    assert await store.imported.add("local", "api:chatgpt:c", first) == 0
    assert await store.imported.add("local", "api:chatgpt:c", [*first, message(3, "and then?")]) == 1
    kept = await store.sessions.messages("local", "api:chatgpt:c")
    assert [(each.seq, each.at) for each in kept] == [(place, BEGAN + timedelta(minutes=place)) for place in (1, 2, 3)]
    session = await store.sessions.get("local", "api:chatgpt:c")
    assert session is not None
    assert (session.messages, session.created, session.updated) == (3, kept[0].at, kept[2].at)
    assert await store.imported.known("local", "api:chatgpt:c") == {each.turn_id for each in kept}


async def test_it_is_found_by_search_and_nothing_is_learned_of_it(store: Store) -> None:
    await store.imported.add("local", "api:chatgpt:c", [message(1, "my bicycle is green"), message(2, "noted")])
    await store.history.finish()
    wish = SearchWish(owner="local", query="green bicycle", now=BEGAN + timedelta(days=1), kinds=("message",), limit=5)
    assert await StoredSearch(store.database, store.history, store.people).search(wish)
    unlearned = await store.learned.claim("local", "api:chatgpt:c")
    assert unlearned is None or unlearned.said == ()


async def test_two_imports_at_once_bring_each_message_once(store: Store, open_again: Opener) -> None:
    other = await open_again()
    messages = [message(place, f"number {place}") for place in range(1, 51)]
    added = await asyncio.gather(*[each.imported.add("local", "api:chatgpt:c", messages) for each in (store, other) * 4])
    assert sorted(added) == [0] * 7 + [50]


async def test_a_person_does_not_see_what_another_imported(store: Store) -> None:
    await store.imported.add("anna", "api:chatgpt:c", [message(1, "hers")])
    assert await store.imported.known("local", "api:chatgpt:c") == frozenset()
    assert await store.imported.add("local", "api:chatgpt:c", [message(1, "mine")]) == 1
