"""People on Telegram, behind the real server, have the limits of the configuration: the owner, and one who was let in by a code."""

import asyncio
import re
from functools import partial

from tests.doubles.telegram_api.server import TelegramServer
from tests.flow.nanobot_process import Nanobot

from .conftest import Start


async def test_a_paired_telegram_user_is_limited_and_told_when_to_write_again(start: Start) -> None:
    async with TelegramServer() as telegram:
        settings = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["42"]}
        live = await start(channels={"telegram": settings}, api={"limits": {"requestsPerMinute": 1}})
        telegram.say(77, "who are you?")
        await telegram.until(lambda: len(telegram.texts(77)) == 1)
        code = re.search(r"approve ([A-Z0-9]{8})", telegram.texts(77)[0])
        assert code is not None
        approved = await asyncio.to_thread(Nanobot(folder=live.home.parent), "pairing", "approve", code[1])
        assert approved.returncode == 0
        await telegram.until(lambda: len(telegram.texts(77)) == 2)
        for person, before in ((42, 0), (77, 2)):
            for number, words in enumerate(("one", "two"), before + 1):
                telegram.say(person, words)
                await telegram.until(partial(holds, telegram, person, number))
            assert ["You have reached your limit" in text for text in telegram.texts(person)[-2:]] == [False, True]
        assert len(live.model.bodies) == 2


def holds(telegram: TelegramServer, chat: int, number: int) -> bool:
    return len(telegram.texts(chat)) == number
