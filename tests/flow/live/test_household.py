"""Two people in one household, on Telegram, Discord and the API, behind the real server: neither sees anything of the other."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.doubles.discord_api.server import DiscordApi
from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_server import ModelServer
from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.nanobot_process import Nanobot

ANNA, BERT = 42, 77
SECRET = "the safe opens with 4711"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    nanobot: Nanobot
    url: str
    telegram: TelegramServer
    discord: DiscordApi
    model: ModelServer
    anna: dict[str, Any]
    """On Discord; Bert is on Telegram alone."""

    def client(self, key: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, headers={"authorization": f"Bearer {key}"}, timeout=30)

    async def command(self, *arguments: str) -> str:
        done = await asyncio.to_thread(self.nanobot, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def key(self, name: str) -> tuple[str, str]:
        """A secret with all scopes but `admin`, and the identity."""
        scopes = [word for scope in ("chat", "sessions", "files", "deliveries", "workflows", "schedules") for word in ("--scope", scope)]
        secret = (await self.command("keys", "create", name, *scopes)).strip()
        (row,) = [row for row in (await self.command("keys", "list")).splitlines() if name in row]
        return secret, f"key:{row.split()[0]}"

    async def telegram_says(self, chat: int, text: str) -> str:
        """What is answered."""
        before = len(self.telegram.texts(chat))
        self.telegram.say(chat, text)
        await self.telegram.until(lambda: len(self.telegram.texts(chat)) > before, 20)
        return self.telegram.texts(chat)[-1]

    async def discord_says(self, text: str) -> str:
        dm = self.discord.world.dm(self.anna)
        before = len(self.discord.world.ledger)
        self.discord.world.write(dm, self.anna, text)
        await self.discord.until(lambda: len(self.discord.world.ledger) > before, 20)
        return self.discord.world.ledger[-1].content


@asynccontextmanager
async def household(tmp_path: Path) -> AsyncGenerator[House]:
    async with ModelServer() as model, TelegramServer() as telegram, DiscordApi() as discord:
        anna = discord.world.user("anna")
        channels = {
            "telegram": {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "allowFrom": [str(ANNA), str(BERT)]},
            "discord": discord.settings(allowFrom=[anna["id"]]),
        }
        config = {**with_model(model.url), "channels": channels, "auth": {"mode": "keys"}}
        home = tmp_path / "home"
        opened = live_server(home, paced=True, config=config)
        server = await asyncio.to_thread(opened.__enter__)
        try:
            await discord.until(lambda: discord.gateway.identified, 20)
            nanobot = Nanobot(folder=tmp_path, env={"NANOBOT_CONFIG": str(home / "config.json")})
            yield House(nanobot=nanobot, url=server.url, telegram=telegram, discord=discord, model=model, anna=anna)
        finally:
            await asyncio.to_thread(opened.__exit__, None, None, None)


def code_in(text: str) -> str:
    found = re.search(r"\b[A-HJ-NP-Z2-9]{8}\b", text)
    assert found is not None, text
    return found[0]


async def everything(client: httpx2.AsyncClient) -> dict[str, list[str]]:
    """The ids that a caller sees, by kind."""
    kinds = ("sessions", "deliveries", "files", "jobs")
    return {kind: [each["id"] for each in (await client.get(f"/v1/{kind}")).json()["data"]] for kind in kinds}


async def test_two_people_see_nothing_of_each_other_by_any_door(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        (anna_key, anna_id), (bert_key, bert_id) = await house.key("annas"), await house.key("berts")
        async with house.client(anna_key) as anna, house.client(bert_key) as bert:
            # Anna's chats and key are one person, Bert's another.
            await house.telegram_says(ANNA, f"ECHO {SECRET}")
            code = code_in(await house.telegram_says(ANNA, "/link"))
            assert "joined" in await house.discord_says(f"/link {code}")
            code = code_in(await house.telegram_says(ANNA, "/link"))
            joined = (await anna.post("/v1/link", json={"code": code})).json()
            assert joined["id"] == f"telegram:{ANNA}"
            assert set(joined["identities"]) == {f"telegram:{ANNA}", f"discord:{house.anna['id']}", anna_id}
            await house.telegram_says(BERT, "ECHO nothing of Anna's")
            bert_code = (await bert.post("/v1/people/me/codes")).json()["code"]
            assert "joined" in await house.telegram_says(BERT, f"/link {bert_code}")
            # Something of each kind.
            file = (await anna.post("/v1/files", files={"file": ("safe.txt", SECRET.encode())}, data={"purpose": "user_data"})).json()["id"]
            sent = (await anna.post("/v1/deliveries", json={"channel": "telegram", "chat_id": str(ANNA), "text": SECRET})).json()["id"]
            asked: dict[str, Any] = {"messages": [{"role": "user", "content": SECRET}], "session_id": "shared-name"}
            assert (await anna.post("/v1/chat/completions", json=asked)).status_code == 200
            response = (await anna.post("/v1/responses", json={"model": "fake-model", "input": SECRET})).json()["id"]
            seen = await everything(anna)
            assert f"telegram:{ANNA}" in seen["sessions"]
            assert "shared-name" in seen["sessions"]
            # Nothing of it is Bert's: in lists, by ids, by name.
            assert not {each for ids in (await everything(bert)).values() for each in ids} & {each for ids in seen.values() for each in ids}
            guessed = [
                f"/v1/sessions/telegram:{ANNA}",
                "/v1/sessions/shared-name",
                f"/v1/files/{file}",
                f"/v1/files/{file}/content",
                f"/v1/deliveries/{sent}",
                f"/v1/responses/{response}",
            ]
            for path in guessed:
                assert (await anna.get(path)).status_code == 200, path
                refused = await bert.get(path)
                assert (refused.status_code, SECRET in refused.text) == (404, False), path
                assert (await bert.delete(path.removesuffix("/content"))).status_code in (404, 405), path
            for path in ("/v1/people", f"/v1/people/telegram:{ANNA}", "/v1/people/owner"):
                assert (await bert.get(path)).status_code == 403, path
            assert (await bert.post(f"/v1/people/telegram:{ANNA}/codes")).status_code == 403
            house.model.bodies.clear()
            await bert.post("/v1/responses", json={"model": "fake-model", "input": "go on", "previous_response_id": response})
            asked["messages"][0]["content"] = "what did I say before?"
            await bert.post("/v1/chat/completions", json=asked)
            # The model with tools, which tries whatever it is told to.
            calls: list[list[Any]] = [["list_attachments", {}], ["read_attachment", {"id": file}]]
            await house.telegram_says(BERT, f"CALLTOOLS {json.dumps(calls)}")
            assert SECRET not in await house.telegram_says(BERT, "/status")
            assert house.model.bodies
            for body in house.model.bodies:
                assert SECRET.encode() not in body
            # And what is Anna's is hers on each of her doors.
            assert (await anna.get(f"/v1/sessions/telegram:{ANNA}")).json()["data"][0]["content"] == f"ECHO {SECRET}"
            assert set((await bert.get("/v1/people/me")).json()["identities"]) == {bert_id, f"telegram:{BERT}"}


async def test_a_guest_has_nothing_written_to_others_by_the_api(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        key, identity = await house.key("guests")
        await house.telegram_says(ANNA, "ECHO hello")
        await house.telegram_says(BERT, "ECHO hello")
        await house.command("people", "link", f"telegram:{BERT}", identity)
        await house.command("people", "role", f"telegram:{BERT}", "guest")
        async with house.client(key) as guest:
            async with asyncio.timeout(30):
                while (await guest.get("/v1/people/me")).json()["role"] != "guest":  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.05)
            for chat, delivered, planned in ((ANNA, 403, 403), (BERT, 202, 201)):
                message = {"channel": "telegram", "chat_id": str(chat), "text": "x"}
                assert (await guest.post("/v1/deliveries", json=message)).status_code == delivered
                later = {"when": "in 1 hour", "text": "x", "to": f"telegram:{chat}"}
                assert (await guest.post("/v1/schedules", json=later)).status_code == planned


async def test_a_key_that_is_separated_sees_nothing_more(tmp_path: Path) -> None:
    async with household(tmp_path) as house:
        key, identity = await house.key("annas")
        async with house.client(key) as client:
            await house.telegram_says(ANNA, f"ECHO {SECRET}")
            await house.command("people", "name", f"telegram:{ANNA}", "Anna")
            await house.command("people", "link", "anna", identity)
            async with asyncio.timeout(30):
                while (await client.get(f"/v1/sessions/telegram:{ANNA}")).status_code != 200:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.05)
            assert "Anna" in await house.command("people", "list")
            exported = json.loads(await house.command("people", "export", "anna"))
            assert SECRET in json.dumps(exported["sessions"])
            await house.command("people", "unlink", identity)
            async with asyncio.timeout(30):
                while (await client.get(f"/v1/sessions/telegram:{ANNA}")).status_code != 404:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.05)
            await house.command("people", "forget", "anna", "--yes")
            assert "Anna" not in await house.command("people", "list")
