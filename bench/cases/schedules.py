"""What happens later: many reminders at one time, claims among many schedules, and what those cost that are not due."""

import asyncio
import tempfile
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from assistant.contracts.addresses import address_of
from assistant.contracts.people import OWNER_ID
from assistant.contracts.schedules import At, Cron, NewSchedule, Rule
from assistant.schedule.plans import plan_due
from assistant.schedule.rules import zones_version
from assistant.schedule.texts import EventWriter
from assistant.store.codec import encode_json, to_micros
from assistant.store.database import StoreSettings, Transaction
from assistant.store.store import Store, open_store
from bench.figures import Effort, Figure, Say, at_most
from bench.measured import percentile
from tests.doubles.live_server import live_server
from tests.doubles.telegram_api.thread import telegram_in_thread
from tests.process_usage import cpu_seconds

_DUE = 1000
_SCHEDULES = 100_000
_IDLE_SECONDS = 10.0
_LEAD = timedelta(seconds=4)
_WRITER = EventWriter(expire_after=timedelta(days=1))


def measure_schedules(effort: Effort, say: Say) -> Generator[Figure]:
    runs = range(effort.runs)
    say("schedules, 1,000 reminders due in one second")
    arrived = tuple(_many() for _ in runs)
    yield Figure(
        name="1,000 reminders due in one second, until the last arrives",
        unit="s",
        samples=arrived,
        target=at_most(3),
        note="100 chats, rate limits off",
    )
    say("schedules, claims among 100,000")
    with tempfile.TemporaryDirectory(prefix="nanobot-bench-") as folder:
        claims = [asyncio.run(_claims(Path(folder) / str(run), effort.requests(400, least=100))) for run in runs]
    yield Figure(
        name="a claim among 100,000 schedules, p99", unit="ms", samples=tuple(percentile(run, 99) for run in claims), target=at_most(5)
    )
    say("schedules, an idle server")
    without, beside = [_idle(0) for _ in runs], [_idle(_SCHEDULES) for _ in runs]
    extra = tuple((many - none) * 1000 for many, none in zip(beside, without, strict=True))
    yield Figure(
        name="processor time of 100,000 schedules that are not due", unit="ms in 10 s", samples=extra, note="an idle server's apart"
    )


def _new(number: int, rule: Rule) -> NewSchedule:
    address = address_of("telegram", str(1000 + number % 100))
    return NewSchedule(owner=OWNER_ID, kind="reminder", rule=rule, zone="Europe/Berlin", text=f"reminder {number}", address=address)


def _many() -> float:
    """Seconds from the instant that 1,000 reminders have in common, or nearly, to the arrival of the last."""
    with tempfile.TemporaryDirectory(prefix="nanobot-bench-") as folder, telegram_in_thread() as telegram:
        home = Path(folder)
        config: dict[str, object] = {
            "agents": {"defaults": {"provider": "offline"}},
            "deliver": {"rateLimits": False},
            "channels": {"telegram": {"enabled": True, "token": telegram.token, "apiBase": telegram.url}},
        }
        with live_server(home, config=config, forked=False):
            due = asyncio.run(_schedule(home))
            deadline = time.monotonic() + 60
            while len(telegram.ledger) < _DUE:
                if time.monotonic() > deadline:
                    raise TimeoutError("the reminders did not arrive")
                time.sleep(0.01)
        return max(each.at for each in telegram.ledger) - due.timestamp()


async def _schedule(home: Path) -> datetime:
    """Into the store itself, as the command line does beside a running server. Returns the first instant."""
    store = await open_store(StoreSettings(), home)
    due = datetime.now(UTC) + _LEAD
    times = [due + timedelta(milliseconds=number % 1000) for number in range(_DUE)]
    await asyncio.gather(*[store.schedules.add(_new(number, At(at=at)), at, "", most=10**6) for number, at in enumerate(times)])
    await store.close()
    if datetime.now(UTC) > due:
        raise TimeoutError("the reminders were not stored in time")
    return due


async def _claims(home: Path, count: int) -> list[float]:
    """Milliseconds of each claim of one reminder, its commit included, among 100,000 schedules."""
    await _prepare(home, _SCHEDULES)
    store = await open_store(StoreSettings(), home)
    try:
        taken: list[float] = []
        for number in range(count):
            now = datetime.now(UTC)
            await store.schedules.add(_new(number, Cron(cron="0 9 * * *")), now - timedelta(milliseconds=1), zones_version(), most=10**6)
            began = time.perf_counter()
            decided, _ = await store.occurrences.claim(lambda due, now: plan_due(due, now, None, _WRITER), 25, zones_version())
            taken.append((time.perf_counter() - began) * 1000)
            if decided != 1:
                raise RuntimeError(f"{decided} were claimed")
        return taken
    finally:
        await store.close()


def _idle(schedules: int) -> float:
    """Seconds of processor time that a server takes in ten seconds in which nothing happens."""
    with tempfile.TemporaryDirectory(prefix="nanobot-bench-") as folder:
        home = Path(folder)
        asyncio.run(_prepare(home, schedules))
        with live_server(home, config={"agents": {"defaults": {"provider": "offline"}}}, forked=False) as server:
            time.sleep(5)  # what the start has put off
            before = cpu_seconds(server.process.pid)
            time.sleep(_IDLE_SECONDS)
            return cpu_seconds(server.process.pid) - before


async def _prepare(home: Path, schedules: int) -> None:
    store = await open_store(StoreSettings(), home)
    await _fill(store, schedules)
    await store.close()


async def _fill(store: Store, schedules: int) -> None:
    far = to_micros(datetime.now(UTC) + timedelta(days=300))
    payload = encode_json(_new(0, At(at=datetime.now(UTC) + timedelta(days=300))))

    def fill(connection: Transaction) -> None:
        connection.execute(
            """
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :many)
            INSERT INTO schedules (id, owner, state, created, next_at, zones, failures, untold, payload)
            SELECT 'sch_' || n, 'local', 'active', n, :far + n, :zones, 0, 0, :payload FROM numbers""",
            {"many": schedules, "far": far, "zones": zones_version(), "payload": payload},
        )

    if schedules:
        await store.database.write(fill)
