"""GET /metrics: the counters of this process, and how much waits, in Prometheus' text format (0.0.4)."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import accumulate
from typing import Final

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from assistant.api.middleware.request import state_of
from assistant.api.openapi import endpoint, errors
from assistant.contracts.metrics import CATALOGUE, SECONDS, Metrics
from assistant.contracts.records import record


@record
class Depths:
    """What the store says, over all processes on it."""

    waiting: Mapping[str, float]
    """How much waits or runs, by queue."""
    occurrences: Mapping[str, int]
    """How many occurrences of schedules are kept, by how they ended or stand."""


_FORMAT: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@record
class MetricsEndpoints:
    metrics: Metrics
    depths: Callable[[], Awaitable[Depths]]
    """Asked at each request."""

    @endpoint(
        "GET",
        "/metrics",
        "Counters, for Prometheus",
        scope=None,
        responses={**errors(401, 403, 429, 503), 200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
        response_class=PlainTextResponse,
    )
    async def scrape(self, request: Request) -> Response:
        """Without a key from this machine; from elsewhere with a key that has the scope `metrics`."""
        who = state_of(request.scope).principal
        if who is not None:
            who.require("metrics")
        return Response(exposition(self.metrics, await self.depths()), headers={"content-type": _FORMAT})


def exposition(metrics: Metrics, depths: Depths) -> str:
    lines: list[str] = []
    for metric in CATALOGUE:
        timed = metric.name.endswith("_seconds")
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {'histogram' if timed else 'counter'}"]
        for labels, value in metrics.counts[metric.name].items():
            lines.append(f"{metric.name}{_labels(zip(metric.labels, labels, strict=True))} {value:.12g}")
        for labels, found in metrics.buckets[metric.name].items():
            named = list(zip(metric.labels, labels, strict=True))
            for bound, count in zip([*map(str, SECONDS), "+Inf"], accumulate(found[:-1]), strict=True):
                lines.append(f"{metric.name}_bucket{_labels([*named, ('le', bound)])} {count:.12g}")
            lines += [f"{metric.name}_sum{_labels(named)} {found[-1]:.9g}", f"{metric.name}_count{_labels(named)} {sum(found[:-1]):.12g}"]
    lines += ["# HELP nanobot_waiting What waits or runs now, by queue, over all processes on the store.", "# TYPE nanobot_waiting gauge"]
    lines += [f"nanobot_waiting{_labels([('queue', queue)])} {depth:.12g}" for queue, depth in depths.waiting.items()]
    lines += ["# HELP nanobot_occurrences Occurrences of schedules that are kept, by how they ended.", "# TYPE nanobot_occurrences gauge"]
    lines += [f"nanobot_occurrences{_labels([('outcome', outcome)])} {many}" for outcome, many in depths.occurrences.items()]
    return "\n".join([*lines, ""])


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels) + "}"
