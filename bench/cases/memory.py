"""Whether memory comes back, or is kept, after many requests in as many sessions."""

from collections.abc import Iterator

from bench.figures import Effort, Figure, Say, figure
from bench.load import Load, apply_load
from bench.process import resident_mib
from bench.rig import running_rig

_REQUESTS = 20_000


def measure_memory(effort: Effort, say: Say) -> Iterator[Figure]:
    """What is remembered for a while fills up first; what still grows after that would grow for ever."""
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
