"""`nanobot reload` and SIGHUP: what holds at once, what needs a restart, and what changes nothing."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from assistant.app.reload import changed_keys, is_live
from assistant.config import load_config
from tests.contract.sandbox.test_killed_server import until
from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.server import TOKEN, TelegramServer

from .nanobot_process import Nanobot, Server


@pytest.fixture
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        server.configure(text="from the first")
        yield server


@pytest.fixture
async def other() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        server.configure(text="from the second")
        yield server


@pytest.fixture
def nanobot(tmp_path: Path) -> Nanobot:
    return Nanobot(folder=tmp_path)


def configure(nanobot: Nanobot, **sections: Any) -> None:
    (nanobot.folder / "config.json").write_text(json.dumps(sections))


def of(model: ModelServer, **more: Any) -> dict[str, Any]:
    return {
        "agents": {"defaults": {"model": "custom/fake-model", **more}},
        "providers": {"custom": {"apiBase": model.url, "apiKey": "k"}},
    }


async def ask(server: Server, text: str = "hello") -> str:
    body = {"model": "agent:main", "messages": [{"role": "user", "content": text}]}
    async with httpx2.AsyncClient(timeout=30) as client:
        answer = (await client.post(f"{server.url}/v1/chat/completions", json=body)).json()
    return answer["choices"][0]["message"]["content"]


async def test_another_model_answers_at_once_and_a_call_that_runs_ends_with_the_old_one(
    nanobot: Nanobot, model: ModelServer, other: ModelServer
) -> None:
    configure(nanobot, **of(model))
    with nanobot.serving() as server:
        assert await ask(server) == "from the first"
        model.configure(latency_ms=3_000)
        running = asyncio.create_task(ask(server))
        await model.until(lambda stats: stats.inflight == 1)
        configure(nanobot, **of(other, instructions="Speak like a pirate."), log={"level": "debug"})
        done = await asyncio.to_thread(nanobot, "reload")
        assert done.stdout.splitlines() == [
            "holds now      agents.defaults.instructions",
            "holds now      providers.custom.apiBase",
            "holds now      log.level",
        ]
        assert await ask(server) == "from the second"
        assert b"Speak like a pirate." in other.bodies[-1]
        assert await running == "from the first"
        assert (await asyncio.to_thread(nanobot, "reload")).stdout == "Nothing has changed.\n"


async def test_what_needs_a_restart_is_said_each_time_and_the_rest_holds(nanobot: Nanobot, model: ModelServer, other: ModelServer) -> None:
    configure(nanobot, **of(model))
    with nanobot.serving() as server:
        configure(nanobot, **of(other, tools=["remember"]), api={"timeout": 99}, channels={"webhook": {"enabled": True}})
        first = await asyncio.to_thread(nanobot, "reload")
        waiting = [
            "after restart  agents.defaults.tools: an agent is put together with its tools at the start",
            "after restart  channels.webhook.enabled: what calls this server, and which sections there are, is read at the start",
            "after restart  api.timeout: addresses and limits are set at the start",
        ]
        assert first.stdout.splitlines() == ["holds now      providers.custom.apiBase", *waiting]
        assert (await asyncio.to_thread(nanobot, "reload")).stdout.splitlines() == waiting
        assert await ask(server) == "from the second"
        async with httpx2.AsyncClient(timeout=30) as client:
            shown = (await client.get(f"{server.url}/v1/configuration")).json()["settings"]
        held = {each["key"]: each["value"] for each in shown}
        assert (held["providers.custom.apiBase"], held["api.timeout"]) == (other.url, 120.0), "as the server runs with it"


async def test_a_broken_configuration_changes_nothing_and_says_what_is_wrong(
    nanobot: Nanobot, model: ModelServer, other: ModelServer
) -> None:
    configure(nanobot, **of(model))
    with nanobot.serving() as server:
        misspelt, unknown = {"agents": {"defalts": {"model": "x"}}}, {"agents": {"defaults": {"provider": "nowhere"}}}
        for broken, words in ((misspelt, "defaults"), (unknown, "nowhere")):
            configure(nanobot, **{**of(other), **broken})
            done = await asyncio.to_thread(nanobot, "reload")
            assert (done.returncode, words in done.stderr) == (1, True), done.stderr
            assert await ask(server) == "from the first"
        refused = server.errors.read_text().count("config.not_reloaded")
        os.kill(server.process.pid, signal.SIGHUP)
        await until(lambda: server.errors.read_text().count("config.not_reloaded") > refused)
        configure(nanobot, **of(other))
        assert "providers.custom.apiBase" in (await asyncio.to_thread(nanobot, "reload")).stdout
        assert await ask(server) == "from the second"
        assert "Traceback" not in server.errors.read_text()


async def test_a_sender_who_is_let_in_by_a_reload_is_answered(nanobot: Nanobot, model: ModelServer) -> None:
    async with TelegramServer() as telegram:
        settings = {"enabled": True, "token": TOKEN, "apiBase": telegram.url}
        configure(nanobot, **of(model), channels={"telegram": settings})
        with nanobot.serving():
            telegram.say(13, "let me in")
            await telegram.until(lambda: len(telegram.ledger) == 1, within=30)
            assert "from the first" not in telegram.ledger[0].text
            configure(nanobot, **of(model), channels={"telegram": {**settings, "allowFrom": ["13"]}})
            done = await asyncio.to_thread(nanobot, "reload")
            assert done.stdout == "holds now      channels.telegram.allowFrom\n"
            telegram.say(13, "and now?")
            await telegram.until(lambda: telegram.ledger[-1].text == "from the first", within=30)


async def test_a_channel_is_switched_on_connected_anew_and_switched_off(nanobot: Nanobot, model: ModelServer) -> None:
    async with TelegramServer() as first, TelegramServer(token="99:other-token") as second:

        async def reload(**settings: Any) -> str:
            configure(nanobot, **of(model), channels={"telegram": {"allowFrom": ["13"], **settings}})
            done = await asyncio.to_thread(nanobot, "reload")
            assert done.returncode == 0, done.stderr
            return done.stdout

        def answered(telegram: TelegramServer) -> bool:
            return any(each.text == "from the first" for each in telegram.ledger)

        configure(nanobot, **of(model))
        with nanobot.serving():
            assert "channels.telegram.enabled" in await reload(enabled=True, token=TOKEN, apiBase=first.url)
            first.say(13, "hello")
            await first.until(lambda: answered(first), within=30)
            assert "channels.telegram.token" in await reload(enabled=True, token="99:other-token", apiBase=second.url)
            second.say(13, "a number that the first bot's message had")
            second.say(13, "hello")
            await second.until(lambda: answered(second), within=30)
            assert "telegram  connected" in (await asyncio.to_thread(nanobot, "channels", "status")).stdout
            await reload(enabled=True, token="no token", apiBase=second.url)
            await reload(enabled=False, token=TOKEN, apiBase=first.url)
            asked = len(first.requests)
            waits = await asyncio.to_thread(nanobot, "send", "telegram:13", "later")
            assert "queued" in waits.stdout + waits.stderr
            assert len(first.requests) == asked
            await reload(enabled=True, token=TOKEN, apiBase=first.url)
            await first.until(lambda: any(each.text == "later" for each in first.ledger), within=30)


def test_without_a_server_it_is_said(nanobot: Nanobot) -> None:
    done = nanobot("reload")
    assert (done.returncode, "no server runs on" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({}, {"log": {"level": "debug"}}, {"log.level": True}),
        ({}, {"providers": {"openai": {"apiKey": "k"}}}, {"providers.openai": True}),
        ({"providers": {"openai": {"apiKey": "k"}}}, {"providers": {"openai": {"apiKey": "l"}}}, {"providers.openai.apiKey": True}),
        ({}, {"agents": {"research": {"instructions": "x"}}}, {"agents.research": False}),
        ({}, {"agents": {"defaults": {"workspace": "/tmp/x"}}}, {"agents.defaults.workspace": False}),
        ({}, {"store": {"url": "sqlite:////tmp/x.db"}}, {"store.url": False}),
        ({}, {"channels": {"webhook": {"enabled": True}, "slack": {"enabled": True}}}, {"channels": False}),
        ({}, {"channels": {"webhook": {"enabled": True}}}, {"channels.webhook.enabled": False}),
        ({}, {"channels": {"telegram": {"replyToMessage": True}}}, {"channels.telegram.replyToMessage": False}),
        ({}, {"models": {"m": {"provider": "openai"}}}, {"models.m": True}),
        ({"models": {"m": {}}}, {"models": {"m": {"price": {"prompt": 1}}}}, {"models.m.price": False}),
        (
            {},
            {"channels": {"telegram": {"owners": ["1"], "token": "1:a"}}},
            {"channels.telegram.owners": True, "channels.telegram.token": True},
        ),
    ],
)
def test_the_keys_that_changed_are_found(tmp_path: Path, before: Any, after: Any, changed: dict[str, bool]) -> None:
    loaded: list[Any] = []
    for number, values in enumerate((before, after)):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(values))
        loaded.append(load_config(file, {"NANOBOT_HOME": str(tmp_path / "home")}).config)
    assert {".".join(path): is_live(path, lambda name: name != "webhook") for path in changed_keys(*loaded)} == changed
