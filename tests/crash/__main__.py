"""`python -m tests.crash`: kills a server under load, at every named boundary and at random, and compares the messages that the platforms
got with those that were accepted. With --stop the server is stopped by SIGTERM, and then nothing may be sent twice. Prints a table and the seed;
exits with 1 if a promise was broken. Ctrl-C ends the killing early; the comparison still runs."""

import argparse
import asyncio
import itertools
import json
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from tests.crash.boundaries import ALL, BREAKS
from tests.crash.load import under_load
from tests.crash.peers import LONGEST_GAP, LONGEST_TAKEOVER, Peers, gaps
from tests.crash.platforms import Platforms, running_platforms
from tests.crash.process import Server
from tests.crash.standins import STANDINS
from tests.crash.stored import Stored
from tests.crash.verdict import Verdict, interleaved, verdict
from tests.postgres import new_database, running_postgres

_BOUNDARY_SECONDS: Final = 3.0
"""Seconds until a boundary must be reached; after that the process is killed anyway."""
_SETTLE_SECONDS: Final = 60.0
_GRACE: Final = 10.5
"""Seconds: the default `shutdown.grace`, and the time a process needs to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    where: str
    """A boundary, "random", or "not reached: …"."""
    first_send: float | None
    """Seconds from the start of the process to the first message at a platform; None: it was killed before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    kills: list[Kill]
    found: Verdict
    slowest_stop: float
    """Seconds."""
    orderly: bool
    gaps: list[tuple[str, int, float, float | None]]
    """With several servers: what happened to one, how often, the longest time without an answer of another, and until its channels had another
    holder; None: it held none."""
    longest_gap: float = LONGEST_GAP
    longest_takeover: float = LONGEST_TAKEOVER

    @property
    def holds(self) -> bool:
        told_twice = self.orderly and self.found.maybe_twice
        slow = max((longest for _, _, longest, _ in self.gaps), default=0.0)
        takeover = max((seconds for *_, seconds in self.gaps if seconds is not None), default=0.0)
        in_time = slow <= self.longest_gap and takeover <= self.longest_takeover
        return self.found.holds and self.slowest_stop <= _GRACE and not told_twice and in_time


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how often the server is killed (default 50)")
    parser.add_argument("--seed", type=int, default=None, help="what chance is drawn from; printed, so that a run can be made again")
    parser.add_argument("--break", dest="broken", choices=list(BREAKS), help="the control: break a promise, which must be found out")
    parser.add_argument("--at", choices=ALL, metavar="BOUNDARY", help="kill at this boundary only; otherwise at random and at each in turn")
    parser.add_argument("--stop", action="store_true", help="SIGTERM instead of SIGKILL: it must end within the grace, and double nothing")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the server's state and log there")
    parser.add_argument(
        "--processes", type=int, choices=[1, 2, 3], default=1, help="servers on the store; of several, any is killed or stands still"
    )
    parser.add_argument("--postgres", action="store_true", help="the store is a PostgreSQL of the run's own, not a SQLite file")
    parser.add_argument(
        "--gap", type=float, default=LONGEST_GAP, help="seconds that one of several servers may give no answer (default 2.5)"
    )
    parser.add_argument("--takeover", type=float, default=LONGEST_TAKEOVER, help="seconds that a channel may have no holder (default 12)")
    parser.add_argument(
        "--channels", type=int, choices=[2, 5], default=5, help="2: Telegram and Discord; 5 (default): Matrix, Mattermost and ntfy, too"
    )
    given = parser.parse_args()
    if given.processes > 1 and (given.at or given.stop):
        parser.error("--at and --stop are for one server")
    seed: int = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    with ExitStack() as stack:
        folder, platforms = (
            stack.enter_context(tempfile.TemporaryDirectory(prefix="nanobot-crash-")),
            stack.enter_context(running_platforms(STANDINS if given.channels == 5 else ())),
        )
        url = new_database(stack.enter_context(running_postgres())) if given.postgres else None
        stored = Stored(home=given.keep or Path(folder), url=url)
        run = _run if given.processes == 1 else partial(_run_several, given.processes)
        ran = run(stored, platforms, given.kills, seed, at=given.at, broken=given.broken, orderly=given.stop)
    ran = replace(ran, longest_gap=given.gap, longest_takeover=given.takeover)
    _report(ran, seed)
    return 0 if ran.holds else 1


def _run(stored: Stored, platforms: Platforms, count: int, seed: int, *, at: str | None, broken: str | None, orderly: bool) -> "Ran":
    chance = random.Random(seed)
    places = _places(chance, at, orderly)
    kills: list[Kill] = []
    stops: list[float] = []
    ended = _interrupted()
    with Server(stored.home, json.dumps({**platforms.configuration(), **stored.configuration}), broken=broken) as server:
        server.start()
        server.wait_ready()
        _greet(platforms)
        server.kill()
        with under_load(platforms, [server.port], seed) as promises:
            while len(kills) < count and not ended.is_set():
                kills.append(_kill(server, platforms, next(places), chance, stops if orderly else None))
                _progress(len(kills), count)
        server.start()
        server.wait_ready()
        _settle(stored, len(promises.written) + sum(map(len, platforms.chats.values())))
        stops.append(server.stop())
    found = asyncio.run(verdict(stored, promises, platforms.posted(), platforms.keyed))
    return Ran(kills=kills, found=found, slowest_stop=max(stops), orderly=orderly, gaps=[])


