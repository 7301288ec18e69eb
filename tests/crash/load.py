"""The load: callers of the API whose turns send messages, and people who write on every platform, concurrently and all the time."""

import http.client
import itertools
import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.crash.platforms import Platforms

_CALLERS = 3
_PAUSE = 0.03
_LONG = 60
"""Lines that make a message long enough for several parts, on Telegram and Discord, and on ntfy."""


@dataclass(slots=True, kw_only=True)
class Promises:
    """What the server accepted."""

    answered: list[str] = field(default_factory=list[str])
    """Marks of messages whose turn the API answered with 200."""
    unanswered: int = 0
    """API calls cut off by the server's death: the store shows whether they were accepted."""
    written: list[str] = field(default_factory=list[str])
    """Marks of messages written in chats: each must be answered."""
    heard: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each port gave an answer of any kind, in seconds of the monotonic clock."""


@contextmanager
def under_load(platforms: Platforms, ports: Sequence[int], seed: int) -> Generator[Promises]:
    """From here to the end of the block. Beside the sessions that all servers are asked for, each of several
    has one of its own, where nothing is sent."""
    promises = Promises()
    stop = threading.Event()
    numbers = itertools.count(1)
    callers = [(port, own) for port in ports for own in [False] * _CALLERS + [True] * (len(ports) > 1)]
    threads = [
        threading.Thread(target=_call, args=(platforms, port, random.Random(seed + 1 + number), stop, numbers, promises, own), daemon=True)
        for number, (port, own) in enumerate(callers)
    ]
    threads.append(threading.Thread(target=_write, args=(platforms, random.Random(seed), stop, promises), daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield promises
    finally:
        stop.set()
        for thread in threads:
            thread.join(35)


def _call(
    platforms: Platforms,
    port: int,
    chance: random.Random,
    stop: threading.Event,
    numbers: "itertools.count[int]",
    promises: Promises,
    own: bool,
) -> None:
    while not stop.wait(_PAUSE):
        mark = f"api-{next(numbers)}-{chance.getrandbits(32):08x}"
        channel, chats = chance.choice(list(platforms.chats.items()))
        chat = chance.choice(chats)
        words = f"message {mark}" if chance.random() < 0.8 else "\n\n".join(f"{mark}, line {line}: {'word ' * 16}" for line in range(_LONG))
        call = json.dumps({"content": words, "channel": channel, "chat_id": chat})
        session, said = (f"own-{port}", f"ECHO {mark}") if own else (f"s{chance.randrange(12)}", f"CALLTOOL message {call}")
        status = _post(port, json.dumps({"messages": [{"role": "user", "content": said}], "session_id": session}))
        if status:
            promises.heard[port].append(time.monotonic())
        if own:
            continue
        if status == 200:
            promises.answered.append(mark)
        else:
            promises.unanswered += 1


def _post(port: int, body: str) -> int:
    """The status; 0: no answer came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
    return response.status


def _write(platforms: Platforms, chance: random.Random, stop: threading.Event, promises: Promises) -> None:
    for number, (channel, chats) in enumerate(itertools.cycle(platforms.chats.items())):
        if stop.wait(_PAUSE * 4):
            return
        mark = f"in-{number}-{chance.getrandbits(32):08x}"
        promises.written.append(mark)
        platforms.say(channel, chance.randrange(len(chats)), f"ECHO answer to {mark}")
