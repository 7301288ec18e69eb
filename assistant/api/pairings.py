"""/v1/pairings: strangers who wrote to a channel, let in by their code, and those who were."""

from typing import Annotated, Final, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from assistant.api.answers import Answer, ListAnswer, Time
from assistant.api.openapi import endpoint, errors
from assistant.contracts.inbox import Pairing
from assistant.contracts.records import record
from assistant.inbound.pairing import PairingDesk

_PATH: Final = "/v1/pairings"


class PairingAnswer(Answer):
    """A stranger with an open code, or a sender who was let in."""

    object: Literal["pairing"] = "pairing"
    channel: str
    sender_id: str
    name: str = Field(description="What the sender is called there: chosen by its bearer.")
    state: Literal["open", "approved"]
    created_at: Time
    expires_at: Time | None


class PairingList(ListAnswer[PairingAnswer]):
    pass


class PairingApproval(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    code: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="As its holder told you.")
    person: Annotated[str, Field(min_length=1, max_length=300)] | None = Field(
        default=None, description="Whose other chat it is, by id or name; null: the sender becomes a person."
    )


class PairingRevoked(Answer):
    object: Literal["pairing.revoked"] = "pairing.revoked"
    channel: str
    sender_id: str


@record
class PairingEndpoints:
    desk: PairingDesk

    @endpoint("GET", _PATH, "List pairings", scope="admin", responses=errors(401, 503))
    async def index(self) -> PairingList:
        """Open ones that have not expired, and approved ones, the latest first. Codes are not told here: their holders have them."""
        return PairingList(data=[_shown(each) for each in await self.desk.list()], has_more=False)

    @endpoint("POST", _PATH, "Let a stranger in", scope="admin", responses=errors(400, 401, 404, 409, 503))
    async def approve(self, request: Request, approval: PairingApproval) -> PairingAnswer:
        """By the code that came to you from its holder; the sender is told."""
        return _shown(await self.desk.approve(approval.code.strip(), approval.person))

    @endpoint("DELETE", _PATH + "/{channel}/{sender_id:path}", "End a pairing", scope="admin", responses=errors(401, 404, 503))
    async def revoke(self, request: Request, channel: str, sender_id: str) -> PairingRevoked:
        """Holds for the next message. Those whom the configuration lets write (`allowFrom`, `owners`) stay."""
        await self.desk.revoke(channel, sender_id)
        return PairingRevoked(channel=channel, sender_id=sender_id)


def _shown(pairing: Pairing) -> PairingAnswer:
    return PairingAnswer(
        channel=pairing.channel,
        sender_id=pairing.sender.id,
        name=pairing.sender.name,
        state="approved" if pairing.code is None else "open",
        created_at=pairing.created,  # pyright: ignore[reportArgumentType] - written by `Time`
        expires_at=pairing.expires_at,  # pyright: ignore[reportArgumentType] - likewise
    )
