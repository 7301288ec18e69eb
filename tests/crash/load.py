"""The load: callers of the API whose turns send messages, and people who write on Telegram and Discord, concurrently and all the time."""

import http.client
import itertools
import json
import random
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.crash.platforms import DISCORD_CHATS, TELEGRAM_CHATS, Platforms

_CALLERS = 3
_PAUSE = 0.03
_LONG = 60
"""Lines that make a message long enough for several parts, on either platform."""


@dataclass(slots=True, kw_only=True)
class Promises:
    """What the server accepted."""

    answered: list[str] = field(default_factory=list[str])
    """Marks of messages whose turn the API answered with 200."""
    unanswered: int = 0
    """API calls cut off by the server's death: the store shows whether they were accepted."""
    written: list[str] = field(default_factory=list[str])
    """Marks of messages written in chats: each must be answered."""


@contextmanager
def under_load(platforms: Platforms, port: int, seed: int) -> Generator[Promises]:
    """From here to the end of the block."""
    promises = Promises()
    stop = threading.Event()
    numbers = itertools.count(1)
    threads = [
        threading.Thread(target=_call, args=(platforms, port, random.Random(seed + 1 + number), stop, numbers, promises), daemon=True)
        for number in range(_CALLERS)
    ]
    threads.append(threading.Thread(target=_write, args=(platforms, random.Random(seed), stop, promises), daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield promises
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)


def _call(
    platforms: Platforms, port: int, chance: random.Random, stop: threading.Event, numbers: "itertools.count[int]", promises: Promises
) -> None:
    while not stop.wait(_PAUSE):
        mark = f"api-{next(numbers)}-{chance.getrandbits(32):08x}"
        channel, chat = ("telegram", chance.choice(platforms.telegram_chats)) if chance.random() < 0.6 else (
            "discord", chance.choice(platforms.discord_chats)
        )  # fmt: skip
        words = f"message {mark}" if chance.random() < 0.8 else "\n\n".join(f"{mark}, line {line}: {'word ' * 16}" for line in range(_LONG))
        call = json.dumps({"content": words, "channel": channel, "chat_id": chat})
        body = json.dumps({"messages": [{"role": "user", "content": f"CALLTOOL message {call}"}], "session_id": f"s{chance.randrange(12)}"})
        if _post(port, body):
            promises.answered.append(mark)
        else:
            promises.unanswered += 1


def _post(port: int, body: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return response.status == 200


def _write(platforms: Platforms, chance: random.Random, stop: threading.Event, promises: Promises) -> None:
    number = 0
    while not stop.wait(_PAUSE * 4):
        number += 1
        channel, chats = ("telegram", TELEGRAM_CHATS) if number % 2 else ("discord", DISCORD_CHATS)
        mark = f"in-{number}-{chance.getrandbits(32):08x}"
        promises.written.append(mark)
        platforms.say(channel, chance.randrange(chats), f"ECHO answer to {mark}")
