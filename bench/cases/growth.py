"""What the five-hundredth turn of a session costs beside the fiftieth."""

from collections.abc import Iterator

from bench.figures import Effort, Figure, Say, at_most, figure
from bench.load import Load, apply_load
from bench.measured import Measured
from bench.rig import running_rig

_TURNS = 500


def measure_growth(effort: Effort, say: Say) -> Iterator[Figure]:
    """All 500 turns even in a quick round: fewer would answer another question."""
    with running_rig() as rig:
        apply_load(Load(url=rig.api, connections=1, requests=100))
        runs: list[Measured] = []
        for run in range(effort.runs):
            say(f"{_TURNS} turns of one session, run {run + 1} of {effort.runs}")
            runs.append(apply_load(Load(url=rig.api, connections=1, requests=_TURNS, sessions="same")))
    yield figure("turn 50 of a session", "ms", runs, _early, note="median of the turns 41 to 60")
    yield figure("turn 500 of a session", "ms", runs, _late, note="median of the turns 481 to 500")
    yield figure("turn 500 / turn 50", "×", runs, lambda run: _late(run) / _early(run), at_most(1.5))


def _early(run: Measured) -> float:
    return run.median_of(41, 60)


def _late(run: Measured) -> float:
    return run.median_of(481, 500)
