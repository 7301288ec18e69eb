"""Two servers on one store: one is killed or stands still (SIGSTOP) at random, and the other is watched for the longest time without an answer."""

import json
import random
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from tests.crash.load import Promises
from tests.crash.process import Server

LONGEST_GAP: Final = 2.5
"""Seconds that a server may give no answer because another one on its store died or stands still."""
_STANDS: Final = (0.3, 1.0, 3.0, 6.0, 17.0)
"""Seconds that a server stands still; the last is longer than every lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time in which one server was gone, and the other, at `port`, was not."""

    kind: str
    port: int
    began: float
    ended: float

    def gap(self, promises: Promises) -> float:
        """The longest time in it without an answer of the other one."""
        times = [self.began, *(at for at in promises.heard[self.port] if self.began < at < self.ended), self.ended]
        return max(later - earlier for earlier, later in pairwise(times))


@dataclass(slots=True)
class Peer:
    """The second server: without channels, which one process of a store has; what it says goes out by the first."""

    first: Server
    server: Server
    chance: random.Random
    outages: list[Outage] = field(default_factory=list[Outage])

    def start(self) -> None:
        self.server.start()
        self.server.wait_ready()

    def disturb(self) -> None:
        """Kill or stop one of the two, both running, and have both run again."""
        kind, seconds = self.chance.choice(("kill", "stop")), self.chance.choice(_STANDS)
        which = self.chance.choice((self.first, self.server))
        with self.outage(which, f"{kind} {seconds:g} s" if kind == "stop" else kind):
            if kind == "stop":
                which.stand_still(seconds)
            else:
                which.kill()
                which.start()
                which.wait_ready()
        time.sleep(self.chance.uniform(0.2, 0.6))

    @contextmanager
    def outage(self, which: Server, kind: str) -> Generator[None]:
        other = self.server if which is self.first else self.first
        began = time.monotonic()
        yield
        self.outages.append(Outage(kind=kind, port=other.port, began=began, ended=time.monotonic()))


def without_channels(configuration: dict[str, Any]) -> str:
    return json.dumps({**configuration, "channels": {name: {**each, "enabled": False} for name, each in configuration["channels"].items()}})


def gaps(outages: list[Outage], promises: Promises) -> list[tuple[str, int, float]]:
    """(kind, how often, longest gap of the other), by kind."""
    kinds = dict.fromkeys(sorted(outage.kind for outage in outages))
    of = {kind: [outage.gap(promises) for outage in outages if outage.kind == kind] for kind in kinds}
    return [(kind, len(found), max(found)) for kind, found in of.items()]
