"""What one run of the load generator found."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Times are milliseconds; `latencies` and `firsts` are in the order of the requests, None for a request without a right answer."""

    seconds: float
    latencies: Sequence[float | None]
    firsts: Sequence[float | None]
    """Until the first byte of the body."""
    errors: Mapping[str, int]
    """What went wrong, and how often."""

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return sum(latency is not None for latency in self.latencies) / self.seconds

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    def latency(self, percent: float) -> float:
        """The percentile by nearest rank; NaN if nothing was answered."""
        return percentile(self.latencies, percent)

    def first(self, percent: float) -> float:
        return percentile(self.firsts, percent)


def percentile(values: Sequence[float | None], percent: float) -> float:
    """By nearest rank, without missing values; NaN if all are missing."""
    known = sorted(value for value in values if value is not None)
    return known[round(percent / 100 * (len(known) - 1))] if known else float("nan")


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
