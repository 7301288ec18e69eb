"""The page while things break: a server killed in the middle of a stream, no network, an upload that is cut."""

import asyncio
from pathlib import Path

import pytest

from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_server import ModelServer
from tests.flow.page.rig import PageHouse, Visit, chromium, open_visit

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_server_that_is_killed_and_started_again_goes_on(tmp_path: Path) -> None:
    async with chromium() as browser, ModelServer() as model:
        model.configure(chunks=400, chunk_delay_ms=20)
        config = with_model(model.url)
        with live_server(tmp_path / "home", config=config) as server:
            async with open_visit(browser, server.url) as visit:
                page = await visit.open()
                await visit.say("a long story")
                await page.locator("article.live .words", has_text="tok3").wait_for()
                server.process.kill()
                await asyncio.to_thread(server.process.wait)
                await page.get_by_text("No connection to the server").wait_for()
                model.configure(chunks=20, chunk_delay_ms=0)
                port = int(server.url.rpartition(":")[2])
                with live_server(tmp_path / "home", config=config, args=("--port", str(port))):
                    await page.get_by_text("No connection to the server").wait_for(state="detached", timeout=30_000)
                    await page.get_by_text("Broken off: the server ended").wait_for()
                    await visit.say("ECHO again")
                    await visit.answered("again")
                    await page.locator(".said", has_text="a long story").wait_for()
                    await page.close()
                visit.wrong.clear()


async def test_offline_and_back(visit: Visit) -> None:
    page = await visit.open()
    await visit.say("ECHO before")
    await visit.answered("before")
    await visit.context.set_offline(True)
    await visit.say("ECHO meanwhile")
    await page.locator(".composer .problem").wait_for()
    assert await page.get_by_role("textbox", name="Message", exact=True).input_value() == "ECHO meanwhile"
    await visit.context.set_offline(False)
    await page.keyboard.press("Enter")
    await visit.answered("meanwhile")
    assert await page.locator(".said", has_text="ECHO meanwhile").count() == 1
    visit.wrong.clear()


async def test_a_connection_lost_in_the_middle_shows_the_answer_when_it_is_there(house: PageHouse, visit: Visit) -> None:
    house.model.configure(chunks=60, chunk_delay_ms=10)
    house.model.hold(after=30)
    page = await visit.open()
    await visit.say("tell me")
    await page.locator("article.live .words", has_text="tok3").wait_for()
    await page.reload()
    house.model.go_on()
    await visit.answered("tok59")
    visit.wrong.clear()


async def test_an_upload_that_is_cut_says_so_and_can_be_taken_out(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "large.pdf").write_bytes(b"%PDF-1.4 " + b"x" * (9 << 20))
    page = await visit.open()

    await page.route("**/v1/files", lambda route: route.abort("connectionreset"))
    await page.locator("input[type=file]").set_input_files(tmp_path / "large.pdf")
    await page.locator(".composer .files .failed", has_text="can't be reached").wait_for()
    await page.unroute("**/v1/files")
    await page.get_by_role("button", name="Remove large.pdf").click()
    await visit.say("ECHO on we go")
    await visit.answered("on we go")
    visit.wrong.clear()
