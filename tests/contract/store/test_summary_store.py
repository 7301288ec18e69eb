"""Cuts of sessions: what the model sees afterwards, who may make them, and what a person has forgotten leaves every summary."""

from dataclasses import replace
from functools import partial

import pytest

from assistant.contracts.sessions import CachedUpTo, SessionCut
from assistant.store.store import Store
from assistant.store.summaries import redact, without_mentions
from tests.clocks import TurnedClock

from .conftest import Opener
from .said import answer, turn
from .sent import claimed, event


@pytest.fixture
def made(clock: TurnedClock) -> SessionCut:
    return SessionCut(seq=3, text="Anna keeps bees.", results_from=3, tokens=4, made_by="m", at=clock())


async def three_turns(store: Store, owner: str = "anna") -> CachedUpTo:
    row = 0
    for number in range(3):
        new = turn(f"turn_{owner}{number}", f"words {number}", owner=owner)
        row = (await store.sessions.begin_turn(new, None)).row
        await store.sessions.end_turn(new.id, "finished", [answer("yes")])
    return CachedUpTo(row=row, seq=6)


async def test_a_cut_hides_what_is_before_it_and_shows_its_summary(store: Store, made: SessionCut) -> None:
    known = await three_turns(store)
    assert await store.summaries.cut("anna", known, made, outbound=[event("told")])
    history = await store.sessions.begin_turn(turn("turn_9", "now"), known)
    assert (history.fresh, history.context_from, history.cut, len(history.messages)) == (True, 3, made, 4)
    await store.sessions.end_turn("turn_9", "finished", [answer("yes")])
    again = await store.sessions.begin_turn(turn("turn_10", "and now"), CachedUpTo(row=known.row, seq=8, revision=history.revision))
    assert (again.fresh, again.messages, again.cut) == (False, (), None)
    assert len(await store.sessions.messages("anna", "api:one")) == 9
    assert (await claimed(store)).event.text == "told"


async def test_of_two_cuts_at_once_one_is_made_and_told(store: Store, made: SessionCut) -> None:
    known = await three_turns(store)
    assert await store.summaries.cut("anna", known, made)
    assert not await store.summaries.cut("anna", known, replace(made, seq=5), outbound=[event("told")])
    assert await store.summaries.list("anna", "api:one") == [made]
    assert await store.outbox.counts() == {}


@pytest.mark.parametrize("meanwhile", ["started over", "deleted", "another owner"])
async def test_a_session_that_changed_is_not_cut(store: Store, made: SessionCut, meanwhile: str) -> None:
    known = await three_turns(store)
    if meanwhile == "started over":
        await store.sessions.start_over("anna", "api:one")
    elif meanwhile == "deleted":
        await store.sessions.delete("anna", "api:one")
    owner = "boris" if meanwhile == "another owner" else "anna"
    assert not await store.summaries.cut(owner, known, made)
    assert await store.summaries.list("anna", "api:one") == []


async def test_a_new_beginning_hides_the_summary_too(store: Store, made: SessionCut) -> None:
    known = await three_turns(store)
    await store.summaries.cut("anna", known, made)
    await store.sessions.start_over("anna", "api:one")
    history = await store.sessions.begin_turn(turn("turn_9", "now"), known)
    assert (history.fresh, history.cut, history.messages) == (True, None, ())


async def test_a_turn_resumed_over_a_cut_sees_its_message_and_the_summary(open_again: Opener, made: SessionCut) -> None:
    first = await open_again()
    known = await three_turns(first)
    new = turn("turn_9", "resume me")
    await first.sessions.begin_turn(new, None)
    assert await first.summaries.cut("anna", known, made)
    history = await (await open_again()).sessions.resume_turn("turn_9", CachedUpTo(row=known.row, seq=7))
    assert history is not None
    assert (history.fresh, history.cut, history.messages[-1]) == (True, made, new.message)


async def test_a_second_cut_of_results_alone_keeps_its_place(store: Store, made: SessionCut) -> None:
    known = await three_turns(store)
    await store.summaries.cut("anna", known, made)
    later = replace(made, results_from=5)
    assert await store.summaries.cut("anna", replace(known, revision=1), later)
    assert await store.summaries.list("anna", "api:one") == [later]
    shown = await store.summaries.shown("anna", "api:one")
    assert shown is not None
    assert (shown.cut, shown.revision) == (later, 2)
    assert await store.summaries.shown("boris", "api:one") is None


async def test_what_is_forgotten_leaves_the_owners_summaries_and_no_others(store: Store, made: SessionCut) -> None:
    held = replace(made, text="## Who and what\n- Anna keeps bees. She lives in Bremen, at 12 Harbour Road.\n- Her cat is Mio.")
    for owner in ("anna", "boris"):
        await store.summaries.cut(owner, await three_turns(store, owner), held)
    assert await store.database.write(partial(redact, owner="anna", texts=["lives at 12 Harbour Road in Bremen"])) == 1
    (mine,), (other,) = [await store.summaries.list(owner, "api:one") for owner in ("anna", "boris")]
    assert mine.text == "## Who and what\n- Anna keeps bees.\n- Her cat is Mio."
    assert other.text == held.text
    known = CachedUpTo(row=1, seq=6, revision=1)
    assert (await store.sessions.begin_turn(turn("turn_9", "now"), known)).fresh, "what a process holds of the session is read anew"


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("Her PIN is 4711-22", "- 4711-22"),
        ("Ihr Kater heißt Mio", "- Der Kater heißt Mio und ist grau."),
        ("Мой адрес: Садовая улица 5", "- Адрес — Садовая улица 5."),
        ("私の猫の名前はミオです", "- 猫の名前はミオです。"),
        ("is allergic to peanuts", "- Anna is allergic to peanuts, she said."),
    ],
)
def test_a_line_that_mentions_a_statement_goes_and_its_neighbours_stay(statement: str, line: str) -> None:
    text = f"## Who and what\n- The bike is red.\n{line}\n- Das Fahrrad ist rot."
    assert without_mentions(text, [statement]) == "## Who and what\n- The bike is red.\n- Das Fahrrad ist rot."
