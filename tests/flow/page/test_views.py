"""Each view with what it is for, done by the person and seen in the API."""

import asyncio
import re

import pytest

from tests.flow.page.rig import PageHouse, Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_message_is_sent_its_state_seen_and_it_is_cancelled(house: PageHouse, visit: Visit) -> None:
    page = await visit.open("#/deliveries")
    await page.get_by_role("button", name="Send a message").click()
    form = page.get_by_role("dialog")
    await form.get_by_label("To", exact=False).fill("nowhere:42")
    await form.get_by_label("Message").fill("see you at nine")
    await form.get_by_role("button", name="Send").click()
    await form.locator(".problem", has_text="nowhere").wait_for()
    visit.expect(400)
    await form.get_by_label("To", exact=False).fill("telegram:42")
    await form.get_by_role("button", name="Send").click()
    await form.wait_for(state="detached")
    row = page.locator("tr.opens", has_text="see you at nine")
    await row.click()
    await page.get_by_text("the telegram channel is not enabled").wait_for()
    await page.get_by_role("button", name="Cancel it").click()
    await row.locator(".badge", has_text="cancelled").wait_for()
    [kept] = (await house.client.get("/v1/deliveries")).json()["data"]
    assert kept["state"] == "cancelled"


async def test_something_is_remembered_found_explained_and_forgotten(house: PageHouse, visit: Visit) -> None:
    page = await visit.open("#/memory")
    await page.get_by_role("button", name="Remember something").click()
    await page.get_by_role("dialog").get_by_label("What").fill("My bicycle is green")
    await page.get_by_role("button", name="Remember", exact=True).click()
    row = page.get_by_role("button", name="My bicycle is green")
    await row.wait_for()
    await page.get_by_role("searchbox").fill("bicycle colour")
    await row.click()
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await page.get_by_role("button", name="Forget").click()
    await row.wait_for(state="detached")
    assert (await house.client.get("/v1/memories")).json()["data"] == []


async def test_what_a_chat_remembers_appears_without_loading_again(house: PageHouse, visit: Visit) -> None:
    page = await visit.open("#/memory")
    await page.get_by_text("Nothing yet.").wait_for()
    (await house.client.post("/v1/memories", json={"text": "I play the cello"})).raise_for_status()
    await page.get_by_role("button", name="I play the cello").wait_for()


async def test_a_plan_is_made_paused_run_and_cancelled(house: PageHouse, visit: Visit) -> None:
    page = await visit.open("#/schedule")
    await page.get_by_role("button", name="Plan something").click()
    form = page.get_by_role("dialog")
    await form.get_by_label("Kind").select_option("ask")
    await form.get_by_label("When").fill("every day at 9:00")
    await form.get_by_label("Words").fill("ECHO the weather")
    await form.get_by_label("To", exact=False).last.fill("")
    await form.get_by_role("button", name="Plan it").click()
    row = page.locator("tr.opens", has_text="ECHO the weather")
    await row.click()
    await page.get_by_role("button", name="Run now").click()
    await page.locator(".detail .badge", has_text="done").first.wait_for()
    await page.get_by_role("button", name="Pause").click()
    await row.wait_for(state="detached")
    await page.get_by_label("State").select_option("paused")
    await row.click()
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await page.get_by_role("button", name="Cancel it").click()
    await row.wait_for(state="detached")
    [kept] = (await house.client.get("/v1/schedules")).json()["data"]
    assert kept["state"] == "cancelled"


async def test_the_calendar_has_what_is_due(house: PageHouse, visit: Visit) -> None:
    body = {"kind": "ask", "when": "in 3 minutes", "text": "look at the oven"}
    (await house.client.post("/v1/schedules", json=body)).raise_for_status()
    page = await visit.open("#/schedule")
    await page.get_by_role("button", name="Calendar").click()
    await page.locator(".calendar .date p", has_text="look at the oven").wait_for()
    await page.get_by_role("button", name="The next month").click()
    await page.get_by_role("button", name="The month before").click()
    await page.locator(".calendar .today").wait_for()


