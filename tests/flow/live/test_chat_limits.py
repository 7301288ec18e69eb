"""A paired person on Telegram, behind the real server, has the limits of the configuration."""

from tests.doubles.telegram_api.server import TelegramServer

from .conftest import Start


async def test_a_paired_telegram_user_is_limited_and_told_when_to_write_again(start: Start) -> None:
    async with TelegramServer() as telegram:
        settings = {"enabled": True, "token": telegram.token, "apiBase": telegram.url, "owners": ["42"]}
        live = await start(channels={"telegram": settings}, api={"limits": {"requestsPerMinute": 1}})
        telegram.say(42, "one")
        await telegram.until(lambda: len(telegram.ledger) == 1)
        telegram.say(42, "two")
        await telegram.until(lambda: len(telegram.ledger) == 2)
        assert "You have reached your limit" in telegram.texts(42)[1]
        assert len(live.model.bodies) == 1
