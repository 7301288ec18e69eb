"""GET and POST /channels/{name}: the calls of platforms (Slack's events, WhatsApp, LINE …).

Each channel checks its platform's own signature; the API's key is not needed, and does not open it.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from fastapi import Request, Response

from assistant.api.body.request import receive_body
from assistant.api.openapi import endpoint, errors
from assistant.contracts.channels import CalledChannel, PlatformCall
from assistant.contracts.errors import NotFound, RequestTooLarge
from assistant.contracts.records import record

_MOST_BYTES: Final = 1024 * 1024
_TEXT: Final[dict[str, Any]] = {"text/plain": {}}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "What the platform's protocol asks for.", "content": {"*/*": {}}},
    401: {"description": "The call is not signed by the platform.", "content": _TEXT},
    405: {"description": "The channel's platform makes no such calls.", "content": _TEXT},
    **errors(400, 404, 408, 413, 503),
}
for _status in (400, 503):  # a channel answers in words, what is around it in JSON
    _ANSWERS[_status]["content"] |= _TEXT
_BODY: Final[dict[str, Any]] = {"required": False, "content": {"*/*": {}}}


@record
class ChannelEndpoints:
    channels: Mapping[str, CalledChannel]
    """By name: the enabled channels whose platforms call."""

    @endpoint("GET", "/channels/{name}", "Verify a channel's address", scope=None, responses=_ANSWERS, extra={"security": []})
    async def verify(self, name: str, request: Request) -> Response:
        """Verify a channel's address: some platforms call it once with a challenge."""
        return await self._called("GET", name, request)

    @endpoint(
        "POST",
        "/channels/{name}",
        "Receive a platform's events",
        scope=None,
        responses=_ANSWERS,
        extra={"requestBody": _BODY, "security": []},
    )
    async def receive(self, name: str, request: Request) -> Response:
        """Receive a platform's events, signed in the platform's own way."""
        return await self._called("POST", name, request)

    async def _called(self, method: Literal["GET", "POST"], name: str, request: Request) -> Response:
        channel = self.channels.get(name)
        if channel is None:
            raise NotFound("There is no enabled channel of this name that is called by its platform.")
        try:
            body = await receive_body(request.scope, request.receive, _MOST_BYTES)
        except RequestTooLarge:
            raise RequestTooLarge(f"A call of a platform has at most {_MOST_BYTES // 1024} KiB.") from None
        call = PlatformCall(
            method=method, query=dict(request.query_params), headers=dict(request.headers), body=bytes(body), url=str(request.url)
        )
        reply = await channel.called(call)
        return Response(reply.body, status_code=reply.status, media_type=reply.media_type)