async def test_a_person_gets_a_name_and_it_is_greeted(visit: Visit) -> None:
    page = await visit.open("#/people")
    await page.get_by_role("button", name="Change").first.click()
    form = page.get_by_role("dialog")
    await form.get_by_label("Name").fill("Anna")
    await form.get_by_label("Zone", exact=False).fill("Europe/Berlin")
    await form.get_by_label("Quiet hours", exact=False).fill("22:00-07:00")
    await form.get_by_role("button", name="Save").click()
    await page.get_by_role("heading", name="Anna").wait_for()
    await page.get_by_text("22:00-07:00").wait_for()
    await page.get_by_role("button", name="Code for another chat").first.click()
    await page.locator("code", has_text=re.compile(r"^/link \w{8}$")).wait_for()
    await page.reload()
    await visit.open("#/chat")
    await page.reload()
    await page.get_by_text("How can I help, Anna?").wait_for()


async def test_what_was_used_is_plotted_and_listed(house: PageHouse, visit: Visit) -> None:
    for text in ("ECHO one", "ECHO two"):
        body = {"messages": [{"role": "user", "content": text}], "session_id": "usage"}
        (await house.client.post("/v1/chat/completions", json=body)).raise_for_status()
    page = await visit.open("#/usage")
    await page.get_by_role("button", name="Model", exact=True).click()
    await page.locator("td", has_text="fake-model").wait_for()
    assert await page.locator(".figures dd").first.inner_text() != "0"
    await page.get_by_role("button", name="Everyone's").click()
    await page.locator("td", has_text="fake-model").wait_for()


async def test_a_file_is_kept_and_deleted(house: PageHouse, visit: Visit) -> None:
    page = await visit.open("#/files")
    await page.locator("input[type=file]").set_input_files({"name": "list.txt", "mimeType": "text/plain", "buffer": b"milk"})
    await page.locator("td", has_text="list.txt").wait_for()
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await page.get_by_role("button", name="Delete list.txt").click()
    await page.get_by_text("No files yet.").wait_for()
    assert (await house.client.get("/v1/files")).json()["data"] == []


async def test_what_tools_did_is_in_the_audit(visit: Visit) -> None:
    page = await visit.open()
    await visit.say('CALLTOOL write_file {"path": "a.txt", "content": "x"}')
    await visit.answered("done")
    await visit.open("#/audit")
    row = page.locator("tr.opens", has_text="write_file")
    await row.click()
    await page.get_by_text("Asked by").wait_for()


async def test_a_key_is_made_shown_once_and_revoked(house: PageHouse, visit: Visit) -> None:
    page = await visit.open("#/settings")
    await page.get_by_role("button", name="Make a key").click()
    await page.get_by_role("dialog").get_by_label("Name", exact=False).first.fill("phone")
    await page.get_by_role("button", name="Make it").click()
    secret = await page.get_by_role("dialog").locator("pre code").inner_text()
    assert secret.startswith("nbk_")
    await page.keyboard.press("Escape")
    row = page.locator("tr", has_text="phone")
    await row.wait_for()
    assert secret not in await page.content()
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await row.get_by_role("button", name="Revoke").click()
    await row.wait_for(state="detached")
    assert (await house.client.get("/v1/keys")).json()["data"] == []


async def test_the_configuration_is_shown_and_searched(visit: Visit) -> None:
    page = await visit.open("#/settings")
    await page.locator("td", has_text="agents.defaults.model").wait_for()
    await page.get_by_role("button", name="All", exact=True).click()
    await page.get_by_role("searchbox", name="Search settings").fill("maxConnections")
    await page.locator("td", has_text="4096").wait_for()
    assert "not-a-secret" not in await page.content()


async def test_a_view_that_is_not_there_shows_the_chat(visit: Visit) -> None:
    page = await visit.open("#/nothing/of/the/kind")
    await page.get_by_text("How can I help").wait_for()
    await visit.open("#/%E0%A4%A")
    await page.get_by_text("How can I help").wait_for()
