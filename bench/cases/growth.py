"""The cost of a session's 500th turn compared with its 50th."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

from bench.figures import Effort, Figure, Say, at_most, figure
from bench.load import Load, apply_load
from bench.measured import Measured
from bench.rig import Rig, running_rig
from tests.process_usage import cpu_seconds

_WINDOW = 20
"""Turns that are measured together: those up to the fiftieth, and those up to the five-hundredth."""


@dataclass(slots=True)
class _Seen:
    """One of each window a run."""

    runs: list[Measured] = field(default_factory=list[Measured])
    costs: list[float] = field(default_factory=list[float])
    """Processor time of the server for one turn, in milliseconds."""


def measure_growth(effort: Effort, say: Say) -> Iterator[Figure]:
    """All 500 turns even in a quick run: with fewer the ratio would mean something else."""
    early, late = _Seen(), _Seen()
    with running_rig() as rig:
        apply_load(Load(url=rig.api, connections=1, requests=100))
        for run in range(effort.runs):
            say(f"500 turns of one session, run {run + 1} of {effort.runs}")
            name = uuid4().hex
            _talk(rig, name, 50 - _WINDOW)
            _measure(rig, name, early)
            _talk(rig, name, 450 - _WINDOW)
            _measure(rig, name, late)
    yield figure("turn 50 of a session", "ms", early.runs, _median)
    yield figure("turn 500 of a session", "ms", late.runs, _median)
    ratios = [_median(after) / _median(before) for before, after in zip(early.runs, late.runs, strict=True)]
    yield Figure(name="turn 500 / turn 50, by the clock", unit="×", samples=tuple(ratios), target=at_most(1.5))
    costs = [after / before for before, after in zip(early.costs, late.costs, strict=True)]
    yield Figure(name="turn 500 / turn 50, processor time of the server", unit="×", samples=tuple(costs), target=at_most(1.5))


def _talk(rig: Rig, name: str, turns: int) -> Measured:
    return apply_load(Load(url=rig.api, connections=1, requests=turns, sessions="same", name=name))


def _measure(rig: Rig, name: str, seen: _Seen) -> None:
    before = cpu_seconds(rig.server.process.pid)
    seen.runs.append(_talk(rig, name, _WINDOW))
    seen.costs.append(1000 * (cpu_seconds(rig.server.process.pid) - before) / _WINDOW)


def _median(run: Measured) -> float:
    return run.latency(50)
