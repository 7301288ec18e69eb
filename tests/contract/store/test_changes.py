"""What a look at the store sees of a change, on SQLite and PostgreSQL."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from assistant.contracts.channels import ChannelStatus
from assistant.store.changes import TOPICS, Glance, Topic
from assistant.store.store import Store

from . import test_approval_store, test_job_store, test_memory_store, test_schedule_store, test_task_store
from .charged import a_call
from .conftest import Opener, TurnedClock
from .said import answer, turn
from .sent import claimed, event, failed

Deed = Callable[[Store, TurnedClock], Awaitable[object]]


async def sends(store: Store, clock: TurnedClock) -> None:
    await store.outbox.enqueue([event()])


async def fails(store: Store, clock: TurnedClock) -> None:
    await store.outbox.note(await claimed(store), settle=failed())


async def asks(store: Store, clock: TurnedClock) -> None:
    await store.approvals.add(test_approval_store.approval("anna", clock), None)


async def tasks(store: Store, clock: TurnedClock) -> None:
    await store.tasks.add(test_task_store.a_task())


async def plans(store: Store, clock: TurnedClock) -> None:
    await test_schedule_store.add(store, test_schedule_store.new(), clock)


async def remembers(store: Store, clock: TurnedClock) -> None:
    await test_memory_store.add(store, "Anna likes tea.")


async def forgets(store: Store, clock: TurnedClock) -> None:
    await store.forgetting.forget("anna", [each.id for each in await store.memories.list("anna")])


async def runs_a_job(store: Store, clock: TurnedClock) -> None:
    await store.jobs.add(test_job_store.new("1"))


async def starts_a_node(store: Store, clock: TurnedClock) -> None:
    await store.jobs.begin("job_1")
    await store.jobs.start_node("job_1", "a", "turn_a")


async def spends(store: Store, clock: TurnedClock) -> None:
    await store.ledger.reserve(a_call(), [])


async def connects(store: Store, clock: TurnedClock) -> None:
    await store.channel_states.note(ChannelStatus(name="telegram", state="connected", detail="", since=clock.now))


async def is_met(store: Store, clock: TurnedClock) -> None:
    await store.people.of("telegram:42", "Bert")


async def is_renamed(store: Store, clock: TurnedClock) -> None:
    await store.people.of("anna", "")
    await store.people.change("anna", name="Anna")


async def says(store: Store, clock: TurnedClock) -> None:
    await store.sessions.begin_turn(turn("turn_1", "hi"), None)


async def answers(store: Store, clock: TurnedClock) -> None:
    await store.sessions.end_turn("turn_1", "finished", [answer("and you")])


async def deletes(store: Store, clock: TurnedClock) -> None:
    await store.sessions.delete("anna", "api:one")


DEEDS: list[tuple[Deed, set[Topic], set[Topic]]] = [
    (sends, {"deliveries"}, {"deliveries"}),
    (fails, {"deliveries"}, {"deliveries"}),
    (asks, {"approvals"}, {"approvals"}),
    (tasks, {"tasks"}, {"tasks"}),
    (plans, {"schedules"}, {"schedules"}),
    (remembers, {"memories"}, {"memories"}),
    (forgets, {"memories"}, {"memories"}),
    (runs_a_job, {"jobs"}, {"jobs"}),
    (starts_a_node, {"jobs"}, {"jobs"}),
    (spends, {"usage"}, {"usage"}),
    (connects, set(), {"channels"}),
    (is_met, set(), {"people"}),
    (is_renamed, {"people"}, {"people"}),
    (says, {"sessions"}, {"sessions"}),
    (answers, {"sessions"}, {"sessions"}),
    (deletes, {"sessions"}, {"sessions"}),
]


async def both(store: Store, person: str = "anna") -> tuple[Glance, Glance]:
    return await store.changes.look(person, admin=False), await store.changes.look(person, admin=True)


def differing(before: Glance, now: Glance) -> set[Topic]:
    return {topic for topic, mark in now.marks.items() if before.marks[topic] != mark}


async def test_each_change_is_seen_in_its_part_and_by_its_person_alone(store: Store, clock: TurnedClock) -> None:
    own, admins = await both(store)
    other = await store.changes.look("bert", admin=False)
    assert set(admins.marks) == set(TOPICS)
    assert set(own.marks) == set(TOPICS) - {"channels"}
    for deed, seen_by_own, seen_by_admin in DEEDS:
        clock.turn(timedelta(seconds=1))
        await deed(store, clock)
        now, admins_now = await both(store)
        assert (differing(own, now), differing(admins, admins_now)) == (seen_by_own, seen_by_admin), deed
        own, admins = now, admins_now
    assert await store.changes.look("bert", admin=False) == other
    assert await both(store) == (own, admins)


async def test_which_sessions_changed_is_seen_by_another_process(open_again: Opener, clock: TurnedClock) -> None:
    here, there = await open_again(), await open_again()
    for name in ("one", "two"):
        await there.sessions.begin_turn(turn(f"turn_{name}", "hi", session=f"api:{name}"), None)
    before = await here.changes.look("anna", admin=False)
    assert set(before.sessions) == {"api:one", "api:two"}
    await there.sessions.end_turn("turn_two", "finished", [answer("done")])
    now = await here.changes.look("anna", admin=False)
    assert {name for name, mark in now.sessions.items() if before.sessions[name] != mark} == {"api:two"}
