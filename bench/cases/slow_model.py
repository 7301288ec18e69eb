"""A model that takes one second, with many requests at once: how close throughput comes to the possible maximum."""

from collections.abc import Iterator

from bench.figures import Effort, Figure, Say, at_least, figure
from bench.load import Load, apply_load
from bench.measured import Measured
from bench.rig import running_rig

_TARGETS = {200: at_least(190), 1000: at_least(800)}
_ROUNDS = 8
"""Requests of each connection, in a quick run too: the first wave arrives at once, later ones are spread out."""


def measure_slow_model(effort: Effort, say: Say) -> Iterator[Figure]:
    with running_rig() as rig:
        rig.model.behave(latency_ms=1000)
        for at_once, target in _TARGETS.items():
            load = Load(url=rig.api, connections=at_once, requests=_ROUNDS * at_once, warm_up=at_once)
            runs: list[Measured] = []
            for run in range(effort.runs):
                say(f"a 1 s model, {at_once} at once, run {run + 1} of {effort.runs}")
                runs.append(apply_load(load))
            worst = max(run.latency(99) for run in runs)
            yield figure(
                f"1 s model, {at_once} at once",
                "requests/s",
                runs,
                lambda run: run.rate,
                target,
                note=f"of {at_once}; worst p99 {worst:.0f} ms",
            )
