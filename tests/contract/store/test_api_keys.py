"""What KeyStore promises, on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

from assistant.contracts.access import ApiKey, HeldKey, Limits
from assistant.store.store import Store

from .conftest import Opener, TurnedClock
from .test_outbox_store import ODD

HOUR = timedelta(hours=1)


def digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def key(clock: TurnedClock, key_id: str = "k1", **more: object) -> ApiKey:
    made = ApiKey(id=key_id, name="build", prefix="nbk_ab12", scopes=frozenset({"chat"}), models=None, limits=Limits(), created=clock.now)
    return replace(made, **more)  # pyright: ignore[reportArgumentType]


async def test_a_key_is_found_by_the_digest_of_its_secret_and_by_nothing_else(store: Store, clock: TurnedClock) -> None:
    limits = Limits.of(requests_per_minute=3, tokens_per_minute=2**40, parallel=1)
    full = key(clock, name=ODD, scopes=frozenset({"chat", "files"}), models=("gpt-*", ODD), limits=limits, expires=clock.now + HOUR)
    await store.keys.add(full, digest("one"))
    assert await store.keys.find(digest("one")) == HeldKey(key=full, person=f"key:{full.id}", until=clock.now + HOUR)
    assert await store.keys.find(digest("two")) is None
    assert await store.keys.find("") is None
    assert await store.keys.list() == [full]
    assert await store.keys.limits("k1") == limits
    assert await store.keys.limits("k2") is None


async def test_a_key_without_models_is_not_a_key_for_all_models(store: Store, clock: TurnedClock) -> None:
    await store.keys.add(key(clock, models=()), digest("one"))
    found = await store.keys.find(digest("one"))
    assert found is not None
    assert found.key.models == ()


async def test_an_expired_key_opens_nothing(store: Store, clock: TurnedClock) -> None:
    await store.keys.add(key(clock, expires=clock.now + HOUR), digest("one"))
    clock.turn(HOUR - timedelta(microseconds=1))
    assert await store.keys.find(digest("one")) is not None
    clock.turn(timedelta(microseconds=1))
    assert await store.keys.find(digest("one")) is None
    assert await store.keys.holding([digest("one")]) == {}


async def test_a_key_revoked_by_one_process_is_revoked_for_all(open_again: Opener, clock: TurnedClock) -> None:
    server, command = await open_again(), await open_again()
    await command.keys.add(key(clock), digest("one"))
    await command.keys.add(key(clock, "k2"), digest("two"))
    assert set(await server.keys.holding([digest("one"), digest("two")])) == {digest("one"), digest("two")}
    assert await command.keys.revoke("k1")
    assert not await command.keys.revoke("k1")
    assert not await command.keys.revoke("k3")
    assert await server.keys.find(digest("one")) is None
    assert set(await server.keys.holding([digest("one"), digest("two")])) == {digest("two")}
    assert [each.revoked for each in await server.keys.list()] == [clock.now, None]


async def test_a_rotated_key_keeps_its_id_and_for_the_overlap_its_old_secret(store: Store, clock: TurnedClock) -> None:
    await store.keys.add(key(clock), digest("one"))
    assert await store.keys.rotate("k1", digest=digest("two"), prefix="nbk_cd34", overlap_until=clock.now + HOUR)
    old, new = await store.keys.find(digest("one")), await store.keys.find(digest("two"))
    assert old is not None
    assert new is not None
    assert (old.key, old.until) == (new.key, clock.now + HOUR)
    assert (new.key.id, new.key.prefix, new.until) == ("k1", "nbk_cd34", None)
    clock.turn(HOUR)
    assert await store.keys.find(digest("one")) is None
    assert set(await store.keys.holding([digest("one"), digest("two")])) == {digest("two")}


async def test_a_second_rotation_and_a_revocation_end_the_overlap(store: Store, clock: TurnedClock) -> None:
    await store.keys.add(key(clock), digest("one"))
    await store.keys.rotate("k1", digest=digest("two"), prefix="nbk_cd34", overlap_until=clock.now + HOUR)
    await store.keys.rotate("k1", digest=digest("three"), prefix="nbk_ef56", overlap_until=clock.now + HOUR)
    assert await store.keys.find(digest("one")) is None
    assert await store.keys.find(digest("two")) is not None
    await store.keys.revoke("k1")
    assert await store.keys.holding([digest("one"), digest("two"), digest("three")]) == {}
    assert not await store.keys.rotate("k1", digest=digest("four"), prefix="nbk_gh78", overlap_until=clock.now + HOUR)


async def test_when_a_key_was_used_last_is_kept(store: Store, clock: TurnedClock) -> None:
    await store.keys.add(key(clock), digest("one"))
    await store.keys.used("k1", clock.now)
    assert [each.last_used for each in await store.keys.list()] == [clock.now]
