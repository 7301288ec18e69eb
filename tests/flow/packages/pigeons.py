"""What a package of another project adds: a tool with a key, and a channel. `test_packages` installs a copy of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, SecretStr

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelKind, ChannelLink, ChannelSettings, Limit, Sending
from assistant.contracts.outbox import OutboundEvent, OutboundPart, Receipt
from assistant.contracts.tools import ToolContext, ToolKind, ToolResult, ToolServices
from assistant.contracts.util import Settings


class DiceSettings(Settings):
    key: SecretStr
    """The key of the casino."""
    sides: int = 6
    """How many sides a die has."""


class DiceParams(BaseModel):
    """No parameters."""


class Dice:
    name: ClassVar[str] = "roll_dice"
    description: ClassVar[str] = "Roll a die."
    params: ClassVar[type[BaseModel]] = DiceParams
    reads_only: ClassVar[bool] = True
    timeout: ClassVar[float] = 5.0

    def __init__(self, settings: DiceSettings, services: ToolServices) -> None:
        self._settings, self._services, self._http = settings, services, services.http()

    async def run(self, params: DiceParams, ctx: ToolContext) -> ToolResult:
        agent = self._http.headers["User-Agent"].partition("/")[0]
        return ToolResult(
            text=f"{self._settings.sides} of {self._settings.sides}, {agent} paid with {self._settings.key.get_secret_value()}"
        )

    async def close(self) -> None:
        await self._http.close()
        (self._services.workspace / "closed").write_text("closed")


class PigeonSettings(ChannelSettings):
    loft: str = "/tmp"
    """The folder that pigeons fly to."""


class Pigeons:
    name, keyed, conversation = "pigeon-post", False, None

    def __init__(self, settings: PigeonSettings, context: ChannelContext) -> None:
        self._loft = Path(settings.loft)

    def limits(self, address: Address) -> Sequence[Limit]:
        return ()

    def plan(self, event: OutboundEvent) -> Sequence[OutboundPart]:
        return [OutboundPart(text=event.text, plain=event.text)]

    async def run(self, link: ChannelLink) -> None:
        raise NotImplementedError

    async def send(self, sending: Sending) -> Receipt:
        (self._loft / sending.address.chat_id).write_text(sending.part.text)
        return Receipt(message_id="1", at=datetime.now(UTC))

    async def identity(self) -> str:
        return "a pigeon"

    async def close(self) -> None:
        pass


DICE = ToolKind(name=Dice.name, settings=DiceSettings, open=Dice)
PIGEONS = ChannelKind(
    name="pigeon-post", settings=PigeonSettings, check_address=lambda settings, address: address, named=lambda settings: (), open=Pigeons
)
