"""`python -m tests.crash.schedules`: kills a server (of two, either) while schedules fall due all the time, at every boundary of an occurrence
and at random. Then each occurrence must have one end, each message must have arrived once, and no instant may be left out. Prints a table and the
seed; exits with 1 if a promise was broken."""

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.people import OWNER_ID
from assistant.contracts.schedules import At, Every, NewSchedule
from assistant.store.store import Store, open_store
from tests.crash.boundaries import ALL_OF_SCHEDULES, BREAKS
from tests.crash.platforms import Platforms, running_platforms
from tests.crash.process import Server
from tests.crash.stored import Stored
from tests.postgres import new_database, running_postgres

_PAUSE: Final = 0.05
_RULES: Final = 4
"""Schedules that come again each second, beside those that come once."""
_BOUNDARY_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 30.0
_OPEN: Final = "SELECT COUNT(*) FROM occurrences WHERE state IN ('waiting', 'claimed')"
_DUE: Final = "SELECT COUNT(*) FROM schedules WHERE state = 'active' AND next_at IS NOT NULL"


@dataclass(slots=True)
class Made:
    """What was scheduled, by the words that it says."""

    once: dict[str, str] = field(default_factory=dict[str, str])
    """Kind by mark."""
    rules: list[str] = field(default_factory=list[str])
    marks: dict[str, str] = field(default_factory=dict[str, str])
    """Mark by schedule."""


@contextmanager
def scheduling(stored: Stored, platforms: Platforms, seed: int) -> Generator[Made]:
    """From here to the end of the block, schedules are made that fall due at once or in the next seconds."""
    made, stop = Made(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_schedule(stored, platforms, random.Random(seed), made, stop)), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join(30)


async def _schedule(stored: Stored, platforms: Platforms, chance: random.Random, made: Made, stop: threading.Event) -> None:
    store = await open_store(stored.settings, stored.home)
    rules = [await _add(store, platforms, chance, made, f"rule-{number}", every=True) for number in range(_RULES)]
    for number in itertools.count():
        if stop.is_set():
            break
        await _add(store, platforms, chance, made, f"once-{number}-{chance.getrandbits(32):08x}", every=False)
        await asyncio.sleep(_PAUSE)
    for rule in rules:
        await store.schedules.update(None, rule, "", lambda schedule: replace(schedule, state="paused", next_at=None))
    await store.close()


