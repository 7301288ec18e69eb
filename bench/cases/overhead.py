"""What nanobot adds to one request at a time, compared with the same generator in front of the stand-in model."""

from collections.abc import Iterator

from bench.figures import Effort, Figure, Say, Target, at_most, figure
from bench.load import Load, apply_load
from bench.measured import Measured
from bench.rig import Rig, running_rig

_PLAIN: dict[float, Target] = {50: at_most(2), 99: at_most(6)}


def measure_overhead(effort: Effort, say: Say) -> Iterator[Figure]:
    with running_rig() as rig:
        for stream in (False, True):
            yield from _measure(rig, stream, effort, say)


def _measure(rig: Rig, stream: bool, effort: Effort, say: Say) -> Iterator[Figure]:
    kind = "stream" if stream else "plain"
    direct: list[float] = []
    through: list[Measured] = []
    for run in range(effort.runs):
        say(f"overhead, {kind}, run {run + 1} of {effort.runs}")
        direct.append(_load(rig.model.url, stream, effort).latency(50))
        through.append(_load(rig.api, stream, effort))
    own = sum(direct) / len(direct)
    for percent, target in _PLAIN.items():
        yield figure(
            f"overhead of one request, {kind}, p{percent:.0f}",
            "ms",
            through,
            lambda measured, percent=percent: measured.latency(percent) - own,
            None if stream else target,
            note=f"the model's own {own:.2f} ms (median) are taken off" if percent == 50 else "",
        )
    if stream:
        yield figure("first byte of a stream, p50", "ms", through, lambda measured: measured.first(50))


def _load(url: str, stream: bool, effort: Effort) -> Measured:
    return apply_load(Load(url=url, connections=1, requests=effort.requests(1000), stream=stream, warm_up=100))
