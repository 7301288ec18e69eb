"""Tasks in a chat on Telegram, by `/tasks`, and by the command line."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.nanobot_process import Nanobot

from .conftest import HELPERS, Asks, Served, delegating

ANNA, BEN = 42, 43


@pytest.fixture
async def telegram() -> AsyncGenerator[TelegramServer]:
    async with TelegramServer() as telegram:
        yield telegram


@pytest.fixture
async def served(start: Asks, telegram: TelegramServer) -> Served:
    channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "allowFrom": [str(ANNA), str(BEN)]}
    return await start(channels={"telegram": channel})


async def said(telegram: TelegramServer, chat: int, words: str) -> str:
    """What the assistant writes there next."""
    before = len(telegram.texts(chat))
    telegram.say(chat, words, sender=chat)
    await telegram.until(lambda: len(telegram.texts(chat)) > before)
    return telegram.texts(chat)[before]


async def nanobot(folder: Path, *arguments: str) -> str:
    done = await asyncio.to_thread(Nanobot(folder=folder), "tasks", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_chat_delegates_goes_on_and_is_told_the_result_once(served: Served, telegram: TelegramServer) -> None:
    served.model.holds = (HELPERS,)
    first = await said(telegram, ANNA, delegating("ECHO the answer is 42", background=True))
    assert first.startswith("done")
    assert "task · ECHO the answer is 42" in first
    assert "running · ECHO the answer is 42" in await said(telegram, ANNA, "/tasks")
    assert "No helper has done anything" in await said(telegram, BEN, "/tasks")
    before = len(telegram.texts(ANNA))
    served.model.release()
    await telegram.until(lambda: len(telegram.texts(ANNA)) > before)
    assert "the answer is 42" in telegram.texts(ANNA)[before]
    assert "done · ECHO" in await said(telegram, ANNA, "/tasks")
    assert (await said(telegram, ANNA, "/tasks show 1")).endswith("the answer is 42")
    assert len(telegram.texts(ANNA)) == before + 3


async def test_tasks_of_a_chat_are_stopped_and_done_again_by_their_number(served: Served, telegram: TelegramServer) -> None:
    served.model.holds = (HELPERS,)
    await said(telegram, ANNA, delegating("ECHO 1", background=True))
    await served.model.held()
    assert "There is no number 2" in await said(telegram, ANNA, "/tasks stop 2")
    assert "There is no number 1" in await said(telegram, BEN, "/tasks stop 1")
    assert (await said(telegram, ANNA, "/tasks stop 1")).startswith("Stopping: ")
    await served.model.held(0)
    served.model.holds = ()
    assert (await said(telegram, ANNA, "/tasks retry 1")).startswith("Again: ")
    await telegram.until(lambda: "1" in telegram.texts(ANNA))
    assert "nothing to dismiss" in await said(telegram, ANNA, "/tasks dismiss 1")
    assert "/tasks lists" in await said(telegram, ANNA, "/tasks eat 1")


async def test_stop_in_a_chat_stops_the_helper_that_its_turn_waits_for(served: Served, telegram: TelegramServer, tmp_path: Path) -> None:
    served.model.holds = (HELPERS,)
    telegram.say(ANNA, delegating("ECHO 42"), sender=ANNA)
    await served.model.held()
    await said(telegram, ANNA, "/stop")
    await served.model.held(0)
    (task,) = [json.loads(line) for line in (await nanobot(tmp_path, "list", "--json")).splitlines()]
    assert (task["id"][:5], task["state"], task["handover"]) == ("task_", "stopped", "read")


async def test_a_chats_server_is_killed_while_a_turn_waits_and_the_next_one_answers_once(
    start: Asks, telegram: TelegramServer, tmp_path: Path
) -> None:
    config = {"channels": {"telegram": {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "allowFrom": [str(ANNA)]}}}
    served: Served = await start(**config)
    served.model.holds = (HELPERS,)
    telegram.say(ANNA, delegating("ECHO 42"), sender=ANNA)
    await served.model.held()
    served.kill()
    served.model.release()
    served = await start(**config)
    await telegram.until(lambda: len(telegram.texts(ANNA)) == 1)
    assert telegram.texts(ANNA)[0].startswith("done")
    (task,) = [json.loads(line) for line in (await nanobot(tmp_path, "list", "--json")).splitlines()]
    assert (task["state"], task["background"]) == ("done", False)


async def test_the_command_line_lists_shows_stops_and_does_again(start: Asks, tmp_path: Path) -> None:
    served: Served = await start()
    served.model.holds = (HELPERS,)
    await served.ask(delegating("ECHO 42", background=True))
    await served.model.held()
    (task,) = await served.tasks()
    table = await nanobot(tmp_path, "list")
    assert table.split()[0] == "ID"
    assert all(word in table for word in (task["id"], "running", "owner", "ECHO 42"))
    assert (await nanobot(tmp_path, "stop", task["id"])).startswith(f"{task['id']}  running: is stopped by the server")
    await served.ended()
    served.model.holds = ()
    assert "a server that runs does it now" in await nanobot(tmp_path, "retry", task["id"])
    await served.until(lambda found: found[0]["state"] == "done")
    shown = await nanobot(tmp_path, "show", task["id"])
    assert f"asked    api:s, {task['parent']['turn_id']}" in shown
    assert shown.endswith("ECHO 42\n\n42\n")
    assert json.loads(await nanobot(tmp_path, "show", task["id"], "--json"))["outcome"]["answer"] == "42"
    assert await nanobot(tmp_path, "list", "--state", "failed", "--json") == ""
    wrong = await asyncio.to_thread(Nanobot(folder=tmp_path), "tasks", "dismiss", task["id"])
    assert (wrong.returncode, "nothing to dismiss" in wrong.stderr) == (1, True)
