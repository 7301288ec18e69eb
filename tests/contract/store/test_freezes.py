"""What waited when a backup was made is counted, and ended where its owner says so; what came since stays."""

from datetime import timedelta

from assistant.contracts.addresses import Address
from assistant.contracts.causes import Cause
from assistant.contracts.continuations import Continuation
from assistant.contracts.schedules import At, Cron, NewSchedule
from assistant.contracts.workflows import NewJob
from assistant.schedule.book import StoredSchedules
from assistant.store.codec import to_micros
from assistant.store.freezes import ADD_FREEZE, Freeze
from assistant.store.store import Store
from tests.clocks import TurnedClock

from .came_in import message, place
from .sent import claimed, event

TO = Address(channel="telegram", chat_id="42")


async def freeze(store: Store, clock: TurnedClock) -> Freeze:
    now = to_micros(clock())
    await store.database.execute(ADD_FREEZE, {"id": "restore_1", "made": now, "at": now})
    found = await store.freezes.get()
    assert found is not None
    return found


async def let_wait(store: Store, book: StoredSchedules, clock: TurnedClock, name: str) -> None:
    """One of each kind."""
    await store.outbox.enqueue([event(name, chat=name)])
    await store.inbox.accept(message(name, chat=name), place(f"telegram:{name}"))
    go_on = Continuation(
        id=f"con_{name}", owner="anna", session=name, agent="main", cause=Cause(kind="task"), text="on", provenance="system"
    )
    await store.continuations.add(go_on)
    await store.jobs.add(NewJob(id=f"job_{name}", owner="anna", workflow="w", sources={}, inputs={}))
    for kind, rule in (("each", Cron(cron="0 9 * * *")), ("once", At(at=clock() + timedelta(hours=1)))):
        await book.add(NewSchedule(owner="anna", kind="reminder", rule=rule, zone="UTC", text=f"{name} {kind}", address=TO))


async def test_what_waited_is_ended_and_what_came_since_stays(store: Store, clock: TurnedClock) -> None:
    book = StoredSchedules(store.schedules, clock=clock)
    await let_wait(store, book, clock, "old")
    await claimed(store, "telegram:old")
    found = await freeze(store, clock)
    assert (await store.freezes.waiting(found)) == {"deliveries": 1, "messages to answer": 1, "turns to run": 1, "jobs": 1}
    clock.turn(timedelta(days=2))
    await let_wait(store, book, clock, "new")
    assert (await store.freezes.waiting(found))["schedules that became due"] == 2
    assert await book.skip_due() == 2
    await store.freezes.cancel_waiting(found)
    assert await store.freezes.waiting(found) == {}
    assert {each.event.text: each.state for each in await store.outbox.list(None)} == {"old": "cancelled", "new": "queued"}
    assert await store.inbox.waiting() == [("telegram:7", "telegram:new")]
    assert await store.continuations.waiting() == [("anna", "new")]
    assert {job.id: job.state for job in await store.jobs.list(None)} == {"job_old": "cancelled", "job_new": "queued"}
    assert {each.new.text: each.state for each in await book.list(None)} == {
        "old each": "active",
        "old once": "cancelled",
        "new each": "active",
        "new once": "active",
    }
    assert all(each.next_at is None or each.next_at > clock() for each in await book.list(None))


async def test_a_store_thaws_once(store: Store, clock: TurnedClock) -> None:
    await freeze(store, clock)
    assert [await store.freezes.thaw(), await store.freezes.thaw()] == [True, False]
    assert await store.freezes.get() is None
