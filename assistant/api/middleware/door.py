"""Nobody gets in without being known."""

from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.access.principals import Access
from assistant.api.middleware.scope import headers_named, set_principal
from assistant.contracts.errors import Unauthenticated

_OPEN_PATHS = frozenset({"/health", "/ready"})
_OWN_SECRETS = "/hooks/"
"""What stands below has a secret of its own for each path."""


class Door:
    """Asks `access` who asks, on every path but the two that tell whether the server is well and those of hooks, which ask for their own
    secrets, and for every method but OPTIONS.

    The decision is made on the path that the routes will see. A path that does not exist needs the key as well.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and not _is_open(scope["path"]) and scope.get("method") != "OPTIONS":
            values = headers_named(scope, b"authorization")
            if len(values) > 1:
                raise Unauthenticated("Send one Authorization header.")
            set_principal(scope, self.access.identify(values[0] if values else None))
        await self.app(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(_OWN_SECRETS)
