"""`python -m bench.channels`: what each channel costs where it is enabled: the start, the memory, and the way of a message to its platform.

It measures a real server with one channel, beside a stand-in for the platform (dovecot and prosody are real), without rate limits, and prints a
table; exits with 1 where the way takes longer than its target.
"""

import argparse
import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.machine import describe
from bench.measured import median, percentile
from bench.standins import MISSING, STANDINS, Place
from bench.table import write_between
from tests.doubles.live_server import LiveServer, live_server, offline
from tests.process_usage import cpu_seconds, resident_mib

TARGET: Final = 8.0
"""Milliseconds from an accepted message to its arrival, p50."""
_SETTLE: Final = 1.0
"""Seconds until processor time and memory are read: what runs once after the start has run by then."""
_PAUSE: Final = 0.01
"""Seconds between two messages: one at a time."""
_WARM_UP: Final = 5
"""Messages that are not counted: connections are made."""
_WITHIN: Final = 30.0
_HEADINGS: Final = (
    "channel",
    "start to ready, s",
    "processor time of the start, s",
    "idle memory, MiB RSS",
    "accepted to platform, p50, ms",
    "p10, ms",
    "processor time of one message, ms",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`seconds`: from the start to ready. `cpu`: processor time until it is idle. `memory`: in MiB."""

    seconds: float
    cpu: float
    memory: float
    p50: float = float("nan")
    """Milliseconds from an accepted message to its arrival."""
    p10: float = float("nan")
    """What the machine's other work delays least."""
    message_cpu: float = float("nan")
    """Processor time of the server for one message, in milliseconds."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.channels", description=__doc__)
    parser.add_argument("--only", action="append", choices=STANDINS, metavar="NAME", help="one channel; may be repeated")
    parser.add_argument("--runs", type=int, default=3, help="of each; the table shows their median (default 3)")
    parser.add_argument("--messages", type=int, default=100, help="of each run (default 100)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document, between its markers")
    given = parser.parse_args()
    busy = os.getloadavg()[0]
    without_channels()  # brings the files into the page cache
    found = {"none": [without_channels() for _ in range(given.runs)]}
    for name in given.only or STANDINS:
        print(name, file=sys.stderr, flush=True)
        if MISSING.get(name):
            print(f"  not measured: {MISSING[name]}", file=sys.stderr)
            continue
        found[name] = [with_channel(name, given.messages) for _ in range(given.runs)]
    machine, table = describe(busy), as_markdown(found)
    print(f"{machine}\n\n{table}")
    if given.write:
        write_between(given.write, f"{machine}\n\n{table}")
    return int(any(median([run.p50 for run in runs]) > TARGET for runs in found.values()))


def as_markdown(found: dict[str, list[Run]]) -> str:
    """A row a channel, of the medians of its runs."""
    lines = [f"| {' | '.join(_HEADINGS)} |", f"|{'---|' * len(_HEADINGS)}"]
    for name, runs in found.items():
        ways = [run.p50 for run in runs]
        cells = [name, *_cells([run.seconds for run in runs], [run.cpu for run in runs]), f"{median([run.memory for run in runs]):.0f}"]
        if name == "none":
            cells += ["", "", ""]
        else:
            late = " (over the target)" if median(ways) > TARGET else ""
            cells += [f"{median(ways):.1f}{late}", *_cells([run.p10 for run in runs], [run.message_cpu for run in runs])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(*samples: Sequence[float]) -> list[str]:
    return [f"{median(each):.2f}" for each in samples]


def without_channels() -> Run:
    with (
        tempfile.TemporaryDirectory(prefix="nanobot-bench-") as folder,
        live_server(Path(folder), config=offline(), forked=False) as server,
    ):
        return _settled(server)


def with_channel(name: str, messages: int) -> Run:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nanobot-bench-"))
        place = stack.enter_context(STANDINS[name]())
        channels = {name: {"enabled": True, "allowFrom": ["*"], **place.settings}}
        config = {**offline(), "deliver": {"rateLimits": False}, "channels": channels}
        server = stack.enter_context(live_server(Path(folder), config=config, forked=False))
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        stack.callback(connection.close)
        _until(lambda: _connected(connection), pause=0.01)
        start = _settled(server)
        place.greet(server.url)
        time.sleep(_SETTLE)  # an answer to the greeting has arrived
        _one_at_a_time(connection, place, name, _WARM_UP)
        before = cpu_seconds(server.process.pid)
        taken = _one_at_a_time(connection, place, name, messages)
        spent = cpu_seconds(server.process.pid) - before
        return Run(
            seconds=start.seconds,
            cpu=start.cpu,
            memory=start.memory,
            p50=percentile(taken, 50),
            p10=percentile(taken, 10),
            message_cpu=1000 * spent / messages,
        )


def _settled(server: LiveServer) -> Run:
    time.sleep(_SETTLE)
    pid = server.process.pid
    return Run(seconds=server.start_seconds, cpu=cpu_seconds(pid), memory=resident_mib(pid))


def _connected(connection: http.client.HTTPConnection) -> bool:
    connection.request("GET", "/ready")
    channels: list[dict[str, Any]] = json.loads(connection.getresponse().read())["channels"]
    return any(each["state"] == "connected" for each in channels)


def _one_at_a_time(connection: http.client.HTTPConnection, place: Place, name: str, count: int) -> list[float]:
    """Milliseconds from the request for a message to its arrival at the platform."""
    taken: list[float] = []
    for number in range(count):
        before = place.arrived()
        began = time.perf_counter()
        _post(connection, name, place.chat_id, f"message {number}")
        _until(lambda before=before: place.arrived() > before, pause=0.0003)
        taken.append((time.perf_counter() - began) * 1000)
        time.sleep(_PAUSE)
    return taken


def _post(connection: http.client.HTTPConnection, channel: str, chat: str, text: str) -> None:
    body = json.dumps({"channel": channel, "chat_id": chat, "text": text})
    connection.request("POST", "/v1/deliveries", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    said = response.read()
    if response.status != 202:
        raise RuntimeError(f"/v1/deliveries answered {response.status}: {said[:200]!r}")


def _until(holds: Callable[[], bool], pause: float) -> None:
    deadline = time.monotonic() + _WITHIN
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("what is measured did not come about")
        time.sleep(pause)


if __name__ == "__main__":
    sys.exit(main())
