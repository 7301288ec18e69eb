"""What PeopleStore and LinkStore promise, on SQLite and PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from assistant.contracts.addresses import Address, parse_address
from assistant.contracts.errors import RateLimited, SessionBusy
from assistant.contracts.inbox import Sender
from assistant.contracts.people import OWNER_ID, PersonConflict, PersonNotFound, WrongCode
from assistant.contracts.schedules import Every, NewSchedule
from assistant.store.people import FRESH_SECONDS
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .came_in import message, place
from .conftest import Opener
from .processes import kill, line, other_process
from .said import turn
from .test_moves import conversation, history

ANNA, BERT = "telegram:42", "discord:7"


async def test_an_identity_that_was_never_seen_becomes_a_person_of_its_own(store: Store) -> None:
    assert await store.people.of(ANNA, "Anna") == ANNA
    assert await store.people.of(ANNA, "Another name") == ANNA
    person = await store.people.person(ANNA)
    assert person is not None
    assert (person.id, person.name, person.role, person.identities) == (ANNA, "Anna", "user", (ANNA,))
    assert await store.people.person("telegram:-100") is None
    owner = await store.people.person(OWNER_ID)
    assert owner is not None
    assert (owner.role, owner.identities) == ("owner", (OWNER_ID,))


async def test_a_code_joins_two_people_once(store: Store) -> None:
    for identity, name in ((ANNA, "Anna"), (BERT, "")):
        await store.people.of(identity, name)
    made = await store.links.code(ANNA)
    assert await store.links.enter(made.code.lower(), BERT) == ANNA
    assert await store.people.of(BERT) == ANNA
    assert await store.links.enter(made.code, BERT) == ANNA  # the same message, sent again
    await store.people.of("key:1")
    with pytest.raises(WrongCode):
        await store.links.enter(made.code, "key:1")
    assert await store.people.of("key:1") == "key:1"
    assert {person.id for person in await store.people.list()} == {OWNER_ID, ANNA, "key:1"}


async def test_a_code_ends_after_ten_minutes_and_with_the_next_one(store: Store, clock: TurnedClock) -> None:
    await store.people.of(ANNA)
    first, second = await store.links.code(ANNA), await store.links.code(ANNA)
    with pytest.raises(WrongCode):
        await store.links.enter(first.code, BERT)
    clock.turn(timedelta(minutes=10))
    with pytest.raises(WrongCode):
        await store.links.enter(second.code, BERT)


async def test_ten_wrong_codes_in_an_hour_are_the_most(store: Store, clock: TurnedClock) -> None:
    await store.people.of(ANNA)
    for _ in range(10):
        with pytest.raises(WrongCode):
            await store.links.enter("WRONG234", BERT)
    made = await store.links.code(ANNA)
    with pytest.raises(RateLimited):
        await store.links.enter(made.code, BERT)
    assert await store.links.enter((await store.links.code(ANNA)).code, "key:1") == ANNA  # another's tries do not count
    clock.turn(timedelta(hours=1))
    assert await store.links.enter((await store.links.code(ANNA)).code, BERT) == ANNA
    clock.turn(timedelta(hours=2))
    await store.links.settle()
    for table in ("link_codes", "link_tries"):
        assert await store.database.select(f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.mark.parametrize(("identity", "chat"), [("telegram:77", "telegram:77"), ("discord:7", "discord:900")])
async def test_what_is_planned_in_a_chat_goes_with_it_and_nothing_of_the_other_person_comes_there(
    store: Store, clock: TurnedClock, identity: str, chat: str
) -> None:
    there, here = parse_address(chat), parse_address("telegram:42")
    await store.people.of(ANNA)
    await store.people.of(identity)
    await store.links.join(identity, ANNA)
    said = message(chat=there.chat_id, channel=there.channel)
    said = replace(said, sender=Sender(id=identity.partition(":")[2], name="B"))
    await store.inbox.accept(said, place(chat, owner=ANNA), answered=True)
    await conversation(store, ANNA, chat, "one")

    async def plan(address: Address, home: Address | None) -> str:
        new = NewSchedule(owner=ANNA, kind="reminder", rule=Every(seconds=60), zone="UTC", text="?", address=address, home=home)
        return (await store.schedules.add(new, clock.now, "2026a", most=9)).id

    made_there, made_here, sent_there = await plan(there, there), await plan(here, here), await plan(there, None)
    assert await store.inbox.wrote(there, owner=ANNA)
    separate = (await store.links.unlink(identity)).id
    assert [(each.id, each.new.owner, each.state) for each in await store.schedules.list(separate)] == [(made_there, separate, "active")]
    assert {each.id: each.state for each in await store.schedules.list(ANNA)} == {made_here: "active", sent_there: "paused"}
    clock.turn(timedelta(seconds=1))
    await conversation(store, separate, chat, "two")
    assert await store.inbox.wrote(there, owner=separate)
    assert not await store.inbox.wrote(there, owner=ANNA)


async def test_everything_follows_and_sessions_of_one_key_stay_two(store: Store) -> None:
    for owner in (ANNA, BERT, "key:1"):
        await store.people.of(owner)
        await conversation(store, owner, "api:default", f"of {owner}")
    await conversation(store, BERT, "discord:77", "one", "two")
    await store.links.join(BERT, ANNA)
    assert await history(store, ANNA, "discord:77") == ["user", "assistant"] * 2
    assert {session.key for session in await store.sessions.list(ANNA)} == {"api:default", "api:default~2", "discord:77"}
    assert await store.sessions.list(BERT) == []
    assert [session.key for session in await store.sessions.list("key:1")] == ["api:default"]


async def test_what_was_written_late_follows(store: Store) -> None:
    for identity in (ANNA, BERT):
        await store.people.of(identity)
    separated = await _apart(store)
    await store.links.join(separated, ANNA)
    await conversation(store, BERT, "discord:77", "late")
    await store.links.settle()
    assert await history(store, ANNA, "discord:77") == ["user", "assistant"]


async def _apart(store: Store) -> str:
    """Bert, joined to the owner and separated: a person with an id of its own."""
    await store.links.join(BERT, OWNER_ID)
    person = await store.links.unlink(BERT)
    assert person.id.startswith("per_")
    return BERT


async def test_a_separated_identity_begins_anew(store: Store) -> None:
    await store.people.of(ANNA)
    await store.people.of(BERT)
    await conversation(store, BERT, "discord:77", "before")
    await store.links.join(BERT, ANNA)
    person = await store.links.unlink(BERT)
    assert person.id.startswith("per_")
    assert await store.people.of(BERT) == person.id
    assert await store.sessions.list(person.id) == []
    assert await history(store, ANNA, "discord:77") == ["user", "assistant"]
    with pytest.raises(PersonConflict):
        await store.links.unlink(BERT)
    with pytest.raises(PersonNotFound):
        await store.links.unlink("telegram:1")


async def test_the_owner_is_joined_to_nobody(store: Store) -> None:
    await store.people.of(ANNA)
    await store.links.follow(["telegram:1"], ["telegram"])
    made = await store.links.code(ANNA)
    for identity in (OWNER_ID, "telegram:1"):
        with pytest.raises(PersonConflict):
            await store.links.enter(made.code, identity)
        with pytest.raises(PersonConflict):
            await store.links.unlink(identity)
    assert await store.links.enter((await store.links.code(OWNER_ID)).code, ANNA) == OWNER_ID


async def test_the_configuration_names_the_owners_chats(store: Store) -> None:
    await conversation(store, ANNA, ANNA, "before it was named")
    await store.people.of(ANNA)
    for _ in range(2):
        await store.links.follow([ANNA, BERT], ["telegram", "discord"])
    assert await store.people.of(ANNA) == await store.people.of(BERT) == OWNER_ID
    assert await history(store, OWNER_ID, ANNA) == ["user", "assistant"]
    await store.links.follow([], ["telegram"])
    assert (await store.people.of(ANNA)).startswith("per_")
    assert await store.people.of(BERT) == OWNER_ID  # of a channel that this server does not have


async def test_nothing_moves_while_a_turn_runs(store: Store) -> None:
    await store.people.of(ANNA)
    await store.people.of(BERT)
    await store.sessions.begin_turn(turn("turn_1", "hello", owner=BERT), None)
    made = await store.links.code(ANNA)
    with pytest.raises(SessionBusy):
        await store.links.enter(made.code, BERT)
    await store.sessions.end_turn("turn_1", "cancelled", [])
    assert await store.links.enter(made.code, BERT) == ANNA


async def test_a_link_is_seen_by_another_process_soon(store: Store, open_again: Opener) -> None:
    other = await open_again()
    await store.people.of(ANNA)
    assert await other.people.of(BERT) == BERT
    await store.links.enter((await other.links.code(ANNA)).code, BERT)
    assert FRESH_SECONDS <= 0.5
    async with asyncio.timeout(30):
        while await other.people.of(BERT) != ANNA:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("many", [1, 4])
async def test_a_killed_process_leaves_a_person_joined_or_not_at_all(open_again: Opener, url: str, tmp_path: Path, many: int) -> None:
    store = await open_again()
    async with other_process("link", url, tmp_path) as process:
        while await line(process) != f"begins {many}":
            pass
        await kill(process)  # while it joins the next
    for number in range(many + 1):
        person = f"person:{number}"
        joined = await store.people.of(person) == "anna"
        assert joined or number == many
        sessions = {session.key for session in await store.sessions.list("anna", limit=1000) if session.key.startswith(f"api:{number}-")}
        assert len(sessions) == (20 if joined else 0)
        assert len(await store.sessions.list(person)) == (0 if joined else 20)
