"""GET /health (is it alive) and GET /ready (can it do its work, and if not, why)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

from fastapi import Response

from assistant.api.answers import ChannelAnswer, CheckAnswer, HealthAnswer, ReadyAnswer, written
from assistant.contracts.channels import ChannelStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessCheck:
    """One thing that must hold for the server to be ready. `detail`: what holds, or what is wrong and what to do; no secrets."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthEndpoints:
    version: str
    checks: Callable[[], Awaitable[Sequence[ReadinessCheck]]]
    channels: Callable[[], Sequence[ChannelStatus]]

    async def alive(self) -> HealthAnswer:
        return HealthAnswer(status="ok", version=self.version)

    async def ready(self, response: Response) -> ReadyAnswer:
        """503 where a check fails. How a channel fares does not make the server unready: what goes out there waits in the outbox."""
        checks = await self.checks()
        ready = all(check.ok for check in checks)
        response.status_code = 200 if ready else 503
        return ReadyAnswer(
            status="ready" if ready else "not_ready",
            checks=[CheckAnswer(**asdict(check)) for check in checks],
            channels=[
                ChannelAnswer(name=channel.name, state=channel.state, detail=channel.detail, since=written(channel.since))
                for channel in self.channels()
            ],
        )
