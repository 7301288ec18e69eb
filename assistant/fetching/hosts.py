"""Which hosts may be asked, where they are, and how often: names are looked up here, once for each hop."""

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

from assistant.contracts.urls import PageRefused, WebUrl, is_public, normal_authority

PORTS: Final = frozenset({80, 443, 8080, 8443})
A_SECOND: Final = 2
AT_ONCE: Final = 4
_ALL_AT_ONCE: Final = 16
_MOST_HOSTS: Final = 1_000
PRIVATE: Final = "it is on a private network, and web.allow in the configuration does not name its host"


class Resolver(Protocol):
    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """The IP addresses of a name, at least one. Raises OSError: there are none."""
        ...


class SystemResolver:
    """As the machine looks names up."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(each[4][0]) for each in found))


class AllowedHosts:
    """The hosts that may be private, or on an unusual port: `web.allow`."""

    def __init__(self, names: Collection[str], named: WebUrl | None = None) -> None:
        """`named`: by the person themselves."""
        self._allowed = {normal_authority(name) for name in names}
        if named is not None:
            self._allowed.add((named.host, named.port))

    def allows(self, url: WebUrl) -> bool:
        return (url.host, url.port) in self._allowed or ((url.host, None) in self._allowed and url.port in PORTS)

    def check_port(self, url: WebUrl) -> None:
        """Raises PageRefused."""
        if url.port not in PORTS and not self.allows(url):
            raise PageRefused(f"its port {url.port} is not one of {', '.join(map(str, sorted(PORTS)))}, nor named in web.allow")


def check_addresses(addresses: Sequence[str]) -> None:
    """One that is not public refuses them all: which one a connection takes is not left to chance. Raises PageRefused."""
    if not all(map(is_public, addresses)):
        raise PageRefused(PRIVATE)


class HostLimits:
    """Waits where a host was asked twice within the second before, or four requests to it run."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._all = asyncio.Semaphore(_ALL_AT_ONCE)
        self._hosts: OrderedDict[str, tuple[asyncio.Semaphore, list[float]]] = OrderedDict()

    @asynccontextmanager
    async def place(self, host: str) -> AsyncGenerator[None]:
        at_once, asked = self._hosts.setdefault(host, (asyncio.Semaphore(AT_ONCE), []))
        self._hosts.move_to_end(host)
        while len(self._hosts) > _MOST_HOSTS:
            self._hosts.popitem(last=False)
        async with at_once:
            now = self._clock()
            begins = max(now, asked[-A_SECOND] + 1) if len(asked) >= A_SECOND else now
            asked[:] = [*asked[1 - A_SECOND :], begins]
            if begins > now:
                await self._sleep(begins - now)
            async with self._all:
                yield
