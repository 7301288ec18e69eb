"""What BrowserStore promises, on SQLite and PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from assistant.contracts.access import Browser, HeldBrowser, Limits
from assistant.store.store import Store

from .conftest import Opener, TurnedClock
from .test_api_keys import HOUR, digest, key
from .test_outbox_store import ODD


def browser(clock: TurnedClock, id: str = "brw_1", **more: object) -> Browser:
    made = Browser(id=id, name="Firefox on Linux", caller="local", scopes=None, models=None, created=clock.now, expires=clock.now + HOUR)
    return replace(made, **more)  # pyright: ignore[reportArgumentType]


async def redeemed(store: Store, clock: TurnedClock, link: str, secret: str) -> Browser | None:
    return await store.browsers.redeem(digest(link), digest(secret), id=f"brw_{secret}", name="Safari", expires=clock.now + 5 * HOUR)


async def test_a_browser_is_found_by_the_digest_of_its_secret_until_it_expires(store: Store, clock: TurnedClock) -> None:
    full = browser(clock, name=ODD, caller=ODD, scopes=frozenset({"chat", "files"}), models=("gpt-*", ODD), proof="p")
    await store.browsers.add(full, digest("one"))
    assert await store.browsers.find(digest("one")) == HeldBrowser(browser=full, person=ODD, limits=Limits())
    assert await store.browsers.find(digest("two")) is None
    assert await store.browsers.holding([digest("one"), digest("two")]) == {digest("one"): ODD}
    assert await store.browsers.list(ODD) == [full]
    assert await store.browsers.list("local") == []
    clock.turn(HOUR)
    assert await store.browsers.find(digest("one")) is None
    assert await store.browsers.holding([digest("one")]) == {}
    assert await store.browsers.list(ODD) == []
    assert await store.browsers.purge(clock.now) == 1


async def test_a_browser_ends_with_the_secret_of_the_key_that_it_was_logged_in_with(store: Store, clock: TurnedClock) -> None:
    limits = Limits.of(requests_per_minute=3)
    await store.keys.add(key(clock, limits=limits), digest("key"))
    for id, proof in (("brw_1", digest("key")), ("brw_2", digest("another"))):
        await store.browsers.add(browser(clock, id, caller="key:k1", key="k1", proof=proof, expires=clock.now + 9 * HOUR), digest(id))
    held = await store.browsers.find(digest("brw_1"))
    assert held is not None
    assert (held.person, held.limits) == ("key:k1", limits)
    assert await store.browsers.find(digest("brw_2")) is None
    await store.keys.rotate("k1", digest=digest("new"), prefix="nbk_", overlap_until=clock.now + HOUR)
    assert await store.browsers.find(digest("brw_1")) is not None
    clock.turn(HOUR)
    assert await store.browsers.find(digest("brw_1")) is None
    await store.browsers.add(browser(clock, "brw_3", caller="key:k1", key="k1", proof=digest("new"), expires=clock.now + HOUR), digest("b"))
    assert set(await store.browsers.holding([digest("brw_1"), digest("b")])) == {digest("b")}
    await store.keys.revoke("k1")
    assert await store.browsers.holding([digest("b")]) == {}


async def test_a_link_opens_one_browser_however_many_processes_try(open_again: Opener, clock: TurnedClock) -> None:
    one, two = await open_again(), await open_again()
    await one.browsers.add(browser(clock, scopes=frozenset({"chat"}), name=""), digest("link"), link=True)
    assert await two.browsers.find(digest("link")) is None
    assert await two.browsers.holding([digest("link")]) == {}
    assert await two.browsers.list("local") == []
    tried = await asyncio.gather(*[redeemed(store, clock, "link", f"s{number}") for number in range(10) for store in (one, two)])
    (found,) = [each for each in tried if each is not None]
    assert (found.caller, found.scopes, found.name, found.expires) == ("local", {"chat"}, "Safari", clock.now + 5 * HOUR)
    assert await one.browsers.list("local") == [found]
    assert await redeemed(one, clock, "link", "again") is None


async def test_a_link_that_has_ended_opens_nothing(store: Store, clock: TurnedClock) -> None:
    await store.browsers.add(browser(clock), digest("link"), link=True)
    assert await redeemed(store, clock, "another", "a") is None
    clock.turn(HOUR)
    assert await redeemed(store, clock, "link", "b") is None
    await store.browsers.add(browser(clock, "brw_2"), digest("browser"))
    assert await redeemed(store, clock, "browser", "c") is None


async def test_a_person_logs_out_one_browser_or_all_and_no_one_elses(store: Store, clock: TurnedClock) -> None:
    await store.keys.add(key(clock), digest("key"))
    for number, caller in enumerate(("local", "local", "key:k1")):
        await store.browsers.add(browser(clock, f"brw_{number}", caller=caller), digest(str(number)))
    await store.browsers.add(browser(clock, "brw_link"), digest("link"), link=True)
    assert await store.browsers.remove("key:k1", "brw_0") == 0
    assert await store.browsers.remove("local", "brw_0") == 1
    assert await store.browsers.remove("local", "brw_0") == 0
    assert await store.browsers.remove("local") == 1
    assert await redeemed(store, clock, "link", "x") is None
    assert set(await store.browsers.holding([digest(str(number)) for number in range(3)])) == {digest("2")}


async def test_a_browser_follows_its_caller_to_another_person_and_goes_with_them(store: Store, clock: TurnedClock) -> None:
    await store.keys.add(key(clock), digest("key"))
    await store.keys.add(key(clock, "k2"), digest("key 2"))
    await store.browsers.add(browser(clock, caller="key:k1"), digest("one"))
    code = await store.links.code("key:k2")
    person = await store.links.enter(code.code, "key:k1")
    assert await store.browsers.holding([digest("one")]) == {digest("one"): person}
    assert [each.id for each in await store.browsers.list(person)] == ["brw_1"]
    await store.people.forget(person)
    assert await store.browsers.find(digest("one")) is None


async def test_when_a_browser_was_used_last_is_kept(store: Store, clock: TurnedClock) -> None:
    await store.browsers.add(browser(clock), digest("one"))
    await store.browsers.add(browser(clock, "brw_2"), digest("two"))
    await store.browsers.used("brw_1", clock.now + timedelta(minutes=2))
    assert [(each.id, each.last_used) for each in await store.browsers.list("local")] == [
        ("brw_1", clock.now + timedelta(minutes=2)),
        ("brw_2", None),
    ]
