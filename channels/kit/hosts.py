"""Where files may be fetched from. A stranger may have written the address: it must lead neither into our network, nor anywhere with our token."""

import re
from collections.abc import Collection
from typing import Final

from yarl import URL

_HOST: Final = re.compile(r"[a-z0-9.-]+")
_HTTPS: Final = 443


def same_server(url: str, other: str) -> bool:
    """Whether two addresses have the same scheme, host and port. False where one of them is none."""
    try:
        return URL(url, encoded=True).origin() == URL(other).origin()
    except ValueError:
        return False


def is_at(url: str, hosts: Collection[str]) -> bool:
    """Whether an address is at one of `hosts`.

    "files.example.org": by https at this host. ".example.org": by https at any host below it. "http://127.0.0.1:8065/api": at the same server as
    this address.
    """
    if any(same_server(url, each) for each in hosts if "://" in each):
        return True
    host = _host_by_https(url)
    return bool(host) and any(host == each or (each.startswith(".") and host.endswith(each)) for each in hosts)


def _host_by_https(url: str) -> str:
    """Empty: it is no address of https at its own port. The address is read as it will be when it is asked for."""
    try:
        at = URL(url, encoded=True)
        host = (at.raw_host or "").lower()
    except ValueError:
        return ""
    return host if at.scheme == "https" and at.port == _HTTPS and _HOST.fullmatch(host) else ""
