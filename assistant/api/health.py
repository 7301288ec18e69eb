"""GET /health (is it alive) and GET /ready (can it do its work, and if not, why)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from fastapi import Response

from assistant.api.answers import Answer, Time
from assistant.api.openapi import described, endpoint, errors
from assistant.contracts.channels import ChannelStatus, ConnectionState
from assistant.contracts.records import record


class HealthAnswer(Answer):
    status: Literal["ok"] = "ok"
    version: str


class CheckAnswer(Answer):
    name: str
    ok: bool
    detail: str


class ChannelAnswer(Answer):
    name: str
    state: ConnectionState
    detail: str
    since: Time


class ReadyAnswer(Answer):
    status: Literal["ready", "not_ready"]
    checks: list[CheckAnswer]
    channels: list[ChannelAnswer]


@record
class ReadinessCheck:
    """One thing that must hold for the server to be ready. `detail`: what holds, or what is wrong and what to do; no secrets."""

    name: str
    ok: bool
    detail: str


@record
class HealthEndpoints:
    version: str
    checks: Callable[[], Awaitable[Sequence[ReadinessCheck]]]
    channels: Callable[[], Sequence[ChannelStatus]]

    @endpoint("GET", "/health", "Is it alive?", scope=None, responses=errors())
    async def alive(self) -> HealthAnswer:
        return HealthAnswer(version=self.version)

    @endpoint(
        "GET",
        "/ready",
        "Can it do its work?",
        scope=None,
        responses={**errors(), 503: described(ReadyAnswer, "Not now; `checks` say why.")},
    )
    async def ready(self, response: Response) -> ReadyAnswer:
        """503 where a check fails. A channel that is down does not make the server unready: its messages wait in the outbox."""
        checks = await self.checks()
        ready = all(check.ok for check in checks)
        response.status_code = 200 if ready else 503
        return ReadyAnswer.model_validate({"status": "ready" if ready else "not_ready", "checks": checks, "channels": self.channels()})
