"""Which hosts and origins are served, and the client's address behind trusted proxies."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.api.middleware.request import header, headers_named, state_of
from assistant.contracts.errors import ForbiddenOrigin, MisdirectedHost

_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")
_WILDCARDS = frozenset({"0.0.0.0", "::", "", "*"})  # noqa: S104 - compared with, never bound to
_FROM_A_PAGE = frozenset({b"origin", b"referer", b"cookie", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"})
_LONGEST_HOST = 300
"""A name has 253 characters at most, then a port. Nothing longer is parsed, or kept in a cache."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEMES = {"https": "https", "wss": "https"}
"""Of the page, by the scheme of the request; else http."""


class HostGuard:
    """Raises MisdirectedHost for a Host that is missing, doubled or malformed, and ForbiddenOrigin for a request of a web page from another origin.

    A Host that is not listed may be a page's that makes its own name point here (DNS rebinding): it is refused too, where the request comes from a
    page, and otherwise marked, for AuthMiddleware to ask for what no page has: the key. So containers reach a server with a key by any name.

    The server's own origin (the page /docs) is allowed. Pages of `cors` may also read the answers: RequestIdMiddleware adds the headers.
    """

    def __init__(self, app: ASGIApp, *, bound_to: str, hosts: Iterable[str], origins: Iterable[str], cors: Iterable[str] = ()) -> None:
        """`hosts`: names or addresses, with a port (only that one) or without (any). Raises ValueError for a malformed entry."""
        self.app = app
        shown = f"[{bound_to}]" if ":" in bound_to and not bound_to.startswith("[") else bound_to
        own = () if bound_to in _WILDCARDS else (shown,)
        self.hosts = frozenset(_known_host(entry) for entry in (*_OWN_NAMES, *own, *hosts))
        self.cors = frozenset(_known_origin(entry) for entry in cors)
        self.origins = self.cors | frozenset(_known_origin(entry) for entry in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            values = headers_named(scope, b"host")
            host = parse_host(values[0]) if len(values) == 1 and len(values[0]) <= _LONGEST_HOST else None
            if host is None:
                raise MisdirectedHost
            if host not in self.hosts and (host[0], None) not in self.hosts:
                if any(name in _FROM_A_PAGE for name, _ in scope["headers"]):
                    raise MisdirectedHost
                state_of(scope).unlisted_host = True
            elif origins := headers_named(scope, b"origin"):
                self._check_origin(scope, host, origins)
            elif header(scope, b"sec-fetch-site") in (b"cross-site", b"same-site"):
                raise ForbiddenOrigin
        await self.app(scope, receive, send)

    def _check_origin(self, scope: Scope, host: tuple[str, int | None], origins: list[bytes]) -> None:
        origin = parse_origin(origins[0]) if len(origins) == 1 and len(origins[0]) <= _LONGEST_HOST else None
        if origin is None:
            raise ForbiddenOrigin
        if origin in self.cors:
            state_of(scope).cors_origin = origins[0]
            return
        scheme = _SCHEMES.get(scope["scheme"], "http")
        if origin != (scheme, host[0], host[1] or _DEFAULT_PORTS.get(scheme)) and origin not in self.origins:
            raise ForbiddenOrigin


@lru_cache(maxsize=256)
def parse_host(value: bytes) -> tuple[str, int | None] | None:
    """(name in lower case without a trailing dot, or address in its shortest form; port). None: malformed."""
    try:
        text = value.decode("ascii").lower()
    except UnicodeDecodeError:
        return None
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port, address = rest[1:], True
    else:
        name, _, port = text.partition(":")
        address = False
    if port and not (port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        return None
    canonical = _canonical(name, address)
    return None if canonical is None else (canonical, int(port) if port else None)


@lru_cache(maxsize=256)
def parse_origin(value: bytes) -> tuple[str, str, int | None] | None:
    """An Origin header as (scheme, name, port). None: malformed, or "null"."""
    try:
        parts = urlsplit(value.decode("ascii"))
    except ValueError:
        return None
    host = parse_host(parts.netloc.encode())
    if host is None or not parts.scheme or parts.path or parts.query or parts.fragment:
        return None
    return parts.scheme, host[0], host[1] or _DEFAULT_PORTS.get(parts.scheme)


def _canonical(name: str, address: bool) -> str | None:
    if address:
        try:
            return str(ip_address(name))
        except ValueError:
            return None
    name = name.removesuffix(".")
    return name if name and all(c.isalnum() or c in "-._" for c in name) else None


def _known_host(entry: str) -> tuple[str, int | None]:
    host = parse_host(entry.encode())
    if host is None:
        raise ValueError(f"'{entry}' is not a host name: write it as 'example.org', 'example.org:8900' or '[::1]'")
    return host


def _known_origin(entry: str) -> tuple[str, str, int | None]:
    origin = parse_origin(entry.removesuffix("/").encode())
    if origin is None:
        raise ValueError(f"'{entry}' is not an origin: write it as 'https://example.org'")
    return origin


Network = IPv4Network | IPv6Network
_PASSED_ON = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via"})


def networks(entries: Iterable[str]) -> tuple[Network, ...]:
    """Raises ValueError for an entry that is neither an address nor a network."""
    try:
        return tuple(ip_network(entry.strip().strip("[]")) for entry in entries)
    except ValueError as error:
        raise ValueError(f"api.trustedProxies: {error}: write it as '10.0.0.7' or '10.0.0.0/24'") from None


def client_of(scope: Scope, proxies: tuple[Network, ...]) -> tuple[str, bool]:
    """The client's address, and whether an untrusted proxy forwarded the request (then the address may be that proxy's).

    Behind a trusted proxy, the address is the last one in X-Forwarded-For that is not a trusted proxy itself.
    """
    client = scope.get("client")
    address: str = client[0] if client else ""
    if not _within(address, proxies):
        return address, any(name in _PASSED_ON for name, _ in scope["headers"])
    for step in reversed(b",".join(headers_named(scope, b"x-forwarded-for")).split(b",")):
        named = step.strip().decode("ascii", errors="replace").strip("[]")
        if _parsed(named) is None:
            break
        address = named
        if not _within(address, proxies):
            break
    return address, False


def came_by_https(scope: Scope, proxies: tuple[Network, ...]) -> bool:
    """Whether the page came by HTTPS: by this connection, or as a trusted proxy says (X-Forwarded-Proto) or the browser itself (Origin)."""
    client = scope.get("client")
    said = headers_named(scope, b"x-forwarded-proto")[-1:] if _within(client[0] if client else "", proxies) else []
    by_proxy = b"".join(said).rpartition(b",")[2].strip().lower() == b"https"
    return scope["scheme"] == "https" or by_proxy or b"".join(headers_named(scope, b"origin")).startswith(b"https://")


@lru_cache(maxsize=1024)
def _within(address: str, proxies: tuple[Network, ...]) -> bool:
    found = _parsed(address) if proxies else None
    return found is not None and any(found in network for network in proxies)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
