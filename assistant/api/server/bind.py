"""Binds the server's port, and refuses to expose an open server."""

import errno
import socket

from assistant.access.authenticator import is_loopback
from assistant.access.principals import CannotLetIn, auth_mode
from assistant.access.settings import AuthSettings
from assistant.api.settings import ApiSettings

_NO_AUTH = AuthSettings()


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
    """Sockets bound to `host` and `port`, one for each address of the host name. With port 0, all get the port of the first.

    Raises CannotServe if the port is in use or the host is not an address of this machine.
    """
    host, port = settings.host.strip("[]"), settings.port
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port, *address[2:]))
            port = sock.getsockname()[1]
            sock.setblocking(False)
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise CannotServe(_reason(error, settings)) from error
    return sockets


def _reason(error: OSError, settings: ApiSettings) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use already: stop what listens there, or choose another port (--port, api.port)."
    if error.errno == errno.EACCES:
        return f"{where} may not be used by this user: set an api.port above 1023."
    return f"{where} can't be bound ({error.strerror}): is api.host an address of this machine?"
