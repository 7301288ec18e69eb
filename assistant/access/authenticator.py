"""Authenticates callers and admits their requests; blocks addresses that guess; ends what a revoked key opened."""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import Final

from assistant.access.browsers import BrowserAccess
from assistant.access.principals import OWNER, Access, Principal, key_of
from assistant.contracts.access import UNLIMITED, Admission, Holding, KeyStore, Limiter, Limits
from assistant.contracts.errors import RateLimited, StoreUnavailable, Unauthenticated
from assistant.contracts.records import record

log = logging.getLogger(__name__)

MOST_FAILURES: Final = 10
WINDOW_SECONDS: Final = 60.0
BLOCKED_SECONDS: Final = 300.0
_MOST_ADDRESSES: Final = 10_000


@dataclass(slots=True)
class _Failures:
    at: deque[float] = field(default_factory=deque[float])
    blocked_until: float = 0.0


class FailedAttempts:
    """Ten wrong secrets within a minute block their address for five minutes, for right secrets too: otherwise a correct guess would show.
    Requests without a secret don't count. IPv6 counts by /64, which one machine owns."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """`clock`: seconds."""
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises RateLimited while the address is blocked."""
        if not self._failures:
            return
        found = self._failures.get(counted_as(address))
        if found is not None and (wait := found.blocked_until - self._clock()) > 0:
            raise RateLimited("Too many wrong API keys came from this address. Wait, then try again with the right one.", retry_after=wait)

    def failed(self, address: str) -> None:
        """Count a wrong secret."""
        name, now = counted_as(address), self._clock()
        found = self._failures.pop(name, None) or _Failures()
        self._failures[name] = found
        while found.at and found.at[0] <= now - WINDOW_SECONDS:
            found.at.popleft()
        found.at.append(now)
        if len(found.at) >= MOST_FAILURES:
            found.at.clear()
            found.blocked_until = now + BLOCKED_SECONDS
        while len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)


@lru_cache(maxsize=1024)
def counted_as(address: str) -> str:
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped) if ip.ipv4_mapped else f"{int(ip) >> 64:x}::/64"


_WATCH_SECONDS: Final = 0.5
"""Between two queries while anything is open: what is open ends within a second."""


class KeyWatch:
    """Asks the store, while anything is open, which of the keys and browsers in use are still valid: one query for all of a kind."""

    def __init__(self, *stores: Holding) -> None:
        self._stores = stores
        self._open: dict[tuple[str, str], set[Callable[[], None]]] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, credential: str, person: str, ended: Callable[[], None]) -> Callable[[], None]:
        """Calls `ended` once, within a second of the key being revoked, expired or rotated out, or becoming another person's. Returns an unsubscribe
        function. The arguments are of the Principal. While the store is unavailable, `ended` is not called.
        """
        opened = credential, person
        self._open.setdefault(opened, set()).add(ended)
        if self._task is None:
            self._task = asyncio.create_task(self._look())

        def forget() -> None:
            waiting = self._open.get(opened)
            if waiting is not None:
                waiting.discard(ended)
                if not waiting:
                    del self._open[opened]

        return forget

    async def _look(self) -> None:
        try:
            while True:
                await asyncio.sleep(_WATCH_SECONDS)
                if not self._open:
                    return
                asked = list(self._open)
                try:
                    valid = await self._valid({credential for credential, _ in asked})
                except StoreUnavailable as error:
                    log.warning("keys.not_watched code=%s", error.code)
                    continue
                for opened in set(asked) - set(valid.items()):
                    for ended in self._open.pop(opened, ()):
                        ended()
        finally:
            self._task = None

    async def _valid(self, asked: set[str]) -> Mapping[str, str]:
        valid: dict[str, str] = {}
        for store in self._stores:
            if left := asked - valid.keys():
                valid |= await store.holding(left)
        return valid


