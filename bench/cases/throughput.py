"""Requests a second, each in a new session, against a model that answers at once."""

from collections.abc import Iterator

from bench.figures import Effort, Figure, Say, Target, at_least, figure
from bench.load import Load, apply_load
from bench.rig import running_rig

_CONNECTIONS = (1, 8, 32, 64, 256)
_TARGETS: dict[tuple[bool, int], Target] = {(False, 64): at_least(1200), (True, 64): at_least(600)}


def measure_throughput(effort: Effort, say: Say) -> Iterator[Figure]:
    with running_rig() as rig:
        for stream in (False, True):
            kind = "streaming" if stream else "plain"
            for connections in _CONNECTIONS:
                load = Load(
                    url=rig.api,
                    connections=connections,
                    requests=max(2 * connections, effort.requests(600 if connections == 1 else 2000)),
                    stream=stream,
                    warm_up=max(100, connections),
                )
                runs = [apply_load(load) for _ in _announced(effort, say, f"throughput, {kind}, {connections} connections")]
                target = _TARGETS.get((stream, connections))
                waits = sorted(run.latency(99) for run in runs)[len(runs) // 2]
                yield figure(f"{kind}, {connections} at once", "requests/s", runs, lambda run: run.rate, target, note=f"p99 {waits:.1f} ms")


def _announced(effort: Effort, say: Say, what: str) -> Iterator[int]:
    for run in range(effort.runs):
        say(f"{what}, run {run + 1} of {effort.runs}")
        yield run
