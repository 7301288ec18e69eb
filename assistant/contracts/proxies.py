"""Which proxy a request goes through: one rule for providers and channels.

1. Never for loopback. 2. The setting (`proxy`), where there is one. 3. The environment: HTTPS_PROXY or HTTP_PROXY by the scheme, else ALL_PROXY,
unless NO_PROXY names the host: a name with its subdomains, a host and its port, an address, a network ("10.0.0.0/8"), or "*" for all. Names of
variables in lower case come first, as in curl.

A proxy is `http://`, `https://`, `socks5://` (`socks5h://`, `socks://`) or `socks4://`, with `user:password@` where it wants a login. Names are
resolved by the proxy.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

if TYPE_CHECKING:
    import aiohttp

_HTTP: Final = frozenset({"http", "https"})
_SOCKS: Final[Mapping[str, str]] = {"socks": "socks5", "socks5": "socks5", "socks5h": "socks5", "socks4": "socks4", "socks4a": "socks4"}
_SECURE: Final[Mapping[str, str]] = {"ws": "http", "wss": "https"}
_WORDS: Final = "can't be used: it takes http://, https://, socks5:// or socks4://, a host and a port."
_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


class UnusableProxy(ValueError):
    """The proxy's URL can't be used; the words don't quote it, for it may hold a password."""


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """The way to a host. `url`: of the proxy; None: there is none between."""

    url: str | None = None

    @property
    def _is_socks(self) -> bool:
        return self.url is not None and urlsplit(self.url).scheme in _SOCKS

    @property
    def http(self) -> str | None:
        """What aiohttp takes as `proxy` of a request; None: there is none, or `connector` knows it."""
        return None if self._is_socks else self.url

    def connector(self, **options: Any) -> "aiohttp.TCPConnector":
        """For a session of aiohttp. `options`: of aiohttp.TCPConnector. Needs a running event loop."""
        import aiohttp  # noqa: PLC0415 - slow to import

        if self.url is None or not self._is_socks:
            return aiohttp.TCPConnector(**options)
        from assistant.contracts.socks import SocksConnector  # noqa: PLC0415 - only where there is such a proxy

        parts = urlsplit(self.url)
        return SocksConnector.from_url(urlunsplit(parts._replace(scheme=_SOCKS[parts.scheme])), rdns=True, **options)


def route_to(url: str, setting: str | None = None, env: Mapping[str, str] | None = None) -> ProxyRoute:
    """The way to the host of `url`. `setting`: of the configuration. `env`: None: the process's own. Raises UnusableProxy."""
    target = urlsplit(url)
    if _is_loopback(target.hostname or ""):
        return ProxyRoute()
    if setting and setting.strip():
        return ProxyRoute(_checked(setting, "The proxy of the configuration"))
    env = os.environ if env is None else env
    if _is_excepted(target, _named(env, "no_proxy")):
        return ProxyRoute()
    for name in (f"{_SECURE.get(target.scheme, target.scheme)}_proxy", "all_proxy"):
        if found := _named(env, name):
            return ProxyRoute(_checked(found, f"The proxy of {name.upper()}"))
    return ProxyRoute()


def _named(env: Mapping[str, str], name: str) -> str:
    if name == "http_proxy" and "REQUEST_METHOD" in env:  # set by a client's header in CGI ("httpoxy")
        return env.get(name, "").strip()
    return (env.get(name) or env.get(name.upper()) or "").strip()


def _checked(proxy: str, which: str) -> str:
    """A proxy's URL; a host and a port without a scheme are an HTTP proxy's."""
    proxy = proxy.strip()
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        usable, port = parts.scheme in _HTTP | _SOCKS.keys() and bool(parts.hostname), parts.port
        usable = usable and ("://" in proxy or port is not None)
    except ValueError:
        raise UnusableProxy(f"{which} {_WORDS}") from None
    if not usable:
        raise UnusableProxy(f"{which} {_WORDS}")
    return urlunsplit(parts if port or parts.scheme in _HTTP else parts._replace(netloc=f"{parts.netloc.rstrip(':')}:1080"))


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_excepted(target: SplitResult, no_proxy: str) -> bool:
    host = (target.hostname or "").rstrip(".")
    port = target.port or _PORTS.get(_SECURE.get(target.scheme, target.scheme))
    return any(_excepts(entry, host, port) for entry in no_proxy.lower().replace(",", " ").split())


def _excepts(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:  # one of them is a name
        pass
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit():
        if int(wanted) != port:
            return False
        entry = name.strip("[]")
    name = entry.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
