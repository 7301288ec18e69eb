"""Schedules on SQLite and PostgreSQL: what is kept of them, and what a person says of their occurrences."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from assistant.contracts.addresses import Address
from assistant.contracts.errors import InvalidRequest
from assistant.contracts.schedules import At, Cron, Every, NewSchedule, Rule, Schedule, ScheduleConflict, ScheduleNotFound, Watched
from assistant.store.occurrences import Begun, Due, Ending, Plan
from assistant.store.store import Store

from .conftest import TurnedClock
from .test_api_keys import digest, key

CHAT = Address(channel="telegram", chat_id="42")


def new(text: str = "stretch\0 \ud800", owner: str = "anna", rule: Rule | None = None, turn: str | None = None) -> NewSchedule:
    return NewSchedule(
        owner=owner, kind="reminder", rule=rule or Cron(cron="0 9 * * *"), zone="Europe/Berlin", text=text, address=CHAT, turn_id=turn
    )


async def add(store: Store, made: NewSchedule, clock: TurnedClock, *, most: int = 100) -> Schedule:
    return await store.schedules.add(made, clock.now + timedelta(hours=1), "2026a", most=most)


RULES: list[Rule] = [
    At(at=datetime(2027, 1, 1, 9)),  # noqa: DTZ001 - a time of day in the schedule's zone
    At(at=datetime(2027, 1, 1, 9, tzinfo=UTC)),
    Every(seconds=60, anchor=datetime(2027, 1, 1, tzinfo=UTC)),
    Cron(cron="0 9 * * 1-5"),
]


@pytest.mark.parametrize("rule", RULES)
async def test_a_schedule_is_kept_whole(store: Store, clock: TurnedClock, rule: Rule) -> None:
    watched = Watched(kind="feed", target="https://example.org/feed", named=True)
    made = replace(
        new("plain", rule=rule),
        kind="watch",
        watched=watched,
        inputs={"n": [1, None]},
        grace=60,
        urgent=True,
        until_done=5,
        provenance="tool",
    )
    added = await add(store, made, clock)
    found = await store.schedules.get("anna", added.id)
    assert (found, found.new, found.state, found.created) == (added, made, "active", clock.now)
    assert found.next_at == clock.now + timedelta(hours=1)


async def test_a_repeated_step_makes_one_schedule(store: Store, clock: TurnedClock) -> None:
    first = await add(store, new(turn="turn_1"), clock)
    assert await add(store, new("other words", turn="turn_1"), clock) == first
    assert (await add(store, replace(new(turn="turn_1"), place=1), clock)).id != first.id
    assert len(await store.schedules.list("anna")) == 2


async def test_an_owner_has_so_many_active_ones(store: Store, clock: TurnedClock) -> None:
    first = await add(store, new(), clock, most=1)
    with pytest.raises(InvalidRequest, match="1 active"):
        await add(store, new(), clock, most=1)
    await store.schedules.update("anna", first.id, "2026a", lambda schedule: replace(schedule, state="cancelled", next_at=None))
    await add(store, new(), clock, most=1)
    await add(store, new(owner="ben"), clock, most=1)


async def test_pages_of_an_owner_and_nothing_of_others(store: Store, clock: TurnedClock) -> None:
    made: list[Schedule] = []
    for number in range(5):
        made.append(await add(store, new(f"{number}", owner="ben" if number == 2 else "anna"), clock))
        clock.turn(timedelta(seconds=1))
    mine = [made[4], made[3], made[1], made[0]]
    assert await store.schedules.list("anna", limit=2) == mine[:2]
    assert await store.schedules.list("anna", before=mine[1].id) == mine[2:]
    assert await store.schedules.list("anna", state="paused") == []
    assert len(await store.schedules.list(None)) == 5
    theirs = made[2].id
    ran = await store.schedules.run("ben", theirs)
    for attempt in (
        store.schedules.get("anna", theirs),
        store.schedules.update("anna", theirs, "", lambda schedule: schedule),
        store.schedules.run("anna", theirs),
        store.schedules.occurrences("anna", theirs),
        store.schedules.occurrence("anna", ran.id),
        store.schedules.done("anna", ran.id),
        store.schedules.snooze("anna", ran.id, clock.now + timedelta(minutes=10)),
        store.schedules.get(None, "sch_none"),
        store.schedules.occurrence(None, "occ_none"),
    ):
        with pytest.raises(ScheduleNotFound):
            await attempt


async def test_run_by_hand_and_cancelled(store: Store, clock: TurnedClock) -> None:
    made = await add(store, new(), clock)
    ran = await store.schedules.run("anna", made.id)
    assert (ran.state, ran.instant, ran.root) == ("waiting", clock.now, None)
    ended = await store.schedules.update("anna", made.id, "2026a", lambda schedule: replace(schedule, state="cancelled", next_at=None))
    assert (ended.state, ended.next_at) == ("cancelled", None)
    (left,) = await store.schedules.occurrences("anna", made.id)
    assert (left.state, left.ended) == ("skipped", clock.now)
    with pytest.raises(ScheduleConflict):
        await store.schedules.run("anna", made.id)
    with pytest.raises(ScheduleConflict):
        await store.schedules.done("anna", ran.id)


async def test_schedules_follow_a_chat_that_got_a_new_id(store: Store, clock: TurnedClock) -> None:
    old, now, other = (Address(channel="telegram", chat_id=each) for each in ("-5", "-100", "-55"))
    of_group = await add(store, replace(new(owner="telegram:-5"), address=old, home=old, session="telegram:-5:7"), clock)
    of_person = await add(store, replace(new(), address=old), clock)
    elsewhere = await add(store, replace(new(), address=other), clock)
    elsewhere_too = await add(store, replace(new(), address=replace(old, channel="discord")), clock)
    for _ in range(2):
        await store.inbox.moved("telegram", "-5", "-100")
    moved = await store.schedules.get("telegram:-100", of_group.id)
    assert (moved.new.address, moved.new.home, moved.new.session) == (now, now, "telegram:-100:7")
    assert (await store.schedules.get("anna", of_person.id)).new == replace(of_person.new, address=now)
    assert await store.schedules.get("anna", elsewhere.id) == elsewhere
    assert await store.schedules.get("anna", elsewhere_too.id) == elsewhere_too
    with pytest.raises(ScheduleNotFound):
        await store.schedules.get("telegram:-5", of_group.id)


async def test_the_latest_reminder_that_was_delivered_is_found_by_its_owner(store: Store, clock: TurnedClock) -> None:
    async def ended(made: NewSchedule, how: Ending) -> str:
        schedule = await add(store, made, clock)
        clock.turn(timedelta(hours=2))

        def plan(due: Due, now: datetime) -> Plan:
            return Plan(begun=Begun(instant=now, ended=how), next_at=None)

        await store.occurrences.claim(plan, 10, "2026a")
        (occurrence,) = await store.schedules.occurrences(None, schedule.id)
        return occurrence.id

    assert await store.schedules.latest("anna") is None
    first, second = await ended(new("first"), "delivered"), await ended(new("second"), "delivered")
    await ended(replace(new("asked"), kind="ask"), "delivered")
    await ended(new("failed"), "failed")
    bens = await ended(new("Ben's", owner="ben"), "delivered")
    for owner, expected in (("anna", second), ("ben", bens)):
        latest = await store.schedules.latest(owner)
        assert latest is not None
        assert latest.id == expected
    await store.schedules.done("anna", second)
    latest = await store.schedules.latest("anna")
    assert latest is not None
    assert latest.id == first


@pytest.mark.parametrize(
    ("ended", "state"), [("", "done"), ("revoked", "paused"), ("expired", "paused"), ("other key", "done"), ("chat", "done")]
)
async def test_what_is_planned_ends_with_the_last_key_of_its_person(store: Store, clock: TurnedClock, ended: str, state: str) -> None:
    await store.keys.add(key(clock, "k1", expires=clock.now + timedelta(minutes=30 if ended == "expired" else 300)), digest("one"))
    held = await store.keys.find(digest("one"))
    assert held is not None
    if ended == "chat":
        await store.links.join("telegram:42", held.person)
    if ended == "other key":
        await store.keys.add(key(clock, "k2"), digest("two"))
        await store.links.join("key:k2", held.person)
    if ended not in ("", "expired"):
        await store.keys.revoke("k1")
    schedule = await add(store, new(owner=held.person), clock)
    clock.turn(timedelta(hours=1))
    await store.occurrences.claim(lambda due, now: Plan(begun=Begun(instant=now, ended="delivered"), next_at=None), 10, "2026a")
    assert (await store.schedules.get(held.person, schedule.id)).state == state