def is_loopback(host: str) -> bool:
    """Whether a server bound to `host` is reached from this machine only, or a caller from `host` is this machine. Names other than localhost
    are not."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


_ONLY_HERE: Final = (
    "Without a key, only this machine may ask. To let others in, set api.apiKey or auth.mode, or send a key of nanobot keys create."
)


@record
class Authenticator:
    """For HTTP and sockets alike:

    1. `identify` the caller, once a connection or request;
    2. `admit` each request, or each message of a socket, and `end` the admission when it is answered;
    3. `watch` what stays open, and close it when called.
    """

    access: Access
    attempts: FailedAttempts = field(default_factory=FailedAttempts)
    limiter: Limiter | None = None
    defaults: Limits = field(default_factory=Limits)
    """Limits for principals that define none."""
    keys: KeyWatch | None = None
    browsers: BrowserAccess | None = None
    owner_is_here: bool = False
    """Accept the owner from this machine only: for a mounted app without keys, which cannot know who reaches it."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""

    async def identify(self, address: str, authorization: bytes | None, *, passed_on: bool = False) -> Principal:
        """The principal of a request from `address` with this Authorization header. `passed_on`: an unknown proxy forwarded it, so `address` may not
        be the caller's. Raises Unauthenticated, RateLimited (the address is blocked), AccessUnavailable, StoreUnavailable."""
        self.attempts.check(address)
        try:
            who = await self.access.identify(authorization)
        except Unauthenticated:
            if authorization is not None:
                self.attempts.check(address)  # of many guesses at once, only a few are answered
                self.attempts.failed(address)
            raise
        self.attempts.check(address)
        if self.owner_is_here and who.id == OWNER.id and (passed_on or not is_loopback(address)):
            raise Unauthenticated(_ONLY_HERE)
        return who

    async def identify_browser(self, address: str, secret: bytes) -> Principal | None:
        """The principal of a cookie's secret. None: it opens nothing, and counts neither as a credential nor as a guess. Raises RateLimited,
        StoreUnavailable."""
        self.attempts.check(address)
        return None if self.browsers is None else await self.browsers.identify(secret)

    async def needs_key(self) -> bool:
        """Whether a request without any credential is refused."""
        try:
            await self.access.identify(None)
        except Unauthenticated:
            return True
        return False

    async def admit(self, who: Principal) -> Admission:
        """Count a request. Costs nothing without limits. Raises NotAdmitted, StoreUnavailable."""
        limits = who.limits.over(self.defaults)
        if self.limiter is None or not limits.any:
            return UNLIMITED
        return await self.limiter.admit(who.id, limits)

    def watch(self, who: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        """Calls `ended` within 1 s of the credential expiring or being revoked. Returns an unsubscribe function."""
        if who.until is not None:
            return asyncio.get_running_loop().call_later(max(0.0, who.until - self.clock()), ended).cancel
        if who.credential is None or self.keys is None:
            return lambda: None
        return self.keys.watch(who.credential, who.person, ended)


_LOOK_AGAIN: Final = 5.0
"""Seconds: room may come earlier than announced, when an answer took less than was reserved."""


@record
class Allowance:
    """The limits of turns that come by no request, by the credential that asked; a key's limits hold even after the key has ended."""

    keys: KeyStore
    limiter: Limiter
    defaults: Limits
    """Limits for principals that define none."""

    async def admit(self, caller: str, tokens: int) -> Admission:
        """Count a turn of a credential or sender and reserve its estimated tokens. Raises RateLimited, StoreUnavailable: then nothing counts."""
        limits = await self._limits(caller)
        if not limits.any:
            return UNLIMITED
        admission = await self.limiter.admit(caller, limits)
        try:
            await admission.reserve(tokens)
        except BaseException:
            await admission.end()
            raise
        return admission

    async def reserve(self, caller: str, tokens: int) -> Admission:
        """Reserve estimated tokens, waiting until there is room. Raises StoreUnavailable."""
        limits = await self._limits(caller)
        while True:
            try:
                return await self.limiter.spend(caller, limits, tokens)
            except RateLimited as full:
                await asyncio.sleep(min(full.retry_after or _LOOK_AGAIN, _LOOK_AGAIN))

    async def _limits(self, caller: str) -> Limits:
        key_id = key_of(caller)
        own = await self.keys.limits(key_id) if key_id is not None else None
        return self.defaults if own is None else own.over(self.defaults)
