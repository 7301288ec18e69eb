"""Tokens for work that is done on somebody's behalf and is no request of theirs: the prompts of jobs."""

import asyncio
from dataclasses import dataclass
from typing import Final

from assistant.access.stored_keys import key_of
from assistant.contracts.access import Admission, KeyStore, Limiter, Limits
from assistant.contracts.errors import RateLimited

_LOOK_AGAIN: Final = 5.0
"""Seconds: room may come before it was foretold, where an answer took less than was reserved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The limits that hold for a principal at the door hold here, and nothing else does: a job that was accepted goes on when its key has ended."""

    keys: KeyStore
    limiter: Limiter
    defaults: Limits
    """For each principal that has no such limit of its own."""

    async def reserve(self, owner: str, tokens: int) -> Admission:
        """Take so many tokens, by estimate, as soon as there is room. Waits for that as long as the caller does. Raises StoreUnavailable."""
        limits = await self._limits(owner)
        while True:
            try:
                return await self.limiter.spend(owner, limits, tokens)
            except RateLimited as full:
                await asyncio.sleep(min(full.retry_after or _LOOK_AGAIN, _LOOK_AGAIN))

    async def _limits(self, owner: str) -> Limits:
        key_id = key_of(owner)
        own = await self.keys.limits(key_id) if key_id is not None else None
        return self.defaults if own is None else own.over(self.defaults)
