"""Where a request came from. What a header says of it is believed of the configured proxies only (compare CVE-2026-35656, -53817)."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from assistant.api.middleware.scope import headers_named

Network = IPv4Network | IPv6Network
_PASSED_ON = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via"})


def networks(entries: Iterable[str]) -> tuple[Network, ...]:
    """Raises ValueError for an entry that is neither an address nor a network."""
    try:
        return tuple(ip_network(entry.strip().strip("[]")) for entry in entries)
    except ValueError as error:
        raise ValueError(f"api.trustedProxies: {error}: write it as '10.0.0.7' or '10.0.0.0/24'") from None


def client_address(scope: Scope, proxies: Sequence[Network]) -> str:
    """The peer's; behind a proxy that is trusted, the last one in X-Forwarded-For that is not such a proxy itself."""
    client = scope.get("client")
    peer: str = client[0] if client else ""
    if not proxies or not _within(peer, tuple(proxies)):
        return peer
    address = peer
    for step in reversed(b",".join(headers_named(scope, b"x-forwarded-for")).split(b",")):
        named = step.strip().decode("ascii", errors="replace").strip("[]")
        if _parsed(named) is None:
            return address
        address = named
        if not _within(address, tuple(proxies)):
            return address
    return address


def is_passed_on(scope: Scope, proxies: Sequence[Network]) -> bool:
    """Whether a header says that a proxy passed this on which is none of those: then the peer may be that proxy, or an address that it was told."""
    client = scope.get("client")
    return any(name in _PASSED_ON for name, _ in scope["headers"]) and not (client and _within(client[0], tuple(proxies)))


@lru_cache(maxsize=1024)
def _within(address: str, proxies: tuple[Network, ...]) -> bool:
    found = _parsed(address)
    return found is not None and any(found in network for network in proxies)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
