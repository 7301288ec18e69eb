"""What the ledger promises, on SQLite and PostgreSQL, in one process and in two."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from assistant.contracts.causes import Cause
from assistant.contracts.ledger import BudgetWindow, GroupBy, Reservation, Shortage, UsageGroup
from assistant.contracts.messages import Text, Usage, UserMessage
from assistant.contracts.metrics import Metrics
from assistant.contracts.people import UnknownPeople
from assistant.contracts.sessions import NewTurn
from assistant.ledger.budgets import BudgetRules
from assistant.ledger.meter import Meter
from assistant.ledger.prices import Prices
from assistant.store.store import Store

from .charged import START, a_call, a_window
from .conftest import Opener, TurnedClock
from .processes import all_lines, kill, line, other_process

FAR = datetime(2200, 1, 1, tzinfo=UTC)


async def used(store: Store, by: GroupBy = "person", owner: str | None = None) -> Sequence[UsageGroup]:
    return await store.ledger.usage(by, owner=owner, since=START, until=FAR, zone=UTC)


async def total(store: Store) -> int:
    return sum(group.tokens for group in await used(store))


async def counted(store: Store, window: BudgetWindow) -> int:
    """What a window counts: how much of a call it would refuse."""
    shortage = await store.ledger.reserve(a_call(10**9, 0), [window])
    assert isinstance(shortage, Shortage)
    return shortage.used


async def reserved(
    store: Store, windows: Sequence[BudgetWindow], prompt: int = 8, completion: int = 2, cost: int | None = None
) -> Reservation:
    held = await store.ledger.reserve(a_call(prompt, completion, cost=cost), windows)
    assert isinstance(held, Reservation)
    return held


async def test_a_row_that_is_kept_is_there_when_the_next_write_is(open_again: Opener) -> None:
    store, other = await open_again(), await open_again()
    store.ledger.keep(a_call(), None)
    message = UserMessage(id="msg_1", parts=(Text(text="hello"),))
    await store.sessions.begin_turn(NewTurn(id="turn_1", owner="anna", session="api:one", message=message), None)
    assert await total(other) == 10


async def test_a_row_that_is_kept_is_written_without_another_write_and_by_the_close(open_again: Opener) -> None:
    store, other = await open_again(), await open_again()
    store.ledger.keep(a_call(), None)
    async with asyncio.timeout(30):
        while await total(other) != 10:  # noqa: ASYNC110 - another process would look, too
            await asyncio.sleep(0.01)
    store.ledger.keep(a_call(), None)
    await store.close()
    assert await total(other) == 20


async def test_a_row_is_written_once(store: Store) -> None:
    call = a_call()
    await store.ledger.keep_now(call, None)
    await store.ledger.keep_now(call, None)
    assert await total(store) == 10


async def test_a_budget_holds_what_runs_and_settles_to_what_was_used(store: Store) -> None:
    window = a_window(100)
    held = [await reserved(store, [window], 30, 20), await reserved(store, [window], 30, 20)]
    short = await store.ledger.reserve(a_call(1, 0), [window])
    assert short == Shortage(window=window, used=100, wanted=1)
    assert await total(store) == 0  # what runs is not known yet
    await store.ledger.keep_now(a_call(5, 6, id=held[0].id), held[0])
    assert await counted(store, window) == 61
    await store.ledger.keep_now(a_call(0, 90, id=held[1].id), held[1])
    assert await counted(store, window) == 101
    assert await total(store) == 101


async def test_a_reservation_is_settled_once_and_one_that_took_nothing_is_given_back(store: Store) -> None:
    window = a_window(100)
    held = await reserved(store, [window], 30, 20)
    call = a_call(1, 1, id=held.id)
    await store.ledger.keep_now(call, held)
    await store.ledger.keep_now(call, held)
    assert await counted(store, window) == 2
    given_back = await reserved(store, [window], 30, 20)
    store.ledger.keep(None, given_back)
    store.ledger.keep(None, given_back)
    assert await counted(store, window) == 2
    assert [group.calls for group in await used(store)] == [1]


async def test_a_call_that_is_cancelled_while_it_reserves_gives_it_back(store: Store) -> None:
    people, window = UnknownPeople(), a_window(10)
    meter = Meter(store.ledger, BudgetRules([], store.ledger, people), Prices({}), people, Metrics())
    reserving = asyncio.create_task(meter.reserve(a_call(), [window]))
    await asyncio.sleep(0)
    reserving.cancel()
    assert await asyncio.gather(reserving, return_exceptions=True) != [None]
    async with asyncio.timeout(30):
        while await counted(store, window):
            pass
    assert (await store.database.select("SELECT count(*) FROM ledger"))[0] == (0,)


async def test_a_window_that_is_refused_leaves_the_others_as_they_were(store: Store) -> None:
    wide, narrow = a_window(1_000), a_window(5, subject="agent:main")
    assert isinstance(await store.ledger.reserve(a_call(), [wide, narrow]), Shortage)
    assert await counted(store, wide) == 0


@pytest.mark.parametrize("subject", ["all", "person:anna", "key:k1", "agent:main", "cause:message"])
async def test_a_new_budget_counts_what_was_used_before_it_in_its_window(store: Store, subject: str, clock: TurnedClock) -> None:
    clock.turn(timedelta(days=-30))
    await store.ledger.keep_now(a_call(7, 0), None)  # last month's
    clock.turn(timedelta(days=30))
    await store.ledger.keep_now(a_call(cost=3), None)
    other = a_call(owner="ben")
    payer = replace(other.payer, caller="key:k2", agent="other", cause=Cause(kind="job", id="j"))
    await store.ledger.keep_now(replace(other, payer=payer), None)
    assert await counted(store, a_window(100, subject=subject)) == (20 if subject == "all" else 10)
    short = await store.ledger.reserve(a_call(cost=10**12), [a_window(5, subject=subject, unit="usd")])
    assert isinstance(short, Shortage)
    assert short.used == 3


async def test_money_is_reserved_and_settled_as_tokens_are(store: Store) -> None:
    window = a_window(1_000, unit="usd")
    held = await reserved(store, [window], cost=600)
    assert isinstance(await store.ledger.reserve(a_call(cost=401), [window]), Shortage)
    await store.ledger.keep_now(a_call(id=held.id, cost=100), held)
    assert isinstance(await store.ledger.reserve(a_call(cost=900), [window]), Reservation)


async def test_four_fifths_are_noticed_until_someone_was_told(store: Store) -> None:
    window = a_window(100)
    assert (await reserved(store, [window], 79, 0)).near == ()
    assert (await reserved(store, [window], 1, 0)).near == (window,)
    assert (await reserved(store, [window], 1, 0)).near == (window,)
    await store.ledger.noticed(window)
    assert (await reserved(store, [window], 1, 0)).near == ()
    next_month = replace(window, start=START + timedelta(days=40))
    assert (await reserved(store, [next_month], 80, 0)).near == (next_month,)


async def test_of_many_at_once_in_two_stores_as_many_as_fit_are_admitted(open_again: Opener) -> None:
    stores = await open_again(), await open_again()
    window = a_window(300)
    held = await asyncio.gather(*[stores[number % 2].ledger.reserve(a_call(), [window]) for number in range(50)])
    admitted = [each for each in held if isinstance(each, Reservation)]
    assert len(admitted) == 30
    await asyncio.gather(*[stores[0].ledger.keep_now(a_call(id=each.id), each) for each in admitted])
    assert await total(stores[1]) == await counted(stores[1], window) == 300


async def test_of_many_at_once_in_two_processes_as_many_as_fit_are_admitted(open_again: Opener, url: str, tmp_path: Path) -> None:
    await (await open_again()).close()
    async with other_process("reserve", url, tmp_path, "600") as first, other_process("reserve", url, tmp_path, "600") as second:
        assert [await line(first), await line(second)] == ["ready", "ready"]
        first.tell("go")
        second.tell("go")
        told = [await all_lines(first), await all_lines(second)]
    assert sum(int(lines[0]) for lines in told) == 60


async def test_the_reservation_of_a_killed_process_counts_as_estimated(open_again: Opener, url: str, tmp_path: Path) -> None:
    store = await open_again()
    async with other_process("reserve_and_hold", url, tmp_path) as process:
        assert await line(process) == "reserved"
        assert await store.ledger.recover() == 0
        await kill(process)
    async with asyncio.timeout(30):
        while not (settled := await store.ledger.recover()):  # noqa: ASYNC110 - PostgreSQL notices a dead client when it looks at its socket
            await asyncio.sleep(0.01)
    assert settled == 1
    assert await store.ledger.recover() == 0
    assert await total(store) == await counted(store, a_window(100)) == 10
    assert await store.ledger.purge(FAR) == 1


async def test_what_was_used_is_summed_by_any_group(store: Store, clock: TurnedClock) -> None:
    await store.ledger.keep_now(a_call(100, 10, cached=50, cost=7), None)
    await store.ledger.keep_now(a_call(100, 10, owner="ben", cause=Cause(kind="schedule", id="s1")), None)
    clock.turn(timedelta(hours=20))
    await store.ledger.keep_now(a_call(1, 1), None)
    (anna, ben) = await used(store)
    usage = Usage(prompt_tokens=101, completion_tokens=11, cached_tokens=50)
    assert anna == UsageGroup(name="anna", calls=2, usage=usage, cost=7, unpriced=1)
    assert (ben.name, ben.tokens, ben.cached_share) == ("ben", 110, 0.0)
    assert await used(store, owner="anna") == [anna]
    names = {by: [group.name for group in await used(store, by)] for by in ("session", "model", "cause", "key", "agent")}
    assert names["session"] == ["api:anna", "api:ben"]
    assert names["model"] == ["custom/fake-model"]
    assert names["cause"] == ["message", "schedule"]
    assert (names["key"], names["agent"]) == (["key:k1"], ["main"])


@pytest.mark.parametrize(
    ("zone", "days"),
    [("UTC", ["2026-01-02"]), ("Asia/Kathmandu", ["2026-01-02", "2026-01-03"]), ("America/New_York", ["2026-01-01", "2026-01-02"])],
)
async def test_a_day_is_the_persons_own(store: Store, clock: TurnedClock, zone: str, days: list[str]) -> None:
    for turn in (0, 12):  # 03:04 and 18:15 UTC and more
        clock.turn(timedelta(hours=turn, minutes=16 * turn))
        await store.ledger.keep_now(a_call(), None)
    found = await store.ledger.usage("day", owner=None, since=START, until=FAR, zone=ZoneInfo(zone))
    assert [group.name for group in found] == days


async def test_a_budget_that_is_set_replaces_that_of_its_period_and_unit(store: Store) -> None:
    first, other = a_window(100).budget, a_window(7, unit="usd").budget
    for budget in (first, other, replace(first, amount=50)):
        await store.ledger.set_budget(budget)
    assert await store.ledger.budgets() == [replace(first, amount=50), other]
    assert await store.ledger.remove_budgets("person:anna") == 2
    assert await store.ledger.budgets() == []
