"""Memory after many requests in as many sessions, and after many at once."""

import time
from collections.abc import Iterator

from bench.figures import Effort, Figure, Say, at_most, figure
from bench.load import Load, apply_load
from bench.rig import running_rig
from tests.process_usage import resident_mib

_REQUESTS = 20_000
_AT_ONCE = 1_000
_SETTLE = 60.0
"""Seconds until memory is read after many at once: pooled connections are closed and freed memory is returned by then."""


def measure_memory(effort: Effort, say: Say) -> Iterator[Figure]:
    """The first run fills the caches; growth in the second would be a leak."""
    count = effort.requests(_REQUESTS)
    with running_rig() as rig:
        say("memory: warming up")
        apply_load(Load(url=rig.api, connections=32, requests=1000))
        for more in ("", " more"):
            say(f"memory: {count:,}{more} requests")
            before = resident_mib(rig.server.process.pid)
            run = apply_load(Load(url=rig.api, connections=32, requests=count))
            after = resident_mib(rig.server.process.pid)
            note = f"{before:.0f} → {after:.0f} MiB"
            gained = after - before
            yield figure(f"memory gained by {count:,}{more} requests", "MiB RSS", [run], lambda _, gained=gained: gained, note=note)
    with running_rig() as rig:
        say(f"memory: {_AT_ONCE:,} at once")
        run = apply_load(Load(url=rig.api, connections=_AT_ONCE, requests=5 * _AT_ONCE))
        most = resident_mib(rig.server.process.pid)
        time.sleep(_SETTLE)
        left = resident_mib(rig.server.process.pid)
        note = f"{most:.0f} MiB just after them"
        yield figure(f"memory a minute after {_AT_ONCE:,} at once", "MiB RSS", [run], lambda _: left, target=at_most(125), note=note)
