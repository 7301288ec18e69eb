"""Binds the server's port, and refuses to expose an open server."""

import errno
import socket
from typing import Any, Final

from assistant.access.authenticator import is_loopback
from assistant.access.principals import CannotLetIn, auth_mode
from assistant.access.settings import AuthSettings
from assistant.api.settings import ApiSettings

_NO_AUTH = AuthSettings()
_LOCAL: Final = frozenset({"127.0.0.1", "localhost"})
_ABSENT: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})
_TRIES: Final = 20


class CannotServe(Exception):
    """The server can't start as configured; the message is one sentence for the person who started it."""


def check_exposure(settings: ApiSettings, auth: AuthSettings = _NO_AUTH) -> None:
    """Raises CannotServe if other machines could reach a server without authentication, or if `auth` lacks what its mode needs."""
    try:
        mode = auth_mode(auth, settings.api_key)
    except CannotLetIn as error:
        raise CannotServe(str(error)) from error
    if mode == "none" and not is_loopback(settings.host):
        raise CannotServe(
            f"api.host is '{settings.host}', which other machines can reach, and no api.apiKey is set (nor an auth.mode): "
            "set a key, or bind to 127.0.0.1."
        )


def bind(settings: ApiSettings) -> list[socket.socket]:
    """Sockets bound to `host` and `port`, one for each address of the host name. 127.0.0.1 and localhost mean both loopback addresses, since
    clients may take either for `localhost`; ::1 is left out where the machine has none. With port 0, all get the port of the first.

    Raises CannotServe if the port is in use on one of them, or the host is not an address of this machine.
    """
    host = settings.host.strip("[]")
    for tries_left in reversed(range(_TRIES if settings.port == 0 else 1)):
        sockets: list[socket.socket] = []
        try:
            _bind_all(host, settings.port, sockets)
        except OSError as error:
            for sock in sockets:
                sock.close()
            if tries_left and error.errno == errno.EADDRINUSE:  # the port that was free on the first address is not on the second
                continue
            raise CannotServe(_reason(error, settings, second=len(sockets) > 1 and host in _LOCAL)) from error
        return sockets
    raise AssertionError("the last try returns or raises")


def _bind_all(host: str, port: int, sockets: list[socket.socket]) -> None:
    """Add a bound socket for each address to `sockets`. Raises OSError; the last one is then not bound."""
    for family, address in _addresses(host, port):
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port, *address[2:]))
        except OSError as error:
            if host in _LOCAL and family == socket.AF_INET6 and error.errno in _ABSENT:
                if len(sockets) > 1:
                    sockets.pop().close()
                continue
            raise
        port = sock.getsockname()[1]
        sock.setblocking(False)


def _addresses(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    if host in _LOCAL:
        return [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port))]
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, address) for family, _, _, _, address in found]


def _reason(error: OSError, settings: ApiSettings, *, second: bool) -> str:
    where = f"[::1]:{settings.port}" if second else f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        named = ", where clients may look for 'localhost'" if second else ""
        return f"{where} is in use already{named}: stop what listens there, or choose another port (--port, api.port)."
    if error.errno == errno.EACCES:
        return f"{where} may not be used by this user: set an api.port above 1023."
    return f"{where} can't be bound ({error.strerror}): is api.host an address of this machine?"
