"""/v1/doctor: checks everything, as `nanobot doctor` does."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pydantic import Field

from assistant.api.answers import Answer
from assistant.api.openapi import endpoint, errors


class Finding(NamedTuple):
    """What a check found."""

    name: str
    detail: str
    fix: str = ""
    """A command, or what to change; empty: nothing is wrong."""


class FindingAnswer(Answer):
    name: str
    ok: bool
    detail: str
    fix: str | None = Field(description="A command, or what to change.")


class DoctorAnswer(Answer):
    object: Literal["doctor"] = "doctor"
    ok: bool = Field(description="Whether nothing is wrong.")
    checks: list[FindingAnswer]


@dataclass(slots=True, kw_only=True)
class DoctorEndpoints:
    check: Callable[[], Awaitable[Sequence[Finding]]]
    _checking: "asyncio.Task[Sequence[Finding]] | None" = field(default=None, init=False)

    @endpoint("POST", "/v1/doctor", "Check everything", scope="admin", responses=errors(401, 503))
    async def examine(self) -> DoctorAnswer:
        """Reads a file, asks the platforms and the model's provider, and takes as long as the slowest of them. Requests at once share a check."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.ensure_future(self.check())
        found = await asyncio.shield(self._checking)
        checks = [FindingAnswer(name=name, ok=not fix, detail=detail, fix=fix or None) for name, detail, fix in found]
        return DoctorAnswer(ok=all(each.ok for each in checks), checks=checks)