def _run_several(
    servers: int, stored: Stored, platforms: Platforms, count: int, seed: int, *, at: str | None, broken: str | None, orderly: bool
) -> "Ran":
    ended, configuration = _interrupted(), json.dumps({**platforms.configuration(), **stored.configuration})
    with ExitStack() as stack:
        names = [f"server-{number + 1}" for number in range(servers)]
        running = [stack.enter_context(Server(stored.home, configuration, broken=broken, name=name)) for name in names]
        peers = Peers(running, stored, random.Random(seed))
        peers.start()
        _greet(platforms)
        with peers.watched(), under_load(platforms, [server.port for server in running], seed) as promises:
            # The control goes on until there is something to find out: a slow machine has few turns side by side.
            while (len(peers.outages) < count or (broken and not interleaved(stored))) and not ended.is_set():
                peers.disturb()
                _progress(len(peers.outages), count)
        _settle(stored, len(promises.written) + sum(map(len, platforms.chats.values())))
        stops = [server.stop() for server in running]
    found = asyncio.run(verdict(stored, promises, platforms.posted(), platforms.keyed))
    return Ran(kills=[], found=found, slowest_stop=max(stops), orderly=orderly, gaps=gaps(peers, promises))


def _interrupted() -> threading.Event:
    """Set by Ctrl-C."""
    ended = threading.Event()

    def end(number: int, frame: object) -> None:
        ended.set()

    signal.signal(signal.SIGINT, end)
    return ended


def _places(chance: random.Random, at: str | None, orderly: bool) -> Iterator[str]:
    """Where the server is killed: at random and at a boundary by turns, from any boundary on, so that a few kills meet others each time."""
    if at or orderly:
        yield from itertools.repeat(at or "random")
    for number in itertools.count(chance.randrange(len(ALL))):
        yield "random"
        yield ALL[number % len(ALL)]


def _greet(platforms: Platforms) -> None:
    """Each chat sends one message and is answered: missed messages can be fetched from Discord only for known chats."""
    platforms.discord.until(lambda discord: discord.gateway.connected)
    deadline = time.monotonic() + _SETTLE_SECONDS
    while not all(each.connected() for each in platforms.others.values()):
        if time.monotonic() > deadline:
            raise TimeoutError("a channel has not connected")
        time.sleep(0.05)
    for channel, chats in platforms.chats.items():
        for chat in range(len(chats)):
            platforms.say(channel, chat, "ECHO hello")
    wanted = sum(map(len, platforms.chats.values()))
    while len(platforms.posted()) < wanted:
        if time.monotonic() > deadline:
            raise TimeoutError("the server does not answer what people write")
        time.sleep(0.05)


def _kill(server: Server, platforms: Platforms, where: str, chance: random.Random, stops: list[float] | None) -> Kill:
    """Start it and have it die; `stops` records where, in order."""
    server.start("" if where == "random" else f"{where}:{chance.randint(1, 12)}")
    before = len(platforms.posted())
    alive = server.wait_ready()
    if alive and where == "random":
        server.died(chance.uniform(0.0, 0.8))
        if stops is not None:
            stops.append(server.stop())
    elif alive and not server.died(_BOUNDARY_SECONDS):
        where = f"not reached: {where}"
    server.kill()
    first = min((each.at for each in platforms.posted()[before:] if each.at > server.started_at), default=None)
    return Kill(where=where, first_send=None if first is None else first - server.started_at)


def _settle(stored: Stored, written: int) -> None:
    """Wait until every message of a chat (greetings, too) is answered and the outbox is empty."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        waiting, heard = stored.rows(
            "SELECT (SELECT COUNT(*) FROM outbox WHERE state IN ('queued', 'sending'))"
            " + (SELECT COUNT(*) FROM inbox WHERE state IN ('waiting', 'taken')), (SELECT COUNT(*) FROM inbox)"
        )[0]
        if not waiting and heard >= written:
            return
        time.sleep(0.1)


def _progress(done: int, count: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {count} kills", end="\n" if done == count else "", file=sys.stderr, flush=True)


def _report(ran: Ran, seed: int) -> None:
    kills, found = ran.kills, ran.found
    print(f"seed {seed}, {len(kills)} {'stops' if ran.orderly else 'kills'}")
    if kills:
        print("\n| where | times | first message after the start, median (highest) |\n|---|---|---|")
    for where in dict.fromkeys(kill.where for kill in sorted(kills, key=lambda kill: kill.where)):
        times = [kill.first_send for kill in kills if kill.where == where]
        sent = [seconds for seconds in times if seconds is not None]
        shown = f"{statistics.median(sent):.2f} s ({max(sent):.2f} s)" if sent else "none was sent"
        print(f"| {where} | {len(times)} | {shown} |")
    if ran.gaps:
        print(
            "\n| of several servers, one | times | longest time without an answer of another | until its channels had another |\n|---|---|---|---|"
        )
        for kind, times, longest, takeover in ran.gaps:
            print(f"| {kind} | {times} | {longest:.2f} s | {'it held none' if takeover is None else f'{takeover:.2f} s'} |")
    print("\n| what | how many |\n|---|---|")
    for name, value in found.figures.items():
        print(f"| {name.replace('_', ' ')} | {value} |")
    print("\n| channel | accepted | parts | arrived | lost | marked and doubled | doubled |\n|---|---|---|---|---|---|---|")
    print("\n".join(f"| {' | '.join(map(str, row))} |" for row in found.channels))
    if found.examples:
        print("\n" + "\n".join(found.examples))
    print(f"\nslowest stop by SIGTERM {ran.slowest_stop:.2f} s\n{'every promise was kept' if ran.holds else 'PROMISES WERE BROKEN'}")


if __name__ == "__main__":
    sys.exit(main())
