"""Requests, their answers, and the findings among them."""

import statistics
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Finding:
    operation: str
    title: str
    message: str
    request: str
    """A curl command that sends it again."""
    answer: str
    times: int = 1


@dataclass(slots=True, kw_only=True)
class Ran:
    cases: int = 0
    answers: Counter[str] = field(default_factory=Counter[str])
    """How often each status came, by operation: "GET /v1/files 200"."""
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict[tuple[str, str, str], Finding])
    seconds: list[float] = field(default_factory=list[float])
    """Of each answer."""
    slowest: str = ""
    """The operation that took longest."""

    def answered(self, operation: str, status: int, seconds: float) -> None:
        self.answers[f"{operation} {status}"] += 1
        if seconds > max(self.seconds, default=0):
            self.slowest = operation
        self.seconds.append(seconds)

    def found(self, finding: Finding) -> None:
        """Kept once for each operation, kind and message, with the first request that shows it."""
        key = (finding.operation, finding.title, finding.message.split("\n", 1)[0][:120])
        if key in self.findings:
            self.findings[key].times += 1
        else:
            self.findings[key] = finding

    @property
    def tried(self) -> frozenset[str]:
        """The operations that were called."""
        return frozenset(name.rpartition(" ")[0] for name in self.answers)

    @property
    def done_well(self) -> frozenset[str]:
        """Those that succeeded at least once."""
        return frozenset(operation for operation, _, status in (name.rpartition(" ") for name in self.answers) if status.startswith("2"))

    def report(self) -> str:
        lines = [
            f"{each.operation}: {each.title} ({each.times} times)\n{each.message}\n{each.request}\n{each.answer}\n"
            for each in self.findings.values()
        ]
        by_status: Counter[str] = Counter()
        for name, times in self.answers.items():
            by_status[name.rpartition(" ")[2]] += times
        lines.append("answers: " + ", ".join(f"{status} {times}" for status, times in sorted(by_status.items())))
        lines += [f"only refused: {operation}" for operation in sorted(self.tried - self.done_well)]
        if len(self.seconds) > 1:
            slow = statistics.quantiles(self.seconds, n=100)[98] * 1000
            lines.append(
                f"p50 {statistics.median(self.seconds) * 1000:.1f} ms, p99 {slow:.0f} ms, slowest {max(self.seconds) * 1000:.0f} ms ({self.slowest})"
            )
        return "\n".join(lines)
