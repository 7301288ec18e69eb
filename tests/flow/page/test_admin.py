"""What the page's settings and people views ask the API: keys, pairings, the configuration."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from assistant.contracts.inbox import Pairing, Sender
from assistant.contracts.util import utc_now
from assistant.store.database import StoreSettings
from assistant.store.store import open_store
from tests.doubles.live_server import LiveServer, live_server, offline

KEY = "an-owner's-secret"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncGenerator[tuple[LiveServer, httpx2.AsyncClient]]:
    config = {**offline(), "api": {"apiKey": KEY}, "providers": {"openai": {"apiKey": "sk-never-shown"}}}
    with live_server(tmp_path / "home", config=config, env={"NANOBOT_API__KEEP_ALIVE_SECONDS": "7"}) as server:
        async with httpx2.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
            yield server, client


async def test_a_key_is_made_used_listed_and_revoked(served: tuple[LiveServer, httpx2.AsyncClient]) -> None:
    server, owner = served
    made = (await owner.post("/v1/keys", json={"name": "build server", "scopes": ["chat", "models"], "expires_in_days": 30})).json()
    assert (made["name"], made["scopes"], made["secret"][:8]) == ("build server", ["chat", "models"], made["prefix"])
    async with httpx2.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {made['secret']}"}, timeout=30) as holder:
        assert (await holder.get("/v1/models")).status_code == 200
        for method, path in (("GET", "/v1/keys"), ("POST", "/v1/keys"), ("GET", "/v1/pairings"), ("GET", "/v1/configuration")):
            assert (await holder.request(method, path)).status_code in (400, 403)
        listed = (await owner.get("/v1/keys")).json()["data"]
        assert [(each["id"], "secret" in each) for each in listed] == [(made["id"], False)]
        assert (await owner.delete(f"/v1/keys/{made['id']}")).status_code == 200
        assert (await holder.get("/v1/models")).status_code in (200, 401)  # trusted for half a second
    assert (await owner.get("/v1/keys")).json()["data"] == []
    assert (await owner.delete(f"/v1/keys/{made['id']}")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "", "scopes": ["chat"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        {"name": "x", "scopes": ["chat"], "expires_in_days": 0},
        {"name": "\x1b[2J", "scopes": ["chat"]},
        {"name": "x", "scopes": "chat"},
        {"name": "x", "scopes": ["chat"], "models": [7]},
        {"name": "x", "scopes": ["chat"], "admin": True},
        [],
    ],
    ids=range(11),
)
async def test_a_key_that_can_not_be_made_is_refused(served: tuple[LiveServer, httpx2.AsyncClient], body: Any) -> None:
    assert (await served[1].post("/v1/keys", json=body)).status_code == 400


async def test_a_stranger_is_let_in_by_the_code_and_out_again(tmp_path: Path, served: tuple[LiveServer, httpx2.AsyncClient]) -> None:
    owner = served[1]
    store = await open_store(StoreSettings(), tmp_path / "home")
    try:
        now = utc_now()
        pairing = Pairing(
            channel="telegram",
            sender=Sender(id="77", name="Eve <b>"),
            chat_id="77",
            code="7KQ2M9XF",
            created=now,
            expires_at=now.replace(year=now.year + 1),
        )
        await store.pairings.request(pairing, most_open=10)
    finally:
        await store.close()
    [listed] = (await owner.get("/v1/pairings")).json()["data"]
    assert (listed["channel"], listed["sender_id"], listed["state"]) == ("telegram", "77", "open")
    assert "7KQ2M9XF" not in str(listed)
    assert (await owner.post("/v1/pairings", json={"code": "AAAAAAAA"})).json()["error"]["code"] == "pairing_not_found"
    assert (await owner.post("/v1/pairings", json={"code": " 7kq2m9xf "})).json()["state"] == "approved"
    [told] = (await owner.get("/v1/deliveries")).json()["data"]
    assert told["text"].startswith("You may write to me now.")
    assert (await owner.delete("/v1/pairings/telegram/77")).status_code == 200
    assert (await owner.delete("/v1/pairings/telegram/77")).status_code == 404


async def test_the_configuration_says_where_each_value_came_from(tmp_path: Path, served: tuple[LiveServer, httpx2.AsyncClient]) -> None:
    shown = (await served[1].get("/v1/configuration")).json()
    settings = {each["key"]: (each["value"], each["origin"]) for each in shown["settings"]}
    assert shown["file"] == str(tmp_path / "home" / "config.json")
    assert settings["agents.defaults.provider"] == ("offline", shown["file"])
    assert settings["api.keepAliveSeconds"] == (7, "NANOBOT_API__KEEP_ALIVE_SECONDS")
    assert settings["api.maxConnections"] == (4096, "")
    assert KEY not in str(shown)
    assert "sk-never-shown" not in str(shown)
