"""Reminders from a process without a key: asked for in a chat, delivered with buttons, put off, done; by the API and the command line, too."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.live_server import LiveServer, live_server, offline
from tests.doubles.telegram_api.posted import Posted
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.nanobot_process import Nanobot

ANNA, BEN, GROUP = 42, 43, -100_500
Start = Callable[..., LiveServer]


@pytest.fixture
async def telegram() -> AsyncGenerator[TelegramServer]:
    async with TelegramServer() as telegram:
        yield telegram


@pytest.fixture
async def start(tmp_path: Path, telegram: TelegramServer) -> AsyncGenerator[Start]:
    """Starts a server without a model on `tmp_path`, after the one before it has ended."""
    channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "allowFrom": [str(ANNA), str(BEN)], "groups": "all"}
    with ExitStack() as stack:

        def starts(**config: object) -> LiveServer:
            stack.close()
            return stack.enter_context(live_server(tmp_path / "home", config={**offline(), "channels": {"telegram": channel}, **config}))

        yield starts
        await asyncio.to_thread(stack.close)


@pytest.fixture
async def server(start: Start) -> LiveServer:
    return await asyncio.to_thread(start)


async def said(telegram: TelegramServer, chat: int, words: str, *, sender: int | None = None) -> str:
    """What the assistant writes there next."""
    before = len(telegram.texts(chat))
    telegram.say(chat, words, sender=sender or chat)
    await telegram.until(lambda: len(telegram.texts(chat)) > before)
    return telegram.texts(chat)[before]


async def reminded(telegram: TelegramServer, chat: int, words: str = "stretch", *, times: int = 1) -> Posted:
    """The message of the reminder, when it has come for this time."""

    def found() -> list[Posted]:
        return [posted for posted in telegram.sent_to(chat) if posted.text == words]

    await telegram.until(lambda: len(found()) >= times)
    return found()[times - 1]


async def pressed(telegram: TelegramServer, posted: Posted, text: str, *, sender: int) -> str:
    """The message as it is edited after a press."""
    data = next(button["callback_data"] for row in posted.buttons for button in row if button["text"] == text)
    telegram.press(telegram.as_update(posted), data, sender=sender)
    await telegram.until(lambda: bool(posted.edits))
    return posted.edits[-1]


async def commanded(folder: Path, *arguments: str) -> str:
    done = await asyncio.to_thread(Nanobot(folder=folder), "schedule", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_reminder_asked_for_in_a_chat_comes_with_buttons_is_put_off_and_done(
    server: LiveServer, telegram: TelegramServer, tmp_path: Path
) -> None:
    planned = await said(telegram, ANNA, "remind me in 1 second to stretch")
    assert planned.startswith("Planned: reminder · today, ")
    assert "→ telegram:42 · stretch (sch_" in planned
    first = await reminded(telegram, ANNA)
    assert [button["text"] for button in first.buttons[0]] == ["Done", "10 min", "1 h", "tomorrow"]
    assert (await pressed(telegram, first, "10 min", sender=ANNA)).startswith("stretch\n\n⏰ Again ")
    assert first.buttons == []
    assert await said(telegram, ANNA, "/snooze 1s")
    again = await reminded(telegram, ANNA, times=2)
    assert await pressed(telegram, again, "Done", sender=ANNA) == "stretch\n\n✓ Done"
    listed = await commanded(tmp_path, "list", "--json")
    history = await commanded(tmp_path, "show", json.loads(listed)["id"])
    assert [line.split()[2] for line in history.splitlines()[-3:]] == ["skipped", "done", "delivered"]
    assert "it was put off again" in history


async def test_a_button_works_after_a_restart_and_only_once(start: Start, telegram: TelegramServer) -> None:
    await asyncio.to_thread(start)
    await said(telegram, ANNA, "erinnere mich in 1 Sekunde daran, zu lüften")
    posted = await reminded(telegram, ANNA, "lüften")
    as_before = telegram.as_update(posted)
    done, later = (posted.buttons[0][place]["callback_data"] for place in (0, 2))
    await asyncio.to_thread(start)
    telegram.press(as_before, done, sender=ANNA)
    await telegram.until(lambda: posted.edits == ["lüften\n\n✓ Done"])
    before = len(telegram.texts(ANNA))
    telegram.press(as_before, later, sender=ANNA)  # a client that still shows the old buttons
    await telegram.until(lambda: len(telegram.texts(ANNA)) > before)
    assert telegram.texts(ANNA)[before] == "It can't be put off: it is done."
    assert posted.edits == ["lüften\n\n✓ Done"]


async def test_two_people_neither_see_nor_touch_each_others_schedules(server: LiveServer, telegram: TelegramServer) -> None:
    planned = await said(telegram, ANNA, "remind me every day at 9:00 to call the clinic")
    schedule = planned.partition("(")[2].partition(")")[0]
    await said(telegram, ANNA, "remind me in 1 second to stretch")
    posted = await reminded(telegram, ANNA)
    occurrence = posted.buttons[0][0]["callback_data"].split()[1]
    assert await said(telegram, BEN, "/schedule") == "Nothing is planned. Say for example: remind me in 10 minutes to stretch."
    assert await said(telegram, BEN, f"/schedule cancel {schedule}") == "There is no such schedule, or no such occurrence."
    assert await said(telegram, BEN, f"/done {occurrence}") == "There is no reminder here that waits for an answer."
    assert await said(telegram, BEN, f"/snooze 10m {occurrence}") == "There is no reminder here that waits for an answer."
    assert await said(telegram, BEN, "/done") == "There is no reminder here that waits for an answer."
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
        assert (await client.get("/v1/schedules")).json()["data"] == []
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/run")):
            body = {"urgent": True} if method == "PATCH" else None
            assert (await client.request(method, f"/v1/schedules/{schedule}{path}", json=body)).status_code == 404
    listed = await said(telegram, ANNA, "/schedule")
    assert "1. reminder · cron 0 9 * * *, next" in listed
    assert "call the clinic" in listed
    assert (await said(telegram, ANNA, "/schedule cancel 1")).startswith("Cancelled: reminder")


async def test_a_group_has_schedules_of_its_own_and_anyone_there_may_press(server: LiveServer, telegram: TelegramServer) -> None:
    await said(telegram, GROUP, "remind me in 1 second to leave", sender=ANNA)
    posted = await reminded(telegram, GROUP, "leave")
    assert await pressed(telegram, posted, "Done", sender=BEN) == "leave\n\n✓ Done"
    await said(telegram, GROUP, "remind me tomorrow at 9:00 to book the room", sender=BEN)
    assert "book the room" in await said(telegram, GROUP, "/schedule", sender=ANNA)
    assert "Nothing is planned" in await said(telegram, ANNA, "/schedule")


async def test_what_the_api_plans_is_delivered_and_its_history_is_read(server: LiveServer, telegram: TelegramServer) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
        body = {"when": "in 1 second", "text": "water the plants", "to": f"telegram:{BEN}"}
        made = await client.post("/v1/schedules", json=body, headers={"idempotency-key": "k"})
        again = await client.post("/v1/schedules", json=body, headers={"idempotency-key": "k"})
        assert (made.status_code, again.json()["id"]) == (201, made.json()["id"])
        posted = await reminded(telegram, BEN, "water the plants")
        assert await pressed(telegram, posted, "Done", sender=BEN) == "water the plants\n\n✓ Done"  # who was reminded says that it is done
        one = (await client.get(f"/v1/schedules/{made.json()['id']}")).json()
        assert [(each["state"], each["error"]) for each in one["occurrences"]] == [("done", None)]
        ran = await client.post(f"/v1/schedules/{one['id']}/run")
        assert ran.json()["state"] == "waiting"
        await reminded(telegram, BEN, "water the plants", times=2)


async def test_without_a_chat_a_reminder_is_refused_with_what_to_do(server: LiveServer, telegram: TelegramServer) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=30) as client:
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": "remind me in 10 minutes to stretch"}]}
        words = (await client.post("/v1/chat/completions", json=asked)).json()["choices"][0]["message"]["content"]
        assert "there is no chat to which a reminder could be delivered" in words
        refused = await client.post("/v1/schedules", json={"when": "in 10 minutes", "text": "stretch"})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "to")
        unclear = await said(telegram, ANNA, "remind me soon to stretch")
        assert "remind me in 10 minutes to stretch" in unclear
    assert telegram.texts(BEN) == []


async def test_a_question_is_asked_when_it_is_due_and_its_answer_comes_to_the_chat(server: LiveServer, telegram: TelegramServer) -> None:
    assert (await said(telegram, ANNA, "in 1 second tell me something")).startswith("Planned: ask · today")
    await telegram.until(lambda: any("No model is configured" in text for text in telegram.texts(ANNA)))


async def test_the_command_line_plans_for_a_server_that_runs(server: LiveServer, telegram: TelegramServer, tmp_path: Path) -> None:
    made = await commanded(tmp_path, "add", "in 1 second", "stretch", "--to", f"telegram:{ANNA}")
    assert made.split()[1:3] == ["reminder", "·"]
    await reminded(telegram, ANNA)
    again = await commanded(tmp_path, "add", "every weekday at 8:30", "drink", "--to", f"telegram:{ANNA}", "--zone", "Europe/Berlin")
    schedule = again.split()[0]
    assert "cron 30 8 * * 1-5, next" in again
    assert "paused: reminder" in await commanded(tmp_path, "pause", schedule)
    assert "active: reminder" in await commanded(tmp_path, "resume", schedule)
    await commanded(tmp_path, "run", schedule)
    await reminded(telegram, ANNA, "drink")
    assert "cancelled: reminder" in await commanded(tmp_path, "cancel", schedule)
    listed = (await commanded(tmp_path, "list", "--state", "cancelled")).splitlines()
    assert [line.split()[0] for line in listed[1:]] == [schedule]
