"""What SessionStore promises, on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest

from assistant.contracts.errors import InvalidRequest
from assistant.contracts.messages import Text, ToolCall, Usage
from assistant.contracts.sessions import CachedUpTo
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .conftest import Opener
from .said import answer, result, turn, user

ODD_KEYS = ["../../etc/passwd", "a\0b", "a\\0b", "a\\b", "\0", "'; DROP TABLE sessions; --", "%s %(name)s :name", "🦊" * 100, " ", "\u202e"]
EMOJI = "🦊👩‍👩‍👧‍👦" * 35_000


async def test_the_first_turn_makes_the_session_and_has_no_history(store: Store) -> None:
    history = await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    assert (history.fresh, history.messages, history.seq, history.context_from) == (True, (), 1, 1)


async def test_a_turn_gets_all_that_was_said_before_in_order(store: Store) -> None:
    first, look = turn("turn_1", "hello"), answer("", calls=(ToolCall(id="c1", name="look", arguments="{}"),))
    await store.sessions.begin_turn(first, None)
    found, last = result("c1", "found"), answer("done")
    assert await store.sessions.append_step("turn_1", [look, found]) == 3
    assert await store.sessions.end_turn("turn_1", "finished", [last]) == 4
    history = await store.sessions.begin_turn(turn("turn_2", "again"), None)
    assert history.messages == (first.message, look, found, last)
    assert history.seq == 5


async def test_who_knows_the_beginning_gets_only_the_rest(store: Store) -> None:
    first = await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    last = answer("hi")
    await store.sessions.end_turn("turn_1", "finished", [last])
    rest = await store.sessions.begin_turn(turn("turn_2", "again"), CachedUpTo(row=first.row, seq=1))
    assert (rest.fresh, rest.messages) == (False, (last,))
    nothing_new = await store.sessions.begin_turn(turn("turn_3", "and again"), CachedUpTo(row=first.row, seq=3))
    assert (nothing_new.fresh, nothing_new.messages) == (False, ())


async def test_who_knows_a_deleted_session_gets_all_of_the_new_one(store: Store) -> None:
    old = await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    assert await store.sessions.delete("anna", "api:one")
    new = await store.sessions.begin_turn(turn("turn_2", "again"), CachedUpTo(row=old.row, seq=old.seq))
    assert (new.fresh, new.messages, new.seq) == (True, (), 1)
    assert new.row != old.row


async def test_usage_and_message_counts_add_up(store: Store, clock: TurnedClock) -> None:
    began = clock.now
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    await store.sessions.append_step("turn_1", [answer("", tokens=(10, 2, 4)), result("c1", "found")])
    clock.turn(timedelta(seconds=9))
    await store.sessions.end_turn("turn_1", "finished", [answer("x", tokens=(20, 3, 8))])
    session = await store.sessions.get("anna", "api:one")
    assert session is not None
    assert session.usage == Usage(prompt_tokens=30, completion_tokens=5, cached_tokens=12)
    assert (session.messages, session.created, session.updated) == (4, began, clock.now)


async def test_messages_come_with_seq_turn_and_time_and_can_be_paged(store: Store, clock: TurnedClock) -> None:
    for number in range(1, 4):
        await store.sessions.begin_turn(turn(f"turn_{number}", f"words {number}"), None)
        await store.sessions.end_turn(f"turn_{number}", "finished", [answer(f"answer {number}")])
    page = await store.sessions.messages("anna", "api:one", after=2, limit=3)
    assert [(message.seq, message.turn_id) for message in page] == [(3, "turn_2"), (4, "turn_2"), (5, "turn_3")]
    assert page[0].at == clock.now
    assert page[0].at.utcoffset() == timedelta(0)


async def test_a_long_session_comes_back_whole(store: Store) -> None:
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    await store.sessions.append_step("turn_1", [answer(str(number)) for number in range(300)])
    history = await store.sessions.begin_turn(turn("turn_2", "and?"), None)
    assert [message.text for message in history.messages if message.role == "assistant"] == [str(number) for number in range(300)]
    assert len(await store.sessions.messages("anna", "api:one")) == 302


@pytest.mark.parametrize("key", ODD_KEYS, ids=range(len(ODD_KEYS)))
async def test_any_id_is_a_session_of_its_own(store: Store, key: str) -> None:
    for number, each in enumerate(ODD_KEYS):
        await store.sessions.begin_turn(turn(f"turn_{number}", each, session=each, owner=each), None)
    session = await store.sessions.get(key, key)
    assert session is not None
    assert (session.owner, session.key, session.messages) == (key, key, 1)
    assert len(await store.sessions.list(None)) == len(ODD_KEYS)
    assert await store.sessions.delete(key, key)
    assert len(await store.sessions.list(None)) == len(ODD_KEYS) - 1


@pytest.mark.parametrize(
    "text", ["\0", "a\0b\\0c\\u0000", EMOJI, "\r\n\u2028\u202e\ufeff", ""], ids=["nul", "nul-like", "1MB", "odd", "none"]
)
async def test_text_comes_back_as_it_was(open_again: Opener, text: str) -> None:
    store = await open_again()
    await store.sessions.begin_turn(turn("turn_1", text), None)
    await store.sessions.end_turn("turn_1", "finished", [answer(text), result(text, text)])
    await store.close()
    reopened = await open_again()
    said, answered, found = (stored.message for stored in await reopened.sessions.messages("anna", "api:one"))
    assert said.role == "user"
    assert said.parts == (Text(text=text),)
    assert answered.role == "assistant"
    assert found.role == "tool"
    assert (answered.text, found.text, found.call_id) == (text, text, text)


async def test_an_id_too_long_for_an_index_is_refused_in_words(store: Store) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await store.sessions.begin_turn(turn("turn_1", "hello", session="x" * 5000), None)
    assert refused.value.param == "session_id"
    assert await store.sessions.get("anna", "x" * 5000) is None


async def test_a_stranger_sees_nothing_of_a_session(store: Store) -> None:
    await store.sessions.begin_turn(turn("turn_1", "mine"), None)
    await store.sessions.begin_turn(turn("turn_2", "other", owner="bert"), None)
    assert [session.owner for session in await store.sessions.list("bert")] == ["bert"]
    assert await store.sessions.get("carl", "api:one") is None
    assert await store.sessions.messages("carl", "api:one") == []
    assert not await store.sessions.delete("carl", "api:one")
    assert len(await store.sessions.messages("anna", "api:one")) == 1


async def test_sessions_are_listed_latest_first_page_by_page(store: Store, clock: TurnedClock) -> None:
    for number in range(5):
        await store.sessions.begin_turn(turn(f"turn_{number}", "x", session=f"s{number}"), None)
        if number % 2:
            clock.turn(timedelta(seconds=1))
    await store.sessions.begin_turn(turn("turn_b", "x", session="other", owner="bert"), None)
    pages: list[list[str]] = []
    before = None
    while page := [session.key for session in await store.sessions.list("anna", limit=2, before=before)]:
        pages.append(page)
        before = page[-1]
    assert pages == [["s4", "s3"], ["s2", "s1"], ["s0"]]
    assert [session.key for session in await store.sessions.list(None, limit=2, before="s3")] == ["s2", "s1"]


async def test_nothing_is_written_to_a_session_deleted_meanwhile(store: Store) -> None:
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    assert await store.sessions.delete("anna", "api:one")
    assert await store.sessions.append_step("turn_1", [answer("late")]) == 0
    assert await store.sessions.end_turn("turn_1", "finished", [answer("late")]) == 0
    assert await store.sessions.get("anna", "api:one") is None


async def test_a_turn_ends_once(store: Store) -> None:
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    assert await store.sessions.end_turn("turn_1", "failed", [], error="provider_error") == 1
    assert await store.sessions.end_turn("turn_1", "finished", [answer("twice")]) == 0
    assert await store.sessions.append_step("turn_1", [answer("late")]) == 0
    assert len(await store.sessions.messages("anna", "api:one")) == 1


async def test_the_turns_own_row_says_how_it_ended(store: Store, clock: TurnedClock) -> None:
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    await store.sessions.end_turn("turn_1", "failed", [], error="provider_error")
    rows = await store.database.read(lambda connection: connection.execute("SELECT state, error, ended - started FROM turns"))
    assert rows == [("failed", "provider_error", 0)]


async def test_a_message_of_a_failed_write_is_not_half_there(store: Store) -> None:
    await store.sessions.begin_turn(turn("turn_1", "hello"), None)
    with pytest.raises(Exception, match=r"(?i)unique"):
        await store.sessions.begin_turn(turn("turn_1", "the same turn again", session="api:two"), None)
    assert await store.sessions.get("anna", "api:two") is None


async def test_check_returns_where_the_store_can_be_written(store: Store) -> None:
    await store.sessions.check()
    await store.sessions.check()


async def test_a_new_session_begins_with_the_history_that_is_given_and_one_that_is_there_does_not(store: Store) -> None:
    before = (user("earlier"), answer("yes"))
    first = turn("turn_1", "hello", session="once:turn_1")
    history = await store.sessions.begin_turn(replace(first, history=before), None)
    assert (history.fresh, history.messages, history.seq) == (True, before, 3)
    again = turn("turn_2", "again", session="once:turn_1")
    assert (await store.sessions.begin_turn(replace(again, history=(user("other"),)), None)).messages == (*before, first.message)


async def test_sessions_of_one_request_are_not_listed_and_go_after_their_time(store: Store, clock: TurnedClock) -> None:
    for number in range(70):
        await store.sessions.begin_turn(turn(f"turn_{number}", "x", session=f"once:turn_{number}"), None)
    for number in range(69):
        await store.sessions.end_turn(f"turn_{number}", "finished", [answer("yes")])
    await store.sessions.begin_turn(turn("turn_k", "x", session="api:one"), None)
    await store.sessions.end_turn("turn_k", "finished", [answer("yes")])
    assert [session.key for session in await store.sessions.list("anna")] == ["api:one"]
    assert [session.key for session in await store.sessions.list(None)] == ["api:one"]
    assert await store.sessions.purge(clock() - timedelta(days=1)) == 0
    assert await store.sessions.purge(clock() + timedelta(days=1)) == 69  # one still runs
    assert await store.sessions.get("anna", "once:turn_0") is None
    assert await store.sessions.get("anna", "api:one") is not None
