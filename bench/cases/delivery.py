"""The way out: from an accepted message to the platform, through the real server and the real SDK to a stand-in for Telegram."""

import asyncio
import http.client
import json
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from assistant.contracts.addresses import address_of
from assistant.contracts.outbox import Claim, Origin, OutboundEvent, Settlement
from assistant.contracts.util import new_id
from assistant.store.database import StoreSettings, Transaction
from assistant.store.store import open_store
from bench.figures import Effort, Figure, Say, at_least, at_most
from bench.measured import median, percentile
from tests.doubles.live_server import LiveServer, live_server
from tests.doubles.telegram_api.faults import Fault
from tests.doubles.telegram_api.server import TelegramServer
from tests.doubles.telegram_api.thread import telegram_in_thread

_CHATS = 100
_HOUR = 3600


def measure_delivery(effort: Effort, say: Say) -> Generator[Figure]:
    runs = range(effort.runs)
    say("delivery, one message at a time")
    idle = [_one_at_a_time(effort.requests(200, least=20)) for _ in runs]
    yield Figure(
        name="accepted to platform, idle, p50", unit="ms", samples=_at(idle, 50), target=at_most(10), note="by POST /v1/deliveries"
    )
    yield Figure(name="accepted to platform, idle, p99", unit="ms", samples=_at(idle, 99))
    say("delivery, 1,000 queued over 100 chats")
    rates = tuple(_many(1000) for _ in runs)
    yield Figure(
        name="1,000 queued over 100 chats",
        unit="/s",
        samples=rates,
        target=at_least(500),
        note="rate limits off, a platform that takes 50 ms",
    )
    say("delivery, beside a chat that waits an hour")
    flooded = [_one_at_a_time(effort.requests(100, least=20), flooded=True) for _ in runs]
    extra = tuple(max(0.0, median(with_wait) - median(without)) for with_wait, without in zip(flooded, idle, strict=True))
    yield Figure(
        name="delay by a chat in a one-hour flood wait", unit="ms", samples=extra, target=at_most(100), note="of messages to others, p50"
    )
    say("delivery, claims behind 100,000 settled ones")
    with tempfile.TemporaryDirectory(prefix="nanobot-bench-") as folder:
        claims = [asyncio.run(_claims(Path(folder) / str(run), effort.requests(400, least=100))) for run in runs]
    yield Figure(name="a claim behind 100,000 rows of history, p99", unit="ms", samples=_at(claims, 99), target=at_most(5))
    say("delivery, a start with messages waiting")
    yield Figure(name="start to first redelivery", unit="s", samples=tuple(_redelivery() for _ in runs), target=at_most(1.5))


def _at(runs: Sequence[Sequence[float]], percent: float) -> tuple[float, ...]:
    return tuple(percentile(run, percent) for run in runs)


@contextmanager
def _rig(latency: float = 0.0) -> Generator[tuple[TelegramServer, LiveServer, Path]]:
    with tempfile.TemporaryDirectory(prefix="nanobot-bench-") as folder, telegram_in_thread(latency=latency) as telegram:
        home = Path(folder)
        with live_server(home, config=_configuration(telegram), forked=False) as server:
            _until(lambda: "getUpdates" in telegram.requests)
            yield telegram, server, home


def _configuration(telegram: TelegramServer) -> dict[str, object]:
    return {
        "agents": {"defaults": {"provider": "offline"}},
        "deliver": {"rateLimits": False},
        "channels": {"telegram": {"enabled": True, "token": telegram.token, "apiBase": telegram.url}},
    }


def _one_at_a_time(count: int, *, flooded: bool = False) -> list[float]:
    """Milliseconds from the request for a message to its arrival at the platform, one message at a time."""
    taken: list[float] = []
    with _rig() as (telegram, server, _):
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        if flooded:
            telegram.fail(Fault.flood(_HOUR, chat_id=1, times=None))
            for _ in range(20):
                _post(connection, 1)
            _until(lambda: "sendMessage" in telegram.requests)
        for number in range(count):
            before = len(telegram.ledger)
            began = time.time()
            _post(connection, 1000 + number)
            _until(lambda before=before: len(telegram.ledger) > before)
            taken.append((telegram.ledger[-1].at - began) * 1000)
        connection.close()
    return taken


def _many(count: int) -> float:
    """Messages a second, from the moment all are queued to the arrival of the last."""
    with _rig(latency=0.05) as (telegram, _, home):
        began = time.time()
        asyncio.run(_enqueue(home, count))
        _until(lambda: len(telegram.ledger) >= count, within=60)
        return count / (max(each.at for each in telegram.ledger) - began)


def _redelivery() -> float:
    """Seconds from the start of the process to the first message at the platform."""
    with tempfile.TemporaryDirectory(prefix="nanobot-bench-") as folder, telegram_in_thread() as telegram:
        home = Path(folder)
        asyncio.run(_enqueue(home, 10))
        began = time.time()
        with live_server(home, config=_configuration(telegram), forked=False):
            _until(lambda: bool(telegram.ledger))
        return telegram.ledger[0].at - began


async def _enqueue(home: Path, count: int) -> None:
    """Into the store itself, as the command line does beside a running server."""
    store = await open_store(StoreSettings(), home)
    try:
        expires = datetime.now(UTC) + timedelta(hours=1)
        await store.outbox.enqueue(
            [
                OutboundEvent(
                    id=new_id("evt"),
                    address=address_of("telegram", str(1000 + number % _CHATS)),
                    text=f"message {number}",
                    expires_at=expires,
                    origin=Origin(kind="cli", owner="local"),
                )
                for number in range(count)
            ]
        )
    finally:
        await store.close()


def _post(connection: http.client.HTTPConnection, chat: int) -> None:
    body = json.dumps({"channel": "telegram", "chat_id": str(chat), "text": "hello"})
    connection.request("POST", "/v1/deliveries", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    said = response.read()
    if response.status != 202:
        raise RuntimeError(f"/v1/deliveries answered {response.status}: {said[:200]!r}")


def _until(holds: Callable[[], bool], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("what is measured did not come about")
        time.sleep(0.001)


async def _claims(home: Path, count: int) -> list[float]:
    """Milliseconds of each claim, its commit included, with a history of 100,000 settled deliveries and 100 chats that wait."""
    store = await open_store(StoreSettings(), home)
    try:
        await store.database.write(_fill)
        await _enqueue(home, count)
        taken: list[float] = []
        for number in range(count):
            began = time.perf_counter()
            claim = await store.outbox.claim(f"telegram:{1000 + number % _CHATS}", timedelta(seconds=15))
            taken.append((time.perf_counter() - began) * 1000)
            if not isinstance(claim, Claim):
                raise RuntimeError("there was nothing to claim")
            await store.outbox.note(claim, settle=Settlement(state="sent"))
        return taken
    finally:
        await store.close()


def _fill(connection: Transaction) -> None:
    connection.execute(
        """
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
        INSERT INTO outbox (id, channel, lane, owner, state, yields, due, expires, created, ended, attempts, held, fence, maybe_duplicate, payload)
        SELECT 'old_' || n, 'telegram', 'telegram:' || (1000 + n % 100), 'local', 'sent', 0, n, n, n, n, 1, 0, 1, 0, '{}' FROM numbers"""
    )
