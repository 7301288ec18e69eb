"""What IdempotencyStore promises, on SQLite and PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from assistant.contracts.util import new_id
from assistant.store.idempotency import IdempotencyClaim, StoredAnswer
from assistant.store.store import Store

from .conftest import Opener, TurnedClock
from .processes import kill, line, other_process

DAY = timedelta(days=1)
ANSWER = StoredAnswer(status=200, headers=((b"content-type", b"application/json"), (b"x-name", b"caf\xe9")), body=b'\x00\xff{"a":1}')


def claim(clock: TurnedClock, key: str = "k", owner: str = "anna", fingerprint: str = "f1") -> IdempotencyClaim:
    return IdempotencyClaim(id=new_id("clm"), owner=owner, key=key, fingerprint=fingerprint, expires_at=clock.now + DAY)


async def test_the_answer_is_kept_byte_by_byte_for_whoever_asks_again(store: Store, open_again: Opener, clock: TurnedClock) -> None:
    first = claim(clock)
    assert await store.idempotency.claim(first) == "taken"
    await store.idempotency.finish(first, ANSWER)
    assert await store.idempotency.claim(claim(clock)) == ANSWER
    assert await (await open_again()).idempotency.claim(claim(clock)) == ANSWER


async def test_one_of_many_at_once_is_the_first(store: Store, open_again: Opener, clock: TurnedClock) -> None:
    other = await open_again()
    claims = [(store, claim(clock)) for _ in range(20)] + [(other, claim(clock)) for _ in range(20)]
    found = await asyncio.gather(*[each.idempotency.claim(made) for each, made in claims])
    assert found.count("taken") == 1
    # A store is asked only for keys that its own process does not answer now: there, a claim that runs was left.
    assert set(found) == {"taken", "running", "interrupted"}


async def test_another_request_under_the_key_is_told_apart_and_another_owner_never_meets_it(store: Store, clock: TurnedClock) -> None:
    assert await store.idempotency.claim(claim(clock)) == "taken"
    assert await store.idempotency.claim(claim(clock, fingerprint="f2")) == "other"
    assert await store.idempotency.claim(claim(clock, owner="bob", fingerprint="f2")) == "taken"
    assert await store.idempotency.claim(claim(clock, key="k2", fingerprint="f2")) == "taken"


async def test_a_key_that_nothing_came_of_is_free(store: Store, clock: TurnedClock) -> None:
    first = claim(clock)
    await store.idempotency.claim(first)
    await store.idempotency.release(first)
    assert await store.idempotency.claim(claim(clock, fingerprint="f2")) == "taken"


async def test_an_answer_that_was_too_large_is_said_to_be(store: Store, clock: TurnedClock) -> None:
    first = claim(clock)
    await store.idempotency.claim(first)
    await store.idempotency.finish(first, None)
    assert await store.idempotency.claim(claim(clock)) == "not_kept"
    assert await store.idempotency.claim(claim(clock, fingerprint="f2")) == "other"


async def test_a_later_claim_takes_the_place_of_an_earlier_one_which_then_changes_nothing(store: Store, clock: TurnedClock) -> None:
    first, second = claim(clock), claim(clock)
    await store.idempotency.claim(first)
    assert await store.idempotency.claim(second, latest=True) == "taken"
    await store.idempotency.finish(first, ANSWER)
    await store.idempotency.release(first)
    mine = replace(ANSWER, body=b"second")
    await store.idempotency.finish(second, mine)
    assert await store.idempotency.claim(claim(clock)) == mine


async def test_after_its_time_a_key_is_as_good_as_new(store: Store, clock: TurnedClock) -> None:
    first = claim(clock)
    await store.idempotency.claim(first)
    await store.idempotency.finish(first, ANSWER)
    clock.turn(DAY - timedelta(microseconds=1))
    assert await store.idempotency.claim(claim(clock)) == ANSWER
    assert await store.idempotency.purge(clock.now) == 0
    clock.turn(timedelta(microseconds=1))
    assert await store.idempotency.claim(claim(clock, fingerprint="f2")) == "taken"
    clock.turn(DAY)
    assert await store.idempotency.purge(clock.now) == 1
    assert await store.idempotency.purge(clock.now) == 0


async def test_what_a_living_process_answers_runs_and_what_a_dead_one_left_was_interrupted(
    store: Store, clock: TurnedClock, url: str, tmp_path: Path
) -> None:
    async with other_process("claims_a_key", url, tmp_path) as process:
        assert await line(process) == "taken"
        assert await store.idempotency.claim(claim(clock)) == "running"
        assert await store.idempotency.claim(claim(clock), anew=True) == "running"
        await kill(process)
        found = await store.idempotency.claim(claim(clock))
        async with asyncio.timeout(30):
            while found == "running":  # PostgreSQL notices a dead client when it looks at its socket
                found = await store.idempotency.claim(claim(clock))
    assert found == "interrupted"
    assert await store.idempotency.claim(claim(clock, fingerprint="f2"), anew=True) == "other"
    assert await store.idempotency.claim(claim(clock), anew=True) == "taken"


@pytest.mark.parametrize("owner", ["", "a\0b", "ünï\\cøde", "\ud800"])
async def test_owners_of_any_name_are_told_apart(store: Store, clock: TurnedClock, owner: str) -> None:
    first = claim(clock, owner=owner)
    assert await store.idempotency.claim(first) == "taken"
    await store.idempotency.finish(first, ANSWER)
    assert await store.idempotency.claim(claim(clock, owner=owner)) == ANSWER
    assert await store.idempotency.claim(claim(clock, owner=owner + "\\0")) == "taken"
