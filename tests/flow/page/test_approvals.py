"""A call that asks, answered where it is read: it runs once after a yes, and not at all after a no."""

import json
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.flow.page.rig import PageHouse, page_house

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[PageHouse]:
    """A server whose tool `message` asks."""
    async with page_house(tmp_path_factory.mktemp("asking"), program="tests.flow.approvals.asking_server") as opened:
        yield opened


def send(text: str) -> str:
    return f"CALLTOOL message {json.dumps({'content': text, 'channel': 'telegram', 'chat_id': '42'})}"


async def sent(house: PageHouse) -> list[str]:
    return [each["text"] for each in (await house.client.get("/v1/deliveries")).json()["data"]]


async def test_a_yes_in_the_chat_runs_the_call_once_and_the_conversation_goes_on(asking: PageHouse) -> None:
    async with asking.visit() as visit:
        page = await visit.open()
        await visit.say(send("the first one"))
        asked = page.locator(".asked", has_text="the first one")
        await asked.get_by_role("button", name="Allow once").wait_for()
        assert "the first one" not in await sent(asking)
        await page.get_by_role("link", name="Approvals").locator(".count", has_text="1").wait_for()
        await asked.get_by_role("button", name="Allow once").click()
        await asked.locator(".badge", has_text="done").wait_for()
        await visit.answered("done")
        assert await sent(asking) == ["the first one"]
        await page.reload()
        await page.locator(".asked", has_text="allowed, done").wait_for()
        assert await page.get_by_role("button", name="Allow once").count() == 0


async def test_a_no_in_the_list_of_approvals_runs_nothing(asking: PageHouse) -> None:
    async with asking.visit() as visit:
        page = await visit.open()
        before = await sent(asking)
        await visit.say(send("the second one"))
        await page.locator(".asked", has_text="the second one").get_by_role("button", name="Deny").wait_for()
        await visit.open("#/approvals")
        asked = page.locator(".asked", has_text="the second one")
        await asked.get_by_role("button", name="Deny").click()
        await page.get_by_text("Nothing waits for your yes.").wait_for()
        await page.locator("tr", has_text="the second one").locator(".badge", has_text="denied").wait_for()
        assert await sent(asking) == before


async def test_what_one_tab_answered_is_answered_in_the_other(asking: PageHouse) -> None:
    async with asking.visit() as first, asking.visit() as second:
        await first.open()
        await first.say(send("the third one"))
        await first.page.locator(".asked", has_text="the third one").get_by_role("button", name="Deny").wait_for()
        await second.open("#/approvals")
        await second.page.locator(".asked", has_text="the third one").get_by_role("button", name="Deny").click()
        await first.page.locator(".asked.denied", has_text="the third one").wait_for()
        assert await first.page.locator(".asked", has_text="the third one").get_by_role("button").count() == 0
