"""Who gets in by a browser: a link once, a key, nothing else; out again everywhere; no other page can use the log-in."""

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from tests.flow.nanobot_process import Nanobot
from tests.flow.page.rig import PageHouse, Visit, page_house

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "a-shared-key-of-the-owner"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[PageHouse]:
    async with page_house(tmp_path_factory.mktemp("locked"), api={"apiKey": KEY}) as opened:
        yield opened


async def link_of(house: PageHouse) -> str:
    """What `nanobot web` prints, with the place that this server has."""
    nanobot = Nanobot(folder=house.home.parent, env={"NANOBOT_HOME": str(house.home), "NANOBOT_CONFIG": str(house.home / "config.json")})
    done = await asyncio.to_thread(nanobot, "web", "--no-open", "--config", str(house.home / "config.json"))
    found = re.search(r"#login=nbl_[\w-]+", done.stdout)
    assert found is not None, done.stdout + done.stderr
    return found[0]


async def seen_in(visit: Visit) -> None:
    await visit.page.get_by_text("How can I help").wait_for()


async def asked_to_log_in(visit: Visit) -> None:
    await visit.page.get_by_role("heading", name="Log in to nanobot").wait_for()
    visit.expect(401)


async def test_on_this_machine_without_a_key_it_opens_as_the_owner(visit: Visit) -> None:
    await visit.open("")
    await seen_in(visit)
    assert await visit.context.cookies() == []


async def test_a_link_opens_once_and_leaves_no_trace_in_the_address(locked: PageHouse) -> None:
    link = await link_of(locked)
    async with locked.visit() as visit:
        await visit.open(link)
        await seen_in(visit)
        assert "nbl_" not in visit.page.url
        [cookie] = await visit.context.cookies()
        assert (cookie.get("name"), cookie.get("httpOnly"), cookie.get("sameSite")) == ("nanobot", True, "Strict")
        assert await visit.page.evaluate("document.cookie") == ""
        await visit.say("ECHO inside")
        await visit.answered("inside")
        await visit.page.reload()
        await visit.page.get_by_text("inside").first.wait_for()
    async with locked.visit() as thief:
        await thief.open(link)
        await thief.page.get_by_text("This link opens nothing").wait_for()
        await asked_to_log_in(thief)


async def test_a_key_logs_in_and_a_wrong_one_says_so(locked: PageHouse) -> None:
    async with locked.visit() as visit:
        page = await visit.open("")
        await page.get_by_label("Or with an API key").fill("not the key")
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_text("This API key is not valid.").wait_for()
        visit.expect(401)
        await page.get_by_label("Or with an API key").fill(KEY)
        await page.get_by_role("button", name="Log in").click()
        await seen_in(visit)


async def test_logging_out_everywhere_ends_the_other_browser_at_once(locked: PageHouse) -> None:
    async with locked.visit() as first, locked.visit() as second:
        for visit in (first, second):
            await visit.open(await link_of(locked))
            await seen_in(visit)
        await first.open("#/settings")
        page = first.page
        await page.get_by_role("heading", name="Logged-in browsers").wait_for()
        page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
        await page.get_by_role("button", name="Log out everywhere").click()
        for visit in (first, second):
            await asked_to_log_in(visit)


async def test_a_restart_of_the_browser_stays_logged_in(locked: PageHouse) -> None:
    async with locked.visit() as visit:
        await visit.open(await link_of(locked))
        await seen_in(visit)
        kept = await visit.context.storage_state()
    async with locked.visit(storage_state=kept) as again:
        await again.open("")
        await seen_in(again)


async def test_a_page_from_elsewhere_can_neither_frame_it_nor_use_its_log_in(locked: PageHouse, tmp_path: Path) -> None:
    async with locked.visit() as visit:
        await visit.open(await link_of(locked))
        await seen_in(visit)
        other = await visit.context.new_page()
        url = locked.server.url
        field = """<input name='{"to":"me","text":"stolen","x":"' value='"}'>"""
        html = (
            f"""<iframe src="{url}/"></iframe><form id="f" method="post" enctype="text/plain" action="{url}/v1/deliveries">{field}</form>"""
        )
        await other.route("http://evil.example/", lambda route: route.fulfill(content_type="text/html", body=html))
        await other.goto("http://evil.example/")
        told = await other.evaluate(
            f"""async () => {{
              const answers = [];
              for (const options of [{{}}, {{credentials: "include"}}, {{method: "POST", credentials: "include", body: "{{}}"}},
                  {{method: "POST", mode: "no-cors", credentials: "include", body: JSON.stringify({{to: "me", text: "stolen"}})}}]) {{
                try {{
                  const answer = await fetch("{url}/v1/me", options);
                  answers.push(answer.type === "opaque" ? "opaque" : await answer.text());
                }} catch (error) {{ answers.push("refused"); }}
              }}
              return answers;
            }}"""
        )
        assert set(told) <= {"refused", "opaque"}
        assert [await frame.locator("#app").count() for frame in other.frames[1:]] == [0]
        async with other.expect_response("**/v1/deliveries") as posted:
            await other.evaluate("document.getElementById('f').submit()")
        assert (await posted.value).status in (401, 403)
    async with httpx2.AsyncClient(base_url=locked.server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
        assert (await client.get("/v1/deliveries")).json()["data"] == []
