"""A stand-in for Telegram's Bot API that the real SDK talks to, and that keeps a ledger of every message it accepted.

    async with TelegramServer() as telegram:             on this event loop
    with telegram_in_thread() as telegram:               on a loop of its own in a thread, beside a process or blocking code

    settings: token = telegram.token, apiBase = telegram.url
    telegram.say(42, "hello")                            a person writes to the bot; see `chats.Chats` for photos, albums, topics …
    telegram.fail(Fault.flood(30, chat_id=42))           the next request meets a fault; see `faults.Fault`
    telegram.ledger, telegram.texts(42)                  what it accepted, in order

Everything a test calls may be called from any thread. Facts: core.telegram.org/bots/api.
"""

from tests.doubles.telegram_api.faults import Fault
from tests.doubles.telegram_api.server import TelegramServer
from tests.doubles.telegram_api.thread import telegram_in_thread

__all__ = ["Fault", "TelegramServer", "telegram_in_thread"]
