"""What must hold before the server opens a port."""

from ipaddress import ip_address

from assistant.api.settings import ApiSettings


class CannotServe(Exception):
    """The server can't start as configured. `str(error)` is one sentence for the person who started it."""


def check_exposure(settings: ApiSettings) -> None:
    """Raises CannotServe if others than this machine could reach the server and no key is set."""
    if settings.api_key is None and not is_loopback(settings.host):
        raise CannotServe(
            f"api.host is '{settings.host}', which other machines can reach, and no api.apiKey is set: set a key, or bind to 127.0.0.1."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server bound to `host`. Any name but localhost counts as reachable from elsewhere."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
