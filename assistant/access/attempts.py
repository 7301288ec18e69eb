"""Guessing, slowed down: addresses that showed wrong secrets. (CVE-2026-33580: secrets guessed without limit.)"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import Final

from assistant.contracts.errors import RateLimited

MOST_FAILURES: Final = 10
WINDOW_SECONDS: Final = 60.0
BLOCKED_SECONDS: Final = 300.0
_MOST_ADDRESSES: Final = 10_000


@dataclass(slots=True)
class _Failures:
    at: deque[float] = field(default_factory=deque[float])
    blocked_until: float = 0.0


class Attempts:
    """The tenth wrong secret within a minute closes the door to its address for five minutes, to right ones too: otherwise a guess that is
    right would show. Only wrong secrets count, not requests without any. IPv6 counts by /64, which one machine has to itself."""

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
