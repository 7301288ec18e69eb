"""Sessions as a page reads them: the newest messages first, and the files in them."""

import io
from typing import Any

import pytest
from PIL import Image

from tests.flow.live.conftest import Live, Start

pytestmark = pytest.mark.asyncio(loop_scope="module")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture
def live(shared: Live) -> Live:
    return shared


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, kind)
    return file.getvalue()


async def page(live: Live, session: str = "s", **params: object) -> dict[str, Any]:
    answer = await live.client.get(f"/v1/sessions/{live.id_of(session)}", params={name: str(value) for name, value in params.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def seqs(found: dict[str, Any]) -> tuple[list[int], bool]:
    return [message["seq"] for message in found["data"]], found["has_more"]


async def test_pages_go_backwards_from_the_latest_and_meet_the_first(live: Live) -> None:
    for number in range(4):
        assert (await live.ask(f"hi {number}")).status_code == 200
    assert seqs(await page(live, latest="true", limit=3)) == ([6, 7, 8], True)
    assert seqs(await page(live, before=6, limit=3)) == ([3, 4, 5], True)
    assert seqs(await page(live, before=3, limit=3)) == ([1, 2], False)
    assert seqs(await page(live, before=4, limit=3)) == ([1, 2, 3], False)
    assert seqs(await page(live, before=1)) == ([], False)
    assert seqs(await page(live, latest="true", limit=8)) == (list(range(1, 9)), False)
    assert seqs(await page(live, before=2**63 - 1, limit=1)) == ([8], True)
    assert seqs(await page(live, limit=3)) == ([1, 2, 3], True)


NO_PAGES = ["before=0", "before=-1", "before=9223372036854775808", "before=x", "latest=maybe", "before=3&after=1", "latest=true&after=1"]


@pytest.mark.parametrize("query", NO_PAGES)
async def test_a_page_that_is_none_is_refused(live: Live, query: str) -> None:
    await live.ask("hi")
    assert (await live.client.get(f"/v1/sessions/{live.id_of('s')}?{query}")).status_code == 400


async def test_pictures_are_shown_and_everything_else_is_saved(live: Live) -> None:
    files = [
        ("a.png", picture("PNG"), "image/png"),
        ("b.jpg", picture("JPEG"), "image/jpeg"),
        ("c.gif", picture("GIF"), "image/gif"),
        ("d.webp", picture("WEBP"), "image/webp"),
        ('e".html', b"<script>alert(1)</script>", None),
        ("f.png.svg", SVG, None),
        ("g ä.txt", b"words", None),
    ]
    body = {"message": "look", "session_id": live.id_of("files")}
    sent = await live.client.post("/v1/chat/completions", data=body, files=[("files", (name, data)) for name, data, _ in files])
    assert sent.status_code == 200, sent.text
    held = {each["name"]: each["id"] for each in (await page(live, "files"))["data"][0]["attachments"]}
    for name, data, shown in files:
        answer = await live.client.get(f"/v1/sessions/{live.id_of('files')}/attachments/{held[name]}")
        assert (answer.status_code, answer.content) == (200, data)
        assert answer.headers["content-type"] == (shown or "application/octet-stream")
        assert answer.headers["content-disposition"].startswith("inline; filename*=UTF-8''" if shown else "attachment; filename*=UTF-8''")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
    (await live.client.delete(f"/v1/sessions/{live.id_of('files')}")).raise_for_status()
    assert (await live.client.get(f"/v1/sessions/{live.id_of('files')}/attachments/{held['a.png']}")).status_code == 404


async def test_a_file_is_fetched_from_the_session_that_holds_it_alone(live: Live) -> None:
    body = {"message": "look", "session_id": live.id_of("mine")}
    await live.client.post("/v1/chat/completions", data=body, files=[("files", ("a.txt", b"words"))])
    await live.ask("hi", "other")
    (held,) = (await page(live, "mine"))["data"][0]["attachments"]
    for path in (
        f"{live.id_of('other')}/attachments/{held['id']}",
        f"{live.id_of('none')}/attachments/{held['id']}",
        f"{live.id_of('mine')}/attachments/att_none",
        f"{live.id_of('mine')}/attachments/{held['id']}/1",
        f"{live.id_of('mine')}/attachments/{held['id']}/x",
        f"{live.id_of('mine')}/attachments/..%2F{held['id']}",
        f"{live.id_of('mine')}/attachments/{held['id']}%00",
    ):
        answer = await live.client.get(f"/v1/sessions/{path}")
        assert answer.status_code == 404, path


@pytest.mark.asyncio
async def test_a_file_of_another_person_is_not_there(start: Start) -> None:
    live = await start(api={"apiKey": "the-shared-key"}, auth={"mode": "keys"})
    headers = {"authorization": "Bearer the-shared-key"}
    body = {"message": "look", "session_id": "mine"}
    sent = await live.client.post("/v1/chat/completions", data=body, files=[("files", ("a.txt", b"words"))], headers=headers)
    assert sent.status_code == 200
    (held,) = (await live.client.get("/v1/sessions/mine", headers=headers)).json()["data"][0]["attachments"]
    path = f"/v1/sessions/mine/attachments/{held['id']}"
    assert (await live.client.get(path, headers=headers)).content == b"words"
    assert (await live.client.get(path)).status_code == 401


async def test_sessions_are_named_found_and_renamed(live: Live) -> None:
    await live.ask("Which mushrooms grow in autumn?", "forest")
    await live.ask("How do I clean a drain?", "bath")
    path = f"/v1/sessions/{live.id_of('bath')}"

    async def found(words: str) -> list[str]:
        listed = (await live.client.get("/v1/sessions", params={"search": words})).json()["data"]
        return [each["id"] for each in listed if each["id"].startswith(live.prefix)]

    assert (await page(live, "bath"))["title"] == "How do I clean a drain?"
    assert (await page(live, "bath"))["running"] is False
    renamed = await live.client.post(path, json={"title": "Übung \n<b>macht</b>\x00"})
    assert (renamed.status_code, renamed.json()["title"]) == (200, "Übung <b>macht</b>")
    assert await found("macht") == [live.id_of("bath")]
    assert await found("MUSHROOM grows") == [live.id_of("forest")], "it was said"
    assert await found("drain") == [live.id_of("bath")], "still, whatever it is called"
    assert await found("%") == []
    assert set(await found(" ")) == {live.id_of("bath"), live.id_of("forest")}
    assert (await live.client.post(path, json={"title": ""})).json()["title"] == "How do I clean a drain?"


@pytest.mark.parametrize("body", [{}, {"title": None}, {"title": 1}, {"title": "x" * 201}, {"title": "x", "more": 1}, [], "x"])
async def test_a_rename_that_is_none_is_refused(live: Live, body: object) -> None:
    await live.ask("hi")
    assert (await live.client.post(f"/v1/sessions/{live.id_of('s')}", json=body)).status_code == 400


async def test_what_is_not_there_is_not_renamed(live: Live) -> None:
    assert (await live.client.post(f"/v1/sessions/{live.id_of('none')}", json={"title": "x"})).status_code == 404
