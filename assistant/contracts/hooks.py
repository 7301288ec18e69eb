"""The port to whoever takes messages that come by HTTP to /hooks/{name}."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class HookAccepted:
    id: str
    new: bool
    """False: a repeat of one that was accepted before."""


@runtime_checkable
class Hooks(Protocol):
    """Messages from other programs."""

    async def receive(self, name: str, headers: Mapping[str, str], body: bytes) -> HookAccepted:
        """Take one in; it is kept when the call returns. `headers`: by lower-case name. Raises NotFound (no such hook, or it has no secret),
        Unauthenticated, InvalidRequest, StoreUnavailable."""
        ...
