"""Several servers on one store: one is killed or stands still (SIGSTOP) at random. The others are watched for the longest time without an answer, and
the channels for the longest time without a holder that is connected."""

import random
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from tests.crash.load import Promises
from tests.crash.process import Server
from tests.crash.stored import Stored

LONGEST_GAP: Final = 2.5
"""Seconds that a server may give no answer because another one on its store died or stands still."""
LONGEST_TAKEOVER: Final = 12.0
_STANDS: Final = (0.3, 1.0, 3.0, 6.0, 17.0)
"""Seconds that a server stands still; the last is longer than every lease."""
_HELD: Final = """
    SELECT h.channel, h.runner FROM channel_holds AS h JOIN channel_states AS s ON s.runner = h.runner AND s.name = h.channel
    WHERE s.state = 'connected'"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time in which one server was gone, and the others, at `ports`, were not; `held`: by which process each channel was."""

    kind: str
    ports: Sequence[int]
    held: Mapping[str, str]
    began: float
    ended: float

    def gap(self, promises: Promises) -> float:
        """The longest time in it without an answer of another one."""
        return max(self._gap_at(port, promises) for port in self.ports)

    def _gap_at(self, port: int, promises: Promises) -> float:
        times = [self.began, *(at for at in promises.heard[port] if self.began < at < self.ended), self.ended]
        return max(later - earlier for earlier, later in pairwise(times))


@dataclass(slots=True)
class Peers:
    """The servers, all with the same configuration."""

    servers: Sequence[Server]
    stored: Stored
    chance: random.Random
    outages: list[Outage] = field(default_factory=list[Outage])
    holders: list[tuple[float, Mapping[str, str]]] = field(default_factory=list[tuple[float, Mapping[str, str]]])
    """When other processes than before held channels and were connected, and which."""

    def start(self) -> None:
        for server in self.servers:
            server.start()
            server.wait_ready()

    @contextmanager
    def watched(self) -> Generator[None]:
        """Note who holds the channels, from here to the end of the block."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.1):
                held = dict(self.stored.rows(_HELD))
                if not self.holders or held != self.holders[-1][1]:
                    self.holders.append((time.monotonic(), held))

        watcher = threading.Thread(target=watch, name="holders")
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def disturb(self) -> None:
        """Kill or stop one of them, all running, and have all run again."""
        kind, seconds = self.chance.choice(("kill", "stop")), self.chance.choice(_STANDS)
        which = self.chance.choice(self.servers)
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
        others = [server.port for server in self.servers if server is not which]
        held = self.holders[-1][1] if self.holders else dict[str, str]()
        began = time.monotonic()
        yield
        self.outages.append(Outage(kind=kind, ports=others, held=held, began=began, ended=time.monotonic()))

    def takeover(self, outage: Outage) -> float | None:
        """Seconds until the last channel had another holder; None: none changed hands until the next outage."""
        later = min([each.began for each in self.outages if each.began > outage.began], default=float("inf"))
        taken = {
            channel: min(at for at, now in self.holders if outage.began < at < later and now.get(channel, before) != before)
            for channel, before in outage.held.items()
            if any(outage.began < at < later and now.get(channel, before) != before for at, now in self.holders)
        }
        return max(taken.values()) - outage.began if taken else None


def gaps(peers: Peers, promises: Promises) -> list[tuple[str, int, float, float | None]]:
    """(kind, how often, longest gap of another, longest time until a channel was taken over), by kind."""
    found: list[tuple[str, int, float, float | None]] = []
    for kind in dict.fromkeys(sorted(outage.kind for outage in peers.outages)):
        of = [outage for outage in peers.outages if outage.kind == kind]
        takeovers = [seconds for outage in of if (seconds := peers.takeover(outage)) is not None]
        found.append((kind, len(of), max(outage.gap(promises) for outage in of), max(takeovers, default=None)))
    return found
