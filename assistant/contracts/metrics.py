"""What the server counts while it runs, for GET /metrics. Labels have few values: no ids of people, sessions or messages."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""The upper bounds of the histograms' buckets."""
MOST_SERIES: Final = 300
"""Of one metric. What comes beyond is counted under the label "other"."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter; or, where its name ends in `_seconds`, a histogram."""

    name: str
    labels: tuple[str, ...]
    help: str


REQUESTS: Final = Metric("nanobot_requests_total", ("method", "route", "status"), "HTTP requests that were answered.")
REQUEST_SECONDS: Final = Metric("nanobot_request_seconds", ("route",), "From a request to the last byte of its answer.")
TURNS: Final = Metric("nanobot_turns_total", ("agent", "outcome"), 'Turns that ended: "finished", or the code of what ended them.')
TURN_SECONDS: Final = Metric("nanobot_turn_seconds", ("agent",), "From a turn's start to its stored end, waiting in its lane included.")
MODEL_CALLS: Final = Metric(
    "nanobot_model_calls_total", ("provider", "model", "operation", "outcome"), 'Calls of providers: "ok", or the code of the failure.'
)
MODEL_SECONDS: Final = Metric("nanobot_model_call_seconds", ("provider", "model"), "From a call of a provider to its whole answer.")
TOKENS: Final = Metric(
    "nanobot_tokens_total",
    ("provider", "model", "kind"),
    "Tokens: prompt, of which cached; completion, of which reasoning.",
)
COST: Final = Metric("nanobot_cost_dollars_total", ("provider", "model", "source"), "US dollars, of calls whose price is known.")
REFUSALS: Final = Metric(
    "nanobot_budget_refusals_total", ("subject",), "Calls of models that a budget refused, by the kind of its subject."
)
TOOLS: Final = Metric("nanobot_tool_calls_total", ("tool", "outcome"), 'Calls of tools: "ok" or "failed".')
TOOL_SECONDS: Final = Metric("nanobot_tool_seconds", ("tool",), "From a tool's call to its result.")
DELIVERIES: Final = Metric("nanobot_deliveries_total", ("channel", "outcome"), "Attempts to deliver a message, by the state that followed.")
CATALOGUE: Final = (
    REQUESTS, REQUEST_SECONDS, TURNS, TURN_SECONDS, MODEL_CALLS, MODEL_SECONDS, TOKENS, COST, REFUSALS, TOOLS, TOOL_SECONDS, DELIVERIES,
)  # fmt: skip


class Metrics:
    """The counters of this process. Adding to one takes less than a microsecond, and no lock: on the event loop only."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[tuple[str, ...], float]] = {metric.name: {} for metric in CATALOGUE}
        self.buckets: dict[str, dict[tuple[str, ...], list[float]]] = {metric.name: {} for metric in CATALOGUE}
        """Of histograms: how many fell into each bucket, then into none, then the sum."""

    def add(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Add to a counter; `labels` in the order of the metric's."""
        series = self.counts[metric.name]
        if labels in series:
            series[labels] += by
            return
        if len(series) >= MOST_SERIES:
            labels = ("other",) * len(labels)
        series[labels] = series.get(labels, 0) + by

    def took(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Note a latency."""
        series = self.buckets[metric.name]
        if (found := series.get(labels)) is None:
            if len(series) >= MOST_SERIES:
                labels = ("other",) * len(labels)
            found = series.setdefault(labels, [0.0] * (len(SECONDS) + 2))
        found[bisect_left(SECONDS, seconds)] += 1
        found[-1] += seconds
