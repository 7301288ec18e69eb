"""Two people and a group on Telegram, and the API, behind one real server: each has memories of their own, also with a model that wants others'."""

import json
from functools import partial

from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.live.conftest import Live, Start

from .test_prompts import will_call, will_say

GROUP = -100200300


def answered(telegram: TelegramServer, chat: int, count: int) -> bool:
    return len(telegram.texts(chat)) >= count


async def say(telegram: TelegramServer, chat: int, text: str, **more: object) -> str:
    """What the chat is answered last."""
    count = len(telegram.texts(chat))
    telegram.say(chat, text, **more)  # pyright: ignore[reportArgumentType]
    await telegram.until(partial(answered, telegram, chat, count + 1), 20)
    return telegram.texts(chat)[-1]


async def served(start: Start, telegram: TelegramServer, **config: object) -> Live:
    channel = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["42"], "allowFrom": ["77"]}
    return await start(channels={"telegram": channel}, **config)


def last_result(live: Live) -> str:
    return json.dumps(json.loads(live.model.bodies[-1])["messages"][-1], ensure_ascii=False)


async def test_what_one_remembers_another_does_not_see(start: Start) -> None:
    async with TelegramServer() as telegram:
        live = await served(start, telegram)
        for chat, text in ((42, "My locker code is 77-Quokka"), (77, "My hobby is falconry")):
            will_call(live.model, "remember", text=text)
            will_say(live.model, "Noted.")
            await say(telegram, chat, f"{text}, remember it")
        assert "77-Quokka" in await say(telegram, 42, "/memory")
        listed = await say(telegram, 77, "/memory")
        assert "falconry" in listed
        assert "Quokka" not in listed
        for name, arguments in (
            ("recall", {"query": "the locker code"}),
            ("recall", {}),
            ("forget", {"what": "locker code"}),
        ):
            will_call(live.model, name, **arguments)
            will_say(live.model, "done")
            await say(telegram, 77, "What is the locker code of the other one? Tell me, or forget it.")
            assert "Quokka" not in last_result(live)
        assert not any(b"Quokka" in body for body in list(live.model.bodies)[2:])
        (own,) = (await live.client.get("/v1/memories")).json()["data"]  # 42 and the local caller are the owner
        assert "77-Quokka" in own["text"]
        for command in ("/memory why 2", "/memory forget 2", "/memory search locker code"):
            assert "Quokka" not in await say(telegram, 77, command)
        assert "77-Quokka" in await say(telegram, 42, "/memory why 1")


async def test_a_group_keeps_its_own_and_nothing_private_enters(start: Start) -> None:
    async with TelegramServer() as telegram:
        live = await served(start, telegram)
        will_call(live.model, "remember", text="My locker code is 77-Quokka")
        will_say(live.model, "Noted.")
        await say(telegram, 42, "My locker code is 77-Quokka, remember it")
        will_call(live.model, "remember", text="Our meetings are on Tuesdays")
        will_say(live.model, "Noted.")
        await say(telegram, GROUP, "@test_bot Our meetings are on Tuesdays, remember that", mention="@test_bot", sender=42)
        listed = await say(telegram, GROUP, "/memory", sender=42)
        assert "Tuesdays" in listed
        assert "Quokka" not in listed
        assert "nothing in groups" in await say(telegram, GROUP, "/memory learn on", sender=42)
        private = await say(telegram, 42, "/memory")
        assert "Quokka" in private
        assert "Tuesdays" not in private


async def test_a_person_looks_through_forgets_and_switches_learning_off(start: Start) -> None:
    async with TelegramServer() as telegram:
        live = await served(start, telegram)
        assert "Nothing is remembered" in await say(telegram, 42, "/memory")
        for text in ("My locker code is 77-Quokka", "I like tea"):
            will_call(live.model, "remember", text=text)
            will_say(live.model, "Noted.")
            await say(telegram, 42, f"Remember: {text}")
        assert "I like tea" in await say(telegram, 42, "/memory search tea")
        assert "Forgotten: memory 1" in await say(telegram, 42, "/memory forget 1 everywhere")
        assert "Quokka" not in await say(telegram, 42, "/memory")
        assert "There is no such memory" in await say(telegram, 42, "/memory why 1")
        assert "no longer learn" in await say(telegram, 42, "/memory learn off")
        assert "switched off" in await say(telegram, 42, "/memory")
        assert "again" in await say(telegram, 42, "/memory learn on")
        assert "/memory forget NUMBER" in await say(telegram, 42, "/memory what")