async def _add(store: Store, platforms: Platforms, chance: random.Random, made: Made, mark: str, *, every: bool) -> str:
    kind = "reminder" if every or chance.random() < 0.6 else "ask"
    at = datetime.now(UTC) + timedelta(seconds=chance.uniform(0, 2))
    address = Address(channel="telegram", chat_id=chance.choice(platforms.telegram_chats))
    rule = Every(seconds=1, anchor=at) if every else At(at=at)
    new = NewSchedule(
        owner=OWNER_ID,
        kind=kind,
        rule=rule,
        zone="UTC",
        text=mark if kind == "reminder" else f"ECHO {mark}",
        address=address,
        session=f"s{chance.randrange(12)}",
    )
    schedule = await store.schedules.add(new, at, "", most=1_000_000)
    if every:
        made.rules.append(mark)
    else:
        made.once[mark] = kind
    made.marks[schedule.id] = mark
    return schedule.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the store and the platform have at the end; `wrong` must be empty."""

    figures: dict[str, int]
    wrong: list[str]


def judged(stored: Stored, platforms: Platforms, made: Made) -> Found:
    ends = Counter(state for (state,) in stored.rows("SELECT state FROM occurrences"))
    rows = stored.rows("SELECT schedule, instant, state, ref, crashes, error FROM occurrences ORDER BY schedule, instant")
    doubled = dict(stored.rows("SELECT id, maybe_duplicate FROM outbox"))
    posted = Counter(word for each in platforms.posted() for word in each.mark.split() if word.startswith(("once-", "rule-")))
    words = [each.mark for each in platforms.posted()]
    wrong: list[str] = [f"{state}: {count}" for state, count in ends.items() if state in ("waiting", "claimed", "missed")]
    told = sum("failed" in text for text in words)
    given_up = 0
    for mark, of in itertools.groupby(rows, key=lambda row: made.marks.get(row[0], "")):
        occurrences = list(of)
        if mark in made.once and len(occurrences) != 1:
            wrong.append(f"{mark}: {len(occurrences)} occurrences")
        instants = [instant for _, instant, *_ in occurrences]
        if any(later - earlier != 1_000_000 for earlier, later in itertools.pairwise(instants)):
            wrong.append(f"{mark}: an instant was left out")
        failed = sum(state == "failed" for _, _, state, *_ in occurrences)
        skipped = sum(state == "skipped" for _, _, state, *_ in occurrences)
        if mark in made.once and skipped:
            wrong.append(f"{mark}: skipped")
        given_up += failed
        maybe = sum(bool(doubled.get(ref)) for _, _, _, ref, *_ in occurrences)
        wanted = len(occurrences) - failed - skipped  # of a rule: those that came due while no server ran, for which the latest stands
        if posted[mark] < wanted or (posted[mark] > wanted and not maybe):
            wrong.append(f"{mark}: {posted[mark]} messages for {wanted} occurrences, {maybe} perhaps twice")
    missing = set(made.marks.values()) - {made.marks.get(row[0]) for row in rows}
    wrong += [f"{mark}: no occurrence" for mark in missing]
    if told < given_up:
        wrong.append(f"{given_up} failed, {told} told")
    return Found(figures={**ends, "schedules": len(made.marks), "messages": sum(posted.values()), "given up and told": told}, wrong=wrong)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.schedules", description=__doc__)
    parser.add_argument("--kills", type=int, default=48, help="how often a server is killed (default 48)")
    parser.add_argument("--seed", type=int, default=None, help="what chance is drawn from")
    parser.add_argument("--at", choices=ALL_OF_SCHEDULES, metavar="BOUNDARY", help="kill at this boundary only")
    parser.add_argument("--processes", type=int, choices=[1, 2], default=1, help="servers on the store; of two, either is killed")
    parser.add_argument("--break", dest="broken", choices=list(BREAKS), help="the control: break a promise, which must be found out")
    parser.add_argument("--postgres", action="store_true", help="the store is a PostgreSQL of the run's own")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the server's state and log there")
    given = parser.parse_args()
    seed: int = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nanobot-crash-"))
        platforms = stack.enter_context(running_platforms())
        url = new_database(stack.enter_context(running_postgres())) if given.postgres else None
        stored = Stored(home=given.keep or Path(folder), url=url)
        places, found = _run(stored, platforms, given.kills, seed, given.at, given.processes, given.broken)
    print(f"seed {seed}, {sum(places.values())} kills\n\n| where | times |\n|---|---|")
    print("\n".join(f"| {where} | {times} |" for where, times in sorted(places.items())))
    print("\n| what | how many |\n|---|---|\n" + "\n".join(f"| {name} | {count} |" for name, count in sorted(found.figures.items())))
    print("\n" + "\n".join(found.wrong[:20] or ["every promise was kept"]))
    return 1 if found.wrong else 0


def _run(
    stored: Stored, platforms: Platforms, kills: int, seed: int, at: str | None, processes: int, broken: str | None
) -> tuple[Counter[str], Found]:
    chance = random.Random(seed)
    configuration = {**platforms.configuration(), **stored.configuration}
    boundaries = itertools.cycle([at] if at else ALL_OF_SCHEDULES)
    places: Counter[str] = Counter()
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(stored.home, json.dumps(configuration), broken=broken))]
        if processes > 1:
            servers.append(stack.enter_context(Server(stored.home, json.dumps(configuration), broken=broken, name="peer")))
        for server in servers:
            server.start()
            server.wait_ready()
        with scheduling(stored, platforms, seed) as made:
            for number in range(kills):
                server = chance.choice(servers)
                where = "random" if number % 2 else next(boundaries)
                server.kill()
                server.start("" if where == "random" else f"{where}:{chance.randint(1, 8)}")
                alive = server.wait_ready()
                if alive and where == "random":
                    server.died(chance.uniform(0.0, 0.8))
                elif alive and not server.died(_BOUNDARY_SECONDS):
                    where = f"not reached: {where}"
                server.kill()
                places[where] += 1
                server.start()
                if processes > 1:
                    server.wait_ready()
        for server in servers:
            server.kill()
            server.start()
            server.wait_ready()
        _settle(stored)
        for server in servers:
            server.stop()
    return places, judged(stored, platforms, made)


def _settle(stored: Stored) -> None:
    """Wait until nothing is due, under way or in the outbox, or nothing has moved for a while."""
    deadline, before = time.monotonic() + _SETTLE_SECONDS, -1
    queued = "SELECT COUNT(*) FROM outbox WHERE state IN ('queued', 'sending')"
    untold = "SELECT COUNT(*) FROM schedules WHERE untold = 1"
    while time.monotonic() < deadline:
        left = sum(stored.rows(each)[0][0] for each in (_OPEN, _DUE, queued, untold))
        if not left:
            return
        if left != before:
            deadline, before = time.monotonic() + _SETTLE_SECONDS, left
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
