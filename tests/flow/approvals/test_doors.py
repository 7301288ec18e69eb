"""A yes through each door of a real server: OpenAI's SDK and HTTP, Telegram, Discord, the command line; before and after a restart."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import orjson
import pytest

from tests.doubles.discord_api.server import DiscordApi
from tests.doubles.forked import run_forked
from tests.doubles.live_server import LiveServer, live_server, with_model
from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.posted import Posted
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.socket_client import talking

ADA = 123456789


class House:
    """The platforms and the model, which outlive each server."""

    def __init__(self, folder: Path, model: ModelServer, telegram: TelegramServer, discord: DiscordApi) -> None:
        self.folder, self.model, self.telegram, self.discord = folder, model, telegram, discord
        self.ada = discord.world.user("ada")

    @asynccontextmanager
    async def server(self, **more: object) -> AsyncGenerator[LiveServer]:
        sessions = len(self.discord.gateway.identified)
        channels = {
            "telegram": {
                "enabled": True,
                "token": self.telegram.token,
                "apiBase": self.telegram.url,
                "owners": [str(ADA)],
                "allowFrom": ["7"],
            },
            "discord": self.discord.settings(owners=[self.ada["id"]]),
        }
        running = live_server(
            self.folder,
            config={**with_model(self.model.url), "channels": channels, **more},
            program="tests.flow.approvals.asking_server",
            within=60,
        )
        server = await asyncio.to_thread(running.__enter__)
        try:
            await self.discord.until(lambda: len(self.discord.gateway.identified) > sessions, 20)
            yield server
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)

    def send(self, text: str) -> str:
        """Words that make the model call the tool."""
        return f"CALLTOOL message {orjson.dumps({'content': text, 'channel': 'telegram', 'chat_id': str(ADA)}).decode()}"

    def sent(self, text: str) -> int:
        """How often Telegram got it."""
        return sum(each.text == text for each in self.telegram.ledger)

    async def asked(self) -> Posted:
        """The question, in Telegram."""
        await self.telegram.until(lambda: any(each.buttons for each in self.telegram.ledger), 20)
        return [each for each in self.telegram.ledger if each.buttons][-1]

    def press(self, question: Posted, button: int, sender: int = ADA) -> None:
        self.telegram.press(self.telegram.as_update(question), question.buttons[0][button]["callback_data"], sender=sender)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    async with ModelServer() as model, TelegramServer() as telegram, DiscordApi() as discord:
        yield House(tmp_path, model, telegram, discord)


async def test_a_press_in_telegram_counts_after_a_restart_and_once(house: House) -> None:
    async with house.server():
        house.telegram.say(ADA, house.send("hello by button"))
        question = await house.asked()
        assert "hello by button" in question.text
        assert [button["text"] for button in question.buttons[0]] == ["Once", "This session", "No"]
        assert house.sent("hello by button") == 0
    async with house.server():
        house.press(question, 0, sender=7)
        house.press(question, 0)
        house.press(question, 0)
        await house.telegram.until(lambda: house.sent("hello by button") == 1 and bool(question.edits), 20)
        assert "✓ Approved" in question.edits[0]
        await house.telegram.until(lambda: any("✓ sent to telegram" in each.text for each in house.telegram.ledger), 20)
    assert house.sent("hello by button") == 1


async def test_a_question_in_discord_is_answered_in_telegram_and_its_buttons_go_away(house: House) -> None:
    world = house.discord.world
    async with house.server():
        world.write(world.dm(house.ada), house.ada, house.send("across"))
        await house.discord.until(lambda: any(entry.body.get("components") for entry in world.ledger), 20)
        question = next(entry for entry in world.ledger if entry.body.get("components"))
        code = question.content.rpartition("code ")[2].strip(". `")
        house.telegram.say(ADA, f"/approve {code}")
        await house.telegram.until(lambda: house.sent("across") == 1, 20)
        await house.discord.until(lambda: "✓ Approved" in question.shown, 20)
        assert world.messages[world.dm(house.ada)["id"]][question.message_id]["components"] == []


async def test_a_press_in_discord_is_a_no(house: House) -> None:
    world = house.discord.world
    async with house.server():
        world.write(world.dm(house.ada), house.ada, house.send("never"))
        await house.discord.until(lambda: any(entry.body.get("components") for entry in world.ledger), 20)
        question = next(entry for entry in world.ledger if entry.body.get("components"))
        *_, no = question.body["components"][0]["components"]
        world.press(question.message_id, house.ada, no["custom_id"])
        await house.discord.until(lambda: "✗ Denied" in question.shown, 20)
    assert house.sent("never") == 0


async def test_the_api_says_what_waits_and_takes_the_answer(house: House) -> None:
    async with house.server() as server, openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        messages: Any = [{"role": "user", "content": house.send("by the API")}]
        session: Any = {"session_id": "mine"}
        whole = await client.chat.completions.create(model="agent:main", messages=messages, extra_body=session)
        chunks = [each async for each in await client.chat.completions.create(model="agent:main", messages=messages, stream=True)]
        response = await client.responses.create(model="agent:main", input=messages[0]["content"])
        answers: list[Any] = [whole, chunks[-1], response]
        waiting = [answer.nanobot["pending"][0] for answer in answers]
        assert whole.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == "stop"
        assert [each["tool"] for each in waiting] == ["message"] * 3
        assert all("by the API" in each["text"] for each in waiting)
        async with httpx2.AsyncClient(base_url=server.url, timeout=30) as http:
            listed = (await http.get("/v1/approvals", params={"waiting": True})).json()["data"]
            assert {each["id"] for each in listed} == {each["id"] for each in waiting}
            assert listed[-1]["arguments"]["content"] == "by the API"
            path = f"/v1/approvals/{waiting[0]['id']}"
            for _ in range(2):
                answered = await http.post(path, json={"answer": "once"})
                assert (answered.status_code, answered.json()["answer"]) == (200, "once")
            assert (await http.post(path, json={"answer": "deny"})).json()["error"]["code"] == "approval_conflict"
            assert (await http.post(f"/v1/approvals/{waiting[1]['id']}", json={"answer": "deny"})).json()["state"] == "denied"
            assert (await http.get("/v1/approvals/apr_" + "0" * 28)).status_code == 404
            await house.telegram.until(lambda: house.sent("by the API") == 1, 20)
            async with asyncio.timeout(20):
                while (await http.get(path)).json()["state"] != "done":  # noqa: ASYNC110 - it ends by itself
                    await asyncio.sleep(0.05)
            said = (await http.get("/v1/sessions/mine")).json()["data"]
            assert [each["role"] for each in said][-4:] == ["user", "assistant", "tool", "assistant"]
        listing = await asyncio.to_thread(nanobot, house, "approvals", "list")
        assert waiting[2]["code"] in listing
        assert waiting[0]["code"] not in listing
        approved = await asyncio.to_thread(nanobot, house, "approvals", "approve", waiting[2]["code"].lower())
        assert "Approved: a server that runs does it now (nanobot serve)." in approved
        await house.telegram.until(lambda: house.sent("by the API") == 2, 20)
        shown = await asyncio.to_thread(nanobot, house, "approvals", "show", waiting[1]["code"])
        assert "denied" in shown
        assert "by the API" in shown


async def test_a_socket_is_told_what_waits_at_once_and_with_the_answer(house: House) -> None:
    async with house.server() as server, talking(int(server.url.rpartition(":")[2]), binary=False) as talk:
        frames = await talk.ask(house.send("by the socket"), thread_id="mine")
        (result,) = [frame for frame in frames if frame["type"] == "tool_result"]
        assert result["nanobot"]["pending"] == frames[-1]["nanobot"]["pending"]
        (waits,) = result["nanobot"]["pending"]
        assert waits["tool"] == "message"
        assert "by the socket" in waits["text"]
        async with httpx2.AsyncClient(base_url=server.url, timeout=30) as http:
            (listed,) = (await http.get("/v1/approvals", params={"waiting": True})).json()["data"]
        assert (listed["id"], listed["code"]) == (waits["id"], waits["code"])
    assert house.sent("by the socket") == 0


def nanobot(house: House, *arguments: str) -> str:
    environment = {"HOME": str(house.folder), "NANOBOT_HOME": str(house.folder)}
    done = run_forked((*arguments, "--config", str(house.folder / "config.json")), folder=house.folder, environment=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
