"""All that a door asks about whoever stands before it: who that is, whether there is room, and for how long."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from assistant.access.attempts import Attempts
from assistant.access.key_watch import KeyWatch
from assistant.access.loopback import is_loopback
from assistant.access.principals import OWNER, Access, Principal
from assistant.contracts.access import UNLIMITED, Admission, Limiter, Limits
from assistant.contracts.errors import Unauthenticated

_ONLY_HERE: Final = (
    "Without a key, only this machine may ask, since nobody is asked who they are. "
    "To let others in, set api.apiKey or auth.mode, or send a key of nanobot keys create."
)


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorkeeper:
    """For every way in, HTTP and sockets alike:

    1. `identify` the caller, once a connection or request;
    2. `admit` each request, or each message of a socket, and `end` the admission when it is answered;
    3. `watch` what stays open, and close it when told.
    """

    access: Access
    attempts: Attempts = field(default_factory=Attempts)
    limiter: Limiter | None = None
    defaults: Limits = field(default_factory=Limits)
    """For each principal that has no such limit of its own."""
    keys: KeyWatch | None = None
    owner_is_here: bool = False
    """Whether the owner is taken for that from this machine only: for a door that lets in whoever comes, where nobody knows who can."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""

    async def identify(self, address: str, authorization: bytes | None, *, passed_on: bool = False) -> Principal:
        """Who asks, from which address, showing this value of an Authorization header. `passed_on`: somebody says to have passed it on, and nobody
        knows whether the address is then that of who asks. Raises Unauthenticated; RateLimited where too many wrong
        secrets came from the address; AccessUnavailable, StoreUnavailable."""
        self.attempts.check(address)
        try:
            who = await self.access.identify(authorization)
        except Unauthenticated:
            if authorization is not None:
                self.attempts.check(address)  # of many guesses at once, too, no more than a few are answered
                self.attempts.failed(address)
            raise
        self.attempts.check(address)
        if self.owner_is_here and who.id == OWNER.id and (passed_on or not is_loopback(address)):
            raise Unauthenticated(_ONLY_HERE)
        return who

    async def admit(self, who: Principal) -> Admission:
        """Count a request of theirs. Costs nothing where they have no limits. Raises RateLimited, StoreUnavailable."""
        limits = who.limits.over(self.defaults)
        if self.limiter is None or not limits.any:
            return UNLIMITED
        return await self.limiter.admit(who.id, limits)

    def watch(self, who: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        """`ended` is called within a second after what they came in with stopped holding. Returns what ends the watching."""
        if who.until is not None:
            return asyncio.get_running_loop().call_later(max(0.0, who.until - self.clock()), ended).cancel
        if who.credential is None or self.keys is None:
            return _nothing
        return self.keys.watch(who.credential, ended)
