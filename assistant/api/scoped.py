"""What a key must open for each route: declared where the route is, shown in its description, and asked before anything of it runs."""

from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from assistant.api.middleware.scope import principal
from assistant.contracts.access import Scope as AccessScope

_DECLARED: Final = "x-scope"


def needs(scope: AccessScope, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """For `openapi_extra=`: the route is for keys that have this scope. `extra`: what else stands there."""
    return {**(extra or {}), _DECLARED: scope}


def open_to_all(extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """For a route on a path that the Door leaves open."""
    return {**(extra or {}), _DECLARED: None}


class ScopedRoute(APIRoute):
    """Raises Forbidden for a key without the route's scope. A route that declares none is for `admin`: what was forgotten is closed."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared: AccessScope | None = (self.openapi_extra or {}).get(_DECLARED, "admin")
        if declared is not None and scope["method"] in (
            self.methods or ()
        ):  # else it is 405, for OPTIONS without having been asked who it is
            principal(scope).require(declared)
        await super().handle(scope, receive, send)
