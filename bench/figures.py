"""What a case finds: figures with their targets."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.measured import Measured, median


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    limit: float
    sense: Literal["at most", "at least"]

    def met_by(self, value: float) -> bool:
        """False for NaN, whatever the sense."""
        return value <= self.limit if self.sense == "at most" else value >= self.limit


def at_most(limit: float) -> Target:
    return Target(limit=limit, sense="at most")


def at_least(limit: float) -> Target:
    return Target(limit=limit, sense="at least")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table. The median of the runs counts: machines are shared and noisy."""

    name: str
    unit: str
    samples: tuple[float, ...]
    """One a run."""
    target: Target | None = None
    errors: int = 0
    """Wrong answers in all runs; one is enough to miss the target."""
    note: str = ""

    @property
    def value(self) -> float:
        return median(self.samples)

    @property
    def verdict(self) -> Literal["ok", "missed", ""]:
        if self.errors:
            return "missed"
        if self.target is None:
            return ""
        return "ok" if self.target.met_by(self.value) else "missed"


def figure(
    name: str, unit: str, runs: Sequence[Measured], read: Callable[[Measured], float], target: Target | None = None, note: str = ""
) -> Figure:
    """A figure from each run of the load generator, with the errors of all runs."""
    failed = sum(run.failed for run in runs)
    kinds = sorted({kind for run in runs for kind in run.errors})
    notes = [note] if note else []
    if failed:
        notes.append(f"{failed} errors: {', '.join(kinds)}")
    return Figure(name=name, unit=unit, samples=tuple(read(run) for run in runs), target=target, errors=failed, note="; ".join(notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure."""

    runs: int
    """Of each measurement; the table shows their median."""
    share: float
    """Of the full number of requests."""

    def requests(self, full: int, *, least: int = 1) -> int:
        return max(least, round(full * self.share))


FULL = Effort(runs=3, share=1.0)
QUICK = Effort(runs=1, share=0.25)

Say = Callable[[str], None]
"""Reports what is being measured."""
Case = Callable[[Effort, Say], Iterator[Figure]]
"""Measures one thing, from the start of its own server to the stop."""
