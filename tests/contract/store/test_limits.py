"""What Limiter promises, on SQLite and PostgreSQL, in one process and in two."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from assistant.contracts.access import UNLIMITED, Admission, Limits, LimitWindow, Measure
from assistant.contracts.errors import RateLimited
from assistant.store.store import Store

from .conftest import Opener, TurnedClock
from .processes import all_lines, kill, line, other_process

SECOND = timedelta(seconds=1)


async def admitted(store: Store, limits: Limits, owner: str = "key:a") -> Admission | RateLimited:
    try:
        return await store.limits.admit(owner, limits)
    except RateLimited as refusal:
        return refusal


async def test_requests_are_counted_exactly_in_a_window_that_slides(store: Store, clock: TurnedClock) -> None:
    limits = Limits.of(requests_per_minute=2)
    first = await store.limits.admit("key:a", limits)
    assert first.standing.requests == Measure(limit=2, remaining=1, reset=60)
    assert first.standing.tokens is None
    clock.turn(20 * SECOND)
    await store.limits.admit("key:a", limits)
    clock.turn(40 * SECOND - timedelta(microseconds=1))
    with pytest.raises(RateLimited) as refusal:
        await store.limits.admit("key:a", limits)
    assert refusal.value.retry_after == 0.000001
    clock.turn(timedelta(microseconds=1))
    again = await store.limits.admit("key:a", limits)
    assert again.standing.requests == Measure(limit=2, remaining=0, reset=60)
    with pytest.raises(RateLimited) as refusal:
        await store.limits.admit("key:a", limits)
    assert refusal.value.retry_after == 20


async def test_one_principals_requests_are_not_anothers(store: Store) -> None:
    limits = Limits.of(requests_per_minute=1)
    await store.limits.admit("key:a", limits)
    await store.limits.admit("key:b", limits)
    with pytest.raises(RateLimited):
        await store.limits.admit("key:b", limits)


async def test_a_refused_request_does_not_count(store: Store, clock: TurnedClock) -> None:
    limits = Limits.of(requests_per_minute=1)
    await store.limits.admit("key:a", limits)
    for _ in range(5):
        clock.turn(10 * SECOND)
        with pytest.raises(RateLimited):
            await store.limits.admit("key:a", limits)
    clock.turn(10 * SECOND)
    await store.limits.admit("key:a", limits)


async def test_a_limit_that_was_lowered_says_when_there_is_room_again(store: Store, clock: TurnedClock) -> None:
    for _ in range(5):
        await store.limits.admit("key:a", Limits.of(requests_per_minute=5))
        clock.turn(SECOND)
    with pytest.raises(RateLimited) as refusal:
        await store.limits.admit("key:a", Limits.of(requests_per_minute=2))
    assert refusal.value.retry_after == 58
    clock.turn(58 * SECOND)
    await store.limits.admit("key:a", Limits.of(requests_per_minute=2))


async def test_of_many_at_once_in_two_processes_as_many_as_may_get_in(open_again: Opener) -> None:
    stores = await open_again(), await open_again()
    limits = Limits.of(requests_per_minute=50)
    found = await asyncio.gather(*[admitted(stores[number % 2], limits) for number in range(200)])
    let_in = [each for each in found if not isinstance(each, RateLimited)]
    assert len(let_in) == 50
    assert sorted(each.standing.requests.remaining for each in let_in if each.standing.requests) == list(range(50))


async def test_tokens_are_reserved_and_settled(store: Store, clock: TurnedClock) -> None:
    limits = Limits.of(tokens_per_minute=100)
    first = await store.limits.admit("key:a", limits)
    assert first.standing.tokens == Measure(limit=100, remaining=100, reset=0)
    await first.reserve(80)
    assert first.standing.tokens == Measure(limit=100, remaining=20, reset=60)
    second = await store.limits.admit("key:a", limits)
    with pytest.raises(RateLimited) as refusal:
        await second.reserve(21)
    assert refusal.value.retry_after == 60
    first.used(10)
    await first.end()
    third = await store.limits.admit("key:a", limits)
    await third.reserve(90)
    assert third.standing.tokens == Measure(limit=100, remaining=0, reset=60)


async def test_what_was_reserved_and_not_used_is_given_back(store: Store) -> None:
    limits = Limits.of(tokens_per_minute=100)
    failed = await store.limits.admit("key:a", limits)
    await failed.reserve(100)
    await failed.end()
    await failed.end()
    await (await store.limits.admit("key:a", limits)).reserve(100)


async def test_more_used_than_reserved_counts(store: Store, clock: TurnedClock) -> None:
    limits = Limits.of(tokens_per_minute=100)
    first = await store.limits.admit("key:a", limits)
    await first.reserve(10)
    first.used(150)
    await first.end()
    second = await store.limits.admit("key:a", limits)
    assert second.standing.tokens == Measure(limit=100, remaining=0, reset=60)
    clock.turn(59 * SECOND)
    with pytest.raises(RateLimited):
        await second.reserve(1)
    clock.turn(SECOND)
    await (await store.limits.admit("key:a", limits)).reserve(100)


async def test_tokens_count_for_a_minute_from_when_they_are_reserved_however_late_that_is(store: Store, clock: TurnedClock) -> None:
    """Whoever sends a body slowly would else have its tokens for nothing."""
    limits = Limits.of(tokens_per_minute=100)
    for wait in (59, 61):
        slow = await store.limits.admit("key:a", limits)
        clock.turn(wait * SECOND)
        await (await store.limits.admit("key:a", limits)).end()  # what counts no more is forgotten
        await slow.reserve(90)
        clock.turn(30 * SECOND)
        with pytest.raises(RateLimited) as refusal:
            await (await store.limits.admit("key:a", limits)).reserve(11)
        assert refusal.value.retry_after == 30
        slow.used(80)
        await slow.end()
        await (await store.limits.admit("key:a", limits)).reserve(20)
        clock.turn(60 * SECOND)


async def test_what_a_long_answer_took_beyond_its_estimate_counts_from_its_end(store: Store, clock: TurnedClock) -> None:
    limits = Limits.of(tokens_per_minute=100, parallel=5)
    long = await store.limits.admit("key:a", limits)
    await long.reserve(10)
    clock.turn(90 * SECOND)
    long.used(100)
    await long.end()
    assert (await store.limits.admit("key:a", limits)).standing.tokens == Measure(limit=100, remaining=10, reset=60)


async def test_an_answer_that_broke_off_takes_what_is_known_of_it_and_no_less_than_was_reserved(store: Store) -> None:
    limits = Limits.of(tokens_per_minute=1_000)
    left = 1_000
    for reserved, known, counted in ((100, 0, 0), (100, 1, 100), (100, 250, 250)):
        broken = await store.limits.admit("key:a", limits)
        await broken.reserve(reserved)
        broken.broke_off(known)
        await broken.end()
        left -= counted
        standing = (await store.limits.admit("key:a", limits)).standing.tokens
        assert standing is not None
        assert standing.remaining == left


async def test_tokens_of_work_that_is_no_request_count_as_tokens_alone(store: Store, clock: TurnedClock) -> None:
    limits = Limits.of(tokens_per_minute=100, requests_per_minute=1)
    work = await store.limits.spend("key:a", limits, 70)
    with pytest.raises(RateLimited) as refusal:
        await store.limits.spend("key:a", limits, 31)
    assert refusal.value.retry_after == 60
    asked = await store.limits.admit("key:a", limits)
    assert asked.standing.requests == Measure(limit=1, remaining=0, reset=60)
    with pytest.raises(RateLimited):
        await asked.reserve(31)
    work.used(20)
    await work.end()
    await (await store.limits.spend("key:a", limits, 80)).end()
    assert await store.limits.spend("key:a", Limits.of(requests_per_minute=1), 10**9) is UNLIMITED


async def test_a_request_larger_than_a_minutes_tokens_takes_a_whole_minute(store: Store) -> None:
    limits = Limits.of(tokens_per_minute=100)
    large = await store.limits.admit("key:a", limits)
    await large.reserve(5_000)
    assert large.standing.tokens == Measure(limit=100, remaining=0, reset=60)


async def test_the_wait_for_tokens_is_that_until_enough_are_free(store: Store, clock: TurnedClock) -> None:
    limits = Limits.of(tokens_per_minute=100)
    for tokens in (30, 30, 30):
        await (await store.limits.admit("key:a", limits)).reserve(tokens)
        clock.turn(10 * SECOND)
    for wanted, wait in ((11, 30), (40, 30), (41, 40), (71, 50), (100, 50)):
        with pytest.raises(RateLimited) as refusal:
            await (await store.limits.admit("key:a", limits)).reserve(wanted)
        assert refusal.value.retry_after == wait, wanted


async def test_a_request_refused_for_its_tokens_does_not_count_as_a_request(store: Store) -> None:
    limits = Limits.of(requests_per_minute=2, tokens_per_minute=100)
    await (await store.limits.admit("key:a", limits)).reserve(100)
    for _ in range(3):
        with pytest.raises(RateLimited):
            await (await store.limits.admit("key:a", limits)).reserve(1)


async def test_tokens_are_exact_at_the_boundary_under_concurrency(open_again: Opener) -> None:
    stores = await open_again(), await open_again()
    limits = Limits.of(tokens_per_minute=1000)

    async def take(number: int) -> bool:
        admission = await stores[number % 2].limits.admit("key:a", limits)
        try:
            await admission.reserve(30)
        except RateLimited:
            return False
        return True

    assert sum(await asyncio.gather(*[take(number) for number in range(100)])) == 33


async def test_no_more_run_at_the_same_time_than_may(open_again: Opener) -> None:
    stores = await open_again(), await open_again()
    limits = Limits(parallel=2)
    found = await asyncio.gather(*[admitted(stores[number % 2], limits) for number in range(20)])
    running = [each for each in found if not isinstance(each, RateLimited)]
    assert len(running) == 2
    await running[0].end()
    again = await stores[0].limits.admit("key:a", limits)
    with pytest.raises(RateLimited) as refusal:
        await stores[1].limits.admit("key:a", limits)
    assert refusal.value.retry_after == 1
    await again.end()
    await running[1].end()


async def test_a_request_that_runs_longer_than_a_minute_keeps_its_place(store: Store, clock: TurnedClock) -> None:
    limits = Limits.of(parallel=1, requests_per_minute=5)
    long = await store.limits.admit("key:a", limits)
    clock.turn(200 * SECOND)
    with pytest.raises(RateLimited):
        await store.limits.admit("key:a", limits)
    await long.end()
    await store.limits.admit("key:a", limits)


async def test_the_places_of_a_killed_process_are_free(store: Store, url: str, tmp_path: Path) -> None:
    limits = Limits(parallel=1)
    async with other_process("hold", url, tmp_path) as process:
        assert await line(process) == "held"
        with pytest.raises(RateLimited):
            await store.limits.admit("key:held", limits)
        await kill(process)
    # A server needs a moment to notice that a client has gone.
    for _ in range(500):
        if not isinstance(await admitted(store, limits, "key:held"), RateLimited):
            return
        await asyncio.sleep(0.02)
    pytest.fail("the place was not freed")


async def test_what_counts_no_more_is_swept(store: Store, clock: TurnedClock) -> None:
    for owner in ("key:a", "key:b"):
        await store.limits.admit(owner, Limits.of(requests_per_minute=5))
    running = await store.limits.admit("key:c", Limits(parallel=1))
    clock.turn(60 * SECOND)
    assert await store.limits.sweep(clock.now) == 2
    await running.end()
    assert await store.limits.sweep(clock.now) == 1


async def test_two_real_processes_share_a_limit_exactly(store: Store, url: str, tmp_path: Path) -> None:
    async with other_process("admit", url, tmp_path, "40") as one, other_process("admit", url, tmp_path, "40") as other:
        assert [await line(one), await line(other)] == ["ready", "ready"]
        one.tell("go")
        other.tell("go")
        said = [*await all_lines(one), *await all_lines(other)]
    assert sum(int(each) for each in said) == 40


async def test_a_longer_window_is_one_more_row(store: Store, clock: TurnedClock) -> None:
    day = LimitWindow(counts="requests", seconds=86_400, limit=3)
    limits = Limits(windows=(LimitWindow(counts="requests", seconds=60, limit=2), day))
    for _ in range(2):
        await store.limits.admit("key:a", limits)
    with pytest.raises(RateLimited, match="2 requests a minute") as minute:
        await store.limits.admit("key:a", limits)
    assert minute.value.retry_after == 60
    clock.turn(3600 * SECOND)
    third = await store.limits.admit("key:a", limits)
    assert third.standing.requests == Measure(limit=3, remaining=0, reset=86_400)
    with pytest.raises(RateLimited, match="3 requests a day") as refused:
        await store.limits.admit("key:a", limits)
    assert refused.value.retry_after == 23 * 3600
