"""HEAD, wherever there is GET."""

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadAsGet:
    """Lets the routes answer HEAD as GET. The server leaves the body out, by the method that it received itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "HEAD":
            scope = {**scope, "method": "GET"}
        await self.app(scope, receive, send)
