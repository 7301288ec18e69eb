"""What must hold before the server opens a port."""

from assistant.access.build import CannotLetIn, auth_mode
from assistant.access.loopback import is_loopback
from assistant.access.settings import AuthSettings
from assistant.api.settings import ApiSettings

_NO_AUTH = AuthSettings()


class CannotServe(Exception):
    """The server can't start as configured. `str(error)` is one sentence for the person who started it."""


def check_exposure(settings: ApiSettings, auth: AuthSettings = _NO_AUTH) -> None:
    """Raises CannotServe if others than this machine could reach the server and nobody is asked who they are, or if `auth` lacks what its mode
    needs."""
    try:
        mode = auth_mode(auth, settings.api_key)
    except CannotLetIn as error:
        raise CannotServe(str(error)) from error
    if mode == "none" and not is_loopback(settings.host):
        raise CannotServe(
            f"api.host is '{settings.host}', which other machines can reach, and no api.apiKey is set (nor an auth.mode): "
            "set a key, or bind to 127.0.0.1."
        )
