"""`python -m tests.soak`: a real server under a mixed load for minutes, then a table of what it took and what it left behind.

Exits with 1 where memory still grows by more than --slope MiB an hour behind the first third, a request failed, or anything is left:
a child, a spooled file, descriptors, threads. Ctrl-C ends the load early; the table still comes.
"""

import argparse
import asyncio
import contextlib
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from tests.crash.platforms import Platforms, running_platforms
from tests.doubles.live_server import LiveServer, live_server
from tests.soak.doors import DOORS, DoorFailed, Load, configuration
from tests.soak.watch import Sample, database, look, per_thousand, slope, wait_for_quiet

_WORKERS: Final = 16
_SAMPLES: Final = 60
_MORE_DESCRIPTORS: Final = 48
"""Above those of the quiet server at its start: pools of connections stay open for a while."""
_MORE_THREADS: Final = 16
_ERRORS_SHOWN: Final = 5
_QUIET_SECONDS: Final = 60.0


@dataclass(slots=True)
class Soaked:
    """What a run measured."""

    samples: list[Sample] = field(default_factory=list[Sample])
    done: Counter[str] = field(default_factory=Counter[str])
    errors: list[str] = field(default_factory=list[str])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--doors", default="", help=f"only these, with commas between them: {', '.join(DOORS)}")
    parser.add_argument("--rate", type=float, default=60, help="requests a second over all doors (default 60)")
    parser.add_argument("--slope", type=float, default=10, help="MiB an hour that memory may still grow behind the first third")
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    doors = [door.strip() for door in given.doors.split(",") if door.strip()] or list(DOORS)
    if unknown := set(doors) - set(DOORS):
        parser.error(f"there are no doors {', '.join(sorted(unknown))}")
    seed: int = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    with tempfile.TemporaryDirectory(prefix="nanobot-soak-") as folder, running_platforms() as platforms:
        home = Path(folder)
        with live_server(home, config=configuration(platforms, home), forked=False) as server:
            first = look(server.process.pid, home / "spool", at=0, requests=0)
            load = _loaded(server, platforms, given.minutes * 60, doors, given.rate, random.Random(seed))
            soaked = asyncio.run(load)
            wait_for_quiet(server.process.pid, home, _QUIET_SECONDS)
            last = look(server.process.pid, home / "spool", at=0, requests=sum(soaked.done.values()))
            logged = re.findall(r"^.*\b(?:ERROR|CRITICAL)\b.*$|^Traceback.*$", server.log.read_text(errors="replace"), re.MULTILINE)
            bytes_, messages, events = database(home)
        print(f"seed {seed}, {given.minutes:g} minutes, doors: {', '.join(doors)}\n")
        _print_table(soaked)
        faults = _faults(soaked, first, last, logged, given.slope)
        print(
            f"\n{bytes_ / 2**20:.1f} MiB of database for {messages} messages and {events} events: {bytes_ / max(1, messages):.0f} bytes a message"
        )
        print(f"at the end: {last.descriptors} descriptors, {last.threads} threads, {last.children} children, {last.spooled} spooled files")
        print(
            f"slope behind the first third: {slope(soaked.samples):.1f} MiB an hour, {per_thousand(soaked.samples):.2f} MiB for 1,000 requests"
        )
    print("\n" + ("\n".join(faults) or "nothing grew and nothing was left"))
    return 1 if faults else 0


async def _loaded(
    server: LiveServer, platforms: Platforms, seconds: float, doors: Sequence[str], rate: float, chance: random.Random
) -> Soaked:
    """Knock at the doors, `rate` times a second, until the time is up."""
    soaked, stop = Soaked(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60), connector=aiohttp.TCPConnector(limit=64)) as http:
        load = Load(url=server.url, http=http, platforms=platforms)
        began = time.monotonic()
        workers = [
            asyncio.create_task(_work(load, soaked, doors, rate / _WORKERS, random.Random(chance.random()))) for _ in range(_WORKERS)
        ]
        while (at := time.monotonic() - began) < seconds and not stop.is_set():
            soaked.samples.append(look(server.process.pid, server.log.parent / "spool", at=at, requests=sum(soaked.done.values())))
            _progress(soaked, seconds)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(seconds / _SAMPLES, max(0.1, seconds - at)))
        soaked.samples.append(
            look(server.process.pid, server.log.parent / "spool", at=time.monotonic() - began, requests=sum(soaked.done.values()))
        )
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return soaked


async def _work(load: Load, soaked: Soaked, doors: Sequence[str], rate: float, chance: random.Random) -> None:
    weights = [DOORS[door][1] for door in doors]
    loop = asyncio.get_running_loop()
    due = loop.time() + chance.random() / rate
    while True:
        await asyncio.sleep(max(0.0, due - loop.time()))
        due = max(due + 1 / rate, loop.time() - 1)
        door = chance.choices(doors, weights)[0]
        try:
            await DOORS[door][0](load)
        except (aiohttp.ClientError, OSError, DoorFailed, TimeoutError, AssertionError) as error:
            soaked.errors.append(f"{door}: {type(error).__name__} {error}")
        soaked.done[door] += 1


def _progress(soaked: Soaked, seconds: float) -> None:
    if sys.stderr.isatty():
        last = soaked.samples[-1]
        said = f"{last.at:.0f} of {seconds:.0f} s, {last.requests} requests, {last.resident:.0f} MiB, {len(soaked.errors)} errors"
        print(f"\r{said}", end="", file=sys.stderr, flush=True)


def _print_table(soaked: Soaked) -> None:
    samples = soaked.samples
    shown = samples[:: max(1, len(samples) // 12)]
    shown += [samples[-1]] if shown[-1] is not samples[-1] else []
    print("| s | requests | resident MiB | descriptors | threads | children | spooled |\n|---|---|---|---|---|---|---|")
    for sample in shown:
        figures = (
            f"{sample.at:.0f}",
            sample.requests,
            f"{sample.resident:.1f}",
            sample.descriptors,
            sample.threads,
            sample.children,
            sample.spooled,
        )
        print(f"| {' | '.join(map(str, figures))} |")
    print("\n" + ", ".join(f"{count} {door}" for door, count in soaked.done.most_common()) + f"; {len(soaked.errors)} failed")


def _faults(soaked: Soaked, first: Sample, last: Sample, logged: Sequence[str], most: float) -> list[str]:
    """What is wrong with the run, in sentences."""
    grows = slope(soaked.samples)
    checks = [
        (grows > most, f"memory grows by {grows:.1f} MiB an hour, more than {most:g}"),
        (bool(soaked.errors), "requests failed: " + "; ".join(soaked.errors[:_ERRORS_SHOWN])),
        (bool(logged), "the log has errors: " + "; ".join(logged[:_ERRORS_SHOWN])),
        (
            last.descriptors > first.descriptors + _MORE_DESCRIPTORS,
            f"{last.descriptors - first.descriptors} more descriptors than at the start",
        ),
        (last.threads > first.threads + _MORE_THREADS, f"{last.threads - first.threads} more threads than at the start"),
        # The process that forks document readers stands by for two minutes behind the last file.
        (last.children > first.children + 1, f"{last.children} child processes are left"),
        (last.spooled > 0, f"{last.spooled} spooled files are left"),
    ]
    return [said for wrong, said in checks if wrong]


if __name__ == "__main__":
    sys.exit(main())
