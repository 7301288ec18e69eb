"""Without a key: what people say is remembered, known and forgotten, over the API, in the terminal, in English and German."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from tests.doubles.live_server import live_server, offline


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[httpx2.AsyncClient]:
    with live_server(tmp_path, config=offline()) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
            yield client


async def say(client: httpx2.AsyncClient, text: str, session: str = "s") -> str:
    body = {"messages": [{"role": "user", "content": text}], "session_id": session}
    response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    answer: str = response.json()["choices"][0]["message"]["content"]
    return answer


async def test_what_is_remembered_is_known_in_another_session_until_it_is_forgotten(client: httpx2.AsyncClient) -> None:
    assert await say(client, "Remember that my locker code is 77-Quokka.") == "Remembered as memory 1: my locker code is 77-Quokka."
    assert "my locker code is 77-Quokka. (said" in await say(client, "What do you know about me?", "other")
    assert await say(client, "remember that my locker code is 78-Wombat") == "Remembered as memory 2: my locker code is 78-Wombat"
    known = await say(client, "what do you know about the locker", "third")
    assert "Wombat" in known
    assert "Quokka" not in known
    assert await say(client, "Forget my locker code", "fourth") == "Forgotten: memory 2 and 1 older version of it."
    assert await say(client, "What do you remember?", "fifth") == "Nothing is remembered yet."


async def test_it_understands_german(client: httpx2.AsyncClient) -> None:
    assert "Remembered" in await say(client, "Merk dir, dass meine Lieblingsfarbe Grün ist")
    assert "meine Lieblingsfarbe Grün ist" in await say(client, "Was weißt du über mich?", "other")
    assert "Forgotten" in await say(client, "Vergiss bitte meine Lieblingsfarbe")
    assert "Nothing" in await say(client, "Was hast du dir gemerkt?")


async def test_it_hears_it_behind_a_name_as_groups_write_it(client: httpx2.AsyncClient) -> None:
    assert await say(client, "Ada: remember that we meet on Tuesdays") == "Remembered as memory 1: we meet on Tuesdays"
    assert "we meet on Tuesdays (said" in await say(client, "Ben Ito: what do you know about the meeting on Tuesdays?", "other")


async def test_memories_over_the_api(client: httpx2.AsyncClient) -> None:
    await say(client, "Remember that my aunt Mildred keeps bees", "bees")
    made = await client.post("/v1/memories", json={"text": "I like tea", "kind": "preference", "about": "hot drink"})
    assert made.status_code == 200, made.text
    assert made.json()["source"] is None
    await client.post("/v1/memories", json={"text": "I like cocoa", "about": "Hot drink"})
    listed = (await client.get("/v1/memories")).json()
    assert [each["text"] for each in listed["data"]] == ["I like cocoa", "my aunt Mildred keeps bees"]
    assert len((await client.get("/v1/memories", params={"history": True})).json()["data"]) == 3
    page = (await client.get("/v1/memories", params={"limit": 1})).json()
    assert page["has_more"]
    rest = (await client.get("/v1/memories", params={"before": page["data"][0]["id"]})).json()
    assert [each["text"] for each in rest["data"]] == ["my aunt Mildred keeps bees"]
    [bees] = (await client.get("/v1/memories", params={"query": "Who keeps bees?"})).json()["data"]
    shown = (await client.get(f"/v1/memories/{bees['id']}")).json()
    assert shown["source"]["session_id"] == "bees"
    assert shown["source"]["text"] == "Remember that my aunt Mildred keeps bees"
    assert (await client.delete(f"/v1/memories/{bees['id']}", params={"everywhere": True})).json()["deleted"]
    assert (await client.get(f"/v1/memories/{bees['id']}")).json()["error"]["code"] == "memory_not_found"
    assert "Mildred" not in (await client.get("/v1/sessions/bees")).text


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "text"),
        ({"text": " "}, "text"),
        ({"text": "x" * 1001}, "text"),
        ({"text": "x", "kind": "secret"}, "kind"),
        ({"text": "x", "valid_until": "2020-01-01T00:00:00Z"}, "valid_until"),
        ({"text": "x", "provenance": "person"}, "provenance"),
    ],
)
async def test_a_memory_that_is_not_valid_is_refused(client: httpx2.AsyncClient, body: dict[str, str], param: str) -> None:
    response = await client.post("/v1/memories", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
