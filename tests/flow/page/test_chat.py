"""The chat, as a person uses it."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.flow.page.rig import NARROW, PageHouse, Visit, saved_text

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_first_question_is_answered_and_listed(visit: Visit) -> None:
    page = await visit.open("")
    await page.get_by_text("How can I help").wait_for()
    await visit.say("ECHO The answer is 42")
    await visit.answered("The answer is 42")
    assert re.search(r"#/chat/page-", page.url)
    await page.locator(".session", has_text="ECHO The answer is 42").wait_for()
    await page.reload()
    await page.locator("article.answered", has_text="The answer is 42").wait_for()


async def test_words_appear_while_they_come(house: PageHouse, visit: Visit) -> None:
    house.model.configure(chunks=200, chunk_delay_ms=10)
    house.model.hold(after=100)
    page = await visit.open()
    await visit.say("go on")
    await page.locator("article.live .words", has_text="tok3").wait_for()
    assert "tok199" not in await page.locator("article.live").last.inner_text()
    await page.get_by_role("button", name="Stop").click()
    await page.get_by_text("Stopped.").wait_for()
    assert "tok3" in await page.locator("article.answered").last.inner_text()
    house.model.go_on()
    house.model.configure(chunks=20, chunk_delay_ms=0)
    await visit.say("ECHO after the stop")
    await visit.answered("after the stop")


async def test_markdown_is_shown_and_code_is_copied(visit: Visit) -> None:
    answer = "# Head\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint('x' < 'y')\n```\n\n- [x] done\n- *x* $E=mc^2$"
    page = await visit.open()
    await visit.say(f"CALLTOOLS []\n{answer}")
    # The stand-in says "done" for the empty list; the words are shown as the person wrote them, not as Markdown.
    await visit.answered("done")
    assert answer in await page.locator(".said .bubble").inner_text()
    assert await page.locator(".said table").count() == 0


async def test_an_answer_with_a_table_and_code(house: PageHouse, visit: Visit) -> None:
    house.model.configure(
        text="# Head\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint('x' < 'y')\n```\n\n- [x] done\n- *x*", chunks=40
    )
    page = await visit.open()
    await visit.say("hello")
    await visit.answered("Head")
    words = page.locator("article.answered")
    assert await words.locator("h1").inner_text() == "Head"
    assert await words.locator("td").all_inner_texts() == ["1", "2"]
    assert await words.locator("li input[type=checkbox][disabled]").count() == 1
    await words.locator(".code").get_by_role("button", name="Copy").click()
    await words.locator(".code").get_by_role("button", name="Copied").wait_for()
    assert await page.evaluate("navigator.clipboard.readText()") == "print('x' < 'y')\n"


async def test_what_tools_do_is_shown_as_it_happens(visit: Visit) -> None:
    page = await visit.open()
    await visit.say('CALLTOOL list_files {"path": "."}')
    await visit.answered("done")
    step = page.locator("details.step")
    assert "list_files" in await step.locator("summary").inner_text()
    await step.locator("summary").click()
    assert '"path": "."' in await step.inner_text()
    await page.reload()
    await page.locator("details.step", has_text="list_files").wait_for()


async def test_a_question_is_changed_and_asked_again(visit: Visit) -> None:
    page = await visit.open()
    await visit.say("ECHO one")
    await visit.answered("one")
    await page.get_by_role("button", name="Change and ask again").click()
    await page.get_by_role("textbox", name="Your message").fill("ECHO two")
    await page.get_by_role("button", name="Ask again").click()
    await visit.answered("two")
    assert await page.locator(".said .bubble").all_inner_texts() == ["ECHO two"]
    first = await page.locator("article.answered").element_handle()
    assert first is not None
    await page.get_by_role("button", name="Answer again").click()
    await first.wait_for_element_state("hidden")
    await visit.answered("two")
    assert await page.locator("article.answered").count() == 1


async def test_files_are_sent_with_their_progress_and_shown(house: PageHouse, visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("the secret word is plum", encoding="utf-8")
    page = await visit.open()
    await page.locator("input[type=file]").set_input_files(tmp_path / "notes.txt")
    await page.locator(".composer .files", has_text="23 B").wait_for()
    await visit.say("ECHO read")
    await visit.answered("read")
    assert "the secret word is plum" in json.dumps(json.loads(house.model.bodies[-1]))
    await page.locator(".said .attached", has_text="notes.txt").wait_for()
    async with page.expect_download() as download:
        await page.locator(".said .attached").get_by_role("button").click()
    assert await saved_text(await download.value) == "the secret word is plum"


async def test_a_picture_is_pasted_and_shown(visit: Visit) -> None:
    page = await visit.open()
    await page.get_by_role("textbox", name="Message", exact=True).focus()
    await page.evaluate(
        """async () => {
          const canvas = Object.assign(document.createElement("canvas"), {width: 40, height: 30});
          canvas.getContext("2d").fillRect(0, 0, 40, 30);
          const blob = await new Promise((made) => canvas.toBlob(made, "image/png"));
          const data = new DataTransfer();
          data.items.add(new File([blob], "shot.png", {type: "image/png"}));
          document.activeElement.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
        }"""
    )
    await page.locator(".composer .files small").wait_for()
    await visit.say("ECHO seen")
    await visit.answered("seen")
    picture = page.locator(".said .picture img")
    await picture.wait_for()
    assert await picture.evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 40


async def test_a_file_that_is_refused_says_why_and_the_rest_can_be_sent(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(b"x" * (11 << 20))
    page = await visit.open()
    await page.locator("input[type=file]").set_input_files(tmp_path / "big.bin")
    await page.locator(".composer .files .failed", has_text="larger than 10.5 MB").wait_for()
    visit.expect(413)
    await page.get_by_role("button", name="Remove big.bin").click()
    await visit.say("ECHO without")
    await visit.answered("without")


async def test_a_refusal_keeps_what_was_written(house: PageHouse, visit: Visit) -> None:
    house.model.configure(mode="401")
    page = await visit.open()
    await visit.say("ECHO kept")
    await page.locator(".problem").wait_for()
    visit.wrong.clear()
    house.model.configure(mode="ok")
    box = page.get_by_role("textbox", name="Message", exact=True)
    assert await box.input_value() == "ECHO kept"
    await page.keyboard.press("Enter")
    await visit.answered("kept")


async def test_sessions_are_renamed_searched_exported_and_deleted(visit: Visit) -> None:
    page = await visit.open()
    await visit.say("ECHO about walruses")
    await visit.answered("about walruses")
    row = page.locator(".session", has_text="about walruses")
    await row.hover()
    await row.get_by_role("button").click()
    await page.get_by_role("textbox", name="Title").fill("Sea mammals")
    await page.get_by_role("button", name="Rename").click()
    row = page.locator(".session", has_text="Sea mammals")
    await row.wait_for()
    await page.get_by_role("searchbox").fill("no such words")
    await page.get_by_text("Nothing found.").wait_for()
    await page.get_by_role("searchbox").fill("Sea mam")
    await row.wait_for()
    await row.hover()
    await row.get_by_role("button").click()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Export").click()
    saved = await download.value
    assert saved.suggested_filename == "Sea mammals.md"
    assert "about walruses" in await saved_text(saved)
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    visit.expect(404)  # it may look for the session once more
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await row.wait_for(state="detached")
    await page.get_by_text("How can I help").wait_for()


async def test_older_messages_come_on_scroll_and_keep_their_place(house: PageHouse, visit: Visit) -> None:
    for number in range(40):
        body = {"session_id": "long", "messages": [{"role": "user", "content": f"ECHO number {number}"}]}
        (await house.client.post("/v1/chat/completions", json=body)).raise_for_status()
    page = await visit.open("#/chat/long")
    await page.locator("article.answered", has_text="number 39").wait_for()
    assert await page.locator("article").count() == 30
    scroller = page.locator(".scroller")
    await scroller.evaluate("(box) => { box.scrollTop = 0; }")
    await page.locator("article.answered", has_text=re.compile(r"number 15$", re.MULTILINE)).wait_for()
    assert await scroller.evaluate("(box) => box.scrollTop") > 0, "what was seen stays where it was"
    first = page.locator("article.answered", has_text=re.compile(r"number 0$", re.MULTILINE))
    while not await first.count():
        await scroller.evaluate("(box) => { box.scrollTop = 0; }")
        await page.wait_for_timeout(50)
    await page.get_by_role("button", name="To the end").click()
    await page.locator("article.answered", has_text="number 39").wait_for()


async def test_what_another_tab_says_appears_here(house: PageHouse, visit: Visit) -> None:
    page = await visit.open()
    await visit.say("ECHO shared thing")
    await visit.answered("shared thing")
    async with house.visit() as other:
        await other.page.goto(page.url)
        await other.page.locator("article.answered", has_text="shared thing").wait_for()
        await other.say("ECHO from the other tab")
        await other.answered("from the other tab")
    await page.locator("article.answered", has_text="from the other tab").wait_for()


async def test_on_a_narrow_screen_the_side_is_a_drawer(house: PageHouse) -> None:
    async with house.visit(viewport=NARROW, has_touch=True) as visit:
        page = await visit.open()
        assert not await page.get_by_role("link", name="Deliveries").is_visible()
        await page.get_by_role("button", name="Menu").click()
        await page.get_by_role("link", name="Deliveries").click()
        await page.get_by_role("heading", name="Deliveries").wait_for()
        assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


async def test_it_speaks_german_and_remembers_it(house: PageHouse) -> None:
    async with house.visit(locale="de-DE") as visit:
        page = await visit.open()
        await page.get_by_role("link", name="Zustellungen").wait_for()
        await page.get_by_role("button", name="English").click()
        await page.get_by_role("link", name="Deliveries").wait_for()
        await page.reload()
        await page.get_by_role("link", name="Deliveries").wait_for()


async def test_by_keyboard_alone(visit: Visit) -> None:
    page = await visit.open()
    await page.get_by_text("How can I help").wait_for()
    await page.keyboard.type("ECHO typed")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("in two lines")
    await page.keyboard.press("Enter")
    await visit.answered("typed")
    await visit.open("#/memory")
    await page.reload()
    await page.get_by_role("heading", name="Memory").wait_for()
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Deliveries").wait_for()
