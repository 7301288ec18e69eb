"""/v1/channels and /v1/doctor on a real server: a channel from its keys to its first answer, and all checks."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from assistant.config.file import read_file
from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.server import TOKEN, TelegramServer

from .nanobot_process import Nanobot, Server

KEY = "an-owner's-secret"
OWN = {"authorization": f"Bearer {KEY}"}


@pytest.fixture
async def telegram() -> AsyncGenerator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        server.configure(text="from the model")
        yield server


@pytest.fixture
def nanobot(tmp_path: Path, telegram: TelegramServer, model: ModelServer) -> Nanobot:
    sections = {
        "api": {"apiKey": KEY},
        "agents": {"defaults": {"model": "custom/fake-model"}},
        "providers": {"custom": {"apiBase": model.url, "apiKey": "k"}},
        "channels": {"telegram": {"apiBase": telegram.url}},
    }
    (tmp_path / "config.json").write_text(f"// mine\n{json.dumps(sections, indent=2)}")
    return Nanobot(folder=tmp_path, env={"A_SECRET": "kept-by-the-server"})


@pytest.fixture
def server(nanobot: Nanobot) -> Generator[Server]:
    with nanobot.serving() as serving:
        yield serving


@pytest.fixture
async def owner(server: Server) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=server.url, headers=OWN, timeout=30) as client:
        yield client


async def enabled(owner: httpx2.AsyncClient) -> list[str]:
    return [each["name"] for each in (await owner.get("/v1/channels")).json()["data"] if each["enabled"]]


async def test_a_channel_is_set_up_answers_and_is_switched_off_and_on(
    nanobot: Nanobot, owner: httpx2.AsyncClient, telegram: TelegramServer
) -> None:
    (kind,) = [each for each in (await owner.get("/v1/channels")).json()["data"] if each["name"] == "telegram"]
    assert (kind["title"], kind["enabled"], kind["called"]) == ("Telegram", False, False)
    assert [(need["key"], need["secret"]) for need in kind["needs"]] == [("token", True)]
    made = (await owner.post("/v1/channels/telegram", json={"settings": {"token": f" {TOKEN}\n"}, "owner": "13"})).json()
    assert made["account"].startswith("@")
    assert {"channels.telegram.enabled", "channels.telegram.token", "channels.telegram.owners"} <= set(made["applied"])
    text = (nanobot.folder / "config.json").read_text()
    assert text.startswith("// mine\n")
    assert (TOKEN in text, "${TELEGRAM_TOKEN}" in text) == (False, True)
    telegram.say(13, "hello")
    await telegram.until(lambda: [each.text for each in telegram.ledger] == ["from the model"], within=30)
    assert await enabled(owner) == ["telegram"]
    assert (await owner.delete("/v1/channels/telegram")).json()["account"] is None
    assert await enabled(owner) == []
    again = (await owner.post("/v1/channels/telegram", json={})).json()
    assert again["applied"] == ["channels.telegram.enabled"]
    telegram.say(13, "still there?")
    await telegram.until(lambda: len(telegram.ledger) == 2, within=30)


@pytest.mark.parametrize(
    ("name", "body", "status", "words"),
    [
        ("telegram", {"settings": {"token": "99:wrong"}}, 400, "does not work so"),
        ("telegram", {"settings": {"token": ""}}, 400, "does not work so"),
        ("telegram", {}, 400, "does not work so"),
        ("telegram", {"settings": {"tokn": "x"}}, 400, "does not ask for tokn"),
        ("telegram", {"settings": {"token": TOKEN}, "owner": "1" * 201}, 400, "owner"),
        ("telegram", {"settings": {"token": 7}}, 400, "settings.token"),
        ("telegram", {"settings": {"token": "x" * 20_001}}, 400, "settings.token"),
        ("telegram", {"owners": ["13"]}, 400, "owners"),
        ("telegraph", {}, 404, "There is no such channel"),
        ("%00", {}, 404, "There is no such channel"),
    ],
    ids=range(10),
)
async def test_what_does_not_work_is_refused_and_nothing_is_written(
    nanobot: Nanobot, owner: httpx2.AsyncClient, name: str, body: Any, status: int, words: str
) -> None:
    before = (nanobot.folder / "config.json").read_bytes()
    refused = await owner.post(f"/v1/channels/{name}", json=body)
    assert (refused.status_code, words in refused.text) == (status, True), refused.text
    assert (nanobot.folder / "config.json").read_bytes() == before
    assert not (nanobot.home / "secrets.env").exists()
    assert await enabled(owner) == []


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("telegram", {"settings": {"token": TOKEN}, "owner": "${A_SECRET}"}),
        ("irc", {"settings": {"host": "${A_SECRET}.invalid"}}),
    ],
    ids=["owner", "setting"],
)
async def test_no_variable_of_the_servers_environment_is_told_by_it(owner: httpx2.AsyncClient, name: str, body: dict[str, Any]) -> None:
    answer = await owner.post(f"/v1/channels/{name}", json=body)
    assert "kept-by-the-server" not in answer.text
    shown = (await owner.get("/v1/configuration")).text
    assert ("kept-by-the-server" in shown, "${A_SECRET}" in answer.text + shown) == (False, True)


async def test_a_token_that_the_environment_wins_over_is_refused(nanobot: Nanobot) -> None:
    with Nanobot(folder=nanobot.folder, env={"TELEGRAM_TOKEN": TOKEN}).serving() as server:
        async with httpx2.AsyncClient(base_url=server.url, headers=OWN, timeout=30) as client:
            refused = await client.post("/v1/channels/telegram", json={"settings": {"token": "99:another"}})
            assert (refused.status_code, "TELEGRAM_TOKEN in the server's environment" in refused.text) == (400, True), refused.text
            assert (await client.post("/v1/channels/telegram", json={"settings": {"token": TOKEN}})).status_code == 200


async def test_changes_at_once_are_all_written(nanobot: Nanobot, owner: httpx2.AsyncClient) -> None:
    names = ["irc", "matrix", "ntfy", "signal", "slack", "sms", "telegram", "xmpp"]
    answers = await asyncio.gather(*[owner.delete(f"/v1/channels/{name}") for name in names])
    assert [each.status_code for each in answers] == [200] * len(names), [each.text for each in answers]
    written = read_file(nanobot.folder / "config.json")
    assert isinstance(written, dict)
    assert isinstance(sections := written["channels"], dict)
    assert sorted(sections) == names


async def test_what_is_wrong_elsewhere_in_the_file_is_named_by_the_file(nanobot: Nanobot, owner: httpx2.AsyncClient) -> None:
    file = nanobot.folder / "config.json"
    file.write_text('{"api": {"prt": 1}}')
    refused = (await owner.delete("/v1/channels/irc")).json()["error"]["message"]
    assert refused == f'Nothing was written: {file}: api.prt: there is no such key; did you mean "api.port"?'


async def test_it_is_the_owners_alone(server: Server, owner: httpx2.AsyncClient) -> None:
    made = (await owner.post("/v1/keys", json={"name": "a guest's", "scopes": ["chat", "models", "sessions"]})).json()
    async with httpx2.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {made['secret']}"}, timeout=30) as guest:
        for method, path in (("GET", "/v1/channels"), ("POST", "/v1/channels/irc"), ("DELETE", "/v1/channels/irc"), ("POST", "/v1/doctor")):
            assert (await guest.request(method, path)).status_code == 403, path


async def test_everything_is_checked_at_once_and_what_is_wrong_is_said(owner: httpx2.AsyncClient, model: ModelServer) -> None:
    first, second = await asyncio.gather(owner.post("/v1/doctor"), owner.post("/v1/doctor"))
    assert first.json() == second.json()
    assert first.json()["ok"], first.text
    names = [each["name"] for each in first.json()["checks"]]
    assert names == ["configuration", "disk", "workspace", "store", "documents", "sandbox", "skills", "address", "model"]
    assert "this server answers there" in first.text
    model.configure(mode="401")
    wrong = (await owner.post("/v1/doctor")).json()
    assert [each["name"] for each in wrong["checks"] if each["fix"]] == ["model"]
    assert not wrong["ok"]
