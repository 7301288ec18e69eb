"""Faults on demand: what the stand-in does wrong, to which requests, and how often."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FaultKind = Literal["answer", "hang", "hang_after", "reset", "reset_after"]
"""answer: this answer, and nothing is accepted. hang, reset: before anything is accepted; …_after: it is accepted, and no answer comes."""


@dataclass(slots=True, kw_only=True)
class Fault:
    kind: FaultKind
    method: str
    path: re.Pattern[str]
    times: int
    """How many requests it still meets."""
    status: int = 500
    body: object = None
    """JSON; a text is sent as HTML, as a proxy in front of Discord does."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Faults:
    """The faults that wait, the first that fits is taken; and every request that came, by "METHOD /path"."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self.seen: list[str] = []
        self.latency = 0.0
        """Seconds before every answer."""

    def add(self, kind: FaultKind, on: str = "POST /channels/.*/messages", *, times: int = 1, **more: Any) -> None:
        """`on`: a method and a pattern of the whole path below the API's base. `more`: fields of `Fault`."""
        method, _, path = on.partition(" ")
        self._waiting.append(Fault(kind=kind, method=method, path=re.compile(path), times=times, **more))

    def too_many(self, retry_after: float, on: str = "POST /channels/.*/messages", *, times: int = 1, everywhere: bool = False) -> None:
        """429, as Discord says it. https://discord.com/developers/docs/topics/rate-limits"""
        body = {"message": "You are being rate limited.", "retry_after": retry_after, "global": everywhere}
        headers = {"Retry-After": str(int(retry_after) + 1), "Via": "1.1 google", "X-RateLimit-Scope": "global" if everywhere else "user"}
        if everywhere:
            headers["X-RateLimit-Global"] = "true"
        self.add("answer", on, times=times, status=429, body=body, headers=headers)

    def clear(self) -> None:
        self._waiting.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets."""
        self.seen.append(f"{method} {path}")
        for fault in self._waiting:
            if fault.method == method and fault.path.fullmatch(path):
                fault.times -= 1
                if fault.times == 0:
                    self._waiting.remove(fault)
                return fault
        return None
