"""Messages from other programs, which come in by POST /hooks/{name}."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from assistant.contracts.records import record


class HookRequest(BaseModel):
    """A message from another program."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str = Field(min_length=1, max_length=200_000, pattern=r"\S", description="The message.")
    sender: str | None = Field(None, max_length=200, description="The sender's name, for display.")
    thread_id: str | None = Field(None, min_length=1, max_length=200, description="Messages of one thread are one conversation.")
    external_id: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The sender's own id of this message: what comes again under it is a repeat.",
    )


@record
class HookAccepted:
    id: str
    new: bool
    """False: a repeat of one that was accepted before."""


@runtime_checkable
class Hooks(Protocol):
    """Messages from other programs."""

    async def receive(self, name: str, headers: Mapping[str, str], body: bytes) -> HookAccepted:
        """Accept a message; it is stored when the call returns. `headers`: by lower-case name. Raises NotFound (no such hook, or it has no secret),
        Unauthenticated, InvalidRequest, StoreUnavailable."""
        ...
