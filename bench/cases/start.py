"""From `nanobot serve` to the first 200 of /ready, and the memory of a server before its first request."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Effort, Figure, Say, at_most
from tests.doubles.live_server import live_server, with_model
from tests.doubles.model_process import running_model
from tests.process_usage import resident_mib

_SETTLE = 1.0
"""Seconds until memory is read: what runs once after the start has run by then."""


def measure_start(effort: Effort, say: Say) -> Iterator[Figure]:
    """One extra start, not counted: it brings the files into the page cache."""
    first: list[float] = []
    again: list[float] = []
    memory: list[float] = []
    with tempfile.TemporaryDirectory(prefix="nanobot-bench-") as folder, running_model() as model:
        config = with_model(model.url)
        for run in range(-1, 2 * effort.runs):
            say(f"start, run {run + 1} of {2 * effort.runs}")
            home = Path(folder) / str(run)
            with live_server(home, config=config, forked=False) as server:
                fresh = server.start_seconds
            with live_server(home, config=config, forked=False) as server:
                if run >= 0:
                    first.append(fresh)
                    again.append(server.start_seconds)
                    time.sleep(_SETTLE)
                    memory.append(resident_mib(server.process.pid))
    yield Figure(name="start to ready", unit="s", samples=tuple(again), target=at_most(0.8))
    yield Figure(name="start to ready, a new home", unit="s", samples=tuple(first), target=at_most(0.8), note="the store is made, too")
    yield Figure(name="idle memory", unit="MiB RSS", samples=tuple(memory), target=at_most(90))
