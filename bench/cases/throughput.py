"""Requests a second, each in a new session, against a model that answers at once."""

from collections.abc import Iterator

from bench.figures import Effort, Figure, Say, Target, at_least, figure
from bench.load import Load, apply_load
from bench.measured import Measured, median
from bench.rig import Rig, running_rig
from tests.process_usage import cpu_seconds

_CONNECTIONS = (1, 8, 32, 64, 256)
_COSTED = 64
_TARGETS: dict[tuple[bool, int], Target] = {(False, 64): at_least(1200), (True, 64): at_least(600)}


def measure_throughput(effort: Effort, say: Say) -> Iterator[Figure]:
    with running_rig() as rig:
        for stream in (False, True):
            for connections in _CONNECTIONS:
                yield from _measure(rig, stream, connections, effort, say)


def _measure(rig: Rig, stream: bool, connections: int, effort: Effort, say: Say) -> Iterator[Figure]:
    kind = "streaming" if stream else "plain"
    load = Load(
        url=rig.api,
        connections=connections,
        requests=max(2 * connections, effort.requests(600 if connections == 1 else 2000)),
        stream=stream,
        warm_up=max(100, connections),
    )
    runs: list[Measured] = []
    costs: list[float] = []
    for run in range(effort.runs):
        say(f"throughput, {kind}, {connections} at once, run {run + 1} of {effort.runs}")
        before = cpu_seconds(rig.server.process.pid)
        runs.append(apply_load(load))
        costs.append(1000 * (cpu_seconds(rig.server.process.pid) - before) / (load.requests + load.warm_up))
    slowest = median([run.latency(99) for run in runs])
    target = _TARGETS.get((stream, connections))
    yield figure(f"{kind}, {connections} at once", "requests/s", runs, lambda run: run.rate, target, note=f"p99 {slowest:.1f} ms")
    if connections == _COSTED:
        yield Figure(
            name=f"processor time of the server for one, {kind}", unit="ms", samples=tuple(costs), note=f"at {connections} at once"
        )
