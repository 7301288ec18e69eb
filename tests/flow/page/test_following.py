"""A turn that runs while the page is loaded, in another tab, or was asked for elsewhere: its words come, and it can be stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx2
import pytest

from tests.doubles.live_server import live_server, with_model
from tests.flow.page.rig import WITHIN, PageHouse, Visit, open_visit

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIDE: Final = """hidden => {
  Object.defineProperty(document, "hidden", {value: Boolean(hidden), configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


async def until_said(page: "Page", word: str) -> str:
    """The words of the running turn, once this one is among them."""
    live = page.locator("article.live")
    await live.locator(".words", has_text=word).last.wait_for(timeout=WITHIN)
    return await live.last.inner_text()


async def test_a_reload_in_the_middle_of_a_stream_goes_on_with_it(house: PageHouse, visit: Visit) -> None:
    house.model.configure(chunks=120, chunk_delay_ms=10)
    house.model.hold(after=60)
    page = await visit.open()
    await visit.say("tell me")
    await until_said(page, "tok9")
    await page.reload()
    said = await until_said(page, "tok3")
    assert said.startswith("tok0 tok1 ")
    assert "tok119" not in said
    assert await page.locator(".said .bubble").all_inner_texts() == ["tell me"]
    house.model.go_on()
    await visit.answered("tok119")
    assert await page.locator("article.answered").count() == 1
    assert (await page.locator("article.answered").inner_text()).count("tok57 ") == 1
    assert len(house.model.bodies) == 1


async def test_another_tab_sees_the_words_grow_and_stops_them(house: PageHouse, visit: Visit) -> None:
    house.model.configure(chunks=2000, chunk_delay_ms=20)
    page = await visit.open()
    await visit.say("go on")
    await until_said(page, "tok5")
    other = await visit.context.new_page()
    await other.goto(page.url)
    await until_said(other, "tok20")
    await until_said(other, "tok30")
    await other.get_by_role("button", name="Stop").click()
    for each in (page, other):
        await each.get_by_text("Stopped.").wait_for()
        await each.locator("article.live").wait_for(state="detached")
        assert "tok30" in await each.locator("article.answered").last.inner_text()
    await other.close()


async def test_a_turn_of_another_client_is_seen_from_its_first_word(house: PageHouse, visit: Visit) -> None:
    page = await visit.open()
    await visit.say("ECHO first")
    await visit.answered("first")
    session = page.url.rpartition("/")[2]
    house.model.configure(chunks=100, chunk_delay_ms=10)
    house.model.hold(after=60)
    body = {"session_id": session, "messages": [{"role": "user", "content": "from elsewhere"}], "stream": True}
    async with house.client.stream("POST", "/v1/chat/completions", json=body) as asked:
        assert (await until_said(page, "tok2")).startswith("tok0 ")
        assert await page.locator(".said .bubble").all_inner_texts() == ["ECHO first", "from elsewhere"]
        house.model.go_on()
        await asked.aread()
    await visit.answered("tok99")


async def test_steps_are_shown_once_while_they_are_made_and_when_they_are_stored(house: PageHouse, visit: Visit) -> None:
    house.model.hold(passing=1)
    page = await visit.open()
    await visit.say('CALLTOOL list_files {"path": "."}')
    await page.locator("article.live details.step", has_text="list_files").wait_for()
    await page.reload()
    await page.locator("article.live details.step", has_text="list_files").wait_for()
    assert await page.locator("details.step").count() == 1
    house.model.go_on()
    await visit.answered("done")
    assert await page.locator("details.step").count() == 1


async def test_one_that_is_not_seen_leaves_the_connection_to_others(house: PageHouse, visit: Visit) -> None:
    house.model.configure(chunks=150, chunk_delay_ms=10)
    house.model.hold(after=60)
    page = await visit.open()
    await visit.say("tell me")
    await until_said(page, "tok2")
    await page.reload()
    await until_said(page, "tok9")
    await page.evaluate(HIDE, "true")
    await page.get_by_text("nanobot is at work. The answer appears here.").wait_for()
    await page.evaluate(HIDE, "")
    await until_said(page, "tok2")
    house.model.go_on()
    await visit.answered("tok149")


async def test_a_turn_of_another_server_on_the_store_is_seen_and_stopped(house: PageHouse, tmp_path: Path) -> None:
    house.model.reset()
    house.model.configure(chunks=3000, chunk_delay_ms=20)
    config = {**with_model(house.model.url), "store": {"url": f"sqlite:///{tmp_path / 'nanobot.db'}"}}
    body = {"session_id": "s", "messages": [{"role": "user", "content": "at the other"}], "stream": True}
    with live_server(tmp_path / "one", config=config) as one, live_server(tmp_path / "two", config=config) as two:
        async with httpx2.AsyncClient(base_url=one.url, timeout=30) as client, open_visit(house.browser, two.url) as visit:
            async with client.stream("POST", "/v1/chat/completions", json=body) as asked:
                assert asked.status_code == 200
                page = await visit.open("#/chat/s")
                assert (await until_said(page, "tok9")).startswith("tok0 tok1 ")
                await page.get_by_role("button", name="Stop").click()
                await page.get_by_text("Stopped.").wait_for()
                assert "turn_cancelled" in (await asked.aread()).decode()
            await page.close()
