"""Whether memory comes back, or is kept, after many requests in as many sessions."""

from collections.abc import Iterator

from bench.figures import Effort, Figure, Say, figure
from bench.load import Load, apply_load
from bench.process import resident_mib
from bench.rig import running_rig

_REQUESTS = 20_000


def measure_memory(effort: Effort, say: Say) -> Iterator[Figure]:
    """Once, whatever the effort: a second run would begin where the first one left the memory."""
    count = effort.requests(_REQUESTS)
    with running_rig() as rig:
        say("memory: warming up")
        apply_load(Load(url=rig.api, connections=32, requests=1000))
        before = resident_mib(rig.server.process.pid)
        say(f"memory: {count} requests")
        run = apply_load(Load(url=rig.api, connections=32, requests=count))
        after = resident_mib(rig.server.process.pid)
    yield figure(f"memory gained by {count:,} requests", "MiB RSS", [run], lambda _: after - before, note=f"{before:.0f} → {after:.0f} MiB")
