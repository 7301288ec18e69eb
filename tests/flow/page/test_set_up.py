"""The page where a server is set up and looked after: a channel, the doctor, a workflow as it runs, two people at once."""

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from assistant.store.database import StoreSettings
from assistant.store.store import open_store
from tests.doubles.telegram_api.server import TOKEN, TelegramServer
from tests.flow.nanobot_process import Nanobot
from tests.flow.page.rig import PageHouse, page_house

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def telegram() -> AsyncGenerator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory, telegram: TelegramServer) -> AsyncGenerator[PageHouse]:
    """A house whose configuration changes."""
    async with page_house(tmp_path_factory.mktemp("own"), channels={"telegram": {"apiBase": telegram.url}}) as opened:
        yield opened


async def test_a_channel_is_added_tried_and_switched_off(own: PageHouse, telegram: TelegramServer) -> None:
    async with own.visit() as visit:
        page = await visit.open("#/people")
        await page.get_by_text("No channel is enabled.").wait_for()
        await page.get_by_role("button", name="Add a channel").click()
        dialog = page.get_by_role("dialog", name="Add a channel")
        await dialog.get_by_label("Channel").select_option("telegram")
        await dialog.get_by_label("token").fill("99:wrong")
        await dialog.get_by_label("Your own id there").fill("13")
        await dialog.get_by_role("button", name="Connect").click()
        await dialog.get_by_text("Nothing was written: Telegram does not work so").wait_for()
        visit.expect(400)
        await dialog.get_by_label("token").fill(TOKEN)
        await dialog.get_by_role("button", name="Connect").click()
        await dialog.get_by_text("Connected as @test_bot").wait_for()
        await dialog.get_by_role("button", name="Send a test message").click()
        await telegram.until(lambda: [each.text for each in telegram.ledger] == ["This is a test message."], within=30)
        await dialog.get_by_role("button", name="Close").click()
        await page.locator(".card", has_text="telegram").get_by_text("connected", exact=True).wait_for()
        page.once("dialog", lambda asked: asked.accept())
        await page.get_by_role("button", name="Switch off").click()
        await page.locator(".card", has_text="it was switched off").wait_for()


async def test_the_doctor_says_what_is_wrong_and_how_to_fix_it(own: PageHouse) -> None:
    own.model.configure(mode="401")
    async with own.visit() as visit:
        page = await visit.open("#/settings")
        await page.get_by_role("button", name="Check everything").click()
        wrong = page.locator(".checks li", has_text="not well")
        await wrong.get_by_text("To fix it:").wait_for()
        assert await wrong.locator("b").all_inner_texts() == ["model"]
        own.model.configure(mode="ok")
        await page.get_by_role("button", name="Check again").click()
        await wrong.wait_for(state="detached")


async def test_a_workflow_is_run_and_its_graph_shown_as_it_runs(own: PageHouse) -> None:
    folder = own.home / "workspace" / "workflows"
    (folder / "brief.yaml").write_text(BRIEF, encoding="utf-8")
    own.model.hold()
    async with own.visit() as visit:
        page = await visit.open("#/tasks")
        await page.get_by_role("button", name="Workflows").click()
        await page.locator(".card", has_text="Two words").get_by_role("button", name="Run").click()
        dialog = page.get_by_role("dialog", name="Two words")
        await dialog.get_by_label("subject").fill("rain")
        await dialog.get_by_role("button", name="Run").click()
        row = page.locator("tr.opens", has_text="brief").first
        await row.click()
        await page.locator('.graph svg[aria-label="title: completed, long: running, both: waits"]').wait_for()
        own.model.go_on()
        await page.locator('.graph svg[aria-label="title: completed, long: completed, both: completed"]').wait_for()
        await page.locator("pre", has_text="About rain").wait_for()


BRIEF = """
name: Two words
inputs: {subject: {}}
nodes:
  title: {kind: template, text: "About {{ inputs.subject }}"}
  long: {kind: prompt, prompt: "Write about {{ inputs.subject }}"}
  both: {kind: template, text: "{{ title.output }}: {{ long.output }}"}
outputs: {text: "{{ both.output }}"}
"""


async def test_two_people_at_once_see_their_own(own: PageHouse, tmp_path: Path) -> None:
    nanobot = Nanobot(folder=tmp_path, env={"NANOBOT_HOME": str(own.home), "NANOBOT_CONFIG": str(own.home / "config.json")})
    store = await open_store(StoreSettings(), own.home)
    await store.people.of("telegram:77", "Anna")
    await store.close()
    link = re.search(r"#login=nbl_[\w-]+", (await asyncio.to_thread(nanobot, "web", "--no-open", "--person", "Anna")).stdout)
    assert link is not None
    async with own.visit() as owner, own.visit() as anna:
        await owner.open()
        await anna.open(link[0])
        await asyncio.gather(owner.say("ECHO the owner's plan"), anna.say("ECHO Anna's plan"))
        await asyncio.gather(owner.answered("the owner's plan"), anna.answered("Anna's plan"))
        for visit, other in ((owner, "Anna's plan"), (anna, "the owner's plan")):
            await visit.page.reload()
            await visit.page.locator("li.session").first.wait_for()
            assert other not in await visit.page.content()
        await anna.open("#/settings")
        await anna.page.get_by_text("Logged-in browsers").first.wait_for()
        assert await anna.page.get_by_role("button", name="Check everything").count() == 0
