"""Where files may be fetched from. A stranger may have written the address: it must lead neither into our network, nor anywhere with our token."""

import re
from collections.abc import Collection
from typing import Final

from yarl import URL

_HOST: Final = re.compile(r"[a-z0-9.-]+")


def is_at(url: str, hosts: Collection[str]) -> bool:
    """Whether an address is at one of `hosts`: by https at a host of this name ("files.example.org"), or of any name below one that begins with a dot
    (".example.org"); or at the same server as an address ("http://127.0.0.1:8065/api": same scheme, host and port)."""
    try:
        at = URL(url, encoded=True)
        origin, host = at.origin(), (at.raw_host or "").lower()
        if any("://" in each and URL(each).origin() == origin for each in hosts):
            return True
    except ValueError:
        return False
    if at.scheme != "https" or at.port != 443 or not _HOST.fullmatch(host):
        return False
    return any(host == each or (each.startswith(".") and host.endswith(each)) for each in hosts)
