"""GET /health (is it alive) and GET /ready (can it do its work, and if not, why)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

from fastapi import Response

from assistant.api.wire_answers import CheckAnswer, HealthAnswer, ReadyAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must hold for the server to be ready. `detail`: what holds, or what is wrong and what to do; no secrets."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    version: str
    checks: Callable[[], Awaitable[Sequence[Check]]]

    async def alive(self) -> HealthAnswer:
        return HealthAnswer(status="ok", version=self.version)

    async def ready(self, response: Response) -> ReadyAnswer:
        checks = await self.checks()
        ready = all(check.ok for check in checks)
        response.status_code = 200 if ready else 503
        return ReadyAnswer(status="ready" if ready else "not_ready", checks=[CheckAnswer(**asdict(check)) for check in checks])
