"""Addresses of the web: the one parser for all that is fetched, and which network addresses are public.

A URL is parsed once, here, into parts that nothing parses again. What browsers and libraries read differently (backslashes, names and passwords,
"0x7f.1", zone ids) is refused; letters of other scripts become what a resolver is asked (UTS 46).
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import quote, urljoin

from assistant.contracts.errors import ToolFailed
from assistant.contracts.records import record

_FORM: Final = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE | re.DOTALL)
_UNFIT: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_KEPT: Final = "/%:@!$&'()*+,;=~-._?[]|{}^`"
_LONGEST: Final = 4_096
_DEFAULT: Final = {"http": 80, "https": 443}

_GLOBAL_UNICAST: Final = ip_network("2000::/3")
_NAT64, _6TO4, _TEREDO = ip_network("64:ff9b::/96"), ip_network("2002::/16"), ip_network("2001::/32")
_NOT_OURS: Final = (ip_network("192.0.0.0/24"), ip_network("192.88.99.0/24"), ip_network("168.63.129.16/32"))
"""Protocols' own (RFC 6890), the relays of 6to4, Azure's services for its machines."""


class PageRefused(ToolFailed):
    """A page can't be fetched or read. The words complete "it can't be fetched: …"."""


@record
class WebUrl:
    """A parsed URL, without its fragment."""

    scheme: str
    """"http" or "https"."""
    host: str
    """A name in lower case and in ASCII, without a dot at its end, or an address in its usual form, IPv6 without brackets."""
    port: int
    target: str
    """Path and query, percent-encoded: "/a%20b?c"."""

    @property
    def authority(self) -> str:
        """ "example.org", "example.org:8080", "[::1]:8080"."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def is_literal(self) -> bool:
        """Whether the host is an address, which no resolver is asked for."""
        return ":" in self.host or self.host.rpartition(".")[2].isdigit()

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    def join(self, location: str) -> "WebUrl":
        """The address that a redirect or a link here leads to. Raises PageRefused."""
        _check_characters(location.strip(" \t\r\n"))
        try:
            return parse_url(urljoin(str(self), location.strip(" \t\r\n")))
        except ValueError:
            raise PageRefused("it leads to an address that is malformed") from None


def parse_url(text: str) -> WebUrl:
    """Raises PageRefused, with words for the model."""
    text = text.strip(" \t\r\n")
    _check_characters(text)
    found = _FORM.fullmatch(text)
    if found is None:
        raise PageRefused("only addresses that begin with http:// or https:// can be fetched")
    scheme, authority, path, query = found[1].lower(), found[2], found[3], found[4] or ""
    if "@" in authority:
        raise PageRefused("an address with a user name or password in front of the host is not fetched")
    host, port = _host_and_port(authority)
    return WebUrl(scheme=scheme, host=host, port=port or _DEFAULT[scheme], target=quote((path or "/") + query, safe=_KEPT))


def normal_authority(text: str) -> tuple[str, int | None]:
    """(host, port or None) of "nas.local", "192.168.1.10:8080", "[::1]:8080", in the form of `WebUrl`. Raises PageRefused."""
    text = text.strip()
    _check_characters(text)
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    return _host_and_port(text)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet: not of this machine, a private network, a link, a test, many at once; nor, for IPv6,
    one that stands for such an IPv4 address."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        return found.is_global and not found.is_multicast and not any(found in network for network in _NOT_OURS)
    if embedded := _embedded(found):
        return found.scope_id is None and all(is_public(str(each)) for each in embedded)
    return found in _GLOBAL_UNICAST and found.is_global and found.scope_id is None


def _embedded(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that this one stands for."""
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    if address in _6TO4 and address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or () if address in _TEREDO else ()


def _check_characters(text: str) -> None:
    if len(text) > _LONGEST:
        raise PageRefused(f"its address is longer than {_LONGEST:,} characters")
    if _UNFIT.search(text):
        raise PageRefused("its address holds a space, a backslash or an invisible character; write those of a path as %20, %5C")


def _host_and_port(authority: str) -> tuple[str, int | None]:
    bracket, _, rest = authority.rpartition("]")
    host, colon, port = (bracket + "]", *rest.partition(":")[1:]) if bracket else authority.partition(":")
    if (bracket and rest and not colon) or ":" in port:
        raise PageRefused("its address is malformed")
    if colon and not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536):
        raise PageRefused("the port in its address is none")
    return _normal_host(host), int(port) if colon else None


def _normal_host(host: str) -> str:
    if host.startswith("["):
        try:
            address = IPv6Address(host[1:-1])
        except ValueError:
            raise PageRefused("its host is not an address in brackets") from None
        if address.scope_id is not None:
            raise PageRefused("its host is an address of one network card")
        return str(address)
    if not host.isascii():
        host = _in_ascii(host)
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise PageRefused("its host is a number in an unusual form; an address is written like 192.0.2.1") from None
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise PageRefused("its host is no name that can be looked up")
    return host


def _in_ascii(host: str) -> str:
    """By IDNA 2008 with the mapping of UTS 46: full-width digits and dots become plain ones, and are looked at as such."""
    import idna  # noqa: PLC0415 - tables that only such names need

    try:
        return idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise PageRefused("its host is no name that can be looked up") from None
